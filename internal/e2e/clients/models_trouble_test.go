package clients_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go"
	"github.com/openai/openai-go/responses"
)

// Guarantee: each kind of a vendor's error is to Anthropic's Go library the error that it would be at Anthropic: its status, its type,
// a request id, and when to try again. A vendor that refuses the gateway's own credential is no fault of the caller's key, and what it
// says of the credential stays here.
func TestModelsAnthropicErrors(t *testing.T) {
	t.Parallel()
	m := newModels(t, "go-messages-errors")
	client := m.anthropic(t)
	for _, tc := range []struct {
		what   string
		status int
		typ    string
	}{
		{"400", 400, "invalid_request_error"},
		{"400-context", 400, "invalid_request_error"},
		{"401", 502, "api_error"},
		{"402", 402, "billing_error"},
		{"403", 502, "api_error"},
		{"404", 404, "not_found_error"},
		{"409", 409, "conflict_error"},
		{"413", 413, "request_too_large"},
		{"422", 400, "invalid_request_error"},
		{"429", 429, "rate_limit_error"},
		{"429-quota", 402, "billing_error"},
		{"500", 500, "api_error"},
		{"503", 529, "overloaded_error"},
		{"504", 504, "timeout_error"},
	} {
		for _, stream := range []bool{false, true} {
			_, err := messageBy(t, client, stream, askMessage(m.name+"/openai/status-"+tc.what), anthropicoption.WithMaxRetries(0))
			var got *anthropic.Error
			if !errors.As(err, &got) {
				t.Errorf("%s, stream %v: %v", tc.what, stream, err)
				continue
			}
			if got.StatusCode != tc.status || string(got.Type()) != tc.typ || got.RequestID == "" || got.RequestID == "req_of_the_vendor" || strings.Contains(got.RawJSON(), vendorKey) {
				t.Errorf("%s, stream %v: %d %s %q %s", tc.what, stream, got.StatusCode, got.Type(), got.RequestID, got.RawJSON())
			}
			if after := got.Response.Header.Get("Retry-After"); (after == "7") != (tc.what == "429") {
				t.Errorf("%s, stream %v: Retry-After %q", tc.what, stream, after)
			}
			if long := strings.Contains(got.RawJSON(), `"prompt is too long:`); long != (tc.what == "400-context") {
				t.Errorf("%s, stream %v: %s", tc.what, stream, got.RawJSON())
			}
		}
	}
	if got, err := messageBy(t, client, false, askMessage(m.name+"/openai/busy-"+m.name)); err != nil || messageText(got) != spoken+spokenOn {
		t.Errorf("after a 429, which the library repeats: %v", err)
	}
}

// Guarantee: the same of OpenAI's Go library and Anthropic's errors, for Chat Completions and Responses.
func TestModelsOpenAIErrors(t *testing.T) {
	t.Parallel()
	m := newModels(t, "go-chat-errors")
	client := m.openai(t)
	for _, tc := range []struct {
		what      string
		status    int
		typ, code string
	}{
		{"400", 400, "invalid_request_error", ""},
		{"400-context", 400, "invalid_request_error", "context_length_exceeded"},
		{"401", 502, "server_error", "*"},
		{"402", 402, "insufficient_quota", "*"},
		{"403", 502, "server_error", "*"},
		{"404", 404, "invalid_request_error", "model_not_found"},
		{"413", 413, "invalid_request_error", "*"},
		{"429", 429, "rate_limit_error", "rate_limit_exceeded"},
		{"500", 500, "server_error", "*"},
		{"529", 503, "server_error", "overloaded"},
		{"504", 504, "server_error", "timeout"},
	} {
		for _, how := range []string{"chat", "stream", "responses", "responses' stream"} {
			model := m.name + "/anthropic/status-" + tc.what
			var err error
			switch how {
			case "responses", "responses' stream":
				_, err = responseBy(t, client, how != "responses", askResponses(model))
			default:
				_, err = chatBy(t, client, how == "stream", askChat(model))
			}
			var got *openai.Error
			if !errors.As(err, &got) {
				// What Responses say has an error type of its own in the library.
				t.Errorf("%s, %s: %T %v", tc.what, how, err, err)
				continue
			}
			if got.StatusCode != tc.status || got.Type != tc.typ || tc.code != "*" && got.Code != tc.code || got.Message == "" || strings.Contains(got.RawJSON(), vendorKey) ||
				got.Response.Header.Get("X-Request-Id") == "" || got.Response.Header.Get("X-Request-Id") == "req_of_the_vendor" {
				t.Errorf("%s, %s: %d %s %s %v", tc.what, how, got.StatusCode, got.Type, got.RawJSON(), got.Response.Header)
			}
			if after := got.Response.Header.Get("Retry-After"); (after == "7") != (tc.what == "429") {
				t.Errorf("%s, %s: Retry-After %q", tc.what, how, after)
			}
		}
	}
	if _, err := chatBy(t, openaiClient(t, m.url, m.key, 1), false, askChat(m.name+"/anthropic/busy-"+m.name)); err != nil {
		t.Errorf("after a 429, which the library repeats: %v", err)
	}
}

// Guarantee: what the gateway itself refuses is an error of the library's own kind: a wrong key, a model that is not there or not
// for the key, and what the vendor's language cannot say, by the name of its field. None of that reaches a vendor.
func TestModelsRefusals(t *testing.T) {
	t.Parallel()
	m := newModels(t, "go-refusals")
	none := anthropicoption.WithMaxRetries(0)
	search := askMessage(m.name + "/openai/plain")
	search.Tools = []anthropic.ToolUnionParam{{OfWebSearchTool20250305: &anthropic.WebSearchTool20250305Param{}}}
	prefill := askMessage(m.name + "/openai/plain")
	prefill.Messages = append(prefill.Messages, anthropic.NewAssistantMessage(anthropic.NewTextBlock("Once")))
	narrow := strings.TrimSpace(must(t, "key", "create", m.name+"-narrow", "--endpoint", m.name, "--models", m.name+"/anthropic/*"))
	awaitKey(t, m.name+"-narrow", m.name)
	for name, tc := range map[string]struct {
		key    string
		p      anthropic.MessageNewParams
		status int
		typ    string
		code   string
		says   string
	}{
		"wrong key":    {"tgk_not-a-key", askMessage(m.name + "/openai/plain"), 401, "authentication_error", "key_unknown", ""},
		"no model":     {m.key, askMessage(m.name + "/nobody"), 404, "not_found_error", "model_not_found", m.name + "/nobody"},
		"not for it":   {narrow, askMessage(m.name + "/openai/plain"), 403, "permission_error", "model_not_allowed", ""},
		"server tool":  {m.key, search, 400, "invalid_request_error", "request_unsupported", "web_search"},
		"to be ended":  {m.key, prefill, 400, "invalid_request_error", "request_unsupported", "messages"},
		"no max_token": {m.key, anthropic.MessageNewParams{Model: anthropic.Model(m.name + "/openai/plain"), Messages: search.Messages}, 400, "invalid_request_error", "*", "max_tokens"},
	} {
		for _, stream := range []bool{false, true} {
			_, err := messageBy(t, anthropicClient(t, m.url, tc.key), stream, tc.p, none)
			var got *anthropic.Error
			if !errors.As(err, &got) || got.StatusCode != tc.status || string(got.Type()) != tc.typ || got.RequestID == "" || !strings.Contains(got.RawJSON(), tc.says) ||
				tc.code != "*" && got.Response.Header.Get("X-Tollgate-Error") != tc.code {
				t.Errorf("messages, %s, stream %v: %v", name, stream, err)
				if got != nil {
					t.Errorf("%d %s %v", got.StatusCode, got.Type(), got.Response.Header)
				}
			}
		}
	}
	twice := askChat(m.name + "/anthropic/plain")
	twice.N = openai.Int(2)
	for name, tc := range map[string]struct {
		key    string
		p      openai.ChatCompletionNewParams
		status int
		code   string
	}{
		"wrong key":  {"tgk_not-a-key", askChat(m.name + "/anthropic/plain"), 401, "invalid_api_key"},
		"no model":   {m.key, askChat(m.name + "/nobody"), 404, "model_not_found"},
		"not for it": {narrow, askChat(m.name + "/openai/plain"), 403, "permission_denied"},
		"twice":      {m.key, twice, 400, ""},
	} {
		_, err := chatBy(t, openaiClient(t, m.url, tc.key, 0), false, tc.p)
		var got *openai.Error
		if !errors.As(err, &got) || got.StatusCode != tc.status || tc.code != "" && got.Code != tc.code || got.Message == "" {
			t.Errorf("chat, %s: %v", name, err)
		}
		if name == "twice" && got != nil && (got.Param != "n" || got.Type != "invalid_request_error") {
			t.Errorf("chat, %s: param %q, %v", name, got.Param, err)
		}
	}
	for _, vendor := range []string{"openai", "anthropic", "chat"} {
		if n := len(theVendor.calls(m.name + "-" + vendor)); n != 0 {
			t.Errorf("%d refused requests have reached %s", n, vendor)
		}
	}
}

// Guarantee: a stream that breaks off, or in which the vendor reports an error, ends with an error in every library, after what was
// said before it, and never as if it were whole.
func TestModelsTornStreams(t *testing.T) {
	t.Parallel()
	m := newModels(t, "go-torn")
	for _, how := range []string{"torn", "failing"} {
		for _, vendor := range []string{"openai", "chat", "anthropic"} {
			model := m.name + "/" + vendor + "/" + how + "-" + m.name
			s := m.anthropic(t).Messages.NewStreaming(t.Context(), askMessage(model), anthropicoption.WithMaxRetries(0))
			said, stopped := "", false
			for s.Next() {
				e := s.Current()
				said += e.Delta.Text
				stopped = stopped || e.Type == "message_stop"
			}
			if s.Err() == nil || stopped || said == "" || !strings.HasPrefix(spoken+spokenOn, said) {
				t.Errorf("messages of %s, %s: %q, %v", vendor, how, said, s.Err())
			}
			_ = s.Close()
			c := ptr(m.openai(t)).Chat.Completions.NewStreaming(t.Context(), askChat(model))
			said = ""
			for c.Next() {
				for _, choice := range c.Current().Choices {
					said += choice.Delta.Content
					stopped = stopped || choice.FinishReason != ""
				}
			}
			if c.Err() == nil || stopped || said == "" || !strings.HasPrefix(spoken+spokenOn, said) {
				t.Errorf("chat of %s, %s: %q, %v", vendor, how, said, c.Err())
			}
			_ = c.Close()
			if vendor == "openai" {
				continue
			}
			r := ptr(m.openai(t)).Responses.NewStreaming(t.Context(), askResponses(model))
			said = ""
			var last responses.ResponseStreamEventUnion
			for r.Next() {
				if last = r.Current(); last.Type == "response.output_text.delta" {
					said += last.Delta.OfString
				}
			}
			failed := r.Err() != nil || last.Type == "error" || last.Type == "response.failed"
			if !failed || said == "" || !strings.HasPrefix(spoken+spokenOn, said) {
				t.Errorf("responses of %s, %s: %q, %v, %s", vendor, how, said, r.Err(), last.RawJSON())
			}
			_ = r.Close()
		}
	}
	if _, err := messageBy(t, m.anthropic(t), false, askMessage(m.name+"/openai/plain")); err != nil { // for the books
		t.Error(err)
	}
}

// Guarantee: a caller who leaves is gone at a vendor of another language as well, in mid-stream and before the answer.
func TestModelsLeaving(t *testing.T) {
	t.Parallel()
	m := newModels(t, "go-leaving")
	for _, vendor := range []string{"openai", "anthropic"} {
		endless := func(lib string) (model, tag string) {
			tag = m.name + vendor + lib
			return m.name + "/" + vendor + "/endless-" + tag, tag
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		model, tag := endless("messages")
		s := m.anthropic(t).Messages.NewStreaming(ctx, askMessage(model))
		for s.Next() && s.Current().Delta.Text == "" { // until something is said
		}
		if s.Err() != nil {
			t.Fatalf("%s: %v", vendor, s.Err())
		}
		cancel()
		awaitClosed(t, "the end of a stream of messages of "+vendor, theVendor.tag(tag))

		ctx, cancel = context.WithCancel(t.Context())
		defer cancel()
		model, tag = endless("chat")
		c := ptr(m.openai(t)).Chat.Completions.NewStreaming(ctx, askChat(model))
		for c.Next() && c.Current().Choices[0].Delta.Content == "" {
		}
		if c.Err() != nil {
			t.Fatalf("%s: %v", vendor, c.Err())
		}
		cancel()
		awaitClosed(t, "the end of a stream of chat of "+vendor, theVendor.tag(tag))

		waiting, leave := context.WithCancel(t.Context())
		defer leave()
		tag = m.name + vendor + "silent"
		left := make(chan error, 2)
		go func() {
			_, err := m.anthropic(t).Messages.New(waiting, askMessage(m.name+"/"+vendor+"/silent-"+tag))
			left <- err
		}()
		if err := eventually(func() error {
			for _, c := range theVendor.calls(m.name + "-" + vendor) {
				if strings.Contains(c.Body, tag) {
					return nil
				}
			}
			return errors.New("the request has not arrived")
		}); err != nil {
			t.Fatal(err)
		}
		leave()
		awaitClosed(t, "the end of a request to "+vendor, theVendor.tag(tag))
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("the caller who left sees %v", err)
		}
	}
	if _, err := messageBy(t, m.anthropic(t), false, askMessage(m.name+"/openai/plain")); err != nil { // for the books
		t.Error(err)
	}
}
