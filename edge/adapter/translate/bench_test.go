package translate_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/translate"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// One conversation of an agent in the three schemas, each of about 2 KB: a system prompt, two tools, a question, a call and
// its result. So what the ways cost can be compared.
var (
	prompt = strings.Repeat("You are a careful assistant who reads before it writes. ", 8)
	about  = `Reads a file and gives its text. Lines are numbered from 1, and long ones are cut. Never guess at what is in a file.`
	schema = `{"type":"object","properties":{"path":{"type":"string","description":"Where the file is, from the root of the project"},` +
		`"from":{"type":"integer","description":"The first line"}},"required":["path"],"additionalProperties":false}`
	result = strings.Repeat(`a line of the file\n`, 20)

	typical = map[adapter.Schema]string{
		adapter.Messages: `{"model":"mine","max_tokens":1000,"stream":true,"temperature":0.2,"system":[{"type":"text","text":"` + prompt + `"}],
			"tools":[{"name":"read_file","description":"` + about + `","input_schema":` + schema + `},{"name":"list_files","description":"` + about + `","input_schema":` + schema + `}],
			"messages":[{"role":"user","content":"Read a.txt and say what is in it"},
			{"role":"assistant","content":[{"type":"text","text":"I will read it."},{"type":"tool_use","id":"toolu_1","name":"read_file","input":{"path":"a.txt","from":1}}]},
			{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"` + result + `"}]}]}`,
		adapter.Chat: `{"model":"mine","max_tokens":1000,"stream":true,"temperature":0.2,"tools":[
			{"type":"function","function":{"name":"read_file","description":"` + about + `","parameters":` + schema + `}},
			{"type":"function","function":{"name":"list_files","description":"` + about + `","parameters":` + schema + `}}],
			"messages":[{"role":"system","content":"` + prompt + `"},{"role":"user","content":"Read a.txt and say what is in it"},
			{"role":"assistant","content":"I will read it.","tool_calls":[{"id":"call_1","type":"function","function":{"name":"read_file","arguments":"{\"path\":\"a.txt\",\"from\":1}"}}]},
			{"role":"tool","tool_call_id":"call_1","content":"` + result + `"}]}`,
		adapter.Responses: `{"model":"mine","max_output_tokens":1000,"stream":true,"temperature":0.2,"instructions":"` + prompt + `","tools":[
			{"type":"function","name":"read_file","description":"` + about + `","parameters":` + schema + `},
			{"type":"function","name":"list_files","description":"` + about + `","parameters":` + schema + `}],
			"input":[{"role":"user","content":[{"type":"input_text","text":"Read a.txt and say what is in it"}]},
			{"type":"message","role":"assistant","content":[{"type":"output_text","text":"I will read it."}]},
			{"type":"function_call","call_id":"call_1","name":"read_file","arguments":"{\"path\":\"a.txt\",\"from\":1}"},
			{"type":"function_call_output","call_id":"call_1","output":"` + result + `"}]}`,
	}

	said    = strings.Repeat("The file has lines, and all of them are the same. ", 8)
	answers = map[adapter.Schema]string{ // of 1 KB
		adapter.Chat: `{"id":"chatcmpl-AHHFPkDmh1xTsLBS6ZBlcGWkdWsA2","object":"chat.completion","created":1700000000,"model":"gpt-4o-2024-08-06","choices":[{"index":0,
			"message":{"role":"assistant","content":"` + said + `","refusal":null,"annotations":[],"tool_calls":[{"id":"call_2","type":"function","function":{"name":"read_file",
			"arguments":"{\"path\":\"b.txt\",\"from\":12}"}}]},"logprobs":null,"finish_reason":"tool_calls"}],
			"usage":{"prompt_tokens":812,"completion_tokens":44,"total_tokens":856,"prompt_tokens_details":{"cached_tokens":512,"audio_tokens":0},
			"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_1"}`,
		adapter.Messages: `{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929","content":[{"type":"text","text":"` + said + `"},
			{"type":"tool_use","id":"toolu_01A09q90qw90lq917835lq9","name":"read_file","input":{"path":"b.txt","from":12}}],"stop_reason":"tool_use","stop_sequence":null,
			"usage":{"input_tokens":300,"cache_creation_input_tokens":0,"cache_read_input_tokens":512,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},
			"output_tokens":44,"service_tier":"standard"}}`,
	}

	// The first events of a stream, and one that a long text has many of.
	begins = map[adapter.Schema]string{
		adapter.Chat: chunkOf(`{"role":"assistant","content":""}`),
		adapter.Messages: "event: message_start\ndata: " + `{"type":"message_start","message":{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929",` +
			`"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":300,"output_tokens":1}}}` + "\n\n" +
			"event: content_block_start\ndata: " + `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}` + "\n\n",
	}
	events = map[adapter.Schema]string{
		adapter.Chat:     chunkOf(`{"content":" lines of"}`),
		adapter.Messages: "event: content_block_delta\ndata: " + `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" lines of"}}` + "\n\n",
	}
)

// chunkOf is an event as OpenAI sends it.
func chunkOf(delta string) string {
	return `data: {"id":"chatcmpl-AHHFPkDmh1xTsLBS6ZBlcGWkdWsA2","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-2024-08-06","service_tier":"default",` +
		`"system_fingerprint":"fp_1","choices":[{"index":0,"delta":` + delta + `,"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"Hxo8P"}` + "\n\n"
}

// waysOfBench are all that there are.
var waysOfBench = [][2]adapter.Schema{
	{adapter.Messages, adapter.Chat}, {adapter.Chat, adapter.Messages}, {adapter.Responses, adapter.Chat}, {adapter.Responses, adapter.Messages},
}

func callOfBench() *adapter.Call {
	return &adapter.Call{
		Asked: "mine", Model: "theirs", Vendor: "mine/theirs", Options: &controlv1.VendorOptions{}, ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Unix: 1_790_000_000,
	}
}

// asStandard reads documents and writes them again, as the standard library does: what translations are compared with.
func asStandard(b *testing.B, docs ...string) {
	b.Helper()
	b.Run("standard", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for _, doc := range docs {
				var v any
				err := json.Unmarshal([]byte(doc), &v)
				if err == nil {
					_, err = json.Marshal(v)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// BenchmarkPair translates a typical request and its answer.
func BenchmarkPair(b *testing.B) {
	asStandard(b, typical[adapter.Chat], answers[adapter.Chat])
	for _, way := range waysOfBench {
		client, vendor, call := way[0], way[1], callOfBench()
		b.Run(client.String()+"-to-"+vendor.String(), func(b *testing.B) {
			b.ReportAllocs()
			request, answer := []byte(typical[client]), []byte(answers[vendor])
			for b.Loop() {
				x, err := translate.New(client, vendor, request, call)
				if err == nil {
					_, err = x.Answer(b.Context(), answer)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEvent translates an event of a stream of a thousand.
func BenchmarkEvent(b *testing.B) {
	asStandard(b, strings.TrimSpace(strings.TrimPrefix(events[adapter.Chat], "data: ")))
	for _, way := range waysOfBench {
		client, vendor, call := way[0], way[1], callOfBench()
		b.Run(client.String()+"-to-"+vendor.String(), func(b *testing.B) {
			b.ReportAllocs()
			x, err := translate.New(client, vendor, []byte(typical[client]), call)
			if err != nil {
				b.Fatal(err)
			}
			event := []byte(events[vendor])
			var s adapter.Stream
			var out []byte
			n := 0
			for b.Loop() {
				if n%1000 == 0 { // what is kept of an answer stays as small as in life
					s = x.Stream(b.Context())
					out, err = s.Next(out[:0], []byte(begins[vendor]))
				} else {
					out, err = s.Next(out[:0], event)
				}
				if n++; err != nil {
					b.Fatal(err)
				}
			}
			if !bytes.Contains(out, []byte("lines of")) && n%1000 > 1 {
				b.Fatalf("%s", out)
			}
		})
	}
}
