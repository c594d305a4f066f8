package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/cli/apply"
	"tollgate/internal/telemetry"
)

// clients are a control plane's services.
type clients struct {
	apply.Clients

	account   controlv1connect.AccountServiceClient
	alerts    controlv1connect.AlertServiceClient
	audit     controlv1connect.AuditServiceClient
	budgets   controlv1connect.BudgetServiceClient
	config    controlv1connect.ConfigServiceClient
	customers controlv1connect.CustomerServiceClient
	edges     controlv1connect.EdgeServiceClient
	explain   controlv1connect.ExplainServiceClient
	limits    controlv1connect.LimitServiceClient
	overview  controlv1connect.OverviewServiceClient
	people    controlv1connect.PersonServiceClient
	prices    controlv1connect.PriceBookServiceClient
	pricing   controlv1connect.PriceServiceClient
	requests  controlv1connect.RequestServiceClient
	search    controlv1connect.SearchServiceClient
	settings  controlv1connect.SettingsServiceClient
	system    controlv1connect.SystemServiceClient
	tags      controlv1connect.TagServiceClient
	teams     controlv1connect.TeamServiceClient
	templates controlv1connect.TemplateServiceClient
	tokens    controlv1connect.TokenServiceClient
	tries     controlv1connect.TryServiceClient
	usage     controlv1connect.UsageServiceClient
}

// connect makes the clients of the control plane, and a context that ends with the time allowed.
func (a *app) connect(cmd *cobra.Command) (context.Context, context.CancelFunc, clients, error) {
	p, err := a.place()
	if err != nil {
		return nil, nil, clients{}, err
	}
	server := p.Server
	if !strings.HasPrefix(server, "http://") && !strings.HasPrefix(server, "https://") {
		return nil, nil, clients{}, usage(cmd, "The server %q is no http URL, such as %s.", server, defaultServer)
	}
	token, err := a.token()
	if err != nil {
		return nil, nil, clients{}, err
	}
	client, err := a.client()
	if err != nil {
		return nil, nil, clients{}, err
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	if a.timeout > 0 {
		ctx, cancel = context.WithTimeout(cmd.Context(), a.timeout)
	}
	return ctx, cancel, newClients(client, server, a.introduction(token)), nil
}

func newClients(client *http.Client, server string, i introduction) clients {
	o := connect.WithInterceptors(i)
	return clients{
		Clients:   apply.NewClients(client, server, o),
		account:   controlv1connect.NewAccountServiceClient(client, server, o),
		alerts:    controlv1connect.NewAlertServiceClient(client, server, o),
		audit:     controlv1connect.NewAuditServiceClient(client, server, o),
		budgets:   controlv1connect.NewBudgetServiceClient(client, server, o),
		config:    controlv1connect.NewConfigServiceClient(client, server, o),
		customers: controlv1connect.NewCustomerServiceClient(client, server, o),
		edges:     controlv1connect.NewEdgeServiceClient(client, server, o),
		explain:   controlv1connect.NewExplainServiceClient(client, server, o),
		limits:    controlv1connect.NewLimitServiceClient(client, server, o),
		overview:  controlv1connect.NewOverviewServiceClient(client, server, o),
		people:    controlv1connect.NewPersonServiceClient(client, server, o),
		prices:    controlv1connect.NewPriceBookServiceClient(client, server, o),
		pricing:   controlv1connect.NewPriceServiceClient(client, server, o),
		requests:  controlv1connect.NewRequestServiceClient(client, server, o),
		search:    controlv1connect.NewSearchServiceClient(client, server, o),
		settings:  controlv1connect.NewSettingsServiceClient(client, server, o),
		system:    controlv1connect.NewSystemServiceClient(client, server, o),
		tags:      controlv1connect.NewTagServiceClient(client, server, o),
		teams:     controlv1connect.NewTeamServiceClient(client, server, o),
		templates: controlv1connect.NewTemplateServiceClient(client, server, o),
		tokens:    controlv1connect.NewTokenServiceClient(client, server, o),
		tries:     controlv1connect.NewTryServiceClient(client, server, o),
		usage:     controlv1connect.NewUsageServiceClient(client, server, o),
	}
}

// with runs fn with the control plane's clients.
func (a *app) with(cmd *cobra.Command, fn func(context.Context, clients) error) error {
	ctx, cancel, c, err := a.connect(cmd)
	if err != nil {
		return err
	}
	defer cancel()
	err = fn(ctx, c)
	if err == nil {
		a.sayLive(ctx, c, &a.written)
	}
	if connect.CodeOf(err) == connect.CodeUnauthenticated {
		f := a.describe(ctx, err)
		if token, _ := a.token(); token == "" {
			f.hint = fmt.Sprintf("Sign in with `%s login`, or set TOLLGATE_TOKEN or --token-file; below the folder of a running `tollgate dev` none is needed.", a.Program)
		} else if p, _ := a.place(); p.name != "" && p.Dev == "" {
			f.hint = fmt.Sprintf("Sign in again with `%s login --context %s`.", a.Program, p.name)
		}
		return f
	}
	return err
}

// introduction says on every call who calls, by what and how. Calls that did not come through are made again.
type introduction struct {
	token    string
	dryRun   bool // writes are tried only
	override bool // writes also change what a file manages
	written  *written
	log      callLog
	pause    func(context.Context, time.Duration) error
}

func (a *app) introduction(token string) introduction {
	return introduction{token: token, dryRun: a.dryRun, override: a.force, written: &a.written, log: a.callLog(), pause: a.Pause}
}

func (i introduction) set(h http.Header, spec connect.Spec) {
	if i.token != "" {
		h.Set("Authorization", "Bearer "+i.token)
	}
	h.Set("User-Agent", userAgent())
	h.Set("X-Tollgate-Client", "cli")
	if spec.IdempotencyLevel == connect.IdempotencyNoSideEffects {
		return
	}
	if i.dryRun {
		h.Set("X-Tollgate-Dry-Run", "true")
	}
	if i.override {
		h.Set("X-Tollgate-Override", "managed")
	}
	if spec.StreamType != connect.StreamTypeUnary {
		return // what is streamed is not kept to be told again
	}
	// A write that is sent again under the same key is done once.
	h.Set("Idempotency-Key", rand.Text())
}

// The pauses before a call is made again.
var pauses = []time.Duration{200 * time.Millisecond, 800 * time.Millisecond}

// WrapUnary implements connect.Interceptor.
func (i introduction) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		i.set(req.Header(), req.Spec())
		for try := 0; ; try++ {
			message, _ := req.Any().(proto.Message)
			answered := i.log.call(req.Spec().Procedure, message)
			res, err := next(ctx, req)
			var answer proto.Message
			if err == nil {
				answer, _ = res.Any().(proto.Message)
				i.written.note(req.Spec(), answer)
			}
			answered(answer, err)
			if try == len(pauses) || !again(err) || i.pause(ctx, pauses[try]) != nil {
				return res, err
			}
		}
	}
}

// again says whether a call may do better the next time: the server said so, or the connection broke. Where nothing
// listens at all, a person learns that at once.
func again(err error) bool {
	if connect.CodeOf(err) != connect.CodeUnavailable || errors.Is(err, syscall.ECONNREFUSED) {
		return false
	}
	if _, unknown := errors.AsType[*net.DNSError](err); unknown {
		return false
	}
	return true
}

// WrapStreamingClient implements connect.Interceptor.
func (i introduction) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		i.set(conn.RequestHeader(), spec)
		i.log.call(spec.Procedure, nil)
		return conn
	}
}

// WrapStreamingHandler implements connect.Interceptor; there is no handler here.
func (introduction) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

func userAgent() string { return "tollgate/" + telemetry.Version() }

// pages collects every page of a list, or so many items as are wanted, if that is not 0.
func pages[T any](most int, fetch func(size int32, token string) (items []T, next string, err error)) (all []T, more bool, err error) {
	for token := ""; ; {
		size := pageSize
		if most > 0 {
			size = min(pageSize, most-len(all))
		}
		items, next, err := fetch(int32(size), token)
		if err != nil {
			return nil, false, err
		}
		all = append(all, items...)
		switch {
		case most > 0 && len(all) >= most:
			return all[:most], next != "" || len(all) > most, nil
		case next == "":
			return all, false, nil
		case next == token:
			return nil, false, fmt.Errorf("the server answers with the same page again")
		}
		token = next
	}
}

const pageSize = 1000
