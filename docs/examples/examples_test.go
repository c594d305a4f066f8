// Package examples_test runs the examples of adapters as their users do, each as a process of its own, and asks them as an edge does.
// What each of them translates is tested beside it; here it is shown that the two sides understand each other, with what
// others have recorded of clients and vendors.
package examples_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"go.uber.org/goleak"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/remote"
	"tollgate/edge/breaker"
	"tollgate/edge/metrics"
	"tollgate/edge/proxy"
	"tollgate/edge/proxy/nethttp"
	"tollgate/edge/routing"
	"tollgate/internal/fault"
	"tollgate/internal/gobuild"
	"tollgate/internal/testenv/vectors"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "shared"

// example is a running one and an edge that knows it.
type example struct {
	*remote.Adapters
	from *routing.Adapter
	cmd  *exec.Cmd
	over chan error
}

var address = regexp.MustCompile(`(?:addr=|at http://)(\S+:\d+)`)

// start runs a program until it says where it serves.
func start(t *testing.T, name string, args ...string) *example {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "ADAPTER_TOKEN="+token, "PORT=0")
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = in, in, time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e := &example{cmd: cmd, over: make(chan error, 1)}
	go func() {
		err := cmd.Wait()
		_ = in.Close() // never fails
		e.over <- err
	}()
	said := bufio.NewReader(out)
	var all strings.Builder
	host := ""
	for host == "" {
		line, err := said.ReadString('\n')
		all.WriteString(line)
		if m := address.FindStringSubmatch(line); m != nil {
			host = m[1]
		} else if err != nil {
			t.Fatalf("%v\n%s", <-e.over, all.String())
		}
	}
	drained := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, said) // ends with the process
		close(drained)
	}()
	cfg := nethttp.DefaultClientConfig()
	cfg.AllowPrivate = true
	e.Adapters = remote.New(remote.Config{Connections: nethttp.NewClient(cfg), Metrics: metrics.New()})
	base := (&url.URL{Scheme: "http", Host: host}).String()
	e.from = &routing.Adapter{Name: "example", Timeout: 10 * time.Second, MaxBytes: 16 << 20, Upstream: &routing.Endpoint{
		Headers: []routing.Header{{Name: "Authorization", Value: "Bearer " + token}},
		Targets: []*routing.Target{{Scheme: "http", Host: host, Key: base, BreakerKey: base, Breaker: breaker.DefaultSettings()}},
	}}
	e.Sync([]*routing.Adapter{e.from})
	t.Cleanup(func() {
		e.Close()
		_ = cmd.Process.Kill() // which has mostly ended
		<-drained
	})
	return e
}

// stop ends the program as a supervisor does.
func (e *example) stop(t *testing.T) {
	t.Helper()
	e.Close()
	if err := e.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-e.over; err != nil {
		t.Errorf("it did not end well: %v", err)
	}
}

// through has a stream translated in pieces of no particular size.
func through(t *testing.T, x proxy.AdapterExchange, kind string, body []byte) (head *proxy.AdapterAnswer, out []byte) {
	t.Helper()
	s, err := x.Begin(t.Context(), &proxy.AdapterAnswer{Status: 200, Headers: []proxy.Header{{Name: "content-type", Value: kind}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for n := 1; len(body) > 0; n = n%97 + 13 {
		n = min(n, len(body))
		if out, err = s.Next(out, body[:n]); err != nil {
			t.Fatal(err)
		}
		body = body[n:]
	}
	if out, err = s.End(out, true); err != nil {
		t.Fatal(err)
	}
	return s.Head(), out
}

var call = &adapter.Call{Asked: "chat", Model: "command-a", Vendor: "chat/example"}

const chatRequest = `{"model":"chat","messages":[{"role":"user","content":"hi"}],"stream":true}`

// recording finds one by the beginning of its name.
func recording(t *testing.T, name string) vectors.Exchange {
	t.Helper()
	for _, x := range vectors.All(t) {
		if strings.HasPrefix(x.Name, name) {
			return x
		}
	}
	t.Fatalf("no recording %s", name)
	return vectors.Exchange{}
}

// Guarantee: the example in Go translates recorded answers of Cohere for an edge, whole and streamed, breaks no stream off in silence
// when it dies, and stops when it is told to.
func TestGo(t *testing.T) {
	t.Parallel()
	bin := filepath.Join(t.TempDir(), "adapter-go")
	if err := gobuild.Build(t.Context(), bin, "./adapter-go"); err != nil {
		t.Fatal(err)
	}
	e := start(t, bin, "-addr", "127.0.0.1:0")
	request := &proxy.AdapterRequest{Method: "POST", Path: "/chat/completions", Body: []byte(chatRequest)}
	x, err := e.ForVendor(t.Context(), e.from, request, call)
	if err != nil {
		t.Fatal(err)
	}
	if r := x.Request(); r.Path != "/v2/chat" || gjson.GetBytes(r.Body, "model").Str != "command-a" || !x.Streams() {
		t.Errorf("%s %s", r.Path, r.Body)
	}
	r := recording(t, "cohere/v2-chat-stream--test-cohere-v2-chat-legacy")
	_, out := through(t, x, "text/event-stream", r.Body)
	if text := string(out); !strings.HasSuffix(text, "data: [DONE]\n\n") || strings.Count(text, `"name":"get_`) != 2 || !strings.Contains(text, `"finish_reason":"tool_calls"`) {
		t.Errorf("%s", text)
	}
	failed := recording(t, "cohere/error--chat-real-error-scenarios")
	answer, err := x.Whole(t.Context(), &proxy.AdapterAnswer{Status: failed.Status, Body: failed.Body})
	if err != nil || answer.Status != 400 || gjson.GetBytes(answer.Body, "error.code").Str != "context_length_exceeded" {
		t.Errorf("%+v, %v", answer, err)
	}
	request.Body = []byte(`{"model":"chat","messages":[],"n":2}`)
	_, err = e.ForVendor(t.Context(), e.from, request, call)
	if refusal, ok := errors.AsType[*adapter.Error](err); !ok || refusal.Param != "n" {
		t.Errorf("refusal %v", err)
	}
	e.stop(t)

	e = start(t, bin, "-addr", "127.0.0.1:0")
	request.Body = []byte(chatRequest)
	if x, err = e.ForVendor(t.Context(), e.from, request, call); err != nil {
		t.Fatal(err)
	}
	s, err := x.Begin(t.Context(), &proxy.AdapterAnswer{Status: 200, Headers: []proxy.Header{{Name: "content-type", Value: "text/event-stream"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	half := bytes.Index(r.Body, []byte("event: tool-call-start"))
	if out, err = s.Next(nil, r.Body[:half]); err != nil || len(out) == 0 {
		t.Fatalf("%q, %v", out, err)
	}
	if err := e.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-e.over; err == nil {
		t.Error("it ended well")
	}
	if out, err = s.Next(nil, r.Body[half:]); err == nil || bytes.Contains(out, []byte("DONE")) {
		t.Errorf("it goes on: %q", out)
	}
	_, err = e.ForVendor(t.Context(), e.from, request, call)
	if f, ok := errors.AsType[*fault.Error](err); !ok || f.Code != fault.AdapterUnavailable {
		t.Errorf("got %v", err)
	}
}

// Guarantee: the example in TypeScript passes its own tests, takes recorded requests of Ollama's clients for an edge, and gives
// them answers that are as Ollama's own.
func TestTypeScript(t *testing.T) {
	t.Parallel()
	const dir = "adapter-typescript"
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("this test needs Node 20 or newer: ", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal("npm ci --prefix docs/examples/adapter-typescript fetches the libraries: ", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	run := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(ctx, node, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte("\n# pass 0\n")) {
			t.Fatalf("node %v: %v\n%s", args, err, out)
		}
	}
	run(filepath.Join("node_modules", "typescript", "bin", "tsc"))
	run("--test", "--test-reporter=tap", "dist/test/ollama.test.js", "dist/test/server.test.js")
	e := start(t, node, filepath.Join(dir, "dist", "src", "main.js"))
	served := 0
	for _, r := range vectors.All(t) {
		if r.Vendor != "ollama" || !strings.HasSuffix(r.URL, "/api/chat") {
			continue
		}
		served++
		x, err := e.ForClient(t.Context(), e.from, &proxy.AdapterRequest{Method: "POST", Path: "/api/chat", Body: r.RequestBody}, call)
		if err != nil {
			t.Fatal(r.Name, err)
		}
		in, chat := gjson.ParseBytes(r.RequestBody), gjson.ParseBytes(x.Request().Body)
		if chat.Get("model").Str != in.Get("model").Str || chat.Get("messages.#").Int() != in.Get("messages.#").Int() ||
			chat.Get("messages.0.content").Str != in.Get("messages.0.content").Str || x.Streams() != in.Get("stream").Bool() {
			t.Errorf("%s: %s", r.Name, chat)
		}
		var got []byte
		if x.Streams() {
			head, out := through(t, x, "text/event-stream", chatStream(r.Body))
			if kind := head.Headers[0].Value; kind != "application/x-ndjson" {
				t.Errorf("a stream of %s", kind)
			}
			got = out
		} else {
			answer, err := x.Whole(t.Context(), &proxy.AdapterAnswer{Status: 200, Body: chatAnswer(r.Body)})
			if err != nil {
				t.Fatal(r.Name, err)
			}
			got = answer.Body
		}
		if a, b := plainly(t, got), plainly(t, r.Body); a != b {
			t.Errorf("%s:\n%s\nwant\n%s", r.Name, a, b)
		}
	}
	if served < 3 {
		t.Errorf("%d recordings", served)
	}
	_, err = e.ForClient(t.Context(), e.from, &proxy.AdapterRequest{Method: http.MethodPost, Path: "/api/generate", Body: []byte("{}")}, call)
	if refusal, ok := errors.AsType[*adapter.Error](err); !ok || refusal.Kind != adapter.NotFound {
		t.Errorf("refusal %v", err)
	}
	e.stop(t)
}

// chatAnswer is what a vendor of Chat Completions would have said in place of an answer of Ollama's.
func chatAnswer(body []byte) []byte {
	in := gjson.ParseBytes(body)
	return fmt.Appendf(nil, `{"choices":[{"message":{"role":"assistant","content":%s},"finish_reason":"stop"}],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}`,
		in.Get("message.content").Raw, in.Get("prompt_eval_count").Int(), in.Get("eval_count").Int())
}

func chatStream(body []byte) (out []byte) {
	for line := range bytes.Lines(body) {
		in := gjson.ParseBytes(line)
		if !in.Get("done").Bool() {
			out = fmt.Appendf(out, "data: {\"choices\":[{\"delta\":{\"content\":%s},\"finish_reason\":null}]}\n\n", in.Get("message.content").Raw)
			continue
		}
		reason := in.Get("done_reason").Raw
		out = fmt.Appendf(out, "data: {\"choices\":[{\"delta\":{},\"finish_reason\":%s}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%d}}\n\ndata: [DONE]\n\n",
			reason, in.Get("prompt_eval_count").Int(), in.Get("eval_count").Int())
	}
	return out
}

// plainly is NDJSON of Ollama's without what depends on the clock.
func plainly(t *testing.T, body []byte) string {
	t.Helper()
	var out strings.Builder
	for line := range bytes.Lines(body) {
		var doc map[string]any
		if err := json.Unmarshal(line, &doc); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		for _, name := range []string{"created_at", "total_duration", "load_duration", "prompt_eval_duration", "eval_duration"} {
			delete(doc, name)
		}
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(text, '\n'))
	}
	return out.String()
}
