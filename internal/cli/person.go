package cli

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

var roles = map[string]controlv1.Role{
	"owner": controlv1.Role_ROLE_OWNER, "admin": controlv1.Role_ROLE_ADMIN, "editor": controlv1.Role_ROLE_EDITOR,
	"viewer": controlv1.Role_ROLE_VIEWER, "billing": controlv1.Role_ROLE_BILLING, "member": controlv1.Role_ROLE_MEMBER,
}

func roleWord(r controlv1.Role) string { return enumWord(r, "ROLE_") }

func (a *app) people() noun[*controlv1.Person] {
	return noun[*controlv1.Person]{
		name: "person", plural: "people", arg: "EMAIL", aliases: []string{"persons", "user", "users"}, short: "Who may sign in, and what they may do",
		sample: "kim@example.com", console: "/settings/people",
		columns: []column[*controlv1.Person]{
			{"EMAIL", (*controlv1.Person).GetEmail, plain},
			{"NAME", func(p *controlv1.Person) string { return first(p.GetName(), "-") }, plain},
			{"ROLE", func(p *controlv1.Person) string { return roleWord(p.GetRole()) }, plain},
			{"STATUS", personStatus, plain},
			{"TEAMS", func(p *controlv1.Person) string { return memberships(p.GetTeams()) }, plain},
			{"SIGNED IN", func(p *controlv1.Person) string { return a.when(p.GetSignInTime()) }, plain},
			{"ID", (*controlv1.Person).GetId, wide},
			{"CREATED", func(p *controlv1.Person) string { return a.when(p.GetCreateTime()) }, wide},
		},
		id: (*controlv1.Person).GetEmail,
		page: func(ctx context.Context, c clients, q query) ([]*controlv1.Person, string, error) {
			page, err := c.people.ListPeople(ctx, &controlv1.ListPeopleRequest{PageSize: q.size, PageToken: q.token, Filter: q.filter})
			return page.GetPeople(), page.GetNextPageToken(), err
		},
		filters: "role:viewer",
		empty:   "Nobody can sign in yet. Add somebody with `%s person create`.",
		get: func(ctx context.Context, c clients, name string) (*controlv1.Person, error) {
			res, err := c.people.GetPerson(ctx, &controlv1.GetPersonRequest{Person: name})
			return res.GetPerson(), err
		},
		details: func(t *table, p *controlv1.Person) {
			t.add("email", p.GetEmail())
			t.add("id", p.GetId())
			t.add("name", first(p.GetName(), "-"))
			t.add("role", roleWord(p.GetRole()))
			t.add("status", personStatus(p))
			t.add("teams", memberships(p.GetTeams()))
			t.add("password", yesNo(p.GetHasPassword()))
			t.add("single sign-on", yesNo(p.GetSingleSignOn()))
			t.add("signed in", a.when(p.GetSignInTime()))
			t.add("created", a.when(p.GetCreateTime()))
		},
		remove: func(ctx context.Context, c clients, name string) error {
			_, err := c.people.DeletePerson(ctx, &controlv1.DeletePersonRequest{Person: name})
			return err
		},
	}
}

func personStatus(p *controlv1.Person) string {
	if p.GetDisabled() {
		return "disabled"
	}
	return "active"
}

func memberships(teams []*controlv1.TeamMembership) string {
	words := make([]string, len(teams))
	for i, t := range teams {
		words[i] = t.GetTeam() + " (" + enumWord(t.GetRole(), "TEAM_ROLE_") + ")"
	}
	return first(strings.Join(words, ", "), "-")
}

func (a *app) personCommand() *cobra.Command {
	n := a.people()
	return n.command(a, a.personCreate(n), a.personSet(n), a.personLink())
}

func (a *app) personCreate(n noun[*controlv1.Person]) *cobra.Command {
	var name, role string
	cmd := &cobra.Command{
		Use: "create EMAIL", Aliases: []string{"invite"}, Short: "Let a person sign in; the link by which they set a password is printed once, alone, on stdout",
		Args: exactly("EMAIL"), Example: "  tollgate person create lee@example.com --role editor --name 'Lee'",
		RunE: func(cmd *cobra.Command, args []string) error {
			as, err := oneOf(cmd, "role", role, roles)
			if err != nil {
				return err
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.people.CreatePerson(ctx, &controlv1.CreatePersonRequest{Person: &controlv1.Person{Email: args[0], Name: name, Role: as}})
				if err != nil {
					return err
				}
				p := res.GetPerson()
				if a.dryRun {
					return a.done(n.result(p), "", "%s added as %s", p.GetEmail(), roleWord(p.GetRole()))
				}
				a.say("%s %s added as %s", a.mark(true), p.GetEmail(), roleWord(p.GetRole()))
				if res.GetLink() != "" {
					a.say("  The link is shown this once. Send it to them: it works once, within seven days.")
				}
				return a.printLink(view(p), p.GetEmail(), res.GetLink())
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "their name")
	cmd.Flags().StringVar(&role, "role", "viewer", either(slices.Sorted(maps.Keys(roles))))
	a.writes(cmd)
	return cmd
}

// printLink prints a link as secrets are printed.
func (a *app) printLink(data *object, name, link string) error {
	if a.forPeople() {
		return a.printOnce(data, name, link)
	}
	data.set("link", link)
	return a.print(result{data: data, names: []string{name}})
}

func (a *app) personSet(n noun[*controlv1.Person]) *cobra.Command {
	var name, role string
	var disabled bool
	cmd := &cobra.Command{
		Use: "set EMAIL", Aliases: []string{"update"}, Short: "Change a person's name or role, or whether they may sign in", Args: exactly("EMAIL"),
		Example: `  tollgate person set kim@example.com --role admin
  tollgate person set kim@example.com --disabled`,
		RunE: func(cmd *cobra.Command, args []string) error {
			given := cmd.Flags().Changed
			if !given("name") && !given("role") && !given("disabled") {
				return usage(cmd, "Say what to change with --name, --role or --disabled.")
			}
			req := &controlv1.UpdatePersonRequest{Person: args[0]}
			if given("name") {
				req.Name = new(name)
			}
			if given("disabled") {
				req.Disabled = new(disabled)
			}
			if given("role") {
				var err error
				if req.Role, err = oneOf(cmd, "role", role, roles); err != nil {
					return err
				}
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.people.UpdatePerson(ctx, req)
				if err != nil {
					return err
				}
				p := res.GetPerson()
				return a.done(n.result(p), "", "%s changed: %s, %s", p.GetEmail(), roleWord(p.GetRole()), personStatus(p))
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "their name")
	cmd.Flags().StringVar(&role, "role", "", either(slices.Sorted(maps.Keys(roles))))
	cmd.Flags().BoolVar(&disabled, "disabled", false, "end their sessions and let them sign in no more; --disabled=false lets them in again")
	a.destroys(cmd)
	return cmd
}

func (a *app) personLink() *cobra.Command {
	cmd := &cobra.Command{
		Use: "link EMAIL", Short: "Make a link by which a person sets a new password, once and within 30 minutes", Args: exactly("EMAIL"),
		Example: "  tollgate person link kim@example.com",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.people.CreateSignInLink(ctx, &controlv1.CreateSignInLinkRequest{Person: args[0]})
				if err != nil {
					return err
				}
				a.say("%s link for %s; it works once, until %s", a.mark(true), args[0], a.when(res.GetExpireTime()))
				return a.printLink(&object{}, args[0], res.GetLink())
			})
		},
	}
	a.writes(cmd)
	return cmd
}

func (a *app) tokens() noun[*controlv1.Token] {
	return noun[*controlv1.Token]{
		name: "token", plural: "tokens", short: "What programs call this API with; not what callers of the gateway present", sample: "ci", console: "/settings/tokens",
		columns: []column[*controlv1.Token]{
			{"NAME", (*controlv1.Token).GetName, plain},
			{"MAY", tokenRights, plain},
			{"TEAM", func(t *controlv1.Token) string { return first(t.GetTeam(), "-") }, plain},
			{"STATUS", a.tokenStatus, plain},
			{"EXPIRES", func(t *controlv1.Token) string { return a.when(t.GetExpireTime()) }, plain},
			{"USED", func(t *controlv1.Token) string { return a.when(t.GetUseTime()) }, plain},
			{"ID", (*controlv1.Token).GetId, wide},
			{"SECRET", func(t *controlv1.Token) string { return "…" + t.GetSuffix() }, wide},
			{"BY", func(t *controlv1.Token) string { return first(t.GetCreator(), "-") }, wide},
			{"CREATED", func(t *controlv1.Token) string { return a.when(t.GetCreateTime()) }, wide},
		},
		id: (*controlv1.Token).GetName,
		page: func(ctx context.Context, c clients, q query) ([]*controlv1.Token, string, error) {
			page, err := c.tokens.ListTokens(ctx, &controlv1.ListTokensRequest{PageSize: q.size, PageToken: q.token})
			return page.GetTokens(), page.GetNextPageToken(), err
		},
		empty: "There are no tokens. Make one with `%s token create`.",
	}
}

func tokenRights(t *controlv1.Token) string {
	if t.GetRole() != controlv1.Role_ROLE_UNSPECIFIED {
		return roleWord(t.GetRole())
	}
	words := make([]string, len(t.GetPermissions()))
	for i, p := range t.GetPermissions() {
		words[i] = enumWord(p, "PERMISSION_")
	}
	return list(words, "nothing")
}

func (a *app) tokenStatus(t *controlv1.Token) string {
	switch {
	case t.GetRevokeTime() != nil:
		return "revoked"
	case t.GetExpireTime() != nil && !t.GetExpireTime().AsTime().After(a.Now()):
		return "expired"
	default:
		return "active"
	}
}

// permissions are those that a token can have, by their words.
var permissions = func() map[string]controlv1.Permission {
	out := map[string]controlv1.Permission{}
	for number := range controlv1.Permission_name {
		if p := controlv1.Permission(number); p > controlv1.Permission_PERMISSION_SIGNED_IN {
			out[enumWord(p, "PERMISSION_")] = p
		}
	}
	return out
}()

func (a *app) tokenCommand() *cobra.Command {
	n := a.tokens()
	return n.command(a, a.tokenCreate(n), a.tokenRevoke(n))
}

func (a *app) tokenCreate(n noun[*controlv1.Token]) *cobra.Command {
	var role, team, expires string
	var may []string
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a token; its secret is printed once, alone, on stdout", Args: exactly("NAME"),
		Example: `  TOLLGATE_TOKEN=$(tollgate token create deploy --role editor --expires 90d)
  tollgate token create report --may money-read,edges-read`,
		RunE: func(cmd *cobra.Command, args []string) error {
			t := &controlv1.Token{Name: args[0], Team: team}
			if (role == "") == (len(may) == 0) {
				return usage(cmd, "Say what it may do with either --role or --may.")
			}
			var err error
			if role != "" {
				if t.Role, err = oneOf(cmd, "role", role, roles); err != nil {
					return err
				}
			}
			for _, text := range may {
				p, err := oneOf(cmd, "may", text, permissions)
				if err != nil {
					return err
				}
				t.Permissions = append(t.Permissions, p)
			}
			if expires != "" {
				at, ok := moment(expires, a.Now())
				if !ok {
					return usage(cmd, "--expires %q is neither a time ahead such as 90d or 12h, nor a date to come such as 2027-01-31.", expires)
				}
				t.ExpireTime = timestamppb.New(at)
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.tokens.CreateToken(ctx, &controlv1.CreateTokenRequest{Token: t})
				if err != nil {
					return err
				}
				made := res.GetToken()
				if a.dryRun {
					return a.done(n.result(made), "", "token %s created: %s", made.GetName(), tokenRights(made))
				}
				a.say("%s token %s created: %s", a.mark(true), made.GetName(), tokenRights(made))
				a.say("  The secret is shown this once: Tollgate keeps only its SHA-256.")
				return a.printOnce(view(made), made.GetName(), res.GetSecret())
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&role, "role", "", "what it may do, as people do: "+either(slices.Sorted(maps.Keys(roles))))
	flags.StringSliceVar(&may, "may", nil, "what it may do, in place of a role: one or several of "+strings.Join(slices.Sorted(maps.Keys(permissions)), ", "))
	flags.StringVar(&team, "team", "", "team at which its rights end")
	flags.StringVar(&expires, "expires", "", "when it stops working: 90d, 12h or 2027-01-31")
	a.writes(cmd)
	return cmd
}

func (a *app) tokenRevoke(n noun[*controlv1.Token]) *cobra.Command {
	cmd := &cobra.Command{
		Use: "revoke NAME", Aliases: []string{"delete", "rm"}, Short: "End a token for good, at once", Args: exactly("NAME"), Example: "  tollgate token revoke ci",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.tokens.RevokeToken(ctx, &controlv1.RevokeTokenRequest{Token: args[0]})
				if err != nil {
					return err
				}
				return a.done(n.result(res.GetToken()), "", "token %s revoked", res.GetToken().GetName())
			})
		},
	}
	a.destroys(cmd)
	return cmd
}
