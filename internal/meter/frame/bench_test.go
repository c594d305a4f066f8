package frame_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"tollgate/internal/meter/frame"
)

// usage is what a meter of chat completions asks for.
var usage = []string{
	"usage.prompt_tokens", "usage.completion_tokens", "usage.prompt_tokens_details.cached_tokens",
	"usage.completion_tokens_details.reasoning_tokens", "model", "service_tier",
}

const chunk = `data: {"id":"chatcmpl-BZ3aZJ0v4QK7bcpLcVBdmh0oZJGBx","object":"chat.completion.chunk","created":1747720371,` +
	`"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_07871e2ad8","choices":[{"index":0,` +
	`"delta":{"content":" the"},"logprobs":null,"finish_reason":null}],"usage":null}` + "\n\n"

func answer() string {
	return `{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"` +
		strings.Repeat(`It is \"this\" there. `, 80)[:1500] + `"},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1420,` +
		`"completion_tokens":100,"total_tokens":1520,"prompt_tokens_details":{"cached_tokens":1280,"audio_tokens":0},` +
		`"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}},"service_tier":"default"}`
}

func image() string {
	return `{"created":1,"data":[{"b64_json":"` + base64.StdEncoding.EncodeToString(make([]byte, 750_000)) + `"}],"usage":{"prompt_tokens":7}}`
}

func embeddings(space string) string {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteString(`{"object":"list","data":[`)
	for i := 0; b.Len() < 1_000_000; i++ {
		fmt.Fprintf(&b, `{"object":"embedding","index":%d,"embedding":[`, i)
		for range 1536 {
			fmt.Fprintf(&b, "%.8f,%s", r.Float64()*2-1, space)
		}
		b.WriteString("0]},")
	}
	return b.String() + `{}],"usage":{"prompt_tokens":7}}`
}

// BenchmarkProjection shows what the reading of a body costs beside copying it, in pieces of 32 KiB.
func BenchmarkProjection(b *testing.B) {
	cases := []struct {
		name, body string
		kind       frame.Kind
	}{
		{"json-2KB", answer(), frame.JSON},
		{"image-1MB", image(), frame.JSON},
		{"embeddings-1MB", embeddings(""), frame.JSON},
		{"embeddings-1MB-indented", embeddings("\n        "), frame.JSON},
		{"sse-1000", strings.Repeat(chunk, 1000), frame.Events},
	}
	for _, c := range cases {
		body := []byte(c.body)
		b.Run(c.name+"/read", func(b *testing.B) {
			p := paths(b, usage...)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				s := frame.New(c.kind, "", p, func(*frame.Frame) {})
				for rest := body; len(rest) > 0; {
					n := min(len(rest), 32<<10)
					s.Write(rest[:n])
					rest = rest[n:]
				}
				s.End(true)
			}
		})
		b.Run(c.name+"/copy", func(b *testing.B) {
			to := make([]byte, 32<<10)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				for rest := body; len(rest) > 0; {
					rest = rest[copy(to, rest):]
				}
			}
		})
	}
}

// BenchmarkGigabyte reads a stream of 1 GB and shows how much memory that took.
func BenchmarkGigabyte(b *testing.B) {
	p := paths(b, usage...)
	for _, e := range bodies {
		b.Run(strings.ReplaceAll(e.name, " ", "-"), func(b *testing.B) {
			var taken uint64
			b.SetBytes(1 << 30)
			for b.Loop() {
				taken = max(taken, e.run(p, 1<<30))
			}
			b.ReportMetric(float64(taken), "taken-B")
		})
	}
}
