package cli

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"
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
		"output":         words(formats...),
		"key":            a.existing(a.keys().names),
		"endpoint":       a.existing(a.endpoints().names),
		"team":           a.existing(a.teams().names),
		"group-by":       words(slices.Sorted(maps.Keys(dimensions))...),
		"kind":           words(slices.Sorted(maps.Keys(limitKinds))...),
		"without-ledger": words(slices.Sorted(maps.Keys(limitFallbacks))...),
		"abandoned":      words(slices.Sorted(maps.Keys(abandonedPolicies))...),
		"bucket":         words("day", "hour"),
		"period":         words("total", "hour", "day", "week", "month", "rolling"),
		"forward":        words(slices.Sorted(maps.Keys(forwards))...),
		"balance":        words(slices.Sorted(maps.Keys(balances))...),
		"host-header":    words("target", "caller"),
		"edge":           a.existing(a.nodes().names),
		"adapter":        a.existing(a.adapters().names),
		"models-adapter": a.existing(a.adapters().names),
		"default-model":  a.existing(a.models().names),
		"schema":         words(slices.Sorted(maps.Keys(schemas))...),
		"schemas":        words(slices.Sorted(maps.Keys(schemas))...),
		"template":       a.existing(templateNames),
		"retry":          words(off), "hedge": words(off), "breaker": words(off), "health-check": words(off), "outlier": words(off), "aws-signing": words(off),
		"credential-balance": words(slices.Sorted(maps.Keys(balances))...),
		"customer":           a.existing(a.customers().names), "move-keys-to": a.existing(a.teams().names), "context": a.contextNames, "color": words(colors...),
		"role": words(slices.Sorted(maps.Keys(roles))...), "may": words(slices.Sorted(maps.Keys(permissions))...),
		"outcome": words("ok", "target_error", "unreachable", "caller_gone", "interrupted", "abandoned", "refused", "cut"),
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

// contextNames completes those of the file.
func (a *app) contextNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	f, err := a.loadContexts()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return f.Names(), cobra.ShellCompDirectiveNoFileComp
}

func namesOf[T interface{ GetName() string }](all []T, err error) ([]string, error) {
	names := make([]string, len(all))
	for i, one := range all {
		names[i] = one.GetName()
	}
	return names, err
}
