package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"tollgate/internal/testenv"
	"tollgate/internal/testenv/vendor"
)

// dev is a running `tollgate dev` and what it printed.
type dev struct {
	*process
	dir     string
	gateway string
	control string
}

func startDev(t *testing.T, dir string, env []string, args ...string) *dev {
	t.Helper()
	p := newProcess(t, "dev", bin.tollgate, append([]string{"dev", "--data", dir, "--port", "0", "--control-port", "0"}, args...), env)
	p.start()
	d := &dev{process: p, dir: dir}
	if err := p.life.Await(t.Context(), func(context.Context) error {
		if !strings.Contains(p.text(), "Stop with ^C") {
			return errStillThere
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	d.gateway, d.control = d.line("Gateway"), d.line("Control plane")
	return d
}

// line is the value of a line of the banner.
func (d *dev) line(name string) string {
	d.t.Helper()
	printed := d.text()
	_, last, _ := strings.Cut(printed[strings.LastIndex(printed, "ready in"):], name)
	value, _, _ := strings.Cut(strings.TrimSpace(last), "\n")
	return strings.TrimSpace(value)
}

var (
	curlCommand = regexp.MustCompile(`(?s)\ncurl (.*?[^\\])\n`)
	curlWord    = regexp.MustCompile(`'([^']*)'|([^\s\\]+)`)
)

// pasted is the request that one of the printed curls makes. A machine without curl must pass the tests too.
func pasted(t *testing.T, printed string, which int) *http.Request {
	t.Helper()
	all := curlCommand.FindAllStringSubmatch(printed, -1)
	if len(all) <= which {
		t.Fatalf("%d curls in\n%s", len(all), printed)
	}
	return curl(t, all[which][1])
}

// curl is the request that curl makes of what stands behind its name.
func curl(t *testing.T, command string) *http.Request {
	t.Helper()
	var words []string
	for _, w := range curlWord.FindAllStringSubmatch(command, -1) {
		words = append(words, w[1]+w[2])
	}
	method, url, body, header := "", "", "", http.Header{}
	for i := 0; i < len(words); i++ {
		switch word := words[i]; word {
		case "-i", "-N", "--location":
		case "-X", "-H", "-d":
			if i++; i == len(words) {
				t.Fatalf("%s without a value in %q", word, words)
			}
			switch word {
			case "-X":
				method = words[i]
			case "-H":
				name, value, _ := strings.Cut(words[i], ": ")
				header.Set(name, value)
			default:
				body, method = words[i], cmp.Or(method, http.MethodPost)
			}
		default:
			url = word
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), cmp.Or(method, http.MethodGet), url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	return req
}

// Guarantee: a newcomer's first minute works as it is printed: the first curl answers with image data, the second with a
// stream that costs its tokens, the third in another vendor's language, the command behind them shows what they cost, and a second
// start finds the first one's data, also where an endpoint of one's own has taken the path of the demo's models.
func TestDemoAsPrinted(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	d := startDev(t, dir, nil, "--demo")
	for _, name := range []string{"Gateway", "Control plane", "Console", "Admin token", "Demo key"} {
		if d.line(name) == "" {
			t.Errorf("the banner has no %s:\n%s", name, d.text())
		}
	}
	resp, err := http.DefaultClient.Do(pasted(t, d.text(), 0))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Tollgate-Cost") != "12.00" || resp.Header.Get("X-Tollgate-Budget-Remaining") != "88.00" {
		t.Errorf("the answer is %s %v", resp.Status, resp.Header)
	}
	var answer struct {
		Result []struct {
			URLs []string `json:"urls"`
		} `json:"result"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Result) != 2 {
		t.Fatalf("%v: %s", err, body)
	}
	data, _ := strings.CutPrefix(answer.Result[0].URLs[0], "data:image/png;base64,")
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(raw)); err != nil {
		t.Errorf("the image: %v", err)
	}

	resp, err = http.DefaultClient.Do(pasted(t, d.text(), 1))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || !strings.HasSuffix(string(stream), "data: [DONE]\n\n") || strings.Contains(string(stream), "usage") {
		t.Errorf("the stream is %v %s", err, stream)
	}

	resp, err = http.DefaultClient.Do(pasted(t, d.text(), 2))
	if err != nil {
		t.Fatal(err)
	}
	body, err = io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	var message struct {
		Type, Model string
		Content     []struct{ Type, Text string }
		StopReason  string `json:"stop_reason"`
	}
	if err := json.Unmarshal(body, &message); err != nil || resp.StatusCode != http.StatusOK || message.Type != "message" || message.Model != "demo-model" ||
		len(message.Content) != 1 || message.Content[0].Text != "You said: Hello there" || message.StopReason != "end_turn" {
		t.Errorf("the message is %v %s %s", err, resp.Status, body)
	}
	if got := resp.Header; got.Get("X-Tollgate-Model") != "demo-model/mock" || got.Get("X-Tollgate-Cost") != "0.000045" {
		t.Errorf("the message came with %v", got)
	}

	usage := func() string {
		cmd := exec.CommandContext(t.Context(), bin.tollgate, "usage", "--group-by", "key,endpoint")
		cmd.Dir, cmd.Env = filepath.Dir(dir), []string{"TOLLGATE_SERVER=" + d.control, "TOLLGATE_TOKEN=" + d.line("Admin token")}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("usage: %v\n%s", err, out)
		}
		return string(out)
	}
	testenv.Eventually(t, eventually, func() error {
		if got := usage(); !strings.Contains(got, "12.00") || !strings.Contains(got, "bria") || strings.Count(got, "$0.000045") != 2 {
			return fmt.Errorf("usage prints\n%s", got)
		}
		return nil
	})
	connected := []string{"TOLLGATE_SERVER=" + d.control, "TOLLGATE_TOKEN=" + d.line("Admin token")}
	for _, args := range [][]string{{"endpoint", "delete", "models"}, {"endpoint", "create", "mine", "--path", "/v1", "--models"}} {
		if _, stderr, code := runCLI(t, connected, args...); code != 0 {
			t.Fatalf("%v: exit %d\n%s", args, code, stderr)
		}
	}
	d.stop()

	d = startDev(t, dir, nil, "--demo")
	if got := usage(); !strings.Contains(got, "12.00") {
		t.Errorf("after a second start usage prints\n%s", got)
	}
	// PostgreSQL goes down with its parent, however that ends; the third start is none the worse.
	d.kill()
	d = startDev(t, dir, nil, "--demo", "--edges", "2")
	if got := usage(); !strings.Contains(got, "12.00") {
		t.Errorf("after kill -9 usage prints\n%s", got)
	}
	d.signal(syscall.SIGINT)
	<-d.life.Done()
	if err := d.life.Err(); err != nil {
		t.Errorf("^C: %v", err)
	}
}

// Guarantee: LiteLLM's pass-through configuration runs as it is written.
func TestLiteLLMConfigRuns(t *testing.T) {
	t.Parallel()
	cohere := vendor.New(t)
	cohere.Handle(vendor.JSON(http.StatusOK, `{"id":"37103a5b","results":[{"index":2,"relevance_score":0.999071}]}`))
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	text := `
model_list:
  - model_name: my-claude-endpoint
    litellm_params:
      model: gpt-3.5-turbo
      api_key: os.environ/OPENAI_API_KEY
general_settings:
  master_key: sk-1234
  pass_through_endpoints:
    - path: "/v1/rerank"                                  # route on the proxy
      target: "` + cohere.URL + `/v1/rerank"
      auth: true
      cost_per_request: 0.002
      headers:
        Authorization: "bearer os.environ/COHERE_API_KEY"
        content-type: application/json
        accept: application/json
      forward_headers: true
    - path: "/bria"
      target: "` + cohere.URL + `/engine"
      include_subpath: true
      cost_per_request: 12.00
      headers:
        api_token: a-literal-token
    - path: "/api/public/ingestion"
      target: "` + cohere.URL + `/api/public/ingestion"
      headers:
        LANGFUSE_PUBLIC_KEY: "os.environ/LANGFUSE_DEV_PUBLIC_KEY"
        LANGFUSE_SECRET_KEY: "os.environ/LANGFUSE_DEV_SK_KEY"
    - path: "/v1/messages"
      target: custom_callbacks.anthropic_adapter
      headers:
        litellm_user_api_key: "x-api-key"
`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDev(t, filepath.Join(dir, "data"), []string{
		"COHERE_API_KEY=cohere-key", "LANGFUSE_DEV_PUBLIC_KEY=pk-lf", "LANGFUSE_DEV_SK_KEY=sk-lf",
	}, "--config", config, "--partitions", "4")
	for _, want := range []string{"model_list", "custom_callbacks.anthropic_adapter", "line "} {
		if !strings.Contains(d.text(), want) {
			t.Errorf("what was not taken is not named (%s):\n%s", want, d.text())
		}
	}
	client := &http.Client{Timeout: 10 * time.Second}
	call := func(method, path string, header map[string]string, body string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, d.gateway+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range header {
			req.Header.Set(k, v)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp
	}
	keyed := map[string]string{"Authorization": "Bearer sk-1234", "Content-Type": "application/json", "X-Mine": "kept"}
	const rerank = `{"model": "rerank-english-v3.0",  "query":"test", "n": 1.0}`
	if resp := call(http.MethodPost, "/v1/rerank", keyed, rerank); resp.StatusCode != http.StatusOK || resp.Header.Get("X-Tollgate-Cost") != "0.002" {
		t.Errorf("rerank: %s, cost %s", resp.Status, resp.Header.Get("X-Tollgate-Cost"))
	}
	got := cohere.Requests()
	last := got[len(got)-1]
	if last.URI != "/v1/rerank" || last.Get("Authorization") != "bearer cohere-key" || string(last.Body) != rerank || last.Get("X-Mine") != "kept" {
		t.Errorf("the vendor received %s %v %s", last.URI, last.Header, last.Body)
	}
	if resp := call(http.MethodPost, "/v1/rerank/below", keyed, "{}"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("below an exact path: %s", resp.Status)
	}
	if resp := call(http.MethodPost, "/v1/rerank", nil, rerank); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a key: %s", resp.Status)
	}
	if resp := call(http.MethodPost, "/bria/v1/enhance_image", keyed, "{}"); resp.StatusCode != http.StatusOK || resp.Header.Get("X-Tollgate-Cost") != "12.00" {
		t.Errorf("bria: %s, cost %s", resp.Status, resp.Header.Get("X-Tollgate-Cost"))
	}
	got = cohere.Requests()
	if last = got[len(got)-1]; last.URI != "/engine/v1/enhance_image" || last.Get("api_token") != "a-literal-token" {
		t.Errorf("the vendor received %s %v", last.URI, last.Header)
	}
	if resp := call(http.MethodPost, "/api/public/ingestion", keyed, "{}"); resp.StatusCode != http.StatusOK {
		t.Errorf("langfuse: %s", resp.Status)
	}
	got = cohere.Requests()
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("pk-lf:sk-lf"))
	if last = got[len(got)-1]; last.Get("Authorization") != want || last.Has("Langfuse_public_key") {
		t.Errorf("langfuse received %v", last.Header)
	}
	d.stop()
	if _, stderr, code := runCLI(t, nil, "dev", "--data", d.dir, "--partitions", "2"); code == 0 || !strings.Contains(stderr, "has 4 partitions") {
		t.Errorf("with another number of partitions, dev exited %d:\n%s", code, stderr)
	}
}
