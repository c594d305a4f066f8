package cli

import (
	"context"
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
		c.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
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

func secretNames(ctx context.Context, c clients) ([]string, error) {
	page, err := c.Secrets.ListSecrets(ctx, &controlv1.ListSecretsRequest{PageSize: pageSize})
	return namesOf(page.GetSecrets(), err)
}
