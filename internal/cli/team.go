package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (a *app) teams() noun[*controlv1.Team] {
	return noun[*controlv1.Team]{
		name: "team", plural: "teams", short: "Groups of keys that budgets and limits apply to together", sample: "search", console: "/teams",
		columns: []column[*controlv1.Team]{
			{"NAME", (*controlv1.Team).GetName, plain},
			{"KEYS", func(t *controlv1.Team) string { return count(t.GetKeys()) }, right},
			{"MEMBERS", func(t *controlv1.Team) string { return count(int64(len(t.GetMembers()))) }, right},
			{"STATUS", teamStatus, plain},
			{"CREATED", func(t *controlv1.Team) string { return a.when(t.GetCreateTime()) }, plain},
			{"ID", (*controlv1.Team).GetId, wide},
			{"ENDPOINTS", func(t *controlv1.Team) string { return restricted(t, "all") }, wide},
			{"MODELS", func(t *controlv1.Team) string { return list(t.GetModels(), "all") }, wide},
			{"MANAGED BY", func(t *controlv1.Team) string { return first(t.GetManagedBy(), "-") }, wide},
		},
		id: (*controlv1.Team).GetName,
		page: func(ctx context.Context, c clients, q query) ([]*controlv1.Team, string, error) {
			page, err := c.teams.ListTeams(ctx, &controlv1.ListTeamsRequest{PageSize: q.size, PageToken: q.token, Filter: q.filter, OrderBy: q.order})
			return page.GetTeams(), page.GetNextPageToken(), err
		},
		filters: "blocked:yes", ordered: true,
		empty: "There are no teams. Make one with `%s team create`.",
		get: func(ctx context.Context, c clients, name string) (*controlv1.Team, error) {
			res, err := c.teams.GetTeam(ctx, &controlv1.GetTeamRequest{Team: name})
			return res.GetTeam(), err
		},
		details: func(t *table, one *controlv1.Team) {
			t.add("name", one.GetName())
			t.add("id", one.GetId())
			t.add("for", first(one.GetDescription(), "-"))
			t.add("status", teamStatus(one))
			t.add("keys", count(one.GetKeys()))
			t.add("endpoints", restricted(one, "all"))
			t.add("models", list(one.GetModels(), "all"))
			for _, m := range one.GetMembers() {
				t.add("member", m.GetEmail()+", "+enumWord(m.GetRole(), "TEAM_ROLE_"))
			}
			addMetadata(t, one.GetMetadata())
			addManaged(t, one.GetManagedBy())
			t.add("created", a.when(one.GetCreateTime()))
		},
	}
}

func teamStatus(t *controlv1.Team) string {
	if t.GetBlocked() {
		return "blocked"
	}
	return "active"
}

func (a *app) teamCommand() *cobra.Command {
	n := a.teams()
	return n.command(a, a.teamCreate(n), a.teamSet(n), a.teamAddMember(n), a.teamRemoveMember(n), a.teamDelete())
}

// teamFlags are the settings of a team as flags.
type teamFlags struct {
	description string
	access      accessFlags
	metadata    metadataFlags
}

func (f *teamFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.description, "description", "", "what it is for")
	f.access.register(cmd, "keys of the team")
	f.metadata.register(cmd)
}

func (a *app) teamCreate(n noun[*controlv1.Team]) *cobra.Command {
	var f teamFlags
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a team; keys join it with `key create --team` or `key set --team`", Args: exactly("NAME"),
		Example: "  tollgate team create research --description 'the lab' --models 'gpt-4o,claude-*'",
		RunE: func(cmd *cobra.Command, args []string) error {
			metadata, err := f.metadata.read(cmd)
			if err != nil {
				return err
			}
			endpoints, restricted := f.access.endpointNames(cmd)
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.teams.CreateTeam(ctx, &controlv1.CreateTeamRequest{
					Name: args[0], Description: f.description, Endpoints: endpoints, Restricted: restricted, Models: given(f.access.models), Metadata: metadata,
				})
				if err != nil {
					return err
				}
				t := res.GetTeam()
				return a.done(n.result(t), a.Program+" key set KEY --team "+t.GetName(), "team %s created (rev %d)", t.GetName(), t.GetRevision())
			})
		},
	}
	f.register(cmd)
	a.writes(cmd)
	return cmd
}

func (a *app) teamSet(n noun[*controlv1.Team]) *cobra.Command {
	var f teamFlags
	var name string
	var blocked bool
	cmd := &cobra.Command{
		Use: "set NAME", Aliases: []string{"update"}, Short: "Change a team's settings; those not given stay as they are", Args: exactly("NAME"),
		Long: "Change what is given and leave the rest. An empty --endpoint or --models takes the restriction away.",
		Example: `  tollgate team set search --models 'gpt-4o' --description 'search and ads'
  tollgate team set search --blocked`,
		RunE: func(cmd *cobra.Command, args []string) error {
			m := maskOf(cmd, [][2]string{{"description"}, {"endpoint", "endpoints"}, {"models"}, {"metadata"}, {"blocked"}, {"name"}})
			if m == nil {
				return usage(cmd, "Say what to change.")
			}
			metadata, err := f.metadata.read(cmd)
			if err != nil {
				return err
			}
			req := &controlv1.UpdateTeamRequest{
				Team: args[0], Name: name, Description: f.description, Models: given(f.access.models), Metadata: metadata, Blocked: blocked, UpdateMask: m,
			}
			if cmd.Flags().Changed("endpoint") {
				req.Endpoints, req.Restricted = f.access.endpointNames(cmd)
				m.Paths = append(m.Paths, "restricted")
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.teams.UpdateTeam(ctx, req)
				if err != nil {
					return err
				}
				t := res.GetTeam()
				return a.done(n.result(t), "", "team %s changed: %s (rev %d)", t.GetName(), strings.Join(m.GetPaths(), ", "), t.GetRevision())
			})
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&name, "name", "", "its new name")
	cmd.Flags().BoolVar(&blocked, "blocked", false, "refuse all its keys; --blocked=false lets them in again")
	a.writes(cmd)
	return cmd
}

var teamRoles = map[string]controlv1.TeamRole{
	"admin": controlv1.TeamRole_TEAM_ROLE_ADMIN, "member": controlv1.TeamRole_TEAM_ROLE_MEMBER,
}

func (a *app) teamAddMember(n noun[*controlv1.Team]) *cobra.Command {
	var role string
	cmd := &cobra.Command{
		Use: "add-member TEAM PERSON", Short: "Let a person belong to a team, or change what they may do in it", Args: exactly("TEAM", "PERSON"),
		Example: "  tollgate team add-member search kim@example.com --role admin",
		RunE: func(cmd *cobra.Command, args []string) error {
			as, err := oneOf(cmd, "role", role, teamRoles)
			if err != nil {
				return err
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.teams.SetTeamMember(ctx, &controlv1.SetTeamMemberRequest{Team: args[0], Person: args[1], Role: as})
				if err != nil {
					return err
				}
				return a.done(n.result(res.GetTeam()), "", "%s belongs to team %s as %s", args[1], res.GetTeam().GetName(), role)
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", "member", "member, to see the team's keys, budgets and usage; or admin, to change them and who belongs to it")
	a.writes(cmd)
	return cmd
}

func (a *app) teamRemoveMember(n noun[*controlv1.Team]) *cobra.Command {
	cmd := &cobra.Command{
		Use: "remove-member TEAM PERSON", Short: "Take a person out of a team", Args: exactly("TEAM", "PERSON"),
		Example: "  tollgate team remove-member search kim@example.com",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.teams.RemoveTeamMember(ctx, &controlv1.RemoveTeamMemberRequest{Team: args[0], Person: args[1]})
				if err != nil {
					return err
				}
				return a.done(n.result(res.GetTeam()), "", "%s does not belong to team %s any more", args[1], res.GetTeam().GetName())
			})
		},
	}
	a.destroys(cmd)
	return cmd
}

func (a *app) teamDelete() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Remove a team that no budget or limit refers to, and whose keys are gone or move", Args: exactly("NAME"),
		Example: "  tollgate team delete search --move-keys-to ads",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				if _, err := c.teams.DeleteTeam(ctx, &controlv1.DeleteTeamRequest{Team: args[0], MoveKeysTo: to}); err != nil {
					return err
				}
				if to != "" {
					return a.done(deleted(args[0]), "", "team %s deleted; its keys belong to %s", args[0], to)
				}
				return a.done(deleted(args[0]), "", "team %s deleted", args[0])
			})
		},
	}
	cmd.Flags().StringVar(&to, "move-keys-to", "", "team that its keys join")
	a.destroys(cmd)
	return cmd
}

// maskOf names the fields whose flags were given: pairs of a flag and, where it is not the same, its field. Without
// any it is nil.
func maskOf(cmd *cobra.Command, fields [][2]string) *fieldmaskpb.FieldMask {
	var m fieldmaskpb.FieldMask
	for _, f := range fields {
		if flag := cmd.Flags().Lookup(f[0]); flag != nil && flag.Changed {
			m.Paths = append(m.Paths, first(f[1], strings.ReplaceAll(f[0], "-", "_")))
		}
	}
	if len(m.GetPaths()) == 0 {
		return nil
	}
	return &m
}
