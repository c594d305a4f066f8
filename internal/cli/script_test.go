package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/cli"
	"tollgate/internal/cli/localdev"
	"tollgate/internal/config"
	"tollgate/internal/fault"
	"tollgate/internal/money"
	"tollgate/internal/plan"
)

// session is what one script shares with its servers.
type session struct {
	fake     *fake
	canned   *canned
	exit     int
	input    []byte
	terminal bool
	person   bool // whether somebody sits at stdin and stderr
}

type sessionKey struct{}

// Guarantee: the scripts in testdata/script hold: what each command writes to stdout and stderr, and
// its exit code, against a control plane and a gateway that answer as the real ones do.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       false,
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			s := &session{fake: newFake()}
			server := s.serve(t)
			env.Setenv("TOLLGATE_CONFIG", filepath.Join(env.WorkDir, "settings", "config.yaml"))
			gateway := httptest.NewServer(http.HandlerFunc(answer))
			web := httptest.NewServer(http.NotFoundHandler())
			env.Defer(gateway.Close)
			env.Defer(web.Close)
			env.Values[sessionKey{}] = s
			env.Setenv("TOLLGATE_SERVER", server.URL)
			env.Setenv("TOLLGATE_TOKEN", adminToken)
			env.Setenv("TOLLGATE_GATEWAY", gateway.URL)
			env.Setenv("TOLLGATE_KEY", "tgk_good")
			env.Setenv("WEBSITE", web.URL)
			env.Setenv("NOWHERE", nowhere(t))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"tollgate": runTollgate,
			"exit":     wantExit,
			"input":    setInput,
			"set":      setFake,
			"secret":   wantSecret,
			"localdev": saveNote,
			"answer":   answerWith,
			"asked":    wantAsked,
		},
	})
}

func sessionOf(ts *testscript.TestScript) *session { return ts.Value(sessionKey{}).(*session) }

// runTollgate runs a command line in this process. A script says "!" where it must fail.
func runTollgate(ts *testscript.TestScript, neg bool, args []string) {
	s := sessionOf(ts)
	var waited time.Duration
	root := cli.New(cli.Options{
		Stdin: bytes.NewReader(s.input), Stdout: ts.Stdout(), Stderr: ts.Stderr(), Getenv: ts.Getenv,
		Dir: ts.MkAbs("."), Now: func() time.Time { return clock.Add(waited) }, StdoutTerminal: s.terminal, StdinTerminal: s.person, StderrTerminal: s.person,
		Pause: func(ctx context.Context, d time.Duration) error {
			waited += d
			return ctx.Err()
		},
		Browse: func(_ context.Context, url string) error { fmt.Fprintf(ts.Stderr(), "browser: %s\n", url); return nil },
	})
	cli.ImportCommand(convert)(root)
	cli.ConfigCommands(sources)(root)
	root.AddServerCommands(&cobra.Command{Use: "dev", Short: "Start everything", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		return errors.New("open data: it is locked")
	}})
	root.AddServerCommands(&cobra.Command{Use: "edge", Short: "Run an edge", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		return errors.New("an edge would run")
	}})
	s.exit = root.Run(context.Background(), args)
	if (s.exit != cli.ExitOK) != neg {
		ts.Fatalf("exit code %d", s.exit)
	}
}

func wantExit(ts *testscript.TestScript, _ bool, args []string) {
	if got := strconv.Itoa(sessionOf(ts).exit); len(args) != 1 || got != args[0] {
		ts.Fatalf("exit code %s, want %v", got, args)
	}
}

// setInput takes a file for stdin of the commands that follow; "terminal" makes stdout one.
func setInput(ts *testscript.TestScript, _ bool, args []string) {
	sessionOf(ts).input = []byte(ts.ReadFile(args[0]))
}

func setFake(ts *testscript.TestScript, neg bool, args []string) {
	s := sessionOf(ts)
	s.fake.mu.Lock()
	defer s.fake.mu.Unlock()
	switch args[0] {
	case "terminal":
		s.terminal = !neg
	case "person":
		s.person = !neg
	case "ledger-away":
		s.fake.noLedger = !neg
	case "changed":
		s.fake.changed = !neg
	default:
		ts.Fatalf("unknown: %v", args)
	}
}

func wantSecret(ts *testscript.TestScript, _ bool, args []string) {
	s := sessionOf(ts)
	s.fake.mu.Lock()
	defer s.fake.mu.Unlock()
	if got := s.fake.values[args[0]]; got != args[1] {
		ts.Fatalf("secret %s is %q", args[0], got)
	}
}

// saveNote writes what `tollgate dev` would, for the servers of this script.
func saveNote(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(localdev.Save(ts.MkAbs("."), localdev.LocalDev{
		Server: ts.Getenv("TOLLGATE_SERVER"), Token: adminToken, Gateway: ts.Getenv("TOLLGATE_GATEWAY"), Key: "tgk_good",
	}))
}

// nowhere is the URL of a port on which nothing listens.
func nowhere(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// answer is a gateway with one endpoint, /bria.
func answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Tollgate-Request-Id", "req_try")
	w.Header().Set("Server-Timing", "gw;dur=0.8, up;dur=12.5")
	refuse := func(e *fault.Error) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(e.Status())
		fmt.Fprintf(w, `{"error":{"code":%q,"message":%q,"hint":%q,"request_id":"req_try"}}`, e.Code, e.Message, e.Hint)
	}
	switch {
	case r.Header.Get("Authorization") != "Bearer tgk_good" && r.Header.Get("X-Api-Key") == "":
		refuse(fault.New(fault.KeyUnknown, "This key is not known."))
	case r.URL.Path == "/bria/poor":
		refuse(fault.New(fault.BudgetExhausted, "Key ci has $4.00 left this month; this request needs $12.00."))
	case r.URL.Path == "/bria/429":
		http.Error(w, "slow down", http.StatusTooManyRequests)
	case r.URL.Path == "/bria/401":
		w.Header().Set("X-Tollgate-Endpoint", "bria")
		http.Error(w, "who are you", http.StatusUnauthorized)
	case r.URL.Path == "/bria/lookalike":
		w.WriteHeader(http.StatusPaymentRequired)
		fmt.Fprint(w, `{"error":{"code":"budget_exhausted","message":"Your plan is used up.","request_id":"req_vendor"}}`)
	case r.URL.Path == "/bria/messages":
		w.Header().Set("X-Tollgate-Error", string(fault.ModelNotFound))
		w.WriteHeader(http.StatusNotFound)
		_, _, hint, _ := fault.Describe(fault.ModelNotFound)
		fmt.Fprintf(w, `{"type":"error","error":{"type":"not_found_error","message":"There is no model \"x\". %s"},"request_id":"req_try"}`, hint)
	case r.URL.Path == "/bria/500":
		http.Error(w, "oops", http.StatusInternalServerError)
	case r.URL.Path == "/bria/away":
		refuse(fault.New(fault.UpstreamUnreachable, "Could not connect to t.example."))
	case r.URL.Path == "/bria/moved":
		http.Redirect(w, r, "/bria/elsewhere", http.StatusFound)
	case strings.HasPrefix(r.URL.Path, "/bria"):
		w.Header().Set("X-Tollgate-Cost", "12.00")
		w.Header().Set("X-Tollgate-Budget-Remaining", "38.00")
		w.Header().Set("X-Tollgate-Endpoint", "bria")
		if r.URL.Path == "/bria/model" {
			w.Header().Set("X-Tollgate-Model", "gpt/openai")
			w.Header().Set("X-Tollgate-Dropped", "seed,top_k")
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s [%s] %s", r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), body)
	default:
		refuse(fault.New(fault.EndpointNotFound, "No endpoint for %s %s.", r.Method, r.URL.Path))
	}
}

// sources stands for a reader of tollgate.yaml: each line "NAME from: SOURCE" of a file names a secret.
func sources(files map[string][]byte) map[string]string {
	out := map[string]string{}
	for _, text := range files {
		for line := range strings.Lines(string(text)) {
			if name, source, ok := strings.Cut(strings.TrimSpace(line), " from: "); ok {
				out[name] = source
			}
		}
	}
	return out
}

// convert stands for a reader of LiteLLM's files.
func convert(_ context.Context, in cli.Import) (*cli.Imported, error) {
	name, text := in.Name, in.Text
	if in.URL != "" && in.Key != "sk-master" {
		return nil, fault.New(fault.UnauthenticatedErr, "LiteLLM answers 401 to the key for /key/list.")
	}
	if text == nil {
		text = []byte("general_settings")
	}
	if !strings.Contains(string(text), "general_settings") {
		return nil, fault.New(fault.InvalidArgument, "%s is not a LiteLLM configuration.", name)
	}
	hash := bytes.Repeat([]byte{1}, 32)
	p := &plan.Plan{
		Secrets:  []plan.Secret{{Name: "bria-api-token", Value: config.Secret("s3cret")}},
		Adapters: []*controlv1.Adapter{{Name: "ours", Target: &controlv1.Target{Url: "http://adapter:8080"}}},
		Models: []*controlv1.Model{{Name: "gpt-4o", Deployments: []*controlv1.Deployment{{
			Name: "openai", Target: &controlv1.Target{Url: "https://api.openai.com/v1"}, Model: "gpt-4o",
			Schemas: []controlv1.Schema{controlv1.Schema_SCHEMA_OPENAI_CHAT}, ApiKey: "${secret:bria-api-token}",
			Price: &controlv1.Price{Kind: &controlv1.Price_Free_{Free: &controlv1.Price_Free{}}},
		}}}},
		Endpoints: []*controlv1.Endpoint{{
			Name: "bria", Path: "/bria", Match: controlv1.MatchKind_MATCH_KIND_PREFIX,
			Targets: []*controlv1.Target{{Url: "https://engine.prod.bria-api.com"}},
			Headers: []*controlv1.Header{{Name: "api_token", Value: "${secret:bria-api-token}"}},
			Price:   &controlv1.Price{Kind: &controlv1.Price_Fixed_{Fixed: &controlv1.Price_Fixed{PerRequest: usd(12, 0)}}},
		}},
		Keys: []plan.Key{{Name: "litellm-master-key", SHA256: hash}},
		Notes: []plan.Note{
			{Line: 2, Level: plan.Warning, Path: "general_settings.master_key", Text: "It is imported as a key."},
			{Line: 9, Level: plan.Refused, Path: "guardrails", Text: "Not imported."},
		},
	}
	if in.URL != "" {
		p.People = []plan.Person{{Email: "ann@example.com", Role: controlv1.Role_ROLE_MEMBER, Teams: []*controlv1.TeamMembership{
			{Team: "web", Role: controlv1.TeamRole_TEAM_ROLE_ADMIN},
		}}}
		p.Raises = []plan.Raise{{Budget: "key-bot", By: 5 * money.Dollar, Until: clock.Add(time.Hour)}}
	}
	return &cli.Imported{Plan: p, Inputs: []*controlv1.ConfigInput{{
		Files: []*controlv1.ConfigFile{{Name: name, Text: []byte("version: 1\n")}}, Owner: "litellm", Secrets: map[string]string{"bria-api-token": "s3cret"},
	}}}, nil
}

// Guarantee: a command that is interrupted says so by its exit code.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	}))
	defer server.Close()
	defer cancel()
	var out, errs bytes.Buffer
	root := cli.New(cli.Options{Stdout: &out, Stderr: &errs})
	if code := root.Run(ctx, []string{"key", "list", "--server", server.URL}); code != cli.ExitInterrupted {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

// Guarantee: a server that does not answer in the time allowed is unreachable, not broken.
func TestTimeout(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer server.Close()
	for _, args := range [][]string{{"key", "list", "--server", server.URL}, {"try", "/x", "--gateway", server.URL}} {
		var errs bytes.Buffer
		root := cli.New(cli.Options{Stderr: &errs})
		if code := root.Run(t.Context(), append(args, "--timeout", "20ms")); code != cli.ExitUnreachable || !strings.Contains(errs.String(), "within 20ms") {
			t.Errorf("%v: exit code %d: %s", args, code, errs.String())
		}
	}
}

// Guarantee: every error of the catalogue has a page, and a kind that maps to an exit code.
func TestEveryErrorIsExplained(t *testing.T) {
	t.Parallel()
	for _, code := range fault.Codes() {
		var out, errs bytes.Buffer
		root := cli.New(cli.Options{Stdout: &out, Stderr: &errs})
		if exit := root.Run(t.Context(), []string{"help", "errors", string(code)}); exit != 0 || !strings.Contains(out.String(), "fix ") {
			t.Errorf("%s: exit %d: %s%s", code, exit, out.String(), errs.String())
		}
	}
}
