package clients_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/toolrunner"
	"github.com/openai/openai-go"
	"github.com/openai/openai-go/packages/param"
	"github.com/openai/openai-go/responses"
	"github.com/openai/openai-go/shared"
)

// What tools answer, and an image that one of them shows.
const (
	resultParis   = "21 °C <&> \u2028"
	resultOslo    = "no such city"
	resultConvert = "70 °F"
)

var picture = []byte("\x89PNG\r\n\x1a\n and the rest of a picture")

var pictureNamed, _ = imageOf("data:image/png;base64," + base64.StdEncoding.EncodeToString(picture))

// longName is the name of a tool that Messages takes and Chat Completions does not.
var longName = "get_weather_" + strings.Repeat("of_a_place_", 9)

// ran is what the tools of these tests answer to a call, and whether they fail.
func ran(t *testing.T, names []string, name, input string) (result string, failed bool) {
	t.Helper()
	switch {
	case name == names[0] && sameInput(input, inputParis):
		return resultParis, false
	case name == names[0] && sameInput(input, inputOslo):
		return resultOslo, true
	case name == names[1] && sameInput(input, inputConvert):
		return resultConvert, false
	}
	t.Errorf("the tool %q is called with %s", name, input)
	return "", true
}

// Guarantee: tools that a program with Anthropic's Go library offers are called by models of any vendor, in several turns, at once
// and one by one, with inputs to the last digit; what they answer, their errors and images reach the vendor, which knows its calls
// again. Names that the vendor's language is too short for come back as they were.
func TestModelsAnthropicTools(t *testing.T) {
	t.Parallel()
	m := newModels(t, "go-messages-tools")
	client := m.anthropic(t)
	for _, vendor := range []string{"openai", "chat", "anthropic"} {
		for _, names := range [][]string{{"get_weather", "convert"}, {longName, longName + "other"}} {
			for _, mode := range []struct{ stream, single bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
				what := fmt.Sprintf("%s, tool %.12s, %+v", vendor, names[0], mode)
				p := askMessage(m.name + "/" + vendor + "/weather")
				p.Tools = weatherTools(names...)
				if mode.single {
					p.ToolChoice = anthropic.ToolChoiceUnionParam{OfAuto: &anthropic.ToolChoiceAutoParam{DisableParallelToolUse: anthropic.Bool(true)}}
				}
				final, turns := messageTools(t, client, what, mode.stream, names, p)
				want := resultParis + "; failed with " + resultOslo + "; " + resultConvert
				if got := messageText(final); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "; "+pictureNamed) || final.StopReason != "end_turn" {
					t.Errorf("%s: %s", what, text(t, final))
				}
				if turns != map[bool]int{false: 3, true: 4}[mode.single] {
					t.Errorf("%s: %d turns", what, turns)
				}
			}
		}
	}
}

// messageTools runs tools until a message calls none.
func messageTools(t *testing.T, client *anthropic.Client, what string, stream bool, names []string, p anthropic.MessageNewParams) (anthropic.Message, int) {
	t.Helper()
	for turns := 1; ; turns++ {
		got, err := messageBy(t, client, stream, p)
		if err != nil {
			t.Errorf("%s, turn %d: %v", what, turns, err)
			return got, turns
		}
		var results []anthropic.ContentBlockParamUnion
		for _, b := range got.Content {
			if b.Type != "tool_use" {
				continue
			}
			result, failed := ran(t, names, b.Name, string(b.Input))
			block := anthropic.NewToolResultBlock(b.ID, result, failed)
			if result == resultConvert {
				block.OfToolResult.Content = append(block.OfToolResult.Content, anthropic.ToolResultBlockParamContentUnion{OfImage: &anthropic.ImageBlockParam{
					Source: anthropic.ImageBlockParamSourceUnion{OfBase64: &anthropic.Base64ImageSourceParam{
						Data: base64.StdEncoding.EncodeToString(picture), MediaType: anthropic.Base64ImageSourceMediaTypeImagePNG,
					}},
				}})
			}
			results = append(results, block)
		}
		if (got.StopReason == "tool_use") != (results != nil) || turns == 6 {
			t.Errorf("%s, turn %d: %s", what, turns, text(t, got))
			return got, turns
		}
		if results == nil {
			return got, turns
		}
		p.Messages = append(p.Messages, got.ToParam(), anthropic.NewUserMessage(results...))
	}
}

// Guarantee: the runner of tools in Anthropic's Go library works with models of any vendor, plain and as streams. It keeps numbers of
// tools' inputs as floats, so that theirs are plain here.
func TestModelsToolRunner(t *testing.T) {
	t.Parallel()
	m := newModels(t, "go-tool-runner")
	client := m.anthropic(t)
	tool := func(name string) anthropic.BetaTool {
		made, err := toolrunner.NewBetaToolFromBytes(name, "A tool", []byte(`{"type":"object","properties":{"city":{"type":"string"}}}`),
			func(_ context.Context, input json.RawMessage) (anthropic.BetaToolResultBlockParamContentUnion, error) {
				result := "warm in " + name
				if sameInput(string(input), plainOslo) {
					return anthropic.BetaToolResultBlockParamContentUnion{}, fmt.Errorf("nobody knows")
				}
				return anthropic.BetaToolResultBlockParamContentUnion{OfText: &anthropic.BetaTextBlockParam{Text: result}}, nil
			})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	for _, vendor := range []string{"openai", "anthropic"} {
		p := anthropic.BetaToolRunnerParams{MaxIterations: 6, BetaMessageNewParams: anthropic.BetaMessageNewParams{
			Model: anthropic.Model(m.name + "/" + vendor + "/forecast"), MaxTokens: 1000,
			Messages: []anthropic.BetaMessageParam{anthropic.NewBetaUserMessage(anthropic.NewBetaTextBlock("How is it?"))},
		}}
		tools := []anthropic.BetaTool{tool("outside"), tool("inside")}
		last, err := client.Beta.Messages.NewToolRunner(tools, p).RunToCompletion(t.Context())
		if err != nil {
			t.Errorf("%s: %v", vendor, err)
			continue
		}
		const want = "warm in outside; failed with Error: nobody knows; warm in inside"
		if len(last.Content) != 1 || last.Content[0].Text != want {
			t.Errorf("%s: %s", vendor, last.RawJSON())
		}
		said := ""
		for events, err := range client.Beta.Messages.NewToolRunnerStreaming(tools, p).AllStreaming(t.Context()) {
			if err != nil {
				t.Errorf("%s, streaming: %v", vendor, err)
				break
			}
			turn := ""
			for e := range events {
				if delta, ok := e.AsAny().(anthropic.BetaRawContentBlockDeltaEvent); ok {
					turn += delta.Delta.Text
				}
			}
			if turn != "" {
				said = turn
			}
		}
		if said != want {
			t.Errorf("%s, streaming: %q", vendor, said)
		}
	}
}

// Guarantee: the same of OpenAI's Go library and Chat Completions.
func TestModelsOpenAITools(t *testing.T) {
	t.Parallel()
	m := newModels(t, "go-chat-tools")
	names := []string{"get_weather", "convert"}
	for _, vendor := range []string{"anthropic", "openai", "chat"} {
		for _, mode := range []struct{ stream, single bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
			what := fmt.Sprintf("%s, %+v", vendor, mode)
			p := askChat(m.name + "/" + vendor + "/weather")
			p = chatWithTools(p, names)
			if mode.single {
				p.ParallelToolCalls = openai.Bool(false)
			}
			final, turns := chatTools(t, m.openai(t), what, mode.stream, names, p)
			if final != resultParis+"; "+resultOslo+"; "+resultConvert || turns != map[bool]int{false: 3, true: 4}[mode.single] {
				t.Errorf("%s: %q after %d turns", what, final, turns)
			}
		}
	}
}

// chatTools runs tools until an answer calls none.
func chatTools(t *testing.T, client openai.Client, what string, stream bool, names []string, p openai.ChatCompletionNewParams) (string, int) {
	t.Helper()
	for turns := 1; ; turns++ {
		got, err := chatBy(t, client, stream, p)
		if err != nil || len(got.Choices) != 1 {
			t.Errorf("%s, turn %d: %+v, %v", what, turns, got, err)
			return "", turns
		}
		said := got.Choices[0].Message
		if calls := len(said.ToolCalls) > 0; (got.Choices[0].FinishReason == "tool_calls") != calls || turns == 6 {
			t.Errorf("%s, turn %d: %s", what, turns, text(t, got))
			return "", turns
		} else if !calls {
			return said.Content, turns
		}
		p.Messages = append(p.Messages, said.ToParam())
		for _, c := range said.ToolCalls {
			result, _ := ran(t, names, c.Function.Name, c.Function.Arguments)
			p.Messages = append(p.Messages, openai.ToolMessage(result, c.ID))
		}
	}
}

// Guarantee: the same of Responses, for vendors that know nothing of them.
func TestModelsResponsesTools(t *testing.T) {
	t.Parallel()
	m := newModels(t, "go-responses-tools")
	client := m.openai(t)
	names := []string{"get_weather", "convert"}
	for _, vendor := range []string{"anthropic", "chat"} {
		for _, stream := range []bool{false, true} {
			what := fmt.Sprintf("%s, stream %v", vendor, stream)
			p := askResponses(m.name + "/" + vendor + "/weather")
			for _, name := range names {
				p.Tools = append(p.Tools, responses.ToolParamOfFunction(name, map[string]any{"type": "object", "properties": map[string]any{}}, false))
			}
			for turns := 1; ; turns++ {
				got, err := responseBy(t, client, stream, p)
				if err != nil {
					t.Errorf("%s, turn %d: %v", what, turns, err)
					break
				}
				var results []responses.ResponseInputItemUnionParam
				for _, item := range got.Output {
					p.Input.OfInputItemList = append(p.Input.OfInputItemList, param.Override[responses.ResponseInputItemUnionParam](json.RawMessage(item.RawJSON())))
					if item.Type == "function_call" {
						result, _ := ran(t, names, item.Name, item.Arguments)
						results = append(results, responses.ResponseInputItemParamOfFunctionCallOutput(item.CallID, result))
					}
				}
				if results == nil || turns == 6 {
					if want := resultParis + "; " + resultOslo + "; " + resultConvert; got.OutputText() != want || turns != 3 {
						t.Errorf("%s, turn %d: %s", what, turns, got.RawJSON())
					}
					break
				}
				p.Input.OfInputItemList = append(p.Input.OfInputItemList, results...)
			}
		}
	}
}

func askResponses(model string) responses.ResponseNewParams {
	return responses.ResponseNewParams{
		Model: shared.ResponsesModel(model), Store: openai.Bool(false),
		Input: responses.ResponseNewParamsInputUnion{OfInputItemList: responses.ResponseInputParam{
			responses.ResponseInputItemParamOfMessage("Say \u2028 <&> 🙂", responses.EasyInputMessageRoleUser),
		}},
	}
}

// responseBy asks for a response, as one answer or as a stream whose deltas must say the same as its end.
func responseBy(t *testing.T, client openai.Client, stream bool, p responses.ResponseNewParams) (responses.Response, error) {
	t.Helper()
	if !stream {
		r, err := client.Responses.New(t.Context(), p)
		if err != nil {
			return responses.Response{}, err
		}
		return *r, nil
	}
	s := client.Responses.NewStreaming(t.Context(), p)
	defer s.Close()
	var all responses.Response
	said, last := "", ""
	for s.Next() {
		e := s.Current()
		if last = e.Type; e.Type == "response.output_text.delta" {
			said += e.Delta.OfString
		}
		if e.Type == "response.completed" || e.Type == "response.incomplete" {
			all = e.Response
		}
	}
	if s.Err() == nil && (said != all.OutputText() || last != "response.completed" && last != "response.incomplete") {
		t.Errorf("the stream says %q and in the end %q, with %s", said, all.OutputText(), last)
	}
	return all, s.Err()
}
