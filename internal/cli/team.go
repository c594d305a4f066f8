package cli

import (
	"context"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (a *app) teamCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "team", Aliases: []string{"teams"}, Short: "Groups of keys that budgets and limits apply to together", Args: cobra.ArbitraryArgs, RunE: group,
	}
	cmd.AddCommand(a.teamList(), a.teamCreate(), a.teamDelete())
	a.completeNames(cmd, teamNames)
	return cmd
}

func teamResult(t *controlv1.Team) result {
	return result{data: view(t), names: []string{t.GetName()}}
}

func (a *app) teamList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List teams", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				all, err := pages(func(token string) ([]*controlv1.Team, string, error) {
					page, err := c.teams.ListTeams(ctx, &controlv1.ListTeamsRequest{PageSize: pageSize, PageToken: token})
					return page.GetTeams(), page.GetNextPageToken(), err
				})
				if err != nil {
					return err
				}
				r := result{table: table{head: []string{"NAME", "CREATED"}}}
				data := []any{}
				for _, t := range all {
					data, r.names = append(data, view(t)), append(r.names, t.GetName())
					r.table.add(t.GetName(), a.when(t.GetCreateTime()))
				}
				r.data = data
				return a.print(r)
			})
		},
	}
}

func (a *app) teamCreate() *cobra.Command {
	return &cobra.Command{
		Use: "create NAME", Short: "Make a team; keys join it with `key create --team` or `key set --team`", Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.teams.CreateTeam(ctx, &controlv1.CreateTeamRequest{Name: args[0]})
				if err != nil {
					return err
				}
				t := res.GetTeam()
				return a.done(teamResult(t), a.Program+" key set KEY --team "+t.GetName(), "team %s created (rev %d)", t.GetName(), t.GetRevision())
			})
		},
	}
}

func (a *app) teamDelete() *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Remove a team that no key, budget or limit refers to", Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				if _, err := c.teams.DeleteTeam(ctx, &controlv1.DeleteTeamRequest{Team: args[0]}); err != nil {
					return err
				}
				return a.done(deleted(args[0]), "", "team %s deleted", args[0])
			})
		},
	}
}
