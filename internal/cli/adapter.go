package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (a *app) adapters() noun[*controlv1.Adapter] {
	return noun[*controlv1.Adapter]{
		name: "adapter", plural: "adapters", short: "Servers of your own that translate between schemas", sample: "ours",
		columns: []column[*controlv1.Adapter]{
			{"NAME", (*controlv1.Adapter).GetName, plain},
			{"URL", func(one *controlv1.Adapter) string { return one.GetTarget().GetUrl() }, plain},
			{"TIMEOUT", adapterTimeout, plain},
			{"ID", (*controlv1.Adapter).GetId, wide},
			{"UPDATED", func(one *controlv1.Adapter) string { return a.when(one.GetUpdateTime()) }, wide},
		},
		id: (*controlv1.Adapter).GetName,
		page: func(ctx context.Context, c clients, q query) ([]*controlv1.Adapter, string, error) {
			page, err := c.Adapters.ListAdapters(ctx, &controlv1.ListAdaptersRequest{PageSize: q.size, PageToken: q.token, Filter: q.filter, OrderBy: q.order})
			return page.GetAdapters(), page.GetNextPageToken(), err
		},
		filters: "ours", ordered: true,
		empty: "There are no adapters. Register one with `%s adapter create`.",
		get: func(ctx context.Context, c clients, name string) (*controlv1.Adapter, error) {
			res, err := c.Adapters.GetAdapter(ctx, &controlv1.GetAdapterRequest{Adapter: name})
			return res.GetAdapter(), err
		},
		details: func(t *table, one *controlv1.Adapter) {
			t.add("name", one.GetName())
			t.add("id", one.GetId())
			t.add("target", targetText(one.GetTarget()))
			t.add("timeout", adapterTimeout(one))
			if n := one.GetMaxBytes(); n > 0 {
				t.add("max message", count(n)+" bytes")
			}
			for _, h := range one.GetHeaders() {
				t.add("header", h.GetName()+": "+h.GetValue())
			}
			t.add("revision", count(one.GetRevision()))
			t.add("updated", a.when(one.GetUpdateTime()))
		},
		remove: func(ctx context.Context, c clients, name string) error {
			_, err := c.Adapters.DeleteAdapter(ctx, &controlv1.DeleteAdapterRequest{Adapter: name})
			return err
		},
	}
}

func (a *app) adapterCommand() *cobra.Command {
	verbs := []*cobra.Command{a.adapterCreate(), a.adapterUpdate()}
	a.writes(verbs...)
	return a.adapters().command(a, verbs...)
}

func adapterResult(one *controlv1.Adapter) result {
	return result{data: view(one), names: []string{one.GetName()}}
}

func adapterTimeout(one *controlv1.Adapter) string {
	if t := one.GetTimeout(); t != nil {
		return t.AsDuration().String()
	}
	return (10 * time.Second).String()
}

// adapterFlags are the settings of an adapter as flags.
type adapterFlags struct {
	url      string
	wait     time.Duration
	maxBytes int64
	headers  []string
	remove   []string
}

func (f *adapterFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.url, "url", "", "'URL [sni=NAME] [ca=FILE] [cert=FILE|REFERENCE] [key=REFERENCE] [min-tls=1.2|1.3] [skip-verify]' of the adapter; HTTP/2 is spoken to it")
	flags.DurationVar(&f.wait, "timeout", 0, "for one translation, and for one event of a stream (10s if not given)")
	flags.Int64Var(&f.maxBytes, "max-bytes", 0, "largest message to and from it; 0 for 16 MiB")
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "'name: value' of requests to it, such as a token by which it knows its edges; may be repeated")
}

// change puts what was given into one and leaves the rest alone.
func (f *adapterFlags) change(cmd *cobra.Command, one *controlv1.Adapter) error {
	given := cmd.Flags().Changed
	if given("url") {
		t, err := readURL(cmd, f.url)
		if err != nil {
			return err
		}
		one.Target = t
	}
	if given("timeout") {
		if one.Timeout = nil; f.wait != 0 {
			one.Timeout = durationpb.New(f.wait)
		}
	}
	if given("max-bytes") {
		if f.maxBytes < 0 {
			return usage(cmd, "--max-bytes cannot be negative; 0 stands for 16 MiB.")
		}
		one.MaxBytes = f.maxBytes
	}
	for _, name := range f.remove {
		if !dropHeader(&one.Headers, name) {
			return usage(cmd, "The adapter has no header %s.", name)
		}
	}
	for _, text := range f.headers {
		h, err := readHeader(cmd, text)
		if err != nil {
			return err
		}
		dropHeader(&one.Headers, h.GetName())
		one.Headers = append(one.Headers, h)
	}
	return nil
}

// dropHeader takes the headers of a name away, and says whether there were any.
func dropHeader(headers *[]*controlv1.Header, name string) bool {
	var kept []*controlv1.Header
	for _, h := range *headers {
		if !strings.EqualFold(h.GetName(), name) {
			kept = append(kept, h)
		}
	}
	dropped := len(kept) < len(*headers)
	*headers = kept
	return dropped
}

func (a *app) adapterCreate() *cobra.Command {
	var f adapterFlags
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Register an adapter", Args: exactly("NAME"),
		Example: `  tollgate adapter create ours --url http://adapter:8080
  tollgate adapter create ours --url https://adapter.internal --header 'authorization: Bearer ${secret:adapter}' --timeout 5s`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.url == "" {
				return usage(cmd, "--url is missing.")
			}
			one := &controlv1.Adapter{Name: args[0]}
			if err := f.change(cmd, one); err != nil {
				return err
			}
			a.warnLiterals(&controlv1.Endpoint{Headers: one.GetHeaders()})
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.Adapters.CreateAdapter(ctx, &controlv1.CreateAdapterRequest{Adapter: one})
				if err != nil {
					return err
				}
				made := res.GetAdapter()
				return a.done(adapterResult(made), a.Program+" endpoint create NAME --path /… --models --models-adapter "+made.GetName()+", or "+a.Program+" model create NAME --url … --adapter "+made.GetName(),
					"adapter %s created (rev %d)", made.GetName(), made.GetRevision())
			})
		},
	}
	f.register(cmd)
	return cmd
}

func (a *app) adapterUpdate() *cobra.Command {
	var f adapterFlags
	cmd := &cobra.Command{
		Use: "update NAME", Aliases: []string{"set"}, Short: "Change an adapter's settings; those not given stay as they are", Args: exactly("NAME"),
		Example: "  tollgate adapter update ours --timeout 20s --remove-header authorization",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				got, err := c.Adapters.GetAdapter(ctx, &controlv1.GetAdapterRequest{Adapter: args[0]})
				if err != nil {
					return err
				}
				one := proto.CloneOf(got.GetAdapter())
				if err := f.change(cmd, one); err != nil {
					return err
				}
				if proto.Equal(one, got.GetAdapter()) {
					return a.done(adapterResult(one), "", "adapter %s is like that already", one.GetName())
				}
				a.warnLiterals(&controlv1.Endpoint{Headers: one.GetHeaders()})
				res, err := c.Adapters.UpdateAdapter(ctx, &controlv1.UpdateAdapterRequest{Adapter: one})
				if err != nil {
					return err
				}
				stored := res.GetAdapter()
				if stored.GetRevision() == got.GetAdapter().GetRevision() {
					return a.done(adapterResult(stored), "", "adapter %s is like that already", stored.GetName())
				}
				return a.done(adapterResult(stored), "", "adapter %s changed (rev %d)", stored.GetName(), stored.GetRevision())
			})
		},
	}
	f.register(cmd)
	cmd.Flags().StringArrayVar(&f.remove, "remove-header", nil, "name of a header that is no longer sent; may be repeated")
	return cmd
}
