package cli

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// completeWithin is how long a shell waits for names: a key press must not hang.
const completeWithin = 2 * time.Second

// completeNames lets a shell complete the name of what exists, in the commands below parent that
// take one. What does not exist yet has no completion.
func (a *app) completeNames(parent *cobra.Command, list func(context.Context, clients) ([]string, error)) {
	for _, c := range parent.Commands() {
		if c.Name() == "create" || c.Name() == "list" {
			c.ValidArgsFunction = cobra.NoFileCompletions
			continue
		}
		c.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.existing(list)(cmd, args, typed)
		}
	}
}

// existing completes names of what exists.
func (a *app) existing(list func(context.Context, clients) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		a.timeout = min(a.timeout, completeWithin)
		var names []string
		err := a.with(cmd, func(ctx context.Context, c clients) (err error) {
			names, err = list(ctx, c)
			return err
		})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFlags lets a shell complete the values of flags that mean the same wherever they are.
func (a *app) completeFlags(root *cobra.Command) {
	words := func(list ...string) cobra.CompletionFunc {
		return cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp)
	}
	values := map[string]cobra.CompletionFunc{
		"output":         words(formatTable, formatJSON, formatYAML, formatName),
		"key":            a.existing(keyNames),
		"endpoint":       a.existing(endpointNames),
		"team":           a.existing(teamNames),
		"group-by":       words(slices.Sorted(maps.Keys(dimensions))...),
		"kind":           words(slices.Sorted(maps.Keys(limitKinds))...),
		"without-ledger": words(slices.Sorted(maps.Keys(limitFallbacks))...),
		"abandoned":      words(slices.Sorted(maps.Keys(abandonedPolicies))...),
		"period":         words("total", "hour", "day", "week", "month", "rolling"),
		"forward":        words(slices.Sorted(maps.Keys(forwards))...),
		"balance":        words(slices.Sorted(maps.Keys(balances))...),
		"host-header":    words("target", "caller"),
		"edge":           a.existing(edgeNames),
		"adapter":        a.existing(adapterNames),
		"models-adapter": a.existing(adapterNames),
		"default-model":  a.existing(modelNames),
		"schema":         words(slices.Sorted(maps.Keys(schemas))...),
		"schemas":        words(slices.Sorted(maps.Keys(schemas))...),
		"template":       a.existing(templateNames),
		"retry":          words(off), "hedge": words(off), "breaker": words(off), "health-check": words(off), "outlier": words(off), "aws-signing": words(off),
		"credential-balance": words(slices.Sorted(maps.Keys(balances))...),
		"outcome":            words("ok", "target_error", "unreachable", "caller_gone", "interrupted", "abandoned", "refused", "cut"),
	}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for name, complete := range values {
			// try takes the secret of a key, which nothing knows.
			if f := c.Flag(name); f == nil || c.InheritedFlags().Lookup(name) != nil || c.Name() == "try" && name == "key" {
				continue
			}
			_ = c.RegisterFlagCompletionFunc(name, complete) // it fails for flags that are not there, or twice
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

func namesOf[T interface{ GetName() string }](all []T, err error) ([]string, error) {
	names := make([]string, len(all))
	for i, one := range all {
		names[i] = one.GetName()
	}
	return names, err
}

func endpointNames(ctx context.Context, c clients) ([]string, error) {
	page, err := c.Endpoints.ListEndpoints(ctx, &controlv1.ListEndpointsRequest{PageSize: pageSize})
	return namesOf(page.GetEndpoints(), err)
}

func keyNames(ctx context.Context, c clients) ([]string, error) {
	page, err := c.Keys.ListKeys(ctx, &controlv1.ListKeysRequest{PageSize: pageSize})
	return namesOf(page.GetKeys(), err)
}

func budgetNames(ctx context.Context, c clients) ([]string, error) {
	page, err := c.budgets.ListBudgets(ctx, &controlv1.ListBudgetsRequest{PageSize: pageSize})
	return namesOf(page.GetBudgets(), err)
}

func teamNames(ctx context.Context, c clients) ([]string, error) {
	page, err := c.teams.ListTeams(ctx, &controlv1.ListTeamsRequest{PageSize: pageSize})
	return namesOf(page.GetTeams(), err)
}

func limitNames(ctx context.Context, c clients) ([]string, error) {
	page, err := c.limits.ListLimits(ctx, &controlv1.ListLimitsRequest{PageSize: pageSize})
	return namesOf(page.GetLimits(), err)
}

func edgeNames(ctx context.Context, c clients) ([]string, error) {
	res, err := c.system.ListNodes(ctx, &controlv1.ListNodesRequest{})
	names := make([]string, len(res.GetNodes()))
	for i, n := range res.GetNodes() {
		names[i] = n.GetId()
	}
	return names, err
}

func secretNames(ctx context.Context, c clients) ([]string, error) {
	page, err := c.Secrets.ListSecrets(ctx, &controlv1.ListSecretsRequest{PageSize: pageSize})
	return namesOf(page.GetSecrets(), err)
}
