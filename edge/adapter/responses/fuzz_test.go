package responses_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/responses"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv/schemas"
	"tollgate/internal/testenv/vectors"
)

// Guarantee: no request makes a translation panic or come to something that is no JSON, and every refusal is one that the caller can
// be told.
func FuzzRequest(f *testing.F) {
	for _, x := range vectors.All(f) {
		if strings.HasSuffix(x.URL, "/responses") {
			f.Add(x.RequestBody, false)
		}
	}
	f.Add([]byte(`{"input":[`+call1+`,`+call2+`,`+out2+`,`+out1+`],"tools":[`+weather+`],"text":{"format":{"type":"json_object"}}}`), true)
	f.Add([]byte(`{"input":[{"role":"user","content":[{"type":"input_file","file_data":"x"}]}],"n":1,"é":{}}`), true)
	f.Fuzz(func(t *testing.T, body []byte, all bool) {
		options := &controlv1.VendorOptions{}
		if all {
			options = &controlv1.VendorOptions{
				Files: true, ReasoningContent: true, StringContent: true, CacheBreakpoints: true, WebSearch: true,
				ExtraFields: controlv1.ExtraFields_EXTRA_FIELDS_PASS,
			}
		}
		x, err := responses.Translate(body, newCall(options))
		if err != nil {
			var told *adapter.Error
			if !errors.As(err, &told) || told.Message == "" || !utf8.ValidString(told.Message) {
				t.Fatalf("%#v", err)
			}
			return
		}
		if !json.Valid(x.Body()) || !utf8.Valid(x.Body()) {
			t.Fatalf("%q", x.Body())
		}
		answer, err := x.Answer(t.Context(), []byte(`{"choices":[{"message":{"content":"Hi"}}]}`))
		if err != nil || !json.Valid(answer) || strings.ContainsAny(string(answer), "\r\n") {
			t.Fatalf("%v: %q", err, answer)
		}
	})
}

// Guarantee: no answer makes a translation panic or come to something that is no response.
func FuzzAnswer(f *testing.F) {
	for _, x := range vectors.All(f) {
		if strings.Contains(string(x.Body), `"chat.completion"`) {
			f.Add(x.Body)
		}
	}
	f.Add([]byte(`{"choices":[{"message":{"content":[{"thinking":[{"text":"a"}]},{"text":"b"}],"tool_calls":[{"function":{"name":"f","arguments":{}}}]}}],"usage":{"prompt_tokens":-1}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		out, err := translate(t, plain, nil).Answer(t.Context(), body)
		var told *adapter.Error
		if err != nil && !errors.As(err, &told) {
			t.Fatalf("%#v", err)
		}
		if err == nil {
			if err := schemas.Check("openai-response", out); err != nil || !utf8.Valid(out) {
				t.Fatalf("%v\n%q", err, out)
			}
		}
	})
}

// Guarantee: no stream, however it is cut, makes a translation panic or come to events that are not legal; it ends with a response or an
// error.
func FuzzStream(f *testing.F) {
	for _, stream := range recordedStreams(f) {
		if len(stream) < 6000 { // the longer ones say nothing else
			f.Add(stream, uint16(700))
		}
	}
	f.Add([]byte("data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]}}]}\r\rdata: [DONE]"), uint16(3))
	f.Fuzz(func(t *testing.T, stream []byte, at uint16) {
		cut := min(int(at), len(stream))
		out := told(translate(t, plain, nil), stream[:cut], stream[cut:])
		got, err := schemas.ResponsesStream(out)
		if err != nil || !utf8.Valid(out) || (got.Final == "") == (got.Error == "") {
			t.Fatalf("%v\n%q", err, out)
		}
	})
}
