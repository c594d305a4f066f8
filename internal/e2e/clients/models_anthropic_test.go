package clients_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/tidwall/gjson"
)

// messageBy asks for a message, as one answer or as a stream that the library puts together.
func messageBy(t *testing.T, client *anthropic.Client, stream bool, p anthropic.MessageNewParams, opts ...option.RequestOption) (anthropic.Message, error) {
	t.Helper()
	if !stream {
		m, err := client.Messages.New(t.Context(), p, opts...)
		if err != nil {
			return anthropic.Message{}, err
		}
		return *m, nil
	}
	s := client.Messages.NewStreaming(t.Context(), p, opts...)
	defer s.Close()
	var all anthropic.Message
	for s.Next() {
		if err := all.Accumulate(s.Current()); err != nil {
			return all, err
		}
	}
	return all, s.Err()
}

func askMessage(model string) anthropic.MessageNewParams {
	return anthropic.MessageNewParams{
		Model: anthropic.Model(model), MaxTokens: 4000,
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Say \u2028 <&> 🙂"))},
	}
}

// messageText is the text of a message's blocks.
func messageText(m anthropic.Message) string {
	var all strings.Builder
	for _, b := range m.Content {
		all.WriteString(b.Text)
	}
	return all.String()
}

// Guarantee: a program that uses Anthropic's Go library gets answers of models of OpenAI as those of Anthropic's: texts to the last
// character, plain and as streams, with the vendor's usage, its reason for the end and the name that was asked for. What the program
// says reaches the vendor. Models of Anthropic answer as without translation.
func TestModelsAnthropic(t *testing.T) {
	t.Parallel()
	m := newModels(t, "go-messages")
	client := m.anthropic(t)
	for _, vendor := range []string{"openai", "chat", "anthropic"} {
		for _, stream := range []bool{false, true} {
			model := m.name + "/" + vendor + "/plain"
			p := askMessage(model)
			p.System = []anthropic.TextBlockParam{{Text: "Be brief."}, {Text: "Be kind."}}
			p.StopSequences = []string{"END"}
			p.Temperature = anthropic.Float(0.5)
			var head *http.Response
			got, err := messageBy(t, client, stream, p, option.WithResponseInto(&head))
			if err != nil {
				t.Errorf("%s, stream %v: %v", vendor, stream, err)
				continue
			}
			u := got.Usage
			if messageText(got) != spoken+spokenOn || len(got.Content) != 1 || got.StopReason != "end_turn" || got.Role != "assistant" {
				t.Errorf("%s, stream %v: %s", vendor, stream, text(t, got))
			}
			if u.InputTokens != 100 || u.CacheReadInputTokens != 20 || u.OutputTokens != 30 || u.CacheCreationInputTokens != map[string]int64{"anthropic": 10}[vendor] {
				t.Errorf("%s, stream %v: usage %+v", vendor, stream, u)
			}
			wantModel, by := model, head.Header.Get("X-Tollgate-Model")
			if vendor == "anthropic" {
				wantModel = saidModelAnthropic // as it came
			}
			if string(got.Model) != wantModel || by != m.name+"/"+vendor+"/*/"+vendor || !strings.HasPrefix(got.ID, "msg_") || head.Header.Get("Request-Id") == "" {
				t.Errorf("%s, stream %v: model %s by %q, id %s, request %q", vendor, stream, got.Model, by, got.ID, head.Header.Get("Request-Id"))
			}
			if translated := head.Header.Get("X-Of-The-Vendor") == ""; translated != (vendor != "anthropic") {
				t.Errorf("%s, stream %v: headers %v", vendor, stream, head.Header)
			}
			sent := gjson.Parse(m.sent(t, vendor).Body)
			q, err := readConversation(map[bool]string{true: "messages", false: "chat"}[vendor == "anthropic"], sent)
			if err != nil || !strings.Contains(q.system, "Be brief.") || !strings.HasSuffix(q.system, "Be kind.") || len(q.turns) != 1 ||
				q.turns[0].text != "Say \u2028 <&> 🙂" || len(q.stops) != 1 || q.stops[0] != "END" || sent.Get("temperature").Num != 0.5 || sent.Get("model").Str != "plain" {
				t.Errorf("%s, stream %v: the vendor got %s, %v", vendor, stream, sent.Raw, err)
			}
		}
	}
}

// Guarantee: what OpenAI's service really answered reads as messages: its texts and its calls of tools, plain and as streams.
func TestModelsAnthropicRecorded(t *testing.T) {
	t.Parallel()
	m := newModels(t, "go-messages-recorded")
	client := m.anthropic(t)
	for _, tools := range []bool{false, true} {
		for _, stream := range []bool{false, true} {
			p := askMessage(m.name + "/openai/recorded")
			if tools {
				p.Tools = weatherTools("get_current_weather", "convert")
			}
			got, err := messageBy(t, client, stream, p)
			if err != nil {
				t.Errorf("tools %v, stream %v: %v", tools, stream, err)
				continue
			}
			want := map[bool]string{false: "This is a test.", true: "Olá!"}[stream]
			if !tools && (messageText(got) != want || got.StopReason != "end_turn" || got.Usage.OutputTokens == 0) {
				t.Errorf("stream %v: %s", stream, text(t, got))
			}
			if tools && (got.StopReason != "tool_use" || got.Content[len(got.Content)-1].Name == "" || !gjson.ValidBytes(got.Content[len(got.Content)-1].Input)) {
				t.Errorf("tools, stream %v: %s", stream, text(t, got))
			}
		}
	}
	if _, err := messageBy(t, client, false, askMessage(m.name+"/openai/plain")); err != nil { // for the books
		t.Error(err)
	}
}

func weatherTools(names ...string) []anthropic.ToolUnionParam {
	var all []anthropic.ToolUnionParam
	for _, name := range names {
		all = append(all, anthropic.ToolUnionParam{OfTool: &anthropic.ToolParam{
			Name: name, Description: anthropic.String("A tool, \"" + name + "\""),
			InputSchema: anthropic.ToolInputSchemaParam{Properties: map[string]any{"city": map[string]any{"type": "string"}}, Required: []string{"city"}},
		}})
	}
	return all
}

func thinkingOf(budget int64) *anthropic.ThinkingConfigEnabledParam {
	return &anthropic.ThinkingConfigEnabledParam{BudgetTokens: budget}
}
