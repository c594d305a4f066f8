package chat

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv/schemas"
)

// Guarantee: a conversation keeps its order and its words, in turns of the user and the assistant one after the other, with
// results of tools first in the turn behind their calls.
func TestConversations(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		messages     string
		system, want string
	}{
		"one question": {`{"role":"user","content":"h\u00e9\ud83d\ude00"}`, ``, `[{"role":"user","content":[{"type":"text","text":"h\u00e9\ud83d\ude00"}]}]`},
		"system prompts, wherever they are": {
			`{"role":"system","content":"a"},{"role":"user","content":"hi"},{"role":"developer","content":[{"type":"text","text":"b\n"},{"type":"text","text":""},{"type":"text","text":"c"}]}`,
			`"a\nb\n\nc"`, `[{"role":"user","content":[{"type":"text","text":"hi"}]}]`,
		},
		"a system prompt that is cached": {
			`{"role":"system","content":[{"type":"text","text":"a","prompt_cache_breakpoint":{"mode":"explicit"}},{"type":"text","text":"b"}]},{"role":"user","content":"hi"}`,
			`[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},{"type":"text","text":"b"}]`, `[{"role":"user","content":[{"type":"text","text":"hi"}]}]`,
		},
		"who speaks twice": {
			`{"role":"user","content":"a"},{"role":"user","content":[{"type":"text","text":"b"}]},{"role":"assistant","content":"c"},{"role":"assistant","content":[{"type":"refusal","refusal":"d"}]},{"role":"user","content":"e"}`,
			``, `[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"assistant","content":[{"type":"text","text":"c"},{"type":"text","text":"d"}]},{"role":"user","content":[{"type":"text","text":"e"}]}]`,
		},
		"who says nothing": {
			`{"role":"user","content":"a"},{"role":"assistant","content":null},{"role":"assistant","content":""},{"role":"user","content":""},{"role":"user","content":"b"}`,
			``, `[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]`,
		},
		"two calls and their results, with a word between": {
			`{"role":"user","content":"q"},{"role":"assistant","content":"t","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}},{"id":"c2","type":"function","function":{"name":"g","arguments":""}}]},
			 {"role":"tool","tool_call_id":"c1","content":"r1"},{"role":"user","content":"u"},{"role":"tool","tool_call_id":"c2","content":[{"type":"text","text":"r2"},{"type":"text","text":"r3"}]},{"role":"user","content":"v"}`,
			``, `[{"role":"user","content":[{"type":"text","text":"q"}]},` +
				`{"role":"assistant","content":[{"type":"text","text":"t"},{"type":"tool_use","id":"c1","name":"f","input":{"a": 1}},{"type":"tool_use","id":"c2","name":"g","input":{}}]},` +
				`{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"r1"},{"type":"tool_result","tool_use_id":"c2","content":[{"type":"text","text":"r2"},{"type":"text","text":"r3"}]},{"type":"text","text":"u"},{"type":"text","text":"v"}]}]`,
		},
		"a function of the old form": {
			`{"role":"user","content":"q"},{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"r"},
			 {"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":null}`,
			``, `[{"role":"user","content":[{"type":"text","text":"q"}]},` +
				`{"role":"assistant","content":[{"type":"tool_use","id":"call_0","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_0","content":"r"}]},` +
				`{"role":"assistant","content":[{"type":"tool_use","id":"call_1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_1","content":""}]}]`,
		},
		"an identifier of another vendor's": {
			`{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"functions.Bash:0","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"functions.Bash:0","content":"r"}`,
			``, `[{"role":"user","content":[{"type":"text","text":"q"}]},` +
				`{"role":"assistant","content":[{"type":"tool_use","id":"functions_Bash_0_a97d1507","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"functions_Bash_0_a97d1507","content":"r"}]}]`,
		},
		"images and documents": {
			`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/jpg;base64,AA\/+","detail":"high"}},{"type":"image_url","image_url":{"url":"HTTPS://a.b/c?d"}},{"type":"image_url","image_url":"https://e.f"},
			 {"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AAA="}}]}`,
			``, `[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"AA/+"}},{"type":"image","source":{"type":"url","url":"HTTPS://a.b/c?d"}},{"type":"image","source":{"type":"url","url":"https://e.f"}},` +
				`{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AAA="},"title":"a.pdf"}]}]`,
		},
		"words to go on with": {
			`{"role":"user","content":"q"},{"role":"assistant","content":"so \u00e9\n "},{"role":"system","content":"s"}`,
			`"s"`, `[{"role":"user","content":[{"type":"text","text":"q"}]},{"role":"assistant","content":[{"type":"text","text":"so é"}]}]`,
		},
		"white space to go on with": {
			`{"role":"user","content":"q"},{"role":"assistant","content":" \n"}`,
			``, `[{"role":"user","content":[{"type":"text","text":"q"}]}]`,
		},
	} {
		tr, err := Translate([]byte(`{"messages":[`+c.messages+`]}`), call())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		doc := gjson.ParseBytes(tr.Body())
		if got := doc.Get("system").Raw; got != c.system {
			t.Errorf("%s: system is %s", name, got)
		}
		if got := doc.Get("messages").Raw; got != c.want {
			t.Errorf("%s: %s", name, got)
		}
		if err := schemas.Check("anthropic-request", tr.Body()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Guarantee: what a message has besides its words is named when it is left out, and a mark of the cache is passed on where such are.
func TestWhatMessagesLose(t *testing.T) {
	t.Parallel()
	body := `{"messages":[{"role":"user","name":"ann","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}]},{"role":"assistant","content":"b","reasoning_content":"c"},{"role":"user","content":"d"}]}`
	tc := call()
	tr, err := Translate([]byte(body), tc)
	if err != nil || strings.Join(tr.Dropped(), " ") != "cache_control messages[].name messages[].reasoning_content" {
		t.Errorf("%v, %v", tr.Dropped(), err)
	}
	tc.Options = &controlv1.VendorOptions{ExtraFields: controlv1.ExtraFields_EXTRA_FIELDS_PASS}
	tr, err = Translate([]byte(body), tc)
	if err != nil || gjson.GetBytes(tr.Body(), "messages.0.content.0.cache_control").Raw != `{"type":"ephemeral","ttl":"1h"}` {
		t.Errorf("%s, %v", tr.Body(), err)
	}
}

// Guarantee: a name that Anthropic does not take becomes one that it does, everywhere in a request, and the caller gets its own back.
func TestNamesOfTools(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long", 40)
	for _, name := range []string{"a.b/c", long, "größe", "with \\\"quotes\\\""} {
		body := `{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"` + name + `","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"r"}],
			"tools":[{"type":"function","function":{"name":"` + name + `"}}],"tool_choice":{"type":"function","function":{"name":"` + name + `"}}}`
		tr := start(t, body)
		if err := schemas.Check("anthropic-request", tr.Body()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		doc := gjson.ParseBytes(tr.Body())
		sent := doc.Get("tools.0.name").Str
		if sent == name || doc.Get("tool_choice.name").Str != sent || doc.Get("messages.1.content.0.name").Str != sent {
			t.Errorf("%s: %s", name, tr.Body())
		}
		out, err := tr.Answer(t.Context(), []byte(`{"id":"msg_1","type":"message","content":[{"type":"tool_use","id":"t","name":"`+sent+`","input":{}}],"stop_reason":"tool_use"}`))
		if got := gjson.GetBytes(out, "choices.0.message.tool_calls.0.function.name").Raw; err != nil || got != `"`+name+`"` {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

// Guarantee: a conversation that goes on behind results of tools does so without a budget to think with, which Anthropic would refuse for want of
// signed thoughts; it is said that it was left out. An effort stands, and so does a budget once the assistant has answered.
func TestThinkingBetweenCalls(t *testing.T) {
	t.Parallel()
	const calls = `{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"r"}`
	for name, c := range map[string]struct {
		messages string
		how      controlv1.Thinking
		want     string
		dropped  int
	}{
		"behind results":      {messages: calls, dropped: 1},
		"and a word":          {messages: calls + `,{"role":"user","content":"u"}`, dropped: 1},
		"words to go on with": {messages: `{"role":"user","content":"q"},{"role":"assistant","content":"so"}`, dropped: 1},
		"when that is over":   {messages: calls + `,{"role":"assistant","content":"a"},{"role":"user","content":"u"}`, want: "enabled"},
		"with an effort":      {messages: calls, how: controlv1.Thinking_THINKING_EFFORT, want: "adaptive"},
		"at the beginning":    {messages: `{"role":"user","content":"q"}`, want: "enabled"},
	} {
		tc := call()
		tc.Options = &controlv1.VendorOptions{Thinking: c.how}
		tr, err := Translate([]byte(`{"reasoning_effort":"low","messages":[`+c.messages+`]}`), tc)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := gjson.GetBytes(tr.Body(), "thinking.type").Str; got != c.want || len(tr.Dropped()) != c.dropped {
			t.Errorf("%s: %q, without %v", name, got, tr.Dropped())
		}
	}
}
