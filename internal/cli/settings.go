package cli

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/cli/apply"
	"tollgate/internal/cli/localdev"
	"tollgate/internal/fault"
	"tollgate/internal/telemetry"
)

// Where the servers of `tollgate dev` listen unless told otherwise.
const (
	defaultServer  = "http://localhost:4001"
	defaultGateway = "http://localhost:4000"
)

// clients are a control plane's services.
type clients struct {
	apply.Clients

	budgets   controlv1connect.BudgetServiceClient
	teams     controlv1connect.TeamServiceClient
	limits    controlv1connect.LimitServiceClient
	usage     controlv1connect.UsageServiceClient
	system    controlv1connect.SystemServiceClient
	explain   controlv1connect.ExplainServiceClient
	prices    controlv1connect.PriceBookServiceClient
	templates controlv1connect.TemplateServiceClient
	pricing   controlv1connect.PriceServiceClient
}

// note is what `tollgate dev` left in this folder or one above.
func (a *app) note() (localdev.LocalDev, error) {
	dir, err := filepath.Abs(a.Dir)
	if err != nil {
		return localdev.LocalDev{}, err
	}
	note, path, err := localdev.Load(dir)
	if err != nil {
		return note, fault.New(fault.InvalidArgument, "The note of `tollgate dev` cannot be used: %v.", err).
			WithHint("Delete %s; the next `tollgate dev` writes a new one.", path)
	}
	return note, nil
}

// serverURL is the control plane's address: flag, environment, the local server's, the default.
func (a *app) serverURL() string {
	note, _ := a.note() // connect reports what is wrong with it
	return first(a.server, a.Getenv("TOLLGATE_SERVER"), note.Server, defaultServer)
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// token is what opens the server. The local server's token is given to that server only, so that
// naming another one cannot send it there.
func (a *app) token(server string) (string, error) {
	if a.tokenFile != "" {
		raw, err := os.ReadFile(a.path(a.tokenFile))
		if err != nil {
			return "", fault.New(fault.InvalidArgument, "The token file cannot be read: %v.", err).WithHint("Name another with --token-file, or set TOLLGATE_TOKEN.")
		}
		return strings.TrimSpace(string(raw)), nil
	}
	if token := a.Getenv("TOLLGATE_TOKEN"); token != "" {
		return token, nil
	}
	note, err := a.note()
	if err != nil {
		return "", err
	}
	if sameURL(server, note.Server) {
		return note.Token, nil
	}
	return "", nil
}

func sameURL(a, b string) bool {
	return strings.TrimRight(a, "/") == strings.TrimRight(b, "/")
}

// path is a file's name as seen from the working directory.
func (a *app) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(a.Dir, name)
}

// connect makes the clients of the control plane, and a context that ends with the time allowed.
func (a *app) connect(cmd *cobra.Command) (context.Context, context.CancelFunc, clients, error) {
	server := a.serverURL()
	if !strings.HasPrefix(server, "http://") && !strings.HasPrefix(server, "https://") {
		return nil, nil, clients{}, usage(cmd, "The server %q is no http URL, such as %s.", server, defaultServer)
	}
	token, err := a.token(server)
	if err != nil {
		return nil, nil, clients{}, err
	}
	options := connect.WithInterceptors(introduction{token})
	ctx, cancel := context.WithCancel(cmd.Context())
	if a.timeout > 0 {
		ctx, cancel = context.WithTimeout(cmd.Context(), a.timeout)
	}
	return ctx, cancel, clients{
		Clients:   apply.NewClients(a.HTTPClient, server, options),
		budgets:   controlv1connect.NewBudgetServiceClient(a.HTTPClient, server, options),
		teams:     controlv1connect.NewTeamServiceClient(a.HTTPClient, server, options),
		limits:    controlv1connect.NewLimitServiceClient(a.HTTPClient, server, options),
		usage:     controlv1connect.NewUsageServiceClient(a.HTTPClient, server, options),
		system:    controlv1connect.NewSystemServiceClient(a.HTTPClient, server, options),
		explain:   controlv1connect.NewExplainServiceClient(a.HTTPClient, server, options),
		prices:    controlv1connect.NewPriceBookServiceClient(a.HTTPClient, server, options),
		templates: controlv1connect.NewTemplateServiceClient(a.HTTPClient, server, options),
		pricing:   controlv1connect.NewPriceServiceClient(a.HTTPClient, server, options),
	}, nil
}

// with runs fn with the control plane's clients.
func (a *app) with(cmd *cobra.Command, fn func(context.Context, clients) error) error {
	ctx, cancel, c, err := a.connect(cmd)
	if err != nil {
		return err
	}
	defer cancel()
	err = fn(ctx, c)
	if connect.CodeOf(err) == connect.CodeUnauthenticated {
		if token, _ := a.token(a.serverURL()); token == "" {
			f := a.describe(ctx, err)
			f.hint = "Set TOLLGATE_TOKEN or --token-file; below the folder of a running `tollgate dev` neither is needed."
			return f
		}
	}
	return err
}

// introduction says who calls, on every call.
type introduction struct{ token string }

func (i introduction) set(h http.Header) {
	if i.token != "" {
		h.Set("Authorization", "Bearer "+i.token)
	}
	h.Set("User-Agent", userAgent())
}

// WrapUnary implements connect.Interceptor.
func (i introduction) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		i.set(req.Header())
		return next(ctx, req)
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (i introduction) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		i.set(conn.RequestHeader())
		return conn
	}
}

// WrapStreamingHandler implements connect.Interceptor; there is no handler here.
func (introduction) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

func userAgent() string { return "tollgate/" + telemetry.Version() }

// pages collects every page of a list.
func pages[T any](fetch func(token string) (items []T, next string, err error)) ([]T, error) {
	var all []T
	for token := ""; ; {
		items, next, err := fetch(token)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
		if next == "" {
			return all, nil
		}
		if next == token {
			return nil, fmt.Errorf("the server answers with the same page again")
		}
		token = next
	}
}

const pageSize = 1000
