package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
)

// faultVariable names what the stand-ins below do wrong.
const faultVariable = "LOADTEST_TEST_FAULT"

// TestMain makes this binary stand in for tollgate and for k6, told apart by their first argument.
func TestMain(m *testing.M) {
	var err error
	switch {
	case len(os.Args) > 1 && os.Args[1] == "dev":
		err = fakeStack(os.Args[2:])
	case len(os.Args) > 1 && os.Args[1] == "run":
		err = fakeK6(os.Args[2:])
	default:
		// A server of net/http leaves a caller that still sends half a second to read the answer, also when it was closed.
		os.Exit(testenv.Main(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait")))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Guarantee: a whole run passes when everything is right, fails when any part of it is wrong, and
// leaves no process and no file behind.
func TestRun(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		fault, scenario, want string
	}{
		"right":               {"", "smoke,budget", ""},
		"a nano-dollar short": {"short", "smoke", "the ledger has booked $0.074999999"},
		"a key that leaks":    {"leak", "smoke", "30 requests brought the caller's key to the vendor"},
		"a budget overspent":  {"overspend", "budget", "the budget was for 500 requests, but the vendor served 501"},
		"threshold":           {"threshold", "smoke", "k6: checks rate==1.0 was missed"},
		"k6 breaks":           {"k6", "smoke", "run k6"},
		"does not start":      {"start", "smoke", "ended before it served"},
		"does not stop well":  {"stop", "smoke", "exit status 3"},
	} {
		t.Run(name, func(t *testing.T) {
			tmp := t.TempDir()
			t.Setenv("TMPDIR", tmp)
			t.Setenv("GORACE", "atexit_sleep_ms=0") // else each of the processes takes a second to end
			t.Setenv(faultVariable, c.fault)
			if c.fault == "short" {
				shorten(t, &bookedTimeout)
			}
			var out bytes.Buffer
			err := run(t.Context(), []string{"--scenario", c.scenario}, env(map[string]string{"K6": self, "TOLLGATE": self}), &out)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v; want %q\n%s", err, c.want, out.String())
			}
			if c.want == "" && (!strings.Contains(out.String(), "30 requests, $0.075") || !strings.Contains(out.String(), "500 paid, 1000 refused")) {
				t.Errorf("it printed\n%s", out.String())
			}
			if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
}

// Guarantee: ^C in the middle ends everything at once.
func TestInterrupted(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	t.Setenv(faultVariable, "hang")
	ctx, cancel := context.WithCancel(t.Context())
	out := &trigger{word: "smoke: 3 edges", fire: cancel}
	began := time.Now()
	if err := run(ctx, []string{"--scenario", "smoke"}, env(map[string]string{"K6": self, "TOLLGATE": self}), out); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %s to end", took)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// trigger fires when a word is written to it.
type trigger struct {
	word string
	fire func()
	buf  bytes.Buffer
}

func (w *trigger) Write(p []byte) (int, error) {
	w.buf.Write(p)
	if strings.Contains(w.buf.String(), w.word) {
		w.fire()
	}
	return len(p), nil
}

func shorten(t *testing.T, d *time.Duration) {
	t.Helper()
	before := *d
	*d = 300 * time.Millisecond
	t.Cleanup(func() { *d = before })
}

// fake is a gateway and a control plane with the least that the load test needs of them.
type fake struct {
	fault string
	edges int

	controlv1connect.UnimplementedEndpointServiceHandler
	controlv1connect.UnimplementedKeyServiceHandler
	controlv1connect.UnimplementedBudgetServiceHandler
	controlv1connect.UnimplementedUsageServiceHandler
	controlv1connect.UnimplementedSystemServiceHandler

	mu     sync.Mutex
	target string
	limit  map[string]money.Nanos // by key
	spent  map[string]money.Nanos
}

const fakeToken = "tga_fake"

func fakeStack(args []string) error {
	f := &fake{fault: os.Getenv(faultVariable), limit: map[string]money.Nanos{}, spent: map[string]money.Nanos{}}
	for i, a := range args {
		if a == "--edges" {
			f.edges, _ = strconv.Atoi(args[i+1])
		}
	}
	if f.fault == "start" {
		return errors.New("no database")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	mux := http.NewServeMux()
	mux.Handle(controlv1connect.NewEndpointServiceHandler(f))
	mux.Handle(controlv1connect.NewKeyServiceHandler(f))
	mux.Handle(controlv1connect.NewBudgetServiceHandler(f))
	mux.Handle(controlv1connect.NewUsageServiceHandler(f))
	mux.Handle(controlv1connect.NewSystemServiceHandler(f))
	serve := func(h http.Handler) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		go func() { _ = http.Serve(l, h) }() // ends with the process
		return strings.Replace(l.Addr().String(), "127.0.0.1", "localhost", 1)
	}
	fmt.Printf("Tollgate test (dev)  ready in 0.0 s\n\n")
	for i := range f.edges {
		fmt.Printf("  %-14s http://%s\n", map[bool]string{true: "Gateway"}[i == 0], serve(http.HandlerFunc(f.gateway)))
	}
	fmt.Printf("  Control plane  http://%s\n  Admin token    %s\n\n  Stop with ^C.\n", serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+fakeToken {
			http.Error(w, "no token", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})), fakeToken)
	<-ctx.Done()
	if f.fault == "stop" {
		os.Exit(3)
	}
	return nil
}

func (f *fake) gateway(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	f.mu.Lock()
	room := f.limit[key] - f.spent[key]
	if f.fault == "overspend" {
		room += price
	}
	target := f.target
	if room >= price {
		f.spent[key] += price
	}
	f.mu.Unlock()
	if room < price {
		w.WriteHeader(http.StatusPaymentRequired)
		return
	}
	req, err := http.NewRequestWithContext(r.Context(), r.Method, target, r.Body)
	if err != nil {
		panic(err)
	}
	if f.fault == "leak" {
		req.Header.Set("X-Api-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

func (f *fake) CreateEndpoint(_ context.Context, r *controlv1.CreateEndpointRequest) (*controlv1.CreateEndpointResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.target = r.GetEndpoint().GetTargets()[0].GetUrl()
	return &controlv1.CreateEndpointResponse{}, nil
}

// CreateKey makes a key whose secret is made of its name, and whose id is its secret.
func (f *fake) CreateKey(_ context.Context, r *controlv1.CreateKeyRequest) (*controlv1.CreateKeyResponse, error) {
	secret := "tgk_" + r.GetName()
	return &controlv1.CreateKeyResponse{Key: &controlv1.Key{Id: secret}, Secret: secret}, nil
}

func (f *fake) CreateBudget(_ context.Context, r *controlv1.CreateBudgetRequest) (*controlv1.CreateBudgetResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	amount, err := contract.MoneyFromProto(r.GetBudget().GetAmount())
	f.limit["tgk_"+r.GetBudget().GetKey()] = amount
	return &controlv1.CreateBudgetResponse{}, err
}

func (f *fake) QueryUsage(_ context.Context, r *controlv1.QueryUsageRequest) (*controlv1.QueryUsageResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	spent := f.spent[r.GetKey()]
	if f.fault == "short" {
		spent--
	}
	return &controlv1.QueryUsageResponse{Total: &controlv1.UsageRow{
		Requests: int64(f.spent[r.GetKey()] / price), Cost: contract.MoneyToProto(spent),
	}}, nil
}

func (f *fake) ListNodes(context.Context, *controlv1.ListNodesRequest) (*controlv1.ListNodesResponse, error) {
	out := &controlv1.ListNodesResponse{Revision: 7}
	for range f.edges {
		out.Nodes = append(out.Nodes, &controlv1.Node{Revision: 7})
	}
	return out, nil
}

// fakeK6 sends thirty requests, or three times as many as the budget is for, and writes what a
// summary of k6 has.
func fakeK6(args []string) error {
	fault := os.Getenv(faultVariable)
	if fault == "k6" {
		return errors.New("syntax error")
	}
	if fault == "hang" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		<-ctx.Done()
		return errors.New("interrupted")
	}
	summary := ""
	for _, a := range args {
		if path, ok := strings.CutPrefix(a, "--summary-export="); ok {
			summary = path
		}
	}
	gateways := strings.Split(os.Getenv("GATEWAYS"), ",")
	if os.Getenv("SHAPE") == "loss" {
		return fakeLoss(gateways[0], summary)
	}
	requests, err := strconv.Atoi(os.Getenv("REQUESTS"))
	if err != nil {
		return err
	}
	if requests *= 3; requests == 0 {
		requests = 30
	}
	status := map[int]int{}
	for i := range requests {
		req, err := http.NewRequest(http.MethodPost, gateways[i%len(gateways)]+"/load/v1/echo", strings.NewReader("{}"))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+os.Getenv("KEY"))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		status[resp.StatusCode]++
	}
	type object = map[string]any
	raw, err := json.Marshal(object{"metrics": object{
		"http_reqs":         object{"count": requests, "rate": 10.5},
		"http_req_duration": object{"p(50)": 1, "p(95)": 2, "p(99)": 3},
		"checks":            object{"thresholds": object{"rate==1.0": fault == "threshold"}},
		"paid_requests":     object{"count": status[200]},
		"refused_requests":  object{"count": status[402]},
	}})
	if err != nil {
		return err
	}
	if err := os.WriteFile(summary, raw, 0o600); err != nil {
		return err
	}
	if fault == "threshold" {
		os.Exit(thresholdsFailed)
	}
	return nil
}
