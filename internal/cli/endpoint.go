package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (a *app) endpoints() noun[*controlv1.Endpoint] {
	return noun[*controlv1.Endpoint]{
		name: "endpoint", plural: "endpoints", aliases: []string{"ep"}, short: "Which paths go to which targets, at what price", sample: "bria", console: "/endpoints",
		columns: []column[*controlv1.Endpoint]{
			{"NAME", (*controlv1.Endpoint).GetName, plain},
			{"METHODS", func(e *controlv1.Endpoint) string { return list(e.GetMethods(), "any") }, plain},
			{"PATH", pattern, plain},
			{"TARGET", targets, plain},
			{"PRICE", price, right},
			{"STATUS", endpointStatus, wide},
			{"ID", (*controlv1.Endpoint).GetId, wide},
			{"REVISION", func(e *controlv1.Endpoint) string { return count(e.GetRevision()) }, rightWide},
			{"UPDATED", func(e *controlv1.Endpoint) string { return a.when(e.GetUpdateTime()) }, wide},
			{"MANAGED BY", func(e *controlv1.Endpoint) string { return first(e.GetManagedBy(), "-") }, wide},
		},
		id: (*controlv1.Endpoint).GetName,
		page: func(ctx context.Context, c clients, q query) ([]*controlv1.Endpoint, string, error) {
			page, err := c.Endpoints.ListEndpoints(ctx, &controlv1.ListEndpointsRequest{PageSize: q.size, PageToken: q.token, Filter: q.filter, OrderBy: q.order})
			return page.GetEndpoints(), page.GetNextPageToken(), err
		},
		filters: "disabled:no", ordered: true,
		empty: "There are no endpoints. Make one with `%s endpoint create`.",
		note: func(e *controlv1.Endpoint) {
			if e.GetDisabled() {
				a.say("%s %s is disabled", a.paint(yellow, "!"), e.GetName())
			}
			a.sayWarnings(e, "target_private", "methods_not_charged") // in a list, what most of them have says nothing
		},
		get: func(ctx context.Context, c clients, name string) (*controlv1.Endpoint, error) {
			res, err := c.Endpoints.GetEndpoint(ctx, &controlv1.GetEndpointRequest{Endpoint: name})
			return res.GetEndpoint(), err
		},
		details: a.endpointDetails,
		finish: func(_ context.Context, _ clients, e *controlv1.Endpoint, _ *result) error {
			a.sayWarnings(e)
			return nil
		},
		remove: func(ctx context.Context, c clients, name string) error {
			_, err := c.Endpoints.DeleteEndpoint(ctx, &controlv1.DeleteEndpointRequest{Endpoint: name})
			return err
		},
	}
}

func endpointStatus(e *controlv1.Endpoint) string {
	if e.GetDisabled() {
		return "disabled"
	}
	return "enabled"
}

func (a *app) endpointCommand() *cobra.Command {
	return a.endpoints().command(a, a.endpointCreate(), a.endpointSet(), a.endpointEnable(true), a.endpointEnable(false),
		a.endpointHistory(), a.endpointRevert(), a.endpointProbe(), a.endpointPreview())
}

func endpointResult(e *controlv1.Endpoint) result {
	return result{data: view(e), names: []string{e.GetName()}}
}

func (a *app) endpointDetails(t *table, e *controlv1.Endpoint) {
	t.add("name", e.GetName())
	t.add("id", e.GetId())
	if e.GetDisabled() {
		t.add("status", "disabled")
	}
	if e.GetDescription() != "" {
		t.add("for", e.GetDescription())
	}
	t.add("path", pattern(e))
	t.add("methods", list(e.GetMethods(), "any"))
	describeTargets(t, e)
	describeRequest(t, e)
	describeSigning(t, e.GetAwsSigning())
	if e.GetModels() == nil {
		describePrice(t, e.GetPrice())
	}
	if e.GetPrice().GetFree() == nil {
		t.add("if abandoned", enumWord(e.GetAbandoned(), "ABANDONED_"))
	}
	if timeout := e.GetTimeout(); timeout != nil {
		t.add("timeout", timeout.AsDuration().String())
	}
	describeResilience(t, e)
	if n := e.GetMaxBodyBytes(); n > 0 {
		t.add("max body", count(n)+" bytes")
	}
	if e.GetForwardTraceContext() {
		t.add("trace", "forwarded")
	}
	addManaged(t, e.GetManagedBy())
	t.add("revision", count(e.GetRevision()))
	t.add("updated", a.when(e.GetUpdateTime()))
}

func (a *app) endpointCreate() *cobra.Command {
	f := endpointFlags{price: priceFlags{read: a.readPrice}}
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make an endpoint, of a template or of your own",
		Args: func(cmd *cobra.Command, args []string) error {
			if f.from.template != "" && len(args) == 0 {
				return nil
			}
			return exactly("NAME")(cmd, args)
		},
		Example: `  tollgate endpoint create bria --path /bria --target https://engine.prod.bria-api.com \
    --header 'api_token: ${secret:bria}' --price 12.00
  tollgate endpoint create rerank --path /v1/rerank --exact --method POST \
    --target https://api.cohere.com/v1/rerank --header 'Authorization: Bearer ${env:COHERE_API_KEY}' --free
  tollgate endpoint create --template openai --secret openai=env:OPENAI_API_KEY
  tollgate endpoint create llm --path /v1 --models`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.from.template != "" {
				return a.createFromTemplate(cmd, &f, first(args...))
			}
			for _, name := range []string{"name", "secret", "param"} {
				if cmd.Flags().Changed(name) {
					return usage(cmd, "--%s belongs to --template.", name)
				}
			}
			needed := []string{"path", "target"}
			if f.serving.models {
				needed = needed[:1]
			} else if err := f.serving.alone(cmd); err != nil {
				return err
			}
			for _, name := range needed {
				if !cmd.Flags().Changed(name) {
					return usage(cmd, "--%s is missing.", name)
				}
			}
			if !f.price.chosen(cmd) && !f.serving.models {
				return usage(cmd, "Say what a request costs with --price, --rate, --price-reported or --price-file, or that it costs nothing with --free.")
			}
			e := &controlv1.Endpoint{Name: args[0], Match: controlv1.MatchKind_MATCH_KIND_PREFIX}
			if err := f.change(cmd, e); err != nil {
				return err
			}
			a.warnLiterals(e)
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.Endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: e})
				if err != nil {
					return err
				}
				made := res.GetEndpoint()
				a.sayWarnings(made)
				a.warnLists(ctx, c, made)
				next := " try " + list(made.GetMethods()[:min(1, len(made.GetMethods()))], "POST") + " " + made.GetPath()
				if made.GetModels() != nil {
					next = " model list"
				}
				if made.GetPrice().GetMetered() != nil { // which path a meter reads only its owner knows
					next = " price test --endpoint " + made.GetName() + " --sample FILE --path PATH"
				}
				return a.done(endpointResult(made), a.Program+next,
					"endpoint %s created (rev %d)", made.GetName(), made.GetRevision())
			})
		},
	}
	f.register(cmd)
	f.from.register(cmd)
	a.writes(cmd)
	return cmd
}

func (a *app) endpointSet() *cobra.Command {
	f := endpointFlags{price: priceFlags{read: a.readPrice}}
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Change an endpoint's settings; those not given stay as they are", Args: exactly("NAME"),
		Example: `  tollgate endpoint set bria --price 10.00
  tollgate endpoint set bria --header 'api_token: ${secret:bria-2}' --remove-header accept`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				got, err := c.Endpoints.GetEndpoint(ctx, &controlv1.GetEndpointRequest{Endpoint: args[0]})
				if err != nil {
					return err
				}
				e := proto.CloneOf(got.GetEndpoint())
				if err := f.change(cmd, e); err != nil {
					return err
				}
				if proto.Equal(e, got.GetEndpoint()) {
					return a.done(endpointResult(e), "", "endpoint %s is like that already", e.GetName())
				}
				a.warnLiterals(e)
				res, err := c.Endpoints.UpdateEndpoint(ctx, &controlv1.UpdateEndpointRequest{Endpoint: e})
				if err != nil {
					return err
				}
				if res.GetEndpoint().GetRevision() == got.GetEndpoint().GetRevision() {
					return a.done(endpointResult(res.GetEndpoint()), "", "endpoint %s is like that already", e.GetName())
				}
				a.sayWarnings(res.GetEndpoint())
				a.warnLists(ctx, c, res.GetEndpoint())
				return a.done(endpointResult(res.GetEndpoint()), "", "endpoint %s changed (rev %d)", res.GetEndpoint().GetName(), res.GetEndpoint().GetRevision())
			})
		},
	}
	f.register(cmd)
	f.request.registerRemoval(cmd)
	cmd.Flags().StringArrayVar(&f.targets.removeCredentials, "remove-credential", nil, "name of a credential that is no longer used; may be repeated")
	a.writes(cmd)
	return cmd
}

// deleted is the answer of commands after which there is nothing to show.
func deleted(name string) result {
	data := &object{}
	data.set("deleted", name)
	return result{data: data, names: []string{name}}
}

// sayWarnings tells what the server finds worth knowing of an endpoint, but for some kinds.
func (a *app) sayWarnings(e *controlv1.Endpoint, but ...string) {
	for _, w := range e.GetWarnings() {
		if slices.Contains(but, w.GetCode()) {
			continue
		}
		a.say("! %s, %s: %s", e.GetName(), w.GetField(), w.GetText())
	}
}

func pattern(e *controlv1.Endpoint) string {
	if e.GetMatch() == controlv1.MatchKind_MATCH_KIND_EXACT {
		return e.GetPath()
	}
	return strings.TrimSuffix(e.GetPath(), "/") + "/*"
}

func targets(e *controlv1.Endpoint) string {
	if e.GetModels() != nil {
		return "models"
	}
	urls := make([]string, len(e.GetTargets()))
	for i, t := range e.GetTargets() {
		urls[i] = t.GetUrl()
	}
	return list(urls, "-")
}
