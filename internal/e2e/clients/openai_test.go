package clients_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/openai/openai-go"
	"github.com/openai/openai-go/option"
)

// echoing is a transport that compares the bytes that a client sends with those that the vendor says it got.
type echoing struct {
	t    *testing.T
	next http.RoundTripper
}

type hashedBody struct {
	io.ReadCloser
	hash.Hash
}

func (b *hashedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.Write(p[:n])
	return n, err
}

func (e echoing) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := &hashedBody{http.NoBody, sha256.New()}
	if r.Body != nil {
		sent.ReadCloser = r.Body
		r = r.Clone(r.Context())
		r.Body = sent
	}
	resp, err := e.next.RoundTrip(r)
	if err == nil && resp.Header.Get("X-Tollgate-Request-Id") == "" && strings.HasPrefix(r.URL.String(), theGateway.url) {
		e.t.Errorf("%s: the answer has no request id", r.URL)
	}
	if err == nil {
		if got := resp.Header.Get("X-Body-Sha256"); got != "" && got != hex.EncodeToString(sent.Sum(nil)) {
			e.t.Errorf("%s: the vendor got other bytes than were sent", r.URL)
		}
	}
	return resp, err
}

func openaiClient(t *testing.T, base, key string, retries int) openai.Client {
	t.Helper()
	return openai.NewClient(option.WithBaseURL(base+"/v1"), option.WithAPIKey(key), option.WithMaxRetries(retries),
		option.WithHTTPClient(&http.Client{Transport: echoing{t, http.DefaultTransport}}))
}

func openaiParams(model string, tools bool) openai.ChatCompletionNewParams {
	p := openai.ChatCompletionNewParams{
		Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Olá, wie geht’s? \u2028 <&> 🙂")},
	}
	if tools {
		p.Tools = []openai.ChatCompletionToolParam{{Function: openai.FunctionDefinitionParam{
			Name: "get_current_weather", Parameters: openai.FunctionParameters{"type": "object", "properties": map[string]any{"location": map[string]any{"type": "string"}}},
		}}}
	}
	return p
}

// same calls both ways and compares what a program sees.
func same[T any](t *testing.T, what string, f func(direct bool) (T, error)) T {
	t.Helper()
	got, err := f(false)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return got
	}
	want, err := f(true)
	if err != nil {
		t.Fatalf("%s, from the vendor itself: %v", what, err)
	}
	if a, b := text(t, got), text(t, want); a != b || len(a) < 10 {
		t.Errorf("%s: through the gateway\n%s\nfrom the vendor itself\n%s", what, a, b)
	}
	return got
}

func text(t *testing.T, v any) string {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// Guarantee: a program that uses OpenAI's Go library sees the same through the gateway as from the vendor:
// answers, streams, tool calls, embeddings, uploads and downloads.
func TestOpenAI(t *testing.T) {
	t.Parallel()
	r := newRoute(t, "openai-go", "openai", "Authorization: Bearer "+vendorKey, "http=1.1")
	client := func(direct bool) openai.Client {
		if direct {
			return openaiClient(t, r.direct, vendorKey, 0)
		}
		return openaiClient(t, r.url, r.key, 0)
	}
	ctx := t.Context()
	for name, tools := range map[string]bool{"chat": false, "chat with tools": true} {
		same(t, name, func(direct bool) (*openai.ChatCompletion, error) {
			return ptr(client(direct)).Chat.Completions.New(ctx, openaiParams("gpt-5", tools))
		})
		stream := same(t, name+", as a stream", func(direct bool) (openai.ChatCompletion, error) {
			s := ptr(client(direct)).Chat.Completions.NewStreaming(ctx, openaiParams("gpt-5", tools))
			defer s.Close()
			var all openai.ChatCompletionAccumulator
			for s.Next() {
				all.AddChunk(s.Current())
			}
			return all.ChatCompletion, s.Err()
		})
		if m := stream.Choices[0].Message; tools && m.ToolCalls[0].Function.Name != "get_current_weather" || !tools && !strings.Contains(m.Content, "Olá") {
			t.Errorf("%s: the stream says %+v", name, m)
		}
	}
	same(t, "embeddings", func(direct bool) (*openai.CreateEmbeddingResponse, error) {
		return ptr(client(direct)).Embeddings.New(ctx, openai.EmbeddingNewParams{
			Model: "text-embedding-3-small", Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("a text")},
		})
	})
	data := make([]byte, 5<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	same(t, "a transcription", func(direct bool) (*openai.Transcription, error) {
		return ptr(client(direct)).Audio.Transcriptions.New(ctx, openai.AudioTranscriptionNewParams{
			Model: "whisper-1", File: openai.File(bytes.NewReader(data[:1<<20]), "speech.mp3", "audio/mpeg"),
		})
	})
	file := same(t, "an upload", func(direct bool) (*openai.FileObject, error) {
		return ptr(client(direct)).Files.New(ctx, openai.FileNewParams{
			File: openai.File(bytes.NewReader(data), "batch ü.jsonl", "application/jsonl"), Purpose: openai.FilePurposeBatch,
		})
	})
	if sum := sha256.Sum256(data); file == nil || file.ID != hex.EncodeToString(sum[:]) || file.Filename != "batch ü.jsonl" {
		t.Fatalf("the vendor keeps another file: %+v", file)
	}
	content, err := ptr(client(false)).Files.Content(ctx, file.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Body.Close()
	if got, err := io.ReadAll(content.Body); err != nil || !bytes.Equal(got, data) {
		t.Errorf("the download has %d bytes, %v", len(got), err)
	}
}

func ptr[T any](v T) *T { return &v }

// Guarantee: many streams at once are each whole, and each is booked.
func TestOpenAICrowd(t *testing.T) {
	t.Parallel()
	r := newRoute(t, "openai-go-crowd", "openai", "Authorization: Bearer "+vendorKey, "http=1.1")
	client := openaiClient(t, r.url, r.key, 0)
	const crowd = 100
	got := make(chan string, crowd)
	for range crowd {
		go func() {
			s := client.Chat.Completions.NewStreaming(t.Context(), openaiParams("gpt-5", false))
			defer s.Close()
			var all openai.ChatCompletionAccumulator
			for s.Next() {
				all.AddChunk(s.Current())
			}
			if err := s.Err(); err != nil {
				got <- err.Error()
				return
			}
			got <- all.Choices[0].Message.Content + " " + fmt.Sprint(all.Usage.TotalTokens)
		}()
	}
	for range crowd {
		if text := <-got; text != "Olá! 94" {
			t.Errorf("a stream gives %q", text)
		}
	}
	if n := len(theVendor.calls(r.name)); n != crowd {
		t.Errorf("the vendor got %d requests", n)
	}
}

// Guarantee: what goes wrong looks to OpenAI's Go library as it does without the gateway. A vendor's error is
// its error, a 429 is tried again, a stream that breaks off does not end well, and a caller who leaves is gone
// at the vendor as well.
func TestOpenAITrouble(t *testing.T) {
	t.Parallel()
	r := newRoute(t, "openai-go-trouble", "openai", "Authorization: Bearer "+vendorKey, "http=1.1")
	client := openaiClient(t, r.url, r.key, 2)
	_, err := client.Chat.Completions.New(t.Context(), openaiParams("refused", false))
	_, same := ptr(openaiClient(t, r.direct, vendorKey, 2)).Chat.Completions.New(t.Context(), openaiParams("refused", false))
	var got, want *openai.Error
	if !errors.As(err, &got) || !errors.As(same, &want) || got.StatusCode != http.StatusBadRequest || got.RawJSON() != want.RawJSON() {
		t.Errorf("the vendor's error is %v in place of %v", err, same)
	}
	before := len(theVendor.calls(r.name))
	if _, err := client.Chat.Completions.New(t.Context(), openaiParams("busy-openai-go", false)); err != nil {
		t.Errorf("after a 429: %v", err)
	}
	if n := len(theVendor.calls(r.name)) - before; n != 2 {
		t.Errorf("the vendor got %d requests in place of one and another", n)
	}
	torn := client.Chat.Completions.NewStreaming(t.Context(), openaiParams("torn-openai-go", false))
	for torn.Next() { // only how it ends matters
	}
	if err := torn.Err(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a stream that breaks off ends with %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	endless := client.Chat.Completions.NewStreaming(ctx, openaiParams("endless-openai-go", false))
	if !endless.Next() {
		t.Fatalf("the endless stream: %v", endless.Err())
	}
	cancel()
	awaitClosed(t, "the end of a stream that the caller left", theVendor.tag("openai-go"))
	for endless.Next() { // what had arrived before
	}
	if err := endless.Err(); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller sees %v", err)
	}

	waiting, leave := context.WithCancel(t.Context())
	defer leave()
	left := make(chan error, 1)
	go func() {
		_, err := client.Chat.Completions.New(waiting, openaiParams("silent-openai-go-silent", false))
		left <- err
	}()
	arrived := func() error {
		for _, c := range theVendor.calls(r.name) {
			if strings.Contains(c.Body, "silent-openai-go-silent") {
				return nil
			}
		}
		return errors.New("the request has not arrived")
	}
	if err := eventually(arrived); err != nil {
		t.Fatal(err)
	}
	leave()
	awaitClosed(t, "the end of a request whose caller left before the answer", theVendor.tag("openai-go-silent"))
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller who left sees %v", err)
	}
}

// Guarantee: an exhausted budget and a wrong key are errors that OpenAI's Go library gives to its program at
// once, with the gateway's code and without asking again.
func TestOpenAIRefusals(t *testing.T) {
	t.Parallel()
	r := newRoute(t, "openai-go-refused", "openai", "Authorization: Bearer "+vendorKey, "http=1.1")
	must(t, "budget", "create", r.name, "--key", r.name, "--amount", "0.60", "--period", "total")
	// The budget is known at the edge once the key's requests are refused: two fit, whenever it begins.
	client := openaiClient(t, r.url, r.key, 2)
	var got *openai.Error
	for range 20 {
		if _, err := client.Chat.Completions.New(t.Context(), openaiParams("gpt-5", false)); errors.As(err, &got) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if got == nil || got.StatusCode != http.StatusPaymentRequired || got.Code != "budget_exhausted" {
		t.Fatalf("with nothing left: %v", got)
	}
	seen := len(theVendor.calls(r.name))
	sent := 0
	count := option.WithMiddleware(func(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
		sent++
		return next(r)
	})
	if _, err := client.Chat.Completions.New(t.Context(), openaiParams("gpt-5", false), count); !errors.As(err, &got) || got.Code != "budget_exhausted" || sent != 1 {
		t.Errorf("again: %v after %d requests", err, sent)
	}
	wrong := openaiClient(t, r.url, "tgk_not-a-key", 2)
	if _, err := wrong.Chat.Completions.New(t.Context(), openaiParams("gpt-5", false)); !errors.As(err, &got) || got.StatusCode != http.StatusUnauthorized {
		t.Errorf("with a wrong key: %v", err)
	}
	if n := len(theVendor.calls(r.name)); n != seen {
		t.Errorf("%d refused requests have reached the vendor", n-seen)
	}
}
