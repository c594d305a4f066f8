package responses_test

import (
	"testing"

	"tollgate/edge/adapter/responses"
	"tollgate/edge/adapter/sse"
)

var typical = []byte(`{"model":"mine","instructions":"You are a helpful assistant who answers briefly and to the point.","input":[
	{"role":"user","content":"What is the weather in Rome?"},` + call1 + `,` + out1 + `,{"role":"user","content":[{"type":"input_text","text":"And in Oslo?"}]}],
	"tools":[` + weather + `],"temperature":0.2,"max_output_tokens":1000}`)

// A typical request and its answer.
func BenchmarkPair(b *testing.B) {
	answer := []byte(`{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant",
		"content":"It is sunny in Rome, and rather cold in Oslo, where it has been snowing since yesterday.","refusal":null},"logprobs":null,"finish_reason":"stop"}],
		"usage":{"prompt_tokens":120,"completion_tokens":30,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}`)
	call := newCall(nil)
	b.ReportAllocs()
	for b.Loop() {
		x, err := responses.Translate(typical, call)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := x.Answer(b.Context(), answer); err != nil {
			b.Fatal(err)
		}
	}
}

// One event of a stream.
func BenchmarkEvent(b *testing.B) {
	chunk := sse.Append(nil, "", []byte(`{"id":"chatcmpl-AHHFPkDmh1xTsLBS6ZBlcGWkdWsA2","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-2024-08-06",`+
		`"service_tier":"default","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":" weather"},"logprobs":null,"finish_reason":null}]}`))
	x, err := responses.Translate(typical, newCall(nil))
	if err != nil {
		b.Fatal(err)
	}
	const answer = 1000 // events, so that what is kept stays as small as in life
	b.ReportAllocs()
	var dst []byte
	stream := x.Stream(b.Context())
	n := 0
	for b.Loop() {
		if n++; n%answer == 0 {
			stream = x.Stream(b.Context())
		}
		if dst, err = stream.Next(dst[:0], chunk); err != nil {
			b.Fatal(err)
		}
	}
}
