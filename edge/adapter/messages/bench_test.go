package messages_test

import (
	"context"
	"strings"
	"testing"

	"tollgate/edge/adapter/messages"
)

// typicalRequest is a turn of an agent: a system prompt, tools, a call and its result.
var typicalRequest = request(`"stream":true,"system":[{"type":"text","text":"` + strings.Repeat("You are careful. ", 60) + `","cache_control":{"type":"ephemeral"}}],
	"tools":[{"name":"read_file","description":"Reads a file","input_schema":{"type":"object","properties":{"path":{"type":"string"}},"required":["path"]}},
	{"name":"write_file","description":"Writes a file","input_schema":{"type":"object","properties":{"path":{"type":"string"},"text":{"type":"string"}}}}],
	"messages":[{"role":"user","content":"Read a.txt and say what is in it"},
	{"role":"assistant","content":[{"type":"text","text":"I will read it."},{"type":"tool_use","id":"toolu_1","name":"read_file","input":{"path":"a.txt"}}]},
	{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"` + strings.Repeat("a line of the file\\n", 50) + `"}]}]`)

const typicalAnswer = `{"id":"chatcmpl-AbCdEf","object":"chat.completion","created":1700000000,"model":"gpt-5","choices":[{"index":0,"message":{"role":"assistant",
	"content":"The file has fifty lines, and all of them are the same: they say that each is a line of the file.","refusal":null,"annotations":[],
	"tool_calls":[{"id":"call_1","type":"function","function":{"name":"write_file","arguments":"{\"path\":\"b.txt\",\"text\":\"fifty\"}"}}]},"logprobs":null,"finish_reason":"tool_calls"}],
	"usage":{"prompt_tokens":812,"completion_tokens":44,"total_tokens":856,"prompt_tokens_details":{"cached_tokens":512,"audio_tokens":0},
	"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":null}`

func BenchmarkRequest(b *testing.B) {
	body, call := []byte(typicalRequest), plain()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := messages.Translate(body, call); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAnswer(b *testing.B) {
	tr, err := messages.Translate([]byte(typicalRequest), plain())
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(typicalAnswer)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tr.Answer(context.Background(), body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStreamEvent is one event of a long text.
func BenchmarkStreamEvent(b *testing.B) {
	tr, err := messages.Translate([]byte(typicalRequest), plain())
	if err != nil {
		b.Fatal(err)
	}
	s := tr.Stream(context.Background())
	event := []byte(`data: {"id":"chatcmpl-DFnKV81lMKGBRRh35sxZO8I88ireo","object":"chat.completion.chunk","created":1772656915,"model":"gpt-5-nano-2025-08-07","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{"content":" today"},"finish_reason":null}],"usage":null,"obfuscation":"Hxo8P"}` + "\n\n")
	out := make([]byte, 0, 4096)
	b.SetBytes(int64(len(event)))
	b.ReportAllocs()
	for b.Loop() {
		if out, err = s.Next(out[:0], event); err != nil {
			b.Fatal(err)
		}
	}
}
