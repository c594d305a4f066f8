package clients_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/openai/openai-go"
	"github.com/openai/openai-go/option"
	"github.com/openai/openai-go/shared"
	"github.com/tidwall/gjson"
)

func askChat(model string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Say \u2028 <&> 🙂")}}
}

// chatBy asks for a completion, as one answer or as a stream that the library puts together.
func chatBy(t *testing.T, client openai.Client, stream bool, p openai.ChatCompletionNewParams, opts ...option.RequestOption) (openai.ChatCompletion, error) {
	t.Helper()
	if !stream {
		c, err := client.Chat.Completions.New(t.Context(), p, opts...)
		if err != nil {
			return openai.ChatCompletion{}, err
		}
		return *c, nil
	}
	p.StreamOptions.IncludeUsage = openai.Bool(true)
	s := client.Chat.Completions.NewStreaming(t.Context(), p, opts...)
	defer s.Close()
	var all openai.ChatCompletionAccumulator
	for s.Next() {
		if !all.AddChunk(s.Current()) {
			t.Errorf("the library can't add %s", s.Current().RawJSON())
		}
	}
	return all.ChatCompletion, s.Err()
}

// Guarantee: a program that uses OpenAI's Go library gets answers of models of Anthropic as those of OpenAI's: texts to the last
// character, plain and as streams, with the vendor's usage and the name that was asked for. What the program says reaches the vendor.
func TestModelsOpenAI(t *testing.T) {
	t.Parallel()
	m := newModels(t, "go-chat")
	client := m.openai(t)
	for _, vendor := range []string{"anthropic", "openai", "chat"} {
		for _, stream := range []bool{false, true} {
			model := m.name + "/" + vendor + "/plain"
			p := askChat(model)
			p.Messages = append([]openai.ChatCompletionMessageParamUnion{openai.SystemMessage("Be brief."), openai.DeveloperMessage("Be kind.")}, p.Messages...)
			p.Stop = openai.ChatCompletionNewParamsStopUnion{OfStringArray: []string{"END"}}
			p.Temperature = openai.Float(0.5)
			var head *http.Response
			got, err := chatBy(t, client, stream, p, option.WithResponseInto(&head))
			if err != nil || len(got.Choices) != 1 {
				t.Errorf("%s, stream %v: %+v, %v", vendor, stream, got, err)
				continue
			}
			prompt := map[bool]int64{true: 130, false: 120}[vendor == "anthropic"]
			u := got.Usage
			if got.Choices[0].Message.Content != spoken+spokenOn || got.Choices[0].FinishReason != "stop" || u.PromptTokens != prompt ||
				!stream && u.PromptTokensDetails.CachedTokens != 20 || u.CompletionTokens != 30 || u.TotalTokens != prompt+30 {
				t.Errorf("%s, stream %v: %s", vendor, stream, text(t, got))
			}
			wantModel, by := saidModelOpenAI, head.Header.Get("X-Tollgate-Model")
			if vendor == "anthropic" {
				wantModel = model
			}
			if got.Model != wantModel || by != m.name+"/"+vendor+"/*/"+vendor || !strings.HasPrefix(got.ID, "chatcmpl-") || head.Header.Get("X-Request-Id") == "" {
				t.Errorf("%s, stream %v: model %s by %q, id %s, request %q", vendor, stream, got.Model, by, got.ID, head.Header.Get("X-Request-Id"))
			}
			sent := gjson.Parse(m.sent(t, vendor).Body)
			q, err := readConversation(map[bool]string{true: "messages", false: "chat"}[vendor == "anthropic"], sent)
			if err != nil || !strings.HasPrefix(q.system, "Be brief.") || !strings.HasSuffix(q.system, "Be kind.") || len(q.turns) != 1 ||
				q.turns[0].text != "Say \u2028 <&> 🙂" || len(q.stops) != 1 || q.stops[0] != "END" || sent.Get("temperature").Num != 0.5 || sent.Get("model").Str != "plain" {
				t.Errorf("%s, stream %v: the vendor got %s, %v", vendor, stream, sent.Raw, err)
			}
		}
	}
	// Usage comes only to those who ask, though the gateway needs it.
	for _, vendor := range []string{"anthropic", "openai"} {
		s := client.Chat.Completions.NewStreaming(t.Context(), askChat(m.name+"/"+vendor+"/plain"))
		for s.Next() {
			if c := s.Current(); len(c.Choices) != 1 || c.Usage.TotalTokens != 0 {
				t.Errorf("%s: %s", vendor, c.RawJSON())
			}
		}
		if err := s.Err(); err != nil {
			t.Errorf("%s: %v", vendor, err)
		}
		_ = s.Close()
	}
}

// Guarantee: what Anthropic's service really answered reads as completions: its texts and its calls of tools, plain and as streams.
func TestModelsOpenAIRecorded(t *testing.T) {
	t.Parallel()
	m := newModels(t, "go-chat-recorded")
	client := m.openai(t)
	for _, stream := range []bool{false, true} {
		direct, err := messageBy(t, m.anthropic(t), stream, askMessage(m.name+"/anthropic/recorded"))
		if err != nil {
			t.Fatal(err)
		}
		want := messageText(direct)
		got, err := chatBy(t, client, stream, askChat(m.name+"/anthropic/recorded"))
		if err != nil || got.Choices[0].Message.Content != want || want == "" || got.Usage.CompletionTokens != direct.Usage.OutputTokens {
			t.Errorf("stream %v: %s in place of %s, %v", stream, text(t, got), text(t, direct), err)
		}
		p := openaiParams(m.name+"/anthropic/recorded", true)
		got, err = chatBy(t, client, stream, p)
		if !stream { // the recording is of the turn behind the call
			if err != nil || !strings.Contains(got.Choices[0].Message.Content, "73°F") || got.Usage.CompletionTokens != 30 {
				t.Errorf("behind a tool: %s, %v", text(t, got), err)
			}
			continue
		}
		if err != nil || len(got.Choices[0].Message.ToolCalls) == 0 || !gjson.Valid(got.Choices[0].Message.ToolCalls[0].Function.Arguments) ||
			got.Choices[0].FinishReason != "tool_calls" {
			t.Errorf("tools, stream %v: %s, %v", stream, text(t, got), err)
		}
	}
	if _, err := chatBy(t, client, false, askChat(m.name+"/anthropic/plain")); err != nil { // for the books
		t.Error(err)
	}
}

// Guarantee: Responses are answered by vendors that know nothing of them, in the library's own objects and events, and as they are by
// the vendor that does.
func TestModelsResponses(t *testing.T) {
	t.Parallel()
	m := newModels(t, "go-responses")
	client := m.openai(t)
	for _, stream := range []bool{false, true} {
		for _, vendor := range []string{"anthropic", "chat"} {
			p := askResponses(m.name + "/" + vendor + "/plain")
			p.Instructions = openai.String("Be brief.")
			got, err := responseBy(t, client, stream, p)
			if err != nil {
				t.Errorf("%s, stream %v: %v", vendor, stream, err)
				continue
			}
			in := map[bool]int64{true: 130, false: 120}[vendor == "anthropic"]
			if got.OutputText() != spoken+spokenOn || got.Status != "completed" || got.Usage.InputTokens != in || got.Usage.OutputTokens != 30 ||
				got.Usage.InputTokensDetails.CachedTokens != 20 || got.Model != m.name+"/"+vendor+"/plain" || !strings.HasPrefix(got.ID, "resp_") {
				t.Errorf("%s, stream %v: %s", vendor, stream, got.RawJSON())
			}
			sent := m.sent(t, vendor).Body
			if q, err := readConversation(map[bool]string{true: "messages", false: "chat"}[vendor == "anthropic"], gjson.Parse(sent)); err != nil || q.system != "Be brief." {
				t.Errorf("%s, stream %v: the vendor got %s, %v", vendor, stream, sent, err)
			}
			p = askResponses(m.name + "/" + vendor + "/long")
			p.MaxOutputTokens = openai.Int(100)
			if got, err = responseBy(t, client, stream, p); err != nil || got.Status != "incomplete" || got.IncompleteDetails.Reason != "max_output_tokens" {
				t.Errorf("%s, stream %v, too long: %s, %v", vendor, stream, got.RawJSON(), err)
			}
		}
		got, err := responseBy(t, client, stream, askResponses(m.name+"/openai/recorded"))
		if err != nil || got.OutputText() == "" || got.Usage.OutputTokens == 0 {
			t.Errorf("as it is, stream %v: %s, %v", stream, got.RawJSON(), err)
		}
	}
}

// Guarantee: a wish to think reaches vendors of either language as theirs, and what they thought comes back where the caller's
// language has a place for it. An answer that was cut off, and one that ended with a stop sequence, say so.
func TestModelsThink(t *testing.T) {
	t.Parallel()
	m := newModels(t, "go-think")
	const thought = "Hm… 🤔 let me think."
	for _, stream := range []bool{false, true} {
		for _, vendor := range []string{"chat", "openai", "anthropic"} {
			p := askMessage(m.name + "/" + vendor + "/think")
			p.Thinking.OfEnabled = thinkingOf(2048)
			got, err := messageBy(t, m.anthropic(t), stream, p)
			if err != nil || len(got.Content) != 2 || got.Content[0].Type != "thinking" || got.Content[0].Thinking != thought || messageText(got) != spoken+spokenOn {
				t.Errorf("messages of %s, stream %v: %s, %v", vendor, stream, text(t, got), err)
				continue
			}
			// The next turn has the thoughts in it, which no vendor stumbles over.
			p.Messages = append(p.Messages, got.ToParam(), askMessage("").Messages[0])
			if _, err = messageBy(t, m.anthropic(t), stream, p); err != nil {
				t.Errorf("messages of %s, stream %v, next turn: %v", vendor, stream, err)
			}
			q := askMessage(m.name + "/" + vendor + "/long")
			if got, err = messageBy(t, m.anthropic(t), stream, q); err != nil || got.StopReason != "max_tokens" {
				t.Errorf("messages of %s, stream %v, too long: %s, %v", vendor, stream, text(t, got), err)
			}
		}
		for _, vendor := range []string{"anthropic", "chat"} {
			p := askChat(m.name + "/" + vendor + "/think")
			p.ReasoningEffort = shared.ReasoningEffortHigh
			got, err := chatBy(t, m.openai(t), stream, p)
			if err != nil || got.Choices[0].Message.Content != spoken+spokenOn {
				t.Errorf("chat of %s, stream %v: %s, %v", vendor, stream, text(t, got), err)
			}
			if r := got.Choices[0].Message.JSON.ExtraFields["reasoning_content"]; !stream && gjson.Parse(r.Raw()).Str != thought {
				t.Errorf("chat of %s: thoughts %q", vendor, r.Raw())
			}
			q := askChat(m.name + "/" + vendor + "/long")
			if got, err = chatBy(t, m.openai(t), stream, q); err != nil || got.Choices[0].FinishReason != "length" {
				t.Errorf("chat of %s, stream %v, too long: %s, %v", vendor, stream, text(t, got), err)
			}
			q = askChat(m.name + "/" + vendor + "/stop")
			q.Stop = openai.ChatCompletionNewParamsStopUnion{OfStringArray: []string{"END"}}
			if got, err = chatBy(t, m.openai(t), stream, q); err != nil || got.Choices[0].FinishReason != "stop" {
				t.Errorf("chat of %s, stream %v, stopped: %s, %v", vendor, stream, text(t, got), err)
			}
			r := askResponses(m.name + "/" + vendor + "/think")
			r.Reasoning = shared.ReasoningParam{Effort: shared.ReasoningEffortHigh}
			answered, err := responseBy(t, m.openai(t), stream, r)
			if err != nil || answered.OutputText() != spoken+spokenOn || len(answered.Output) < 2 || answered.Output[0].Type != "reasoning" {
				t.Errorf("responses of %s, stream %v: %s, %v", vendor, stream, answered.RawJSON(), err)
			}
		}
	}
}
