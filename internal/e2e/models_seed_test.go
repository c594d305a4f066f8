package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/internal/testenv"
	"tollgate/internal/testenv/schemas"
	"tollgate/internal/testenv/vendor"
)

// Guarantee: LiteLLM's example of a custom adapter runs as it is written, configuration and curl: a client of Anthropic's Messages gets
// a valid answer, or a valid stream, of a model of OpenAI's, which is asked with the operator's credential and never sees the key.
func TestLiteLLMAdapterRuns(t *testing.T) {
	t.Parallel()
	openai := vendor.New(t)
	really := strings.NewReplacer("gpt-4o-2024-08-06", "gpt-3.5-turbo-0125").Replace // what the vendor names, and is paid for
	openai.Handle(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = schemas.Check("openai-chat-request", body)
		}
		if err != nil {
			t.Errorf("the vendor got %s: %v", body, err)
		}
		if gjson.GetBytes(body, "stream").Bool() {
			vendor.Text(http.StatusOK, really(strings.Join(chatEvents(41), "")), "Content-Type", "text/event-stream")(w, r)
			return
		}
		vendor.JSON(http.StatusOK, really(chatWhole(41)))(w, r)
	})
	d := startDev(t, filepath.Join(t.TempDir(), "data"), []string{"OPENAI_API_KEY=" + openaiCredential, "OPENAI_BASE_URL=" + openai.URL + "/v1"},
		"--config", filepath.Join("testdata", "custom-adapters.yaml"))
	command, err := os.ReadFile(filepath.Join("testdata", "custom-adapters.curl"))
	if err != nil {
		t.Fatal(err)
	}
	const here = "http://0.0.0.0:4000"
	if !strings.Contains(string(command), here) {
		t.Fatalf("no %s in %s", here, command)
	}
	post := func(command string) (*http.Response, string) {
		t.Helper()
		_, words, _ := strings.Cut(strings.Replace(command, here, d.gateway, 1), "curl ")
		resp, err := plain.Do(curl(t, words))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(text)
	}
	resp, text := post(string(command))
	if err := languages["messages"].answered(resp, text, false); err != nil || gjson.Get(text, "model").Str != "my-claude-endpoint" || gjson.Get(text, "usage.output_tokens").Int() != 41 {
		t.Errorf("the answer is %v %s", err, text)
	}
	streaming := strings.Replace(string(command), `"max_tokens"`, "\"stream\": true,\n\"max_tokens\"", 1)
	resp, text = post(streaming)
	if err := languages["messages"].answered(resp, text, true); err != nil || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		t.Errorf("the stream is %v", err)
	}
	resp, text = post(strings.Replace(string(command), "sk-1234", "sk-12345", 1))
	if err := schemas.Check("anthropic-error", []byte(text)); err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("with another key: %s %v %s", resp.Status, err, text)
	}
	got := openai.Requests()
	if len(got) != 2 {
		t.Fatalf("the vendor got %d requests", len(got))
	}
	for _, r := range got {
		all := r.URI + string(r.Body) + fmt.Sprint(r.Header)
		if r.URI != "/v1/chat/completions" || r.Get("Authorization") != "Bearer "+openaiCredential || gjson.GetBytes(r.Body, "model").Str != "gpt-3.5-turbo" || strings.Contains(all, "sk-1234") {
			t.Errorf("the vendor got %s", all)
		}
	}
	// It costs what the shipped prices have for that model: 0.5 and 1.5 dollars a million.
	want := nanos(t, "0.0000665")
	testenv.Eventually(t, eventually, func() error {
		out, errs, code := runCLI(t, []string{"TOLLGATE_SERVER=" + d.control, "TOLLGATE_TOKEN=" + d.line("Admin token")}, "requests", "list", "--since", "1h", "-o", "json")
		var all []listed
		if err := json.Unmarshal([]byte(out), &all); err != nil || code != 0 {
			t.Fatalf("requests list exited %d: %v\n%s%s", code, err, out, errs)
		}
		if len(all) != 2 {
			return fmt.Errorf("%d requests of 2 are listed", len(all))
		}
		for _, l := range all {
			if nanos(t, l.Cost.Amount) != want || l.Unpriced || l.Outcome != "ok" {
				t.Fatalf("listed %+v, want %s", l, want)
			}
		}
		return nil
	})
	if printed := d.text(); strings.Contains(printed, openaiCredential) {
		t.Errorf("the credential is printed:\n%s", printed)
	}
	d.stop()
}
