package devstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"tollgate/controlplane/litellm"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/bus"
	"tollgate/internal/cli/apply"
	"tollgate/internal/cli/contexts"
	"tollgate/internal/cli/localdev"
	"tollgate/internal/contract"
	"tollgate/internal/devstack/sample"
	"tollgate/internal/fault"
	"tollgate/internal/money"
	"tollgate/internal/plan"
)

// The demo: an endpoint at the price of the documentation's example, one that is priced by tokens, one that serves a model to
// clients of any language, and a key that is the same on every machine so that its commands can be pasted. The stack listens on loopback only.
const (
	demoKey     = "tgk_demo"
	demoKeyName = "demo"
	demoSecret  = "bria-api-token"
	demoBudget  = "demo-month"

	// As a LiteLLM file's models are served, which a stack can be given as well.
	demoModels     = "models"
	demoModelsPath = "/v1"
)

// setupResult is what the banner tells about what was applied.
type setupResult struct {
	notes     []plan.Note
	endpoints bool              // there are some
	keys      map[string]string // secrets of keys that the file made, by name
	found     bool              // the command line finds this stack from the working directory
	console   consoleAt
	took      time.Duration
}

// setUp applies the demo and the configuration file through the same RPCs that everyone uses, waits
// until every edge serves the result, and prints the banner.
func (s *stack) setUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client, url := &http.Client{Transport: bearer{s.creds.AdminToken, transport}}, "http://"+s.control.Addr()
	clients := apply.NewClients(client, url)
	if !loopback(s.o.Host) || s.o.Serve != nil {
		if err := noDemoKey(ctx, controlv1connect.NewKeyServiceClient(client, url)); err != nil {
			return err
		}
	}
	if s.o.Demo {
		demo, err := s.demoPlan()
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		if err := leaveTaken(ctx, clients.Endpoints, demo); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		if _, err := apply.Apply(ctx, clients, demo); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		if err := demoBudgetFor(ctx, controlv1connect.NewBudgetServiceClient(client, url)); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
	}
	var data *sample.Data
	if s.o.SampleData {
		var err error
		if data, err = s.sampleData(ctx, client, transport); err != nil {
			return err
		}
	}
	if s.o.Plan != nil {
		if err := applyPlan(ctx, controlv1connect.NewConfigServiceClient(client, url), s.o.PlanFile, s.o.Plan); err != nil {
			return fmt.Errorf("%s: %w", s.o.PlanFile, err)
		}
		s.setup.notes = s.o.Plan.Notes
	}
	if s.o.Serve != nil {
		if err := s.applyFiles(ctx); err != nil {
			return err
		}
	}
	if s.o.Files != nil {
		res, err := controlv1connect.NewConfigServiceClient(client, url).Apply(ctx, &controlv1.ApplyRequest{What: &controlv1.ApplyRequest_Input{Input: s.o.Files}})
		if err != nil {
			return fmt.Errorf("%s: %w", s.o.PlanFile, wrongFile(err))
		}
		s.setup.keys = res.GetKeySecrets()
	}
	list, err := controlv1connect.NewEndpointServiceClient(client, url).ListEndpoints(ctx, &controlv1.ListEndpointsRequest{PageSize: 1})
	if err != nil {
		return err
	}
	s.setup.endpoints = len(list.GetEndpoints()) > 0
	if err := s.awaitLive(ctx, controlv1connect.NewSystemServiceClient(client, url)); err != nil {
		return err
	}
	if data != nil {
		if err := s.bookSample(ctx, data); err != nil {
			return err
		}
	}
	if err := s.writeLocal(); err != nil {
		return err
	}
	if s.o.Serve == nil {
		if s.setup.console, err = s.consoleAt(ctx); err != nil {
			return err
		}
	}
	s.setup.took = time.Since(s.started)
	if s.o.Serve != nil {
		return s.announce()
	}
	return s.banner()
}

// sampleData makes what looks like a deployment in use.
func (s *stack) sampleData(ctx context.Context, admin *http.Client, plain http.RoundTripper) (*sample.Data, error) {
	return sample.Make(ctx, sample.Options{
		Client: admin, Transport: plain, URL: "http://" + local(s.control.Addr()), Vendor: s.vendor.Addr(), Token: mockToken, Kept: s.sample,
	})
}

// bookSample has the ledger book the month before.
func (s *stack) bookSample(ctx context.Context, data *sample.Data) error {
	conn, err := bus.Connect(busConfig(sample.Edge), s.o.Log, s.nats.ClientOption())
	if err != nil {
		return err
	}
	defer conn.Close()
	return data.Book(ctx, conn)
}

// wrongFile is what a control plane finds wrong with a file, each thing with its place.
func wrongFile(err error) error {
	e, ok := errors.AsType[*connect.Error](err)
	if !ok || e.Code() != connect.CodeInvalidArgument {
		return err
	}
	f := fault.New(fault.InvalidArgument, "%s", e.Message())
	for _, d := range e.Details() {
		value, derr := d.Value()
		bad, ok := value.(*errdetails.BadRequest)
		if derr != nil || !ok {
			continue
		}
		for _, v := range bad.GetFieldViolations() {
			f.Violations = append(f.Violations, fault.Violation{Field: v.GetField(), Code: v.GetReason(), Reason: v.GetDescription()})
		}
	}
	return f
}

// applyPlan makes what a file of another gateway says, all of it or nothing, and leaves it to be changed by everybody.
func applyPlan(ctx context.Context, c controlv1connect.ConfigServiceClient, name string, p *plan.Plan) error {
	inputs, err := litellm.Inputs(name, p)
	if err != nil {
		return err
	}
	for _, in := range inputs {
		if _, err := c.Apply(ctx, &controlv1.ApplyRequest{What: &controlv1.ApplyRequest_Input{Input: in}}); err != nil {
			return err
		}
	}
	_, err = c.Release(ctx, &controlv1.ReleaseRequest{Owner: litellm.Owner})
	return err
}

// bearer presents the admin token.
type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

func (s *stack) demoPlan() (*plan.Plan, error) {
	hash := contract.KeyHash([]byte(demoKey))
	meters, err := demoMeters()
	if err != nil {
		return nil, err
	}
	fixed := &controlv1.Price{Kind: &controlv1.Price_Fixed_{Fixed: &controlv1.Price_Fixed{
		PerRequest: contract.MoneyToProto(12 * money.Dollar),
	}}}
	endpoint := func(name, header, value string, price *controlv1.Price) *controlv1.Endpoint {
		return &controlv1.Endpoint{
			Name: name, Path: "/" + name, Match: controlv1.MatchKind_MATCH_KIND_PREFIX,
			Targets: []*controlv1.Target{{Url: s.vendor.URL()}}, Headers: []*controlv1.Header{{Name: header, Value: value}}, Price: price,
		}
	}
	return &plan.Plan{
		Secrets: []plan.Secret{{Name: demoSecret, Value: mockToken}},
		Models: []*controlv1.Model{{Name: "demo-model", Deployments: []*controlv1.Deployment{{
			Name: "mock", Target: &controlv1.Target{Url: s.vendor.URL() + "/v1"}, Schemas: []controlv1.Schema{controlv1.Schema_SCHEMA_OPENAI_CHAT},
			Model: "demo-chat", ApiKey: "${secret:" + demoSecret + "}", Price: meters,
		}}}},
		Endpoints: []*controlv1.Endpoint{
			endpoint("bria", "api_token", "${secret:"+demoSecret+"}", fixed),
			endpoint("llm", "Authorization", "Bearer ${secret:"+demoSecret+"}", meters),
			{Name: demoModels, Path: demoModelsPath, Match: controlv1.MatchKind_MATCH_KIND_PREFIX, Models: &controlv1.Models{}},
		},
		Keys: []plan.Key{{Name: demoKeyName, SHA256: hash[:]}},
	}, nil
}

// leaveTaken leaves the demo's models to an endpoint of the user's own at the same path: it serves all that there are.
func leaveTaken(ctx context.Context, endpoints controlv1connect.EndpointServiceClient, demo *plan.Plan) error {
	taken := false
	for token := ""; ; {
		page, err := endpoints.ListEndpoints(ctx, &controlv1.ListEndpointsRequest{PageSize: 1000, PageToken: token})
		if err != nil {
			return err
		}
		taken = taken || slices.ContainsFunc(page.GetEndpoints(), func(e *controlv1.Endpoint) bool {
			return e.GetName() != demoModels && e.GetPath() == demoModelsPath && e.GetMatch() == controlv1.MatchKind_MATCH_KIND_PREFIX
		})
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if taken {
		demo.Endpoints = slices.DeleteFunc(demo.Endpoints, func(e *controlv1.Endpoint) bool { return e.GetName() == demoModels })
	}
	return nil
}

func demoBudgetFor(ctx context.Context, budgets controlv1connect.BudgetServiceClient) error {
	_, err := budgets.CreateBudget(ctx, &controlv1.CreateBudgetRequest{Budget: &controlv1.Budget{
		Name: demoBudget, Scope: &controlv1.Budget_Key{Key: demoKeyName},
		Amount: contract.MoneyToProto(100 * money.Dollar), Period: controlv1.Period_PERIOD_MONTH,
	}})
	if connect.CodeOf(err) == connect.CodeAlreadyExists {
		return nil
	}
	return err
}

// noDemoKey refuses to open to the network what anyone can use: the key of an earlier demo on the same
// data.
func noDemoKey(ctx context.Context, keys controlv1connect.KeyServiceClient) error {
	got, err := keys.GetKey(ctx, &controlv1.GetKeyRequest{Key: demoKeyName})
	if connect.CodeOf(err) == connect.CodeNotFound || err == nil && got.GetKey().GetRevokeTime() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	return fault.New(fault.FailedPrecondition, "The key %s of an earlier --demo is known to everyone, and --host lets others use it.", demoKeyName).
		WithHint("Start without --host, run tollgate key revoke %s, and start again; or start over with --reset.", demoKeyName)
}

// awaitLive returns once every edge serves the newest revision.
func (s *stack) awaitLive(ctx context.Context, system controlv1connect.SystemServiceClient) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		resp, err := system.ListNodes(ctx, &controlv1.ListNodesRequest{})
		if err != nil {
			return fmt.Errorf("ask which edges are live: %w", err)
		}
		live := 0
		for _, n := range resp.GetNodes() {
			if n.GetRevision() == resp.GetRevision() && s.isOurs(n) {
				live++
			}
		}
		if live == len(s.edges) {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("the edges did not receive the configuration in time: run with --log-level info to see why")
		case <-tick.C:
		}
	}
}

// isOurs says whether a node is an edge of this run, not one that an earlier run left in the list.
func (s *stack) isOurs(n *controlv1.Node) bool {
	return !n.GetStartTime().AsTime().Before(s.started.Add(-time.Second))
}

// writeLocal lets the CLI find this stack without being told: from the data directory and the folder
// that holds it. A stack that only other addresses lead to has no such note.
func (s *stack) writeLocal() error {
	server, gateway := local(s.control.Addr()), local(s.edges[0].Addr())
	for _, addr := range []string{server, gateway} {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return err
		}
		if !loopback(host) {
			return nil
		}
	}
	note := localdev.LocalDev{Server: "http://" + server, Token: s.creds.AdminToken, Gateway: "http://" + gateway}
	switch {
	case s.o.Demo:
		note.Key = demoKey
	case s.o.SampleData:
		note.Key = s.sample.Keys[sample.CallingKey]
	}
	if s.o.DatabaseURL == "" {
		note.Database = s.url
	}
	if err := localdev.Save(s.o.Dir, note); err != nil {
		return err
	}
	if err := s.enterContext(); err != nil {
		s.o.Log.Warn("the command line's context dev could not be set", "err", err)
	}
	if wd, err := os.Getwd(); err == nil {
		seen, _, err := localdev.Load(wd)
		s.setup.found = err == nil && seen == note
	}
	return nil
}

// command is how the reader of the banner can call this binary.
func command() string {
	if typed := os.Args[0]; strings.ContainsRune(typed, filepath.Separator) {
		return typed
	}
	return "tollgate"
}

// enterContext lets the command line find this stack from every folder while it runs.
func (s *stack) enterContext() error {
	if s.o.Contexts == "" {
		return nil
	}
	dir, err := filepath.Abs(s.o.Dir)
	if err != nil {
		return err
	}
	s.leaveContext, err = contexts.EnterDev(s.o.Contexts, dir)
	return err
}
