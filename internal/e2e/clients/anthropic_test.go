package clients_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
)

// anthropicClient speaks HTTP/2 without TLS, and so do the targets of its endpoints.
func anthropicClient(t *testing.T, base, key string) *anthropic.Client {
	t.Helper()
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return ptr(anthropic.NewClient(option.WithBaseURL(base), option.WithAPIKey(key), option.WithMaxRetries(1),
		option.WithHTTPClient(&http.Client{Transport: echoing{t, transport}})))
}

func anthropicParams(model string, tools bool) anthropic.MessageNewParams {
	p := anthropic.MessageNewParams{
		Model: anthropic.Model(model), MaxTokens: 1000,
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Generate one name for a pet pelican 🐦"))},
	}
	if tools {
		p.Tools = []anthropic.ToolUnionParam{{OfTool: &anthropic.ToolParam{
			Name: "pelican_name_generator", InputSchema: anthropic.ToolInputSchemaParam{Properties: map[string]any{}},
		}}}
	}
	return p
}

// Guarantee: a program that uses Anthropic's Go library sees the same through the gateway as from the vendor,
// over HTTP/2 on both sides: messages, streams, tool use, counts of tokens and uploads. The vendor gets the version that the library
// speaks, and the betas that it asks for.
func TestAnthropic(t *testing.T) {
	t.Parallel()
	r := newRoute(t, "anthropic-go", "anthropic", "X-Api-Key: "+vendorKey, "http=2")
	client := func(direct bool) *anthropic.Client {
		if direct {
			return anthropicClient(t, r.direct, vendorKey)
		}
		return anthropicClient(t, r.url, r.key)
	}
	ctx := t.Context()
	for name, tools := range map[string]bool{"a message": false, "a message with tools": true} {
		same(t, name, func(direct bool) (*anthropic.Message, error) {
			return client(direct).Messages.New(ctx, anthropicParams("claude-opus-4-1", tools))
		})
		m := same(t, name+", as a stream", func(direct bool) (anthropic.Message, error) {
			s := client(direct).Messages.NewStreaming(ctx, anthropicParams("claude-opus-4-1", tools))
			defer s.Close()
			var all anthropic.Message
			for s.Next() {
				if err := all.Accumulate(s.Current()); err != nil {
					return all, err
				}
			}
			return all, s.Err()
		})
		if tools && (m.StopReason != "tool_use" || len(m.Content) == 0 || m.Content[0].Name != "pelican_name_generator") {
			t.Errorf("%s: the stream says %+v", name, m)
		}
	}
	same(t, "a count of tokens", func(direct bool) (*anthropic.MessageTokensCount, error) {
		return client(direct).Messages.CountTokens(ctx, anthropic.MessageCountTokensParams{
			Model: "claude-opus-4-1", Messages: anthropicParams("", false).Messages,
		})
	})
	data := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(data)
	sum := sha256.Sum256(data)
	file := same(t, "an upload", func(direct bool) (*anthropic.BetaFileMetadata, error) {
		return client(direct).Beta.Files.Upload(ctx, anthropic.BetaFileUploadParams{
			File:  anthropic.File(bytes.NewReader(data), "report.pdf", "application/pdf"),
			Betas: []anthropic.AnthropicBeta{anthropic.AnthropicBetaFilesAPI2025_04_14},
		})
	})
	if file == nil || file.ID != hex.EncodeToString(sum[:]) {
		t.Errorf("the vendor keeps another file: %+v", file)
	}
	for _, c := range theVendor.calls(r.name) {
		if c.Proto != "HTTP/2.0" {
			t.Errorf("%s: the vendor got %s", c.Path, c.Proto)
		}
		if c.Header.Get("Anthropic-Version") != "2023-06-01" {
			t.Errorf("%s: the vendor got Anthropic-Version %q", c.Path, c.Header.Values("Anthropic-Version"))
		}
		if beta := c.Header.Get("Anthropic-Beta"); (c.Path == "/v1/files") != (beta == string(anthropic.AnthropicBetaFilesAPI2025_04_14)) {
			t.Errorf("%s: the vendor got Anthropic-Beta %q", c.Path, beta)
		}
	}
}

// Guarantee: what goes wrong looks to Anthropic's Go library as it does without the gateway: the vendor's
// errors, a 429 that is tried again, a stream that breaks off, and a caller who leaves a stream.
func TestAnthropicTrouble(t *testing.T) {
	t.Parallel()
	r := newRoute(t, "anthropic-go-trouble", "anthropic", "X-Api-Key: "+vendorKey, "http=2")
	client := anthropicClient(t, r.url, r.key)
	_, err := client.Messages.New(t.Context(), anthropicParams("refused", false))
	_, same := anthropicClient(t, r.direct, vendorKey).Messages.New(t.Context(), anthropicParams("refused", false))
	var got, want *anthropic.Error
	if !errors.As(err, &got) || !errors.As(same, &want) || got.StatusCode != want.StatusCode || got.RawJSON() != want.RawJSON() {
		t.Errorf("the vendor's error is %v in place of %v", err, same)
	}
	if _, err := client.Messages.New(t.Context(), anthropicParams("busy-anthropic-go", false)); err != nil {
		t.Errorf("after a 429: %v", err)
	}
	torn := client.Messages.NewStreaming(t.Context(), anthropicParams("torn-anthropic-go", false))
	for torn.Next() { // only how it ends matters
	}
	if torn.Err() == nil {
		t.Error("a stream that breaks off ends well")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	endless := client.Messages.NewStreaming(ctx, anthropicParams("endless-anthropic-go", false))
	if !endless.Next() {
		t.Fatalf("the endless stream: %v", endless.Err())
	}
	cancel()
	awaitClosed(t, "the end of a stream that the caller left", theVendor.tag("anthropic-go"))

	wrong := anthropicClient(t, r.url, "tgk_not-a-key")
	if _, err := wrong.Messages.New(t.Context(), anthropicParams("claude-opus-4-1", false)); !errors.As(err, &got) || got.StatusCode != http.StatusUnauthorized {
		t.Errorf("with a wrong key: %v", err)
	}
}
