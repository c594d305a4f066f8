package clients_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/openai/openai-go"
	"github.com/openai/openai-go/option"
)

// charge is what the books say of a request that was charged by what it used; its counters are in the order of their names.
type charge struct{ meter, model, counts, cost string }

// compareCharges compares the books of an endpoint, once they are complete, with what its requests must cost.
func compareCharges(t *testing.T, endpoint string, want []charge) {
	t.Helper()
	byText := func(a, b charge) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }
	slices.SortFunc(want, byText)
	err := eventually(func() error {
		out, err := theGateway.cli(context.WithoutCancel(t.Context()), "requests", "list", "--endpoint", endpoint, "--limit", "1000", "-o", "json")
		if err != nil {
			return err
		}
		var booked []record
		if err := json.Unmarshal([]byte(out), &booked); err != nil {
			return err
		}
		var have []charge
		for _, b := range booked {
			if b.Unpriced {
				b.Cost.Amount += ", unpriced"
			}
			var counts []string
			for _, name := range slices.Sorted(maps.Keys(b.Counts)) {
				counts = append(counts, name+"="+b.Counts[name])
			}
			have = append(have, charge{b.Meter, b.Model, strings.Join(counts, ","), b.Cost.Amount})
		}
		if slices.SortFunc(have, byText); !slices.Equal(have, want) {
			return fmt.Errorf("booked is\n%q, and should be\n%q", have, want)
		}
		return nil
	})
	if err != nil {
		t.Errorf("%s: %v", endpoint, err)
	}
}

// newTemplateRoutes makes endpoints of vendors' templates, with their prices, and one key for them all.
func newTemplateRoutes(t *testing.T, prefix string, dialects map[string][2]string) map[string]route {
	t.Helper()
	routes := map[string]route{}
	var last string
	for template := range dialects {
		name := prefix + "-" + template
		must(t, "endpoint", "create", name, "--template", template, "--path", "/"+name, "--target", theVendor.url+"/"+name,
			"--secret", template+"=env:VENDOR_KEY")
		routes[template] = route{name: name, url: theGateway.url + "/" + name, direct: theVendor.url + "/direct/" + name}
		last = name
	}
	key := strings.TrimSpace(must(t, "key", "create", prefix))
	for template, how := range dialects {
		r := routes[template]
		r.key = key
		routes[template] = r
		header, value, _ := strings.Cut(how[1], ": ")
		theVendor.expect(r.name, how[0], header, value, key)
		t.Cleanup(func() { theVendor.check(t, r.name) })
	}
	awaitKey(t, prefix, last)
	return routes
}

// Guarantee: what programs call with the vendors' own libraries for Go and for Node is charged what the vendor charges for it by
// the prices of its template, to the last digit: chat, streams, embeddings, images, sound, reranking, OCR and realtime, also
// where it is compressed. Usage that the gateway asks for is not shown to a program that did not.
func TestMetered(t *testing.T) {
	t.Parallel()
	bearer := "Authorization: Bearer " + vendorKey
	routes := newTemplateRoutes(t, "metered", map[string][2]string{
		"openai": {"openai-exact", bearer}, "anthropic": {"anthropic", "X-Api-Key: " + vendorKey}, "cohere": {"cohere", bearer},
		"mistral": {"mistral", bearer}, "gemini": {"gemini", "X-Goog-Api-Key: " + vendorKey},
	})
	chat := meteredOpenAI(t, routes["openai"])
	messages := meteredAnthropic(t, routes["anthropic"])
	compareCharges(t, routes["openai"].name, chat)
	compareCharges(t, routes["anthropic"].name, messages)
	runNode(t, "metered/*.test.mjs", routes)
}

func meteredOpenAI(t *testing.T, r route) []charge {
	t.Helper()
	ctx := t.Context()
	client := func(direct bool) openai.Client {
		if direct {
			return openaiClient(t, r.direct, vendorKey, 0)
		}
		return openaiClient(t, r.url, r.key, 0)
	}
	same(t, "chat", func(direct bool) (*openai.ChatCompletion, error) {
		return ptr(client(direct)).Chat.Completions.New(ctx, openaiParams("gpt-4o-mini", false))
	})
	same(t, "chat with a cache", func(direct bool) (*openai.ChatCompletion, error) {
		return ptr(client(direct)).Chat.Completions.New(ctx, openaiParams("gpt-4o", true))
	})
	for _, asked := range []bool{false, true} {
		same(t, "a stream of chat", func(direct bool) (string, error) {
			p := openaiParams("gpt-5", false)
			if asked {
				p.StreamOptions.IncludeUsage = openai.Bool(true)
			}
			s := ptr(client(direct)).Chat.Completions.NewStreaming(ctx, p)
			defer s.Close()
			var all strings.Builder
			var used, told int64
			for s.Next() {
				all.WriteString(s.Current().RawJSON())
				if c := s.Current(); c.Usage.TotalTokens > 0 || len(c.Choices) == 0 {
					told++
					used += c.Usage.TotalTokens
				}
			}
			if asked && (told != 1 || used != 94) || !asked && told != 0 {
				t.Errorf("usage is told %d times, of %d tokens", told, used)
			}
			return all.String(), s.Err()
		})
	}
	calls := theVendor.calls(r.name)
	for _, c := range calls[len(calls)-2:] {
		if !strings.Contains(c.Body, `"stream_options":{"include_usage":true}`) {
			t.Errorf("the vendor was not asked for usage: %s", c.Body)
		}
	}
	same(t, "an embedding", func(direct bool) (*openai.CreateEmbeddingResponse, error) {
		return ptr(client(direct)).Embeddings.New(ctx, openai.EmbeddingNewParams{
			Model: "text-embedding-3-small", Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("a text")},
		})
	})
	same(t, "a transcription", func(direct bool) (*openai.Transcription, error) {
		return ptr(client(direct)).Audio.Transcriptions.New(ctx, openai.AudioTranscriptionNewParams{
			Model: "whisper-1", File: openai.File(bytes.NewReader(make([]byte, 300_000)), "speech.mp3", "audio/mpeg"),
		})
	})
	// Nothing is sent that nobody could price.
	_, err := ptr(client(false)).Moderations.New(ctx, openai.ModerationNewParams{}, option.WithBaseURL(r.url+"/v1/assistants"))
	if refused := (*openai.Error)(nil); !errors.As(err, &refused) || refused.StatusCode != http.StatusForbidden || refused.Code != "not_priced" {
		t.Errorf("what has no price: %v", err)
	}
	return []charge{
		{"chat", "gpt-4o-mini-2024-07-18", "audio_in=0,audio_out=0,cached=0,completion=5,prompt=12", "0.0000048"},
		{"chat", "gpt-4o-2024-08-06", "audio_in=0,audio_out=0,cached=1152,completion=100,prompt=1220", "0.00261"},
		{"chat", "gpt-5-2025-08-07", "audio_in=0,audio_out=0,cached=0,completion=75,prompt=19", "0.00077375"},
		{"chat", "gpt-5-2025-08-07", "audio_in=0,audio_out=0,cached=0,completion=75,prompt=19", "0.00077375"},
		{"embeddings", "text-embedding-3-small", "prompt=5", "0.0000001"},
		{"transcriptions", "whisper-1", "usage=7", "0.0007"},
	}
}

func meteredAnthropic(t *testing.T, r route) []charge {
	t.Helper()
	for _, tools := range []bool{false, true} {
		same(t, "a stream of messages", func(direct bool) (string, error) {
			c := anthropicClient(t, r.url, r.key)
			if direct {
				c = anthropicClient(t, r.direct, vendorKey)
			}
			s := c.Messages.NewStreaming(t.Context(), anthropicParams("claude-haiku-4-5", tools))
			defer s.Close()
			var all strings.Builder
			for s.Next() {
				all.WriteString(s.Current().RawJSON())
			}
			return all.String(), s.Err()
		})
	}
	return []charge{
		{"messages", "claude-haiku-4-5-20251001", "cache_read=0,cache_write=0,cache_write_1h=0,input=16,output=28", "0.000156"},
		{"messages", "claude-haiku-4-5-20251001", "cache_read=0,cache_write=0,cache_write_1h=0,input=543,output=40", "0.000743"},
	}
}
