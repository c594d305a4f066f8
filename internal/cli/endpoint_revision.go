package cli

import (
	"context"
	"errors"
	"strconv"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
)

// endpointEnable is enable or disable.
func (a *app) endpointEnable(on bool) *cobra.Command {
	use, short, said := "disable", "Refuse an endpoint's requests until it is enabled", "is disabled: its requests are refused"
	if on {
		use, short, said = "enable", "Let an endpoint answer again", "is enabled"
	}
	cmd := &cobra.Command{
		Use: use + " NAME", Short: short, Args: exactly("NAME"), Example: "  tollgate endpoint " + use + " bria",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.Endpoints.SetEndpointEnabled(ctx, &controlv1.SetEndpointEnabledRequest{Endpoint: args[0], Enabled: on})
				if err != nil {
					return err
				}
				e := res.GetEndpoint()
				return a.done(endpointResult(e), "", "endpoint %s %s (rev %d)", e.GetName(), said, e.GetRevision())
			})
		},
	}
	if on {
		a.writes(cmd)
	} else {
		a.destroys(cmd)
	}
	return cmd
}

func (a *app) endpointHistory() *cobra.Command {
	var most int
	cmd := &cobra.Command{
		Use: "history NAME", Aliases: []string{"revisions"}, Short: "List what an endpoint was, newest first; one that was deleted by its id", Args: exactly("NAME"),
		Example: "  tollgate endpoint history bria",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				all, more, err := pages(most, func(size int32, token string) ([]*controlv1.EndpointRevision, string, error) {
					page, err := c.Endpoints.ListEndpointRevisions(ctx, &controlv1.ListEndpointRevisionsRequest{Endpoint: args[0], PageSize: size, PageToken: token})
					return page.GetRevisions(), page.GetNextPageToken(), err
				})
				if err != nil {
					return err
				}
				r := result{table: table{head: []string{"REVISION", "TIME", "WHO", "DID", "WHAT"}, right: []string{"REVISION"}}}
				data := []any{}
				for _, v := range all {
					data, r.names = append(data, view(v)), append(r.names, count(v.GetRevision()))
					what := "-"
					if changes := v.GetChanges(); len(changes) > 0 {
						what = changes[0].GetPath() + " " + first(changes[0].GetBefore(), "(none)") + " → " + first(changes[0].GetAfter(), "(none)")
						if len(changes) > 1 {
							what += " and " + several(len(changes)-1, "more change")
						}
					}
					r.table.add(count(v.GetRevision()), a.when(v.GetTime()), v.GetActor(), v.GetAction(), what)
				}
				r.data = data
				if err := a.print(r); err != nil {
					return err
				}
				if more {
					a.say("There are more: raise --limit, or 0 for all.")
				}
				return nil
			})
		},
	}
	cmd.Flags().IntVar(&most, "limit", 50, "how many at most; 0 for all")
	return cmd
}

func (a *app) endpointRevert() *cobra.Command {
	cmd := &cobra.Command{
		Use: "revert NAME REVISION", Short: "Give an endpoint the settings that it had at a revision", Args: exactly("NAME", "REVISION"),
		Long:    "Give an endpoint the settings that it had at a revision. One that was deleted comes back, by its id.",
		Example: "  tollgate endpoint revert bria 101",
		RunE: func(cmd *cobra.Command, args []string) error {
			revision, err := strconv.ParseInt(args[1], 10, 64)
			if err != nil || revision < 1 {
				return usage(cmd, "%q is no revision; `endpoint history` lists them.", args[1])
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.Endpoints.RevertEndpoint(ctx, &controlv1.RevertEndpointRequest{Endpoint: args[0], Revision: revision})
				if err != nil {
					return err
				}
				e := res.GetEndpoint()
				a.sayWarnings(e)
				return a.done(endpointResult(e), "", "endpoint %s is as it was at revision %d (rev %d)", e.GetName(), revision, e.GetRevision())
			})
		},
	}
	a.destroys(cmd)
	return cmd
}

func (a *app) endpointProbe() *cobra.Command {
	var node string
	cmd := &cobra.Command{
		Use: "probe NAME", Short: "Have edges connect to an endpoint's targets, and show how far each gets", Args: exactly("NAME"),
		Example: "  tollgate endpoint probe bria",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				got, err := c.Endpoints.GetEndpoint(ctx, &controlv1.GetEndpointRequest{Endpoint: args[0]})
				if err != nil {
					return err
				}
				e := got.GetEndpoint()
				if len(e.GetTargets()) == 0 {
					return fault.New(fault.FailedPrecondition, "Endpoint %s has no targets of its own.", e.GetName()).WithHint("Probe what its models are served by with `tollgate edge probe URL`.")
				}
				var all error
				for _, t := range e.GetTargets() {
					if len(e.GetTargets()) > 1 {
						a.say("%s", t.GetUrl())
					}
					all = errors.Join(all, a.probe(ctx, c, &controlv1.ProbeTargetRequest{Url: t.GetUrl(), Endpoint: e.GetName(), Node: node}))
				}
				return all
			})
		},
	}
	cmd.Flags().StringVar(&node, "edge", "", "from this edge only")
	return cmd
}

// endpointPreview shows what a draft would do: a new endpoint, or a change of one that is there.
func (a *app) endpointPreview() *cobra.Command {
	f := endpointFlags{price: priceFlags{read: a.readPrice}}
	var tries []string
	cmd := &cobra.Command{
		Use: "preview NAME", Short: "Show what an endpoint would do with these settings, and store nothing", Args: exactly("NAME"),
		Long: "Show what an endpoint would do with these settings, and what is wrong with them. The settings of an endpoint that is there are changed by what is given; nothing is stored.",
		Example: `  tollgate endpoint preview bria --price 10.00
  tollgate endpoint preview bria --path /images --try /images/v1/x`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				e := &controlv1.Endpoint{Name: args[0], Match: controlv1.MatchKind_MATCH_KIND_PREFIX}
				got, err := c.Endpoints.GetEndpoint(ctx, &controlv1.GetEndpointRequest{Endpoint: args[0]})
				switch {
				case err == nil:
					e = got.GetEndpoint()
				case a.describe(ctx, err).exit != ExitNotFound:
					return err
				}
				if err := f.change(cmd, e); err != nil {
					return err
				}
				req := &controlv1.PreviewEndpointRequest{Endpoint: e}
				for _, path := range tries {
					req.Tries = append(req.Tries, &controlv1.PreviewTry{Path: path})
				}
				res, err := c.Endpoints.PreviewEndpoint(ctx, req)
				if err != nil {
					return err
				}
				return a.printPreview(res)
			})
		},
	}
	f.register(cmd)
	cmd.Flags().StringArrayVar(&tries, "try", nil, "path and query to try on it; may be repeated")
	return cmd
}

func (a *app) printPreview(res *controlv1.PreviewEndpointResponse) error {
	r := result{data: view(res)}
	add := r.table.add
	for _, route := range res.GetRoutes() {
		add("route", route.GetPath()+" → "+route.GetUrl())
	}
	add("price", first(res.GetPrice(), "-"))
	add("access", first(res.GetAccess(), "-"))
	for _, t := range res.GetTries() {
		add("try", first(t.GetEndpoint(), t.GetRefusal().GetMessage(), "refused")+" "+t.GetUrl())
	}
	if res.GetCurl() != "" {
		add("curl", res.GetCurl())
	}
	if err := a.print(r); err != nil {
		return err
	}
	for _, w := range res.GetWarnings() {
		a.say("%s %s: %s", a.paint(yellow, "!"), w.GetField(), w.GetMessage())
	}
	if len(res.GetViolations()) == 0 {
		return nil
	}
	f := fault.New(fault.InvalidArgument, "The endpoint could not be stored as it is.")
	for _, v := range res.GetViolations() {
		f = f.WithViolations(fault.Violation{Field: v.GetField(), Code: v.GetCode(), Reason: v.GetMessage()})
	}
	return f
}
