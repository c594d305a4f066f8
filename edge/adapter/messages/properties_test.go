package messages_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/internal/testenv/schemas"
)

// said is what a made-up vendor says: texts and calls, one after another.
type said struct {
	thought, text string
	calls         []saidCall
}

type saidCall struct {
	name  string
	input map[string]string
}

func anySaid() *rapid.Generator[said] {
	call := rapid.Custom(func(t *rapid.T) saidCall {
		return saidCall{rapid.StringMatching(`[a-z]{1,5}`).Draw(t, "name"), rapid.MapOfN(rapid.StringMatching(`[a-z]{1,3}`), rapid.String(), 0, 3).Draw(t, "input")}
	})
	return rapid.Custom(func(t *rapid.T) said {
		return said{rapid.String().Draw(t, "thought"), rapid.String().Draw(t, "text"), rapid.SliceOfN(call, 0, 4).Draw(t, "calls")}
	})
}

// cut cuts a text into parts anywhere between its characters.
func cut(t *rapid.T, text string) []string {
	var parts []string
	for runes := []rune(text); len(runes) > 0; {
		n := rapid.IntRange(1, len(runes)).Draw(t, "part")
		parts = append(parts, string(runes[:n]))
		runes = runes[n:]
	}
	return parts
}

// vendorStream writes it as a vendor would, with the calls mixed if they may be.
func (s said) vendorStream(t *rapid.T) string {
	quote := func(v string) string {
		q, _ := json.Marshal(v)
		return string(q)
	}
	var b strings.Builder
	b.WriteString(chunk(`"role":"assistant","content":""`))
	for _, part := range cut(t, s.thought) {
		b.WriteString(chunk(`"reasoning_content":` + quote(part)))
	}
	for _, part := range cut(t, s.text) {
		b.WriteString(chunk(`"content":` + quote(part)))
	}
	var waiting [][]string
	for i, call := range s.calls {
		input, _ := json.Marshal(call.input)
		chunks := []string{toolChunk(fmt.Sprint(i), fmt.Sprintf("call_%d", i), call.name, "")}
		for _, part := range cut(t, string(input)) {
			chunks = append(chunks, toolChunk(fmt.Sprint(i), "", "", part))
		}
		// The calls begin in their order.
		b.WriteString(chunks[0])
		waiting = append(waiting, chunks[1:])
		if !rapid.Bool().Draw(t, "mixed") {
			for ; len(waiting) > 0; waiting = waiting[1:] {
				b.WriteString(strings.Join(waiting[0], ""))
			}
		}
	}
	for len(waiting) > 0 {
		i := rapid.IntRange(0, len(waiting)-1).Draw(t, "which")
		b.WriteString(waiting[i][0])
		if waiting[i] = waiting[i][1:]; len(waiting[i]) == 0 {
			waiting = append(waiting[:i], waiting[i+1:]...)
		}
	}
	reason := "stop"
	if len(s.calls) > 0 {
		reason = "tool_calls"
	}
	b.WriteString(finish(reason) + done)
	text := b.String()
	if rapid.Bool().Draw(t, "CRLF") {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	return text
}

// Guarantee: texts, thoughts and arguments arrive as they were said, however the vendor cuts and mixes them and wherever the
// bytes are split; and whole answers say the same.
func TestTextAndArgumentsArePreserved(t *testing.T) {
	t.Parallel()
	tr, _ := translate(t, request(`"stream":true`), plain())
	rapid.Check(t, func(rt *rapid.T) {
		s := anySaid().Draw(rt, "said")
		text := s.vendorStream(rt)
		out, err := pieces(t, tr, []byte(text), rapid.IntRange(1, len(text)).Draw(rt, "piece"))
		if err != nil {
			rt.Fatal(err)
		}
		var calls []any
		for i, c := range s.calls {
			input, _ := json.Marshal(c.input)
			calls = append(calls, map[string]any{"id": fmt.Sprintf("call_%d", i), "type": "function", "function": map[string]any{"name": c.name, "arguments": string(input)}})
		}
		whole, _ := json.Marshal(map[string]any{"choices": []any{map[string]any{"finish_reason": "stop", "message": map[string]any{
			"content": s.text, "reasoning_content": s.thought, "tool_calls": calls,
		}}}})
		for _, message := range [][]byte{fold(t, out), answered(t, tr, string(whole))} {
			var m struct {
				Content []struct {
					Type, Text, Thinking, Name, ID string
					Input                          map[string]string
				}
			}
			if err := json.Unmarshal(message, &m); err != nil {
				rt.Fatal(err)
			}
			var got said
			for _, b := range m.Content {
				got.thought += b.Thinking
				got.text += b.Text
				if b.Type == "tool_use" {
					if want := fmt.Sprintf("call_%d", len(got.calls)); b.ID != want {
						rt.Fatalf("%s stands where %s should", b.ID, want)
					}
					got.calls = append(got.calls, saidCall{b.Name, b.Input})
				}
			}
			if g, w := fmt.Sprintf("%q", got), fmt.Sprintf("%q", s); g != w {
				rt.Fatalf("said %s, arrived %s", w, g)
			}
		}
	})
}

// Guarantee: wherever a stream breaks off, what has arrived is legal, ends with an error and never looks complete.
func TestBrokenStreamsNeverLookComplete(t *testing.T) {
	t.Parallel()
	tr, _ := translate(t, request(`"stream":true`), plain())
	rapid.Check(t, func(rt *rapid.T) {
		text := anySaid().Draw(rt, "said").vendorStream(rt)
		end := strings.LastIndex(text, "[DONE]") + len("[DONE]")
		text = text[:rapid.IntRange(0, end).Draw(rt, "break")]
		s := tr.Stream(t.Context())
		out, err := s.Next(nil, []byte(text))
		if err != nil {
			rt.Fatal(err)
		}
		out, err = s.End(out, false)
		if err == nil {
			rt.Fatal("there is no error")
		}
		var checker schemas.MessagesStream
		if err := checker.Read(out); err != nil || checker.Complete() || checker.Failed() {
			rt.Fatalf("%v, complete %v\n%s", err, checker.Complete(), out)
		}
	})
}

// Guarantee: the parts of a prompt add up to the prompt, whenever its parts fit into it.
func TestUsageAddsUp(t *testing.T) {
	t.Parallel()
	tr, _ := translate(t, request(`"stream":true`), plain())
	rapid.Check(t, func(rt *rapid.T) {
		count := rapid.Int64Range(0, 1<<40)
		fresh, cached, written, output := count.Draw(rt, "fresh"), count.Draw(rt, "cached"), count.Draw(rt, "written"), count.Draw(rt, "output")
		usage := fmt.Sprintf(`"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":%d,"cache_write_tokens":%d}}`,
			fresh+cached+written, output, fresh+cached+written+output, cached, written)
		want := fmt.Sprintf(`"usage":{"input_tokens":%d,"cache_creation_input_tokens":%d,"cache_read_input_tokens":%d,"output_tokens":%d}`, fresh, written, cached, output)
		whole := answered(t, tr, `{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],`+usage+`}`)
		streamed := stream(t, tr, chunk(`"content":"x"`)+finish("stop")+`data: {"choices":[],`+usage+"}\n\n"+done)
		if !strings.Contains(string(whole), want) || !strings.Contains(string(streamed), want) {
			rt.Fatalf("%s became\n%s\n%s", usage, whole, streamed)
		}
	})
}

// Guarantee: what a caller says reaches the vendor character by character: texts, and the inputs of calls.
func TestRequestTextIsPreserved(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringN(1, 40, -1).Draw(rt, "text")
		input := rapid.MapOf(rapid.String(), rapid.String()).Draw(rt, "input")
		body, _ := json.MarshalIndent(map[string]any{
			"model": "m", "max_tokens": 1, "system": text,
			"messages": []any{
				map[string]any{"role": "user", "content": text},
				map[string]any{"role": "assistant", "content": []any{map[string]any{"type": "tool_use", "id": text, "name": "f", "input": input}}},
				map[string]any{"role": "user", "content": []any{map[string]any{"type": "tool_result", "tool_use_id": text, "content": text}}},
			},
		}, "", " ")
		tr, _ := translate(t, string(body), plain())
		var got struct {
			Messages []struct {
				Content    string
				ToolCallID string `json:"tool_call_id"`
				Calls      []struct {
					ID       string
					Function struct{ Arguments string }
				} `json:"tool_calls"`
			}
		}
		if err := json.Unmarshal(tr.Body(), &got); err != nil {
			rt.Fatal(err)
		}
		want, _ := json.Marshal(input)
		m := got.Messages
		if m[0].Content != text || m[1].Content != text || m[2].Calls[0].ID != text || m[3].ToolCallID != text || m[3].Content != text || m[2].Calls[0].Function.Arguments != string(want) {
			rt.Fatalf("%s became %s", body, tr.Body())
		}
	})
}
