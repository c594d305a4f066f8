package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (a *app) adapterCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "adapter", Aliases: []string{"adapters"}, Short: "Servers of your own that translate between schemas", Args: cobra.ArbitraryArgs, RunE: group,
	}
	cmd.AddCommand(a.adapterList(), a.adapterShow(), a.adapterCreate(), a.adapterUpdate(), a.adapterDelete())
	a.completeNames(cmd, adapterNames)
	return cmd
}

func adapterNames(ctx context.Context, c clients) ([]string, error) {
	page, err := c.Adapters.ListAdapters(ctx, &controlv1.ListAdaptersRequest{PageSize: pageSize})
	return namesOf(page.GetAdapters(), err)
}

func adapterResult(one *controlv1.Adapter) result {
	return result{data: view(one), names: []string{one.GetName()}}
}

func (a *app) adapterList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List adapters", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				all, err := pages(func(token string) ([]*controlv1.Adapter, string, error) {
					page, err := c.Adapters.ListAdapters(ctx, &controlv1.ListAdaptersRequest{PageSize: pageSize, PageToken: token})
					return page.GetAdapters(), page.GetNextPageToken(), err
				})
				if err != nil {
					return err
				}
				r := result{table: table{head: []string{"NAME", "URL", "TIMEOUT"}}}
				data := []any{}
				for _, one := range all {
					data, r.names = append(data, view(one)), append(r.names, one.GetName())
					r.table.add(one.GetName(), one.GetTarget().GetUrl(), adapterTimeout(one))
				}
				r.data = data
				return a.print(r)
			})
		},
	}
}

func adapterTimeout(one *controlv1.Adapter) string {
	if t := one.GetTimeout(); t != nil {
		return t.AsDuration().String()
	}
	return (10 * time.Second).String()
}

func (a *app) adapterShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Aliases: []string{"get"}, Short: "Show an adapter", Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.Adapters.GetAdapter(ctx, &controlv1.GetAdapterRequest{Adapter: args[0]})
				if err != nil {
					return err
				}
				one := res.GetAdapter()
				r := adapterResult(one)
				add := r.table.add
				add("name", one.GetName())
				add("id", one.GetId())
				add("target", targetText(one.GetTarget()))
				add("timeout", adapterTimeout(one))
				if n := one.GetMaxBytes(); n > 0 {
					add("max message", strconv.FormatInt(n, 10)+" bytes")
				}
				for _, h := range one.GetHeaders() {
					add("header", h.GetName()+": "+h.GetValue())
				}
				add("revision", strconv.FormatInt(one.GetRevision(), 10))
				add("updated", a.when(one.GetUpdateTime()))
				return a.print(r)
			})
		},
	}
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

func (a *app) adapterDelete() *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Remove an adapter that no endpoint and no model uses", Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				if _, err := c.Adapters.DeleteAdapter(ctx, &controlv1.DeleteAdapterRequest{Adapter: args[0]}); err != nil {
					return err
				}
				return a.done(deleted(args[0]), "", "adapter %s deleted", args[0])
			})
		},
	}
}
