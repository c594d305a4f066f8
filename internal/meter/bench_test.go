package meter_test

import (
	"strconv"
	"strings"
	"testing"

	"tollgate/internal/meter"
)

// copied is what an answer costs that is sent on and not read: the baseline of these benchmarks.
func copied(b *testing.B, body []byte) {
	b.Helper()
	b.Run("copy", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		to := make([]byte, 32<<10)
		for b.Loop() {
			for rest := body; len(rest) > 0; {
				rest = rest[copy(to, rest):]
			}
		}
	})
}

func metered(b *testing.B, plan *meter.Plan, kind string, body []byte, counts string) {
	b.Helper()
	b.Run("metered", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		header := func(name string) string {
			if name == "Content-Type" {
				return kind
			}
			return ""
		}
		var r meter.Request // as the edge has them, with the rest of a request
		var x meter.Reading
		for b.Loop() {
			r = meter.Request{Method: "POST", Path: "/v1/chat/completions"}
			x.Begin(plan.Match(&r), &r, nil)
			x.Answered(200, header)
			for rest := body; len(rest) > 0; {
				n := min(len(rest), 32<<10)
				x.Received(rest[:n])
				rest = rest[n:]
			}
			if bill := x.End(meter.End{Whole: true}); bill.Counts != counts {
				b.Fatal(bill.Counts, bill.Unpriced)
			}
		}
	})
}

const usage = `"usage":{"prompt_tokens":1420,"completion_tokens":100,"total_tokens":1520,"prompt_tokens_details":{"cached_tokens":1280,"audio_tokens":0},` +
	`"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0}}`

const counts = "prompt=1420,out=100,cached=1280,audio_in=0,audio_out=0,reasoning=0"

func completion(content int) []byte {
	return []byte(`{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":{"role":"assistant","content":"` +
		strings.Repeat("lorem ipsum ", content/12) + `"},"finish_reason":"stop"}],` + usage + `,"service_tier":"default"}`)
}

func BenchmarkJSON2K(b *testing.B) {
	body := completion(1500)
	copied(b, body)
	metered(b, only(b, "openai", "chat"), "application/json", body, counts)
}

func BenchmarkJSON1M(b *testing.B) {
	body := completion(1 << 20)
	copied(b, body)
	metered(b, only(b, "openai", "chat"), "application/json", body, counts)
}

// BenchmarkEvent is a stream of 1,000 events. Its time is that of all of them.
func BenchmarkEvent(b *testing.B) {
	var s strings.Builder
	for i := range 999 {
		s.WriteString(`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-2024-08-06","service_tier":"default","choices":[{"index":0,"delta":{"content":"tok` +
			strconv.Itoa(i) + `"},"finish_reason":null}],"usage":null}` + "\n\n")
	}
	s.WriteString(`data: {"id":"chatcmpl-1","model":"gpt-4o-2024-08-06","choices":[],` + usage + "}\n\ndata: [DONE]\n\n")
	copied(b, []byte(s.String()))
	metered(b, only(b, "openai", "chat"), "text/event-stream", []byte(s.String()), counts)
}
