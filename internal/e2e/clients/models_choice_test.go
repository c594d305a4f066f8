package clients_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go"
	"github.com/openai/openai-go/option"
)

// Guarantee: images of a program reach vendors of either language as they are, by their bytes and by their URLs.
func TestModelsImages(t *testing.T) {
	t.Parallel()
	m := newModels(t, "go-images")
	const url = "https://images.example/a.png?x=1&y=2"
	data := base64.StdEncoding.EncodeToString(picture)
	want := "I see " + pictureNamed + " and " + url
	for _, vendor := range []string{"openai", "chat", "anthropic"} {
		for _, stream := range []bool{false, true} {
			p := askMessage(m.name + "/" + vendor + "/see")
			p.Messages = []anthropic.MessageParam{anthropic.NewUserMessage(
				anthropic.NewImageBlockBase64("image/png", data), anthropic.NewTextBlock("What is it?"),
				anthropic.NewImageBlock(anthropic.URLImageSourceParam{URL: url}),
			)}
			if got, err := messageBy(t, m.anthropic(t), stream, p); err != nil || messageText(got) != want {
				t.Errorf("messages of %s, stream %v: %s, %v", vendor, stream, text(t, got), err)
			}
			q := askChat(m.name + "/" + vendor + "/see")
			q.Messages = []openai.ChatCompletionMessageParamUnion{openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
				openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: "data:image/png;base64," + data}), openai.TextContentPart("What is it?"),
				openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: url}),
			})}
			if got, err := chatBy(t, m.openai(t), stream, q); err != nil || got.Choices[0].Message.Content != want {
				t.Errorf("chat of %s, stream %v: %s, %v", vendor, stream, text(t, got), err)
			}
		}
	}
}

// Guarantee: tokens are counted by the vendor in its own way, for nothing, and a vendor that can't count says so.
func TestModelsCountTokens(t *testing.T) {
	t.Parallel()
	m := newModels(t, "go-count")
	client := m.anthropic(t)
	for vendor, want := range map[string]int64{"openai": countedByOpenAI, "anthropic": countedByAnthropic} {
		p := anthropic.MessageCountTokensParams{Model: anthropic.Model(m.name + "/" + vendor + "/plain"), Messages: askMessage("").Messages}
		got, err := client.Messages.CountTokens(t.Context(), p)
		if err != nil || got.InputTokens != want {
			t.Errorf("%s: %+v, %v", vendor, got, err)
		}
	}
	_, err := client.Messages.CountTokens(t.Context(), anthropic.MessageCountTokensParams{Model: anthropic.Model(m.name + "/chat/plain"), Messages: askMessage("").Messages})
	var none *anthropic.Error
	if !errors.As(err, &none) || none.StatusCode != http.StatusNotFound || none.Type() != "not_found_error" {
		t.Errorf("a vendor that can't count: %v", err)
	}
	if _, err := messageBy(t, client, false, askMessage(m.name+"/openai/plain")); err != nil { // for the books
		t.Error(err)
	}
}

// Guarantee: a model of two vendors answers from the second as soon as the first is overloaded, in the middle of a conversation with
// tools and whatever language the program speaks, and each answer is charged at its own vendor's price. The program sees nothing of it
// but a header.
func TestModelsFailover(t *testing.T) {
	t.Parallel()
	m := newModels(t, "go-failover")
	must(t, "model", "create", m.name+"/both", "--deployment-name", "openai", "--template", "openai", "--url", theVendor.url+"/"+m.name+"-openai/v1",
		"--vendor-model", "weather", "--api-key-env", "VENDOR_KEY")
	must(t, "model", "add-deployment", m.name+"/both", "--deployment-name", "anthropic", "--template", "anthropic", "--url", theVendor.url+"/"+m.name+"-anthropic",
		"--vendor-model", "weather", "--api-key-env", "VENDOR_KEY")
	m.await(t, "both")
	names := []string{"get_weather", "convert"}
	for _, stream := range []bool{false, true} {
		for first := range 3 { // so many turns are OpenAI's
			what := fmt.Sprintf("%d turns, stream %v", first, stream)
			p := askMessage(m.name + "/both")
			p.Tools = weatherTools(names...)
			q := chatWithTools(askChat(m.name+"/both"), names)
			for turn := range 3 {
				theVendor.setDown(m.name+"-openai", turn >= first)
				by := map[bool]string{true: "anthropic", false: "openai"}[turn >= first]
				var head *http.Response
				got, err := messageBy(t, m.anthropic(t), stream, p, anthropicoption.WithResponseInto(&head), anthropicoption.WithMaxRetries(0))
				if err != nil {
					t.Errorf("messages, %s, turn %d: %v", what, turn, err)
					break
				}
				if served := head.Header.Get("X-Tollgate-Model"); served != m.name+"/both/"+by {
					t.Errorf("messages, %s, turn %d: served by %q", what, turn, served)
				}
				p.Messages = append(p.Messages, got.ToParam())
				var results []anthropic.ContentBlockParamUnion
				for _, b := range got.Content {
					if b.Type == "tool_use" {
						result, failed := ran(t, names, b.Name, string(b.Input))
						results = append(results, anthropic.NewToolResultBlock(b.ID, result, failed))
					}
				}
				if (results == nil) != (turn == 2) || turn == 2 && messageText(got) != resultParis+"; failed with "+resultOslo+"; "+resultConvert {
					t.Errorf("messages, %s, turn %d: %s", what, turn, text(t, got))
					break
				}
				p.Messages = append(p.Messages, anthropic.NewUserMessage(results...))

				answer, err := chatBy(t, m.openai(t), stream, q, option.WithResponseInto(&head))
				if err != nil {
					t.Errorf("chat, %s, turn %d: %v", what, turn, err)
					break
				}
				said := answer.Choices[0].Message
				if served := head.Header.Get("X-Tollgate-Model"); served != m.name+"/both/"+by || (len(said.ToolCalls) == 0) != (turn == 2) {
					t.Errorf("chat, %s, turn %d: served by %q: %s", what, turn, served, text(t, answer))
				}
				q.Messages = append(q.Messages, said.ToParam())
				for _, c := range said.ToolCalls {
					result, _ := ran(t, names, c.Function.Name, c.Function.Arguments)
					q.Messages = append(q.Messages, openai.ToolMessage(result, c.ID))
				}
			}
		}
	}
	theVendor.setDown(m.name+"-openai", true)
	theVendor.setDown(m.name+"-anthropic", true)
	_, err := messageBy(t, m.anthropic(t), false, askMessage(m.name+"/both"), anthropicoption.WithMaxRetries(0))
	var none *anthropic.Error
	if !errors.As(err, &none) || none.StatusCode != 529 || none.Type() != "overloaded_error" {
		t.Errorf("with both overloaded: %v", err)
	}
}

func chatWithTools(p openai.ChatCompletionNewParams, names []string) openai.ChatCompletionNewParams {
	for _, name := range names {
		p.Tools = append(p.Tools, openai.ChatCompletionToolParam{Function: openai.FunctionDefinitionParam{
			Name: name, Parameters: openai.FunctionParameters{"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}},
		}})
	}
	return p
}

// Guarantee: a deployment of Azure's form gets its model in the path, its version in the query and its key in its own header, from
// programs of either language.
func TestModelsAzure(t *testing.T) {
	t.Parallel()
	m := newModels(t, "go-azure")
	m.add(t, "east", "azure", "Api-Key: "+vendorKey, "--schema", "openai-chat", "--url", theVendor.url+"/"+m.name+"-azure/openai/deployments/plain-east?api-version=2024-10-21",
		"--header", "api-key: ${env:VENDOR_KEY}", "--vendor-model", "gpt-4o", "--price-per-request", price)
	m.await(t, "east")
	for _, stream := range []bool{false, true} {
		if got, err := messageBy(t, m.anthropic(t), stream, askMessage(m.name+"/east")); err != nil || messageText(got) != spoken+spokenOn {
			t.Errorf("messages, stream %v: %s, %v", stream, text(t, got), err)
		}
		if got, err := chatBy(t, m.openai(t), stream, askChat(m.name+"/east")); err != nil || got.Choices[0].Message.Content != spoken+spokenOn {
			t.Errorf("chat, stream %v: %s, %v", stream, text(t, got), err)
		}
	}
	m.checkVendor(t, "azure")
	calls := theVendor.calls(m.name + "-azure")
	for _, c := range calls {
		if c.Path != "/openai/deployments/plain-east/chat/completions" || c.Header.Get("Authorization") != "" || c.Header.Get("X-Api-Key") != "" {
			t.Errorf("it got %s with %v", c.Path, c.Header)
		}
	}
	if len(calls) != 4 {
		t.Errorf("it got %d requests", len(calls))
	}
	if _, err := messageBy(t, m.anthropic(t), false, askMessage(m.name+"/openai/plain")); err != nil { // for the books
		t.Error(err)
	}
}

// Guarantee: a model is found by its name, by another name of it and by the longest pattern, in that order; both libraries list those
// that their key may ask for, read one of them, and see no other.
func TestModelsNames(t *testing.T) {
	t.Parallel()
	m := newModels(t, "go-names")
	add := func(model, vendorModel string, more ...string) {
		t.Helper()
		must(t, append([]string{"model", "create", m.name + "/" + model, "--deployment-name", "openai", "--template", "openai", "--url", theVendor.url + "/" + m.name + "-openai/v1",
			"--vendor-model", vendorModel, "--api-key-env", "VENDOR_KEY"}, more...)...)
	}
	add("exact", "plain-exact", "--alias", m.name+"/other", "--alias", m.name+"/claude-alias")
	add("claude-*", "plain-claude-*")
	add("claude-opus-*", "plain-opus-*")
	m.await(t, "exact", "other", "claude-x", "claude-opus-x")
	key := strings.TrimSpace(must(t, "key", "create", m.name+"-narrow", "--endpoint", m.name, "--models", m.name+"/exact,"+m.name+"/claude-opus-*,"+m.name+"/*-alias"))
	awaitKey(t, m.name+"-narrow", m.name)
	for name, want := range map[string]string{
		"exact": "plain-exact", "other": "plain-exact", "claude-alias": "plain-exact", "claude-haiku-4-5": "plain-claude-haiku-4-5",
		"claude-opus-4-1": "plain-opus-4-1", "claude-opus-": "plain-opus-",
	} {
		mayNarrow := name == "exact" || name == "claude-alias" || strings.HasPrefix(name, "claude-opus-")
		for which, k := range map[string]string{"wide": m.key, "narrow": key} {
			before := len(theVendor.calls(m.name + "-openai"))
			got, err := messageBy(t, anthropicClient(t, m.url, k), false, askMessage(m.name+"/"+name), anthropicoption.WithMaxRetries(0))
			if which == "narrow" && !mayNarrow {
				var refused *anthropic.Error
				if !errors.As(err, &refused) || refused.StatusCode != http.StatusForbidden || len(theVendor.calls(m.name+"-openai")) != before {
					t.Errorf("%s with the narrow key: %v", name, err)
				}
				continue
			}
			if err != nil || string(got.Model) != m.name+"/"+name {
				t.Errorf("%s with the %s key: %s, %v", name, which, got.Model, err)
				continue
			}
			if sent := m.sent(t, "openai").Body; !strings.Contains(sent, `"model":"`+want+`"`) {
				t.Errorf("%s: the vendor got %s", name, sent)
			}
		}
	}
	var openaiList, anthropicList []string
	all := ptr(openaiClient(t, m.url, key, 0)).Models.ListAutoPaging(t.Context())
	for all.Next() {
		openaiList = append(openaiList, all.Current().ID)
	}
	pages := anthropicClient(t, m.url, key).Models.ListAutoPaging(t.Context(), anthropic.ModelListParams{Limit: anthropic.Int(1)})
	for pages.Next() {
		c := pages.Current()
		if anthropicList = append(anthropicList, c.ID); c.Type != "model" || c.DisplayName == "" || c.CreatedAt.IsZero() {
			t.Errorf("%s", c.RawJSON())
		}
	}
	if all.Err() != nil || pages.Err() != nil {
		t.Errorf("the lists: %v, %v", all.Err(), pages.Err())
	}
	slices.Sort(openaiList)
	slices.Sort(anthropicList)
	if !slices.Equal(openaiList, anthropicList) || !slices.Contains(openaiList, m.name+"/exact") || !slices.Contains(openaiList, m.name+"/claude-alias") ||
		slices.Contains(openaiList, m.name+"/other") || slices.ContainsFunc(openaiList, func(id string) bool { return !strings.HasPrefix(id, m.name+"/") }) {
		t.Errorf("the lists are %q and %q", openaiList, anthropicList)
	}
	if one, err := anthropicClient(t, m.url, key).Models.Get(t.Context(), m.name+"/exact", anthropic.ModelGetParams{}); err != nil || one.ID != m.name+"/exact" {
		t.Errorf("one of them: %+v, %v", one, err)
	}
	var none *openai.Error
	if _, err := ptr(openaiClient(t, m.url, key, 0)).Models.Get(t.Context(), m.name+"/other"); !errors.As(err, &none) || none.StatusCode != http.StatusNotFound || none.Code != "model_not_found" {
		t.Errorf("one that the key may not ask for: %v", err)
	}
}
