package chat

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/messages"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv/schemas"
	"tollgate/internal/testenv/vectors"
)

// there makes a request for a vendor of Chat Completions of one for Messages, as the other translation does.
func there(tb rapid.TB, body []byte) adapter.Translation {
	tb.Helper()
	c := call()
	c.Options = &controlv1.VendorOptions{Files: true, MaxStopSequences: -1, CacheBreakpoints: true}
	tr, err := messages.Translate(body, c)
	if err != nil {
		tb.Fatal(err)
	}
	return tr
}

// Guarantee: what a request for Messages says is said still when it went through Chat Completions: the system prompt, texts, images, documents,
// calls, their results and identifiers, tools, how they are to be used, where to stop and how long the answer may be.
func TestRequestsThereAndBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[a-zé"\\😀]{1,6}`)
		text := func() map[string]any { return map[string]any{"type": "text", "text": word.Draw(t, "text")} }
		var turns []any
		ids := 0
		var open []string
		for range rapid.IntRange(0, 3).Draw(t, "turns") {
			var user, assistant []any
			for _, id := range open {
				user = append(user, map[string]any{"type": "tool_result", "tool_use_id": id, "content": word.Draw(t, "result")})
			}
			open = nil
			for range rapid.IntRange(1, 2).Draw(t, "parts") {
				user = append(user, rapid.SampledFrom([]map[string]any{
					text(),
					{"type": "image", "source": map[string]any{"type": "base64", "media_type": "image/png", "data": "AAAA"}},
					{"type": "image", "source": map[string]any{"type": "url", "url": "https://a.b/" + strconv.Itoa(ids)}},
					{"type": "document", "source": map[string]any{"type": "base64", "media_type": "application/pdf", "data": "AAA="}, "title": "t.pdf"},
				}).Draw(t, "part"))
			}
			if rapid.Bool().Draw(t, "says") {
				assistant = append(assistant, text())
			}
			for range rapid.IntRange(0, 2).Draw(t, "calls") {
				ids++
				open = append(open, "toolu_"+strconv.Itoa(ids))
				assistant = append(assistant, map[string]any{"type": "tool_use", "id": open[len(open)-1], "name": "f", "input": map[string]any{"a": word.Draw(t, "input")}})
			}
			if len(assistant) == 0 {
				assistant = append(assistant, text())
			}
			turns = append(turns, map[string]any{"role": "user", "content": user}, map[string]any{"role": "assistant", "content": assistant})
		}
		last := []any{}
		for _, id := range open {
			last = append(last, map[string]any{"type": "tool_result", "tool_use_id": id, "content": ""})
		}
		turns = append(turns, map[string]any{"role": "user", "content": append(last, text())})
		request := map[string]any{
			"model": "claude-sonnet-4-5", "max_tokens": rapid.IntRange(1, 1<<20).Draw(t, "max_tokens"), "messages": turns, "system": word.Draw(t, "system"),
			"stop_sequences": rapid.SliceOfN(word, 1, 6).Draw(t, "stop"), "temperature": 0.5, "metadata": map[string]any{"user_id": word.Draw(t, "user")},
			"tools":       []any{map[string]any{"name": "f", "description": "d", "input_schema": map[string]any{"type": "object", "properties": map[string]any{"a": map[string]any{}}}}},
			"tool_choice": rapid.SampledFrom([]any{map[string]any{"type": "any"}, map[string]any{"type": "tool", "name": "f"}, map[string]any{"type": "auto", "disable_parallel_tool_use": true}, map[string]any{"type": "none"}}).Draw(t, "choice"),
		}
		from := marshal(t, request)
		tr, err := Translate(there(t, []byte(from)).Body(), call())
		if err != nil {
			t.Fatal(err)
		}
		if d := differ(gjson.Parse(from), gjson.ParseBytes(tr.Body())); len(d) > 0 {
			t.Fatalf("%q", d)
		}
	})
}

// Guarantee: an answer of Anthropic's, and a stream, says the same to a client of Messages when it went through Chat Completions.
func TestAnswersThereAndBack(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, x := range vectors.All(t) {
		if _, ok := broken[x.Name]; ok || x.Vendor != "anthropic" {
			continue
		}
		ask := `{"model":"claude","max_tokens":9,"messages":[{"role":"user","content":"q"}]}`
		doc := gjson.ParseBytes(x.Body)
		switch {
		case doc.Get("type").Str == "message":
			seen++
			out, err := start(t, asking).Answer(t.Context(), x.Body)
			if err == nil {
				out, err = there(t, []byte(ask)).Answer(t.Context(), out)
			}
			if err != nil {
				t.Errorf("%s: %v", x.Name, err)
				continue
			}
			if err := schemas.Check("anthropic-message", out); err != nil {
				t.Errorf("%s: %v", x.Name, err)
			}
			same(t, x.Name, whole(doc), whole(gjson.ParseBytes(out)))
			for _, k := range []string{"input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"} {
				if a, b := doc.Get("usage."+k).Int(), gjson.GetBytes(out, "usage."+k).Int(); a != b {
					t.Errorf("%s: %s is %d, and not %d", x.Name, k, b, a)
				}
			}
		case bytes.Contains(x.Body, []byte(`"message_start"`)) && !strings.HasSuffix(x.Name, ".ndjson"):
			seen++
			first, second := start(t, asking).Stream(t.Context()), there(t, []byte(`{"stream":true,`+ask[1:])).Stream(t.Context())
			var back []byte
			out, err := first.Next(nil, x.Body)
			if err == nil {
				out, err = first.End(out, true)
			}
			if err == nil {
				back, err = second.Next(nil, out)
			}
			if err == nil {
				back, err = second.End(back, true)
			}
			var s schemas.MessagesStream
			if err == nil {
				err = s.Read(back)
			}
			if err != nil || !s.Complete() {
				t.Errorf("%s: %v", x.Name, err)
				continue
			}
			want, usage := events(x.Body)
			got, again := events(back)
			same(t, x.Name, want, got)
			for _, k := range []string{"input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"} {
				if usage[k] != again[k] {
					t.Errorf("%s: %s is %d, and not %d", x.Name, k, again[k], usage[k])
				}
			}
		}
	}
	if seen < 50 {
		t.Errorf("%d answers", seen)
	}
}

func same(t *testing.T, name string, want, got message) {
	t.Helper()
	switch want.reason {
	case "stop_sequence", "pause_turn":
		want.reason = "end_turn" // OpenAI has one word for all of them
	}
	if got.text != want.text || got.reason != want.reason || len(got.calls) != len(want.calls) {
		t.Errorf("%s: %+v and not %+v", name, got, want)
		return
	}
	for i := range got.calls {
		if got.calls[i] != want.calls[i] {
			t.Errorf("%s: %+v and not %+v", name, got.calls[i], want.calls[i])
		}
	}
}
