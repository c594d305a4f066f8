package chat

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/internal/testenv/schemas"
	"tollgate/internal/testenv/vectors"
)

const goldens = "translation-goldens/agentgateway/"

// golden is what another gateway makes of a file: the document behind the last line of dashes.
func golden(t *testing.T, all []vectors.Exchange, name string) []byte {
	t.Helper()
	for _, x := range all {
		if x.Name == goldens+name {
			_, tail, ok := bytes.Cut(x.Body, []byte("\n---\n"))
			for ok {
				x.Body = tail
				_, tail, ok = bytes.Cut(x.Body, []byte("\n---\n"))
			}
			return x.Body
		}
	}
	t.Fatalf("there is no %s", name)
	return nil
}

// leaves are the values of a document by where they are. Nulls are as good as absent.
func leaves(at string, v gjson.Result, out map[string]string) {
	if v.IsObject() || v.IsArray() {
		i := 0
		v.ForEach(func(k, v gjson.Result) bool {
			name := k.String()
			if k.Type == gjson.Null {
				name = strconv.Itoa(i)
			}
			i++
			leaves(at+"."+name, v, out)
			return true
		})
		return
	}
	if v.Type != gjson.Null {
		out[at[1:]] = v.String()
	}
}

// differ names the places where two documents are not the same.
func differ(a, b gjson.Result) []string {
	left, right := map[string]string{}, map[string]string{}
	leaves("", a, left)
	leaves("", b, right)
	var out []string
	for _, at := range slices.Sorted(maps.Keys(left)) {
		if got, ok := right[at]; !ok || got != left[at] {
			out = append(out, at+"="+left[at]+"|"+got)
		}
		delete(right, at)
	}
	for _, at := range slices.Sorted(maps.Keys(right)) {
		out = append(out, at+"=|"+right[at])
	}
	return out
}

// Guarantee: requests become what another gateway's authors make of them, but where the table says which field is another one, and why.
func TestGoldenRequests(t *testing.T) {
	t.Parallel()
	all := vectors.All(t)
	for name, want := range map[string][]string{
		"basic":     nil,
		"image-url": nil,
		"reasoning": nil,
		// They leave one token for the answer, and here a quarter is left.
		"reasoning_max": {"thinking.budget_tokens=3072|4095"},
		// Results of two calls are two turns of the user there, which Anthropic does not take; here they are in one.
		"tool-call": {
			`messages.2.content.1.content={ "time": "2026-08-12T12:00:00Z" }|`, "messages.2.content.1.tool_use_id=call_5rQmXtLpZ9wKvNbJhGyDsFcE|",
			"messages.2.content.1.type=tool_result|", `messages.3.content.0.content=|{ "time": "2026-08-12T12:00:00Z" }`,
			"messages.3.content.0.tool_use_id=|call_5rQmXtLpZ9wKvNbJhGyDsFcE", "messages.3.content.0.type=|tool_result", "messages.3.role=|user",
		},
	} {
		var body []byte
		for _, x := range all {
			if x.Name == goldens+"requests/completions/"+name+".json" {
				body = x.Body
			}
		}
		theirs := gjson.GetBytes(golden(t, all, "requests/completions/"+name+".anthropic.snap"), "request")
		c := call()
		c.Model, c.Options.DefaultMaxTokens = theirs.Get("model").Str, 4096 // which are theirs
		tr, err := Translate(body, c)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := differ(gjson.ParseBytes(tr.Body()), theirs); !slices.Equal(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Guarantee: answers become what another gateway's authors make of them, but where the table says which field is another one, and why.
func TestGoldenAnswers(t *testing.T) {
	t.Parallel()
	all := vectors.All(t)
	// They copy the vendor's name of the tier and some of its usage, and name no tokens of thoughts.
	own := []string{
		"service_tier", "usage.cache_read_input_tokens", "usage.cache_creation_input_tokens", "id", "created", "model",
		"usage.completion_tokens_details.reasoning_tokens",
	}
	for name, want := range map[string][]string{
		// They forget what was read from the cache and written to it, which OpenAI counts as tokens of the prompt.
		"basic":    {"usage.prompt_tokens=40|15", "usage.total_tokens=61|36"},
		"thinking": {"usage.prompt_tokens=50|47", "usage.total_tokens=301|298"},
		"tool":     {"usage.prompt_tokens=561|558", "usage.total_tokens=609|606"},
		// They leave out zeros of a vendor that has not named them.
		"multiple_text_blocks": {"usage.prompt_tokens_details.cache_write_tokens=0|", "usage.prompt_tokens_details.cached_tokens=0|"},
	} {
		var body []byte
		for _, x := range all {
			if x.Name == goldens+"response/anthropic/"+name+".json" {
				body = x.Body
			}
		}
		out, err := start(t, asking).Answer(t.Context(), body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		theirs := gjson.GetBytes(golden(t, all, "response/anthropic/"+name+".messages-completions.snap"), "response")
		got := slices.DeleteFunc(differ(gjson.ParseBytes(out), theirs), func(d string) bool {
			at, _, _ := strings.Cut(d, "=")
			return slices.Contains(own, at)
		})
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Guarantee: streams say what another gateway's authors make them say, but where the table says what else, and why.
func TestGoldenStreams(t *testing.T) {
	t.Parallel()
	all := vectors.All(t)
	for name, want := range map[string][]string{
		"stream_basic": nil, "stream_thinking": nil, "stream_tool": nil, "stream_tool_empty_args": nil,
		// They forget the cache, as above.
		"stream_message_delta_usage": {"Usage=34396|3932"},
	} {
		var body []byte
		for _, x := range all {
			if x.Name == goldens+"response/anthropic/"+name+".json" {
				body = x.Body
			}
		}
		s := start(t, asking).Stream(t.Context())
		out, err := s.Next(nil, body)
		if err == nil {
			out, err = s.End(out, true)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := schemas.ChatStream(out, true)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var theirs schemas.Chat
		for line := range strings.Lines(string(golden(t, all, "response/anthropic/"+name+".messages-completions-streaming.snap"))) {
			doc := gjson.Parse(strings.TrimPrefix(line, "data: "))
			d := doc.Get("choices.0.delta")
			theirs.Text += d.Get("content").Str
			theirs.Reasoning += d.Get("reasoning_content").Str
			for _, c := range d.Get("tool_calls").Array() {
				if c.Get("id").Str != "" {
					theirs.Calls = append(theirs.Calls, schemas.ChatCall{ID: c.Get("id").Str, Name: c.Get("function.name").Str})
				}
				theirs.Calls[len(theirs.Calls)-1].Arguments += c.Get("function.arguments").Str
			}
			if r := doc.Get("choices.0.finish_reason").Str; r != "" {
				theirs.FinishReason = r
			}
			if u := doc.Get("usage"); u.IsObject() && doc.Get("object").Exists() {
				theirs.Usage = u.Get("total_tokens").Raw
			}
		}
		got.Usage, got.Done = gjson.Get(got.Usage, "total_tokens").Raw, false
		if d := differ(gjson.Parse(jsonOf(t, got)), gjson.Parse(jsonOf(t, theirs))); !slices.Equal(d, want) {
			t.Errorf("%s: %q", name, d)
		}
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
