package responses_test

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/internal/testenv/schemas"
)

// events makes a stream of the data of events.
func events(data ...string) []byte {
	return []byte("data: " + strings.Join(data, "\n\ndata: ") + "\n\n")
}

// Guarantee: streams are understood in all the forms in which vendors are known to write them, and none of those makes an item too many,
// an item out of order or a second beginning.
func TestStreams(t *testing.T) {
	t.Parallel()
	delta := func(d string) string { return `{"choices":[{"index":0,"delta":` + d + `}]}` }
	stop := `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
	text := func(s string) schemas.Responses { return schemas.Responses{Text: s} }
	calls := func(c ...schemas.ResponsesCall) schemas.Responses { return schemas.Responses{Calls: c} }
	cases := []struct {
		name  string
		in    []byte
		want  schemas.Responses
		types string // of the items
	}{
		{
			"no choices at first", events(`{"choices":[],"id":"","model":""}`, delta(`{"role":"assistant","content":""}`), delta(`{"content":"Hi"}`), stop, "[DONE]"),
			text("Hi"), "message",
		},
		{"no done", events(delta(`{"content":"Hi"}`), stop), text("Hi"), "message"},
		{
			"all in one", events(`{"choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}`),
			text("Hi"), "message",
		},
		{"nothing", events(delta(`{"role":"assistant"}`), stop), text(""), "message"},
		{"another choice", events(`{"choices":[{"index":1,"delta":{"content":"no"}}]}`, delta(`{"content":"Hi"}`), stop), text("Hi"), "message"},
		{"CRLF and comments", []byte(": hello\r\n\r\ndata: " + delta(`{"content":"Hi"}`) + "\r\n\r\ndata: " + stop + "\r\n\r\n"), text("Hi"), "message"},
		{"half a pair of surrogates", events(delta(`{"content":"\ud83d"}`), delta(`{"content":"\ude00"}`), stop), text("😀"), "message"},
		{
			"empty text within a call", events(
				delta(`{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{"}}]}`),
				delta(`{"content":"","tool_calls":[{"index":0,"function":{"arguments":"}"}}]}`), stop),
			calls(schemas.ResponsesCall{ID: "a", Name: "f", Arguments: "{}"}), "function_call",
		},
		{
			"a call without arguments", events(delta(`{"tool_calls":[{"index":1,"id":"a","function":{"name":"f"}}]}`), stop),
			calls(schemas.ResponsesCall{ID: "a", Name: "f", Arguments: "{}"}), "function_call",
		},
		{
			"calls with one index", events(
				delta(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"1"}}]}`),
				delta(`{"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":"2"}}]}`), stop),
			calls(schemas.ResponsesCall{ID: "a", Name: "f", Arguments: "1"}, schemas.ResponsesCall{ID: "b", Name: "g", Arguments: "2"}), "function_call,function_call",
		},
		{
			"calls in one chunk", events(
				delta(`{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"1"}},{"id":"b","function":{"name":"g","arguments":"2"}}]}`), stop),
			calls(schemas.ResponsesCall{ID: "a", Name: "f", Arguments: "1"}, schemas.ResponsesCall{ID: "b", Name: "g", Arguments: "2"}), "function_call,function_call",
		},
		{
			"a name that comes late", events(
				delta(`{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"1"}}]}`),
				delta(`{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"2"}}]}`), stop),
			calls(schemas.ResponsesCall{ID: "a", Name: "f", Arguments: "12"}), "function_call",
		},
		{
			"the name and another id each time", events(
				delta(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"1"}}]}`),
				delta(`{"tool_calls":[{"index":0,"id":"b","function":{"arguments":"2"}}]}`), stop),
			calls(schemas.ResponsesCall{ID: "a", Name: "f", Arguments: "12"}), "function_call",
		},
		{
			"an old call", events(delta(`{"function_call":{"name":"f","arguments":""}}`), delta(`{"function_call":{"arguments":"1"}}`), stop),
			calls(schemas.ResponsesCall{ID: "call_" + id + "0", Name: "f", Arguments: "1"}), "function_call",
		},
		{
			"text, a call, text", events(delta(`{"content":"a"}`), delta(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"1"}}]}`),
				delta(`{"content":"b"}`), delta(`{"tool_calls":[{"index":0,"function":{"arguments":"2"}}]}`), stop),
			schemas.Responses{Text: "ab", Calls: []schemas.ResponsesCall{{ID: "a", Name: "f", Arguments: "12"}}},
			"message,function_call,message",
		},
		{
			"thoughts before and after", events(delta(`{"reasoning":"a"}`), delta(`{"content":"b"}`), delta(`{"reasoning_content":"c"}`), stop),
			schemas.Responses{Text: "b", Thoughts: "ac"},
			"reasoning,message,reasoning",
		},
		{
			"Mistral's parts", events(delta(`{"content":[{"type":"thinking","thinking":[{"type":"text","text":"a"}]}]}`), delta(`{"content":"b"}`), stop),
			schemas.Responses{Text: "b", Thoughts: "a"},
			"reasoning,message",
		},
		{"text and a refusal", events(delta(`{"content":"a"}`), delta(`{"refusal":"b"}`), stop), schemas.Responses{Text: "a", Refusal: "b"}, "message"},
		{"citations", events(delta(`{"content":"a"}`), delta(`{"annotations":[{"type":"url_citation","url_citation":{"url":"u"}}]}`), stop), text("a"), "message"},
		{"more behind the end", append(events(delta(`{"content":"a"}`), stop, "[DONE]"), events(delta(`{"content":"b"}`))...), text("a"), "message"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := told(translate(t, plain, nil), c.in)
			got, err := schemas.ResponsesStream(out)
			if err != nil || got.Error != "" {
				t.Fatalf("%v: %s\n%s", err, got.Error, out)
			}
			if got.Text != c.want.Text || got.Thoughts != c.want.Thoughts || got.Refusal != c.want.Refusal || len(got.Calls) != len(c.want.Calls) {
				t.Errorf("it is %+v", got)
			}
			for i := range c.want.Calls {
				if i < len(got.Calls) && got.Calls[i] != c.want.Calls[i] {
					t.Errorf("call %d is %+v", i, got.Calls[i])
				}
			}
			var types []string
			for _, item := range gjson.Get(got.Final, "output").Array() {
				types = append(types, item.Get("type").Str)
			}
			if strings.Join(types, ",") != c.types {
				t.Errorf("the items are %v", types)
			}
		})
	}
}

// Guarantee: a stream that fails says so with the vendor's words as its last event, where both of OpenAI's forms of an error are read, and
// has no end.
func TestFailingStreams(t *testing.T) {
	t.Parallel()
	hi := `{"choices":[{"index":0,"delta":{"content":"Hi"}}]}`
	for in, want := range map[string][2]string{
		string(events(hi)): {"", "ended early"},
		string(events(hi, `{"error":{"message":"Too much","type":"overloaded_error"}}`)):               {"overloaded", "Too much"},
		string(events(hi, `{"error":"Broken"}`)):                                                       {"", "Broken"},
		string(events(`{"error":{"message":"Slow","code":429}}`)):                                      {"rate_limit_exceeded", "Slow"},
		string(events(hi)) + "event: error\ndata: {\"message\":\"Gone\"}\n\n":                          {"", "Gone"},
		string(events(hi, `{"error":{"message":"Incorrect key sk-1","type":"authentication_error"}}`)): {"upstream_refused", "credential"},
		string(events(hi, `{"choices":`)):                                                              {"", "no JSON"},
		string(events("[DONE]")):                                                                       {"", "without a choice"},
		"":                                                                                             {"", "ended early"},
		string(events(`{"choices":[{"delta":{"tool_calls":[{"id":"a"}]},"finish_reason":"stop"}]}`)): {"", "no name"},
	} {
		got, err := schemas.ResponsesStream(told(translate(t, plain, nil), []byte(in)))
		if err != nil || got.Final != "" {
			t.Errorf("%s: %v: %+v", in, err, got)
		}
		if code, message := gjson.Get(got.Error, "code").Str, gjson.Get(got.Error, "error.message").Str; code != want[0] || !strings.Contains(message, want[1]) {
			t.Errorf("%s: %s", in, got.Error)
		}
	}
}

// Guarantee: one event cannot become more items than an answer has, whatever a vendor puts into it.
func TestEventsOfManyItems(t *testing.T) {
	t.Parallel()
	in := events(`{"choices":[{"index":0,"delta":{"content":[` + strings.Repeat(`{"text":"a","thinking":"b"},`, 100_000) + `{"text":"c"}]}}]}`)
	tr := translate(t, plain, nil)
	out, err := tr.Stream(t.Context()).Next(nil, in)
	if err == nil || len(out) > 16<<20 {
		t.Errorf("%d bytes of events, %v", len(out), err)
	}
}
