package messages_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/messages"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv/schemas"
	"tollgate/internal/testenv/vectors"
)

const goldens = "translation-goldens/agentgateway/"

// golden is what the author of the goldens makes of an input, and where this translation means to differ.
type golden struct {
	refused string   // the field that is refused here
	differ  []string // the fields that are not compared
	why     string
}

// requestGoldens says where the goldens of requests and this translation differ. Those that are not named agree.
var requestGoldens = map[string]golden{
	"cache_control.json": {differ: []string{"messages"}, why: "marks on the assistant's text are left out here, because it is sent as one text, and images " +
		"of results are sent on in the next message, where the golden loses them; see TestGoldenCacheMarks"},
	"gpt_adaptive_thinking_with_tools.json": {differ: []string{"reasoning_effort"}, why: "the golden forbids thinking to some models when there are tools; " +
		"here the caller's wish is passed on, and the operator may set thinking off"},
	"reasoning.json":              {refused: "output_format", why: "the golden ignores a format that does not exist"},
	"structured-output.json":      {differ: []string{"reasoning_effort"}, why: "the golden forgets the effort where nothing is said of thinking"},
	"responses_agent_subset.json": {refused: "messages[0].content[3].source", why: "it has no golden for this schema, because it refers to a file by its id"},
	"server_tools.json":           {refused: "tools[0]", why: "the golden leaves the search out, and the model makes up what it would have found"},
}

// after is a golden's text behind its head.
func after(t *testing.T, all map[string]vectors.Exchange, name string) (string, bool) {
	t.Helper()
	x, ok := all[name]
	if !ok {
		return "", false
	}
	_, text, ok := strings.Cut(strings.TrimPrefix(string(x.Body), "---\n"), "\n---\n")
	if !ok {
		t.Fatalf("%s has no head", name)
	}
	return text, true
}

func goldenFiles(t *testing.T) map[string]vectors.Exchange {
	t.Helper()
	all := map[string]vectors.Exchange{}
	for _, x := range vectors.All(t) {
		if name, ok := strings.CutPrefix(x.Name, goldens); ok {
			all[name] = x
		}
	}
	return all
}

// Guarantee: what others translate requests into is what they are translated into here, but for the differences that have a reason.
func TestGoldenRequests(t *testing.T) {
	t.Parallel()
	all := goldenFiles(t)
	n, used := 0, 0
	for name, x := range all {
		short, ok := strings.CutPrefix(name, "requests/messages/")
		if !ok || !strings.HasSuffix(short, ".json") {
			continue
		}
		g, known := requestGoldens[short]
		if known {
			used++
		}
		// The author knows by the model's name which one takes marks; here it is an option.
		marks := bytes.Contains(x.Body, []byte("gpt-5.6"))
		tr, err := messages.Translate(x.Body, callWith(&controlv1.VendorOptions{CacheBreakpoints: marks}))
		var e *adapter.Error
		if g.refused != "" {
			if !errors.As(err, &e) || e.Param != g.refused {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil {
			err = schemas.Check("openai-chat-request", tr.Body())
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text, ok := after(t, all, strings.TrimSuffix(name, ".json")+".completions.snap")
		if !ok {
			continue // translated into something else by its author
		}
		n++
		var want struct{ Request map[string]any }
		var got map[string]any
		if err := errors.Join(json.Unmarshal([]byte(text), &want), json.Unmarshal(tr.Body(), &got)); err != nil {
			t.Fatal(err)
		}
		for _, m := range []map[string]any{got, want.Request} {
			delete(m, "model") // which the golden leaves as it was
			if m["stream"] == false {
				delete(m, "stream")
			}
			for _, f := range g.differ {
				delete(m, f)
			}
			onePartIsText(m["messages"])
		}
		if !reflect.DeepEqual(got, want.Request) {
			w, _ := json.Marshal(want.Request)
			t.Errorf("%s:\ngot  %s\nwant %s", name, tr.Body(), w)
		}
	}
	if n < 6 || used != len(requestGoldens) {
		t.Errorf("%d goldens were compared, %d of the differences met", n, used)
	}
}

// onePartIsText writes content of one text as that text: both are the same to the vendor.
func onePartIsText(messages any) {
	list, _ := messages.([]any)
	for _, m := range list {
		message, _ := m.(map[string]any)
		parts, _ := message["content"].([]any)
		if len(parts) != 1 {
			continue
		}
		if part, _ := parts[0].(map[string]any); part["type"] == "text" && len(part) == 2 {
			message["content"] = part["text"]
		}
	}
}

// Guarantee: marks of what is cached arrive where the vendor takes them, and images of results are not lost.
func TestGoldenCacheMarks(t *testing.T) {
	t.Parallel()
	tr, _ := translate(t, string(goldenFiles(t)["requests/messages/cache_control.json"].Body), callWith(&controlv1.VendorOptions{CacheBreakpoints: true}))
	body := string(tr.Body())
	if n := strings.Count(body, "prompt_cache_breakpoint"); n != 4 {
		t.Errorf("%d marks, and not those of the system prompt, of two results and of the last message: %s", n, body)
	}
	if n := strings.Count(body, "data:image/png;base64,aGVsbG8="); n != 3 {
		t.Errorf("%d images: %s", n, body)
	}
	if got := strings.Join(tr.Dropped(), " "); got != "cache_control" {
		t.Errorf("dropped are %s", got)
	}
}

// answerGoldens says where the goldens of answers and this translation differ.
var answerGoldens = map[string]golden{
	"openrouter_reasoning.json": {differ: []string{"content"}, why: "the golden loses the thoughts of whole answers, though not those of streams"},
	"truncated_tool_call.json":  {differ: []string{"content"}, why: "the golden puts half of the arguments into the input as a text, which is no object"},
}

// Guarantee: what others translate answers into is what they are translated into here, but for the differences that have a reason.
func TestGoldenAnswers(t *testing.T) {
	t.Parallel()
	all := goldenFiles(t)
	n, streams, used := 0, 0, 0
	for name, x := range all {
		short, ok := strings.CutPrefix(name, "response/completions/")
		if !ok || !strings.HasSuffix(short, ".json") {
			continue
		}
		tr, _ := translate(t, request(`"stream":true`), plain())
		g, known := answerGoldens[short]
		if known {
			used++
		}
		if text, ok := after(t, all, strings.TrimSuffix(name, ".json")+".completions-messages-streaming.snap"); ok {
			streams++
			text, _, _ = strings.Cut(text, "\n\n\n")
			compareAnswers(t, name, fold(t, stream(t, tr, string(x.Body))), fold(t, []byte(text+"\n\n")), g)
			continue
		}
		text, ok := after(t, all, strings.TrimSuffix(name, ".json")+".completions-messages.snap")
		if !ok {
			t.Errorf("%s has no golden", name)
			continue
		}
		n++
		var want struct{ Response json.RawMessage }
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		compareAnswers(t, name, answered(t, tr, string(x.Body)), want.Response, g)
	}
	if n < 7 || streams < 2 || used != len(answerGoldens) {
		t.Errorf("%d answers and %d streams were compared, %d of the differences met", n, streams, used)
	}
}

// compareAnswers compares what two messages say. Ids and the model's name differ by intent, usage here has all of its numbers always, and
// thoughts without a signature have an empty one here, because clients take it for a text.
func compareAnswers(t *testing.T, name string, got, want []byte, g golden) {
	t.Helper()
	var a, b map[string]any
	if err := errors.Join(json.Unmarshal(got, &a), json.Unmarshal(want, &b)); err != nil {
		t.Fatal(err)
	}
	for _, m := range []map[string]any{a, b} {
		for _, f := range append([]string{"id", "model"}, g.differ...) {
			delete(m, f)
		}
		usage, _ := m["usage"].(map[string]any)
		delete(usage, "output_tokens_details")
		delete(usage, "service_tier")
		for _, f := range []string{"cache_creation_input_tokens", "cache_read_input_tokens"} {
			if usage[f] == nil {
				usage[f] = 0.0
			}
		}
		blocks, _ := m["content"].([]any)
		for _, b := range blocks {
			if block, _ := b.(map[string]any); block["type"] == "thinking" && block["signature"] == nil {
				block["signature"] = ""
			}
		}
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("%s:\ngot  %s\nwant %s", name, got, want)
	}
}
