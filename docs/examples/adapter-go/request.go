package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"tollgate/sdk/adapter"
)

// cohere translates between Chat Completions and Cohere's v2 chat API.
type cohere struct{}

// kept is what the answer needs to know of the request.
type kept struct {
	Model   string `json:"model"` // as the caller named it
	Created int64  `json:"created"`
	Usage   bool   `json:"usage"` // a stream is to end with it
}

// chatRequest is a request of Chat Completions, as far as it is looked into. Numbers are passed on as they were written.
type chatRequest struct {
	Model               string          `json:"model"`
	Messages            []chatMessage   `json:"messages"`
	Stream              bool            `json:"stream"`
	StreamOptions       streamOptions   `json:"stream_options"`
	MaxTokens           json.RawMessage `json:"max_tokens"`
	MaxCompletionTokens json.RawMessage `json:"max_completion_tokens"`
	Temperature         json.RawMessage `json:"temperature"`
	TopP                json.RawMessage `json:"top_p"`
	Seed                json.RawMessage `json:"seed"`
	FrequencyPenalty    json.RawMessage `json:"frequency_penalty"`
	PresencePenalty     json.RawMessage `json:"presence_penalty"`
	Stop                json.RawMessage `json:"stop"`
	Tools               []chatTool      `json:"tools"`
	ToolChoice          json.RawMessage `json:"tool_choice"`
	ParallelToolCalls   *bool           `json:"parallel_tool_calls"`
	ResponseFormat      *chatFormat     `json:"response_format"`
	ReasoningEffort     string          `json:"reasoning_effort"`
	N                   *int            `json:"n"`
	Logprobs            bool            `json:"logprobs"`
	Modalities          []string        `json:"modalities"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type chatMessage struct {
	Role       string          `json:"role"`
	Content    json.RawMessage `json:"content"`
	ToolCalls  []toolCall      `json:"tool_calls"`
	ToolCallID string          `json:"tool_call_id"`
}

type chatPart struct {
	Type     string          `json:"type"`
	Text     string          `json:"text"`
	ImageURL json.RawMessage `json:"image_url"`
	Refusal  string          `json:"refusal"`
}

type chatTool struct {
	Type     string          `json:"type"`
	Function json.RawMessage `json:"function"`
}

type chatFormat struct {
	Type       string `json:"type"`
	JSONSchema struct {
		Schema json.RawMessage `json:"schema"`
	} `json:"json_schema"`
}

// toolCall reads the same in both schemas.
type toolCall struct {
	Index    *int         `json:"index,omitempty"` // in streams of Chat Completions
	ID       string       `json:"id,omitempty"`
	Type     string       `json:"type,omitempty"`
	Function functionCall `json:"function"`
}

type functionCall struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

// cohereRequest is what Cohere's v2 chat API takes.
type cohereRequest struct {
	Model            string          `json:"model"`
	Messages         []cohereMessage `json:"messages"`
	Stream           bool            `json:"stream"`
	MaxTokens        json.RawMessage `json:"max_tokens,omitempty"`
	Temperature      json.RawMessage `json:"temperature,omitempty"`
	P                json.RawMessage `json:"p,omitempty"`
	Seed             json.RawMessage `json:"seed,omitempty"`
	FrequencyPenalty json.RawMessage `json:"frequency_penalty,omitempty"`
	PresencePenalty  json.RawMessage `json:"presence_penalty,omitempty"`
	StopSequences    []string        `json:"stop_sequences,omitempty"`
	Tools            []cohereTool    `json:"tools,omitempty"`
	ToolChoice       string          `json:"tool_choice,omitempty"`
	ResponseFormat   *cohereFormat   `json:"response_format,omitempty"`
	Thinking         *thinking       `json:"thinking,omitempty"`
}

type cohereMessage struct {
	Role       string     `json:"role"`
	Content    any        `json:"content,omitempty"` // text, or parts
	ToolPlan   string     `json:"tool_plan,omitempty"`
	ToolCalls  []toolCall `json:"tool_calls,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
}

type coherePart struct {
	Type     string          `json:"type"`
	Text     string          `json:"text,omitempty"`
	ImageURL json.RawMessage `json:"image_url,omitempty"`
}

type cohereTool struct {
	Type     string          `json:"type"`
	Function json.RawMessage `json:"function"`
}

type cohereFormat struct {
	Type       string          `json:"type"`
	JSONSchema json.RawMessage `json:"json_schema,omitempty"`
}

type thinking struct {
	Type string `json:"type"`
}

// TranslateRequest makes a request to Cohere of one of Chat Completions.
func (cohere) TranslateRequest(_ context.Context, call *adapter.Call, request *adapter.Request) (*adapter.Request, error) {
	if call.Role != adapter.Vendor {
		return nil, fmt.Errorf("this adapter translates for a vendor, and is registered as a %s's", call.Role)
	}
	var in chatRequest
	if err := json.Unmarshal(request.Body, &in); err != nil {
		return nil, adapter.Refuse(http.StatusBadRequest, "", "The request is not one of Chat Completions: %s.", err)
	}
	if err := refuse(&in); err != nil {
		return nil, err
	}
	out := cohereRequest{
		Model: call.Model, Stream: in.Stream, Temperature: in.Temperature, P: in.TopP, Seed: in.Seed,
		FrequencyPenalty: in.FrequencyPenalty, PresencePenalty: in.PresencePenalty, MaxTokens: in.MaxCompletionTokens,
	}
	if out.MaxTokens == nil {
		out.MaxTokens = in.MaxTokens
	}
	var err error
	if out.StopSequences, err = stops(in.Stop); err != nil {
		return nil, err
	}
	for i, m := range in.Messages {
		translated, err := message(&m, fmt.Sprintf("messages[%d]", i))
		if err != nil {
			return nil, err
		}
		out.Messages = append(out.Messages, translated)
	}
	if err := tools(&in, &out); err != nil {
		return nil, err
	}
	if f := in.ResponseFormat; f != nil && f.Type != "text" {
		out.ResponseFormat = &cohereFormat{Type: "json_object", JSONSchema: f.JSONSchema.Schema}
	}
	switch in.ReasoningEffort {
	case "":
	case "none":
		out.Thinking = &thinking{"disabled"}
	default:
		out.Thinking = &thinking{"enabled"}
	}
	body, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	call.State, err = json.Marshal(kept{Model: in.Model, Created: time.Now().Unix(), Usage: in.StreamOptions.IncludeUsage})
	accept := "application/json"
	if in.Stream {
		accept = "text/event-stream"
	}
	return &adapter.Request{
		Method: http.MethodPost, Path: "/v2/chat", Body: body,
		Header: http.Header{"Content-Type": {"application/json"}, "Accept": {accept}},
	}, err
}

// refuse names what Cohere has nothing for. Leaving it out would give callers something else than they asked for.
func refuse(in *chatRequest) error {
	switch {
	case in.N != nil && *in.N != 1:
		return adapter.Refuse(0, "n", "Cohere gives one answer to a request.")
	case in.Logprobs:
		return adapter.Refuse(0, "logprobs", "Log probabilities are not translated for Cohere.")
	case in.ParallelToolCalls != nil && !*in.ParallelToolCalls && len(in.Tools) > 0:
		return adapter.Refuse(0, "parallel_tool_calls", "Cohere cannot be kept from calling several tools at a time.")
	}
	for i, m := range in.Modalities {
		if m != "text" {
			return adapter.Refuse(0, fmt.Sprintf("modalities[%d]", i), "Cohere answers with text, not with %s.", m)
		}
	}
	return nil
}

func stops(stop json.RawMessage) ([]string, error) {
	var one string
	var several []string
	switch {
	case len(stop) == 0 || string(stop) == "null":
		return nil, nil
	case json.Unmarshal(stop, &one) == nil:
		return []string{one}, nil
	case json.Unmarshal(stop, &several) == nil:
		return several, nil
	}
	return nil, adapter.Refuse(0, "stop", "It has to be a text, or a list of texts.")
}

// message translates one message, which is at a place in the request.
func message(m *chatMessage, at string) (cohereMessage, error) {
	out := cohereMessage{Role: m.Role}
	parts, text, err := content(m.Content, at)
	if err != nil {
		return out, err
	}
	switch m.Role {
	case "system", "developer":
		out.Role, out.Content = "system", text
	case "user":
		if out.Content = text; parts != nil {
			out.Content = parts
		}
	case "assistant":
		// What a model says before it calls tools is its plan.
		if out.ToolCalls = m.ToolCalls; len(m.ToolCalls) > 0 {
			out.ToolPlan = text
		} else {
			out.Content = text
		}
		for i, c := range m.ToolCalls {
			if c.Type != "function" {
				return out, adapter.Refuse(0, fmt.Sprintf("%s.tool_calls[%d].type", at, i), "Cohere has tools that are functions, and no %q.", c.Type)
			}
		}
	case "tool":
		out.Content, out.ToolCallID = text, m.ToolCallID
	default:
		return out, adapter.Refuse(0, at+".role", "Cohere has no role %q.", m.Role)
	}
	return out, nil
}

// content reads a message's content. There are parts if it has anything but text.
func content(raw json.RawMessage, at string) (parts []coherePart, text string, err error) {
	if len(raw) == 0 || string(raw) == "null" || json.Unmarshal(raw, &text) == nil {
		return nil, text, nil
	}
	var in []chatPart
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, "", adapter.Refuse(0, at+".content", "It has to be a text, or a list of parts.")
	}
	images := false
	var texts []string
	for i, p := range in {
		switch p.Type {
		case "text", "refusal":
			texts = append(texts, p.Text+p.Refusal)
			parts = append(parts, coherePart{Type: "text", Text: p.Text + p.Refusal})
		case "image_url":
			images = true
			parts = append(parts, coherePart{Type: "image_url", ImageURL: p.ImageURL})
		default:
			return nil, "", adapter.Refuse(0, fmt.Sprintf("%s.content[%d].type", at, i), "Cohere takes text and images, and no %q.", p.Type)
		}
	}
	if !images {
		parts = nil
	}
	return parts, strings.Join(texts, "\n"), nil
}

// tools translates the tools and the choice of them.
func tools(in *chatRequest, out *cohereRequest) error {
	var named struct {
		Type     string `json:"type"`
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	var word string
	if len(in.Tools) > 0 && len(in.ToolChoice) > 0 && json.Unmarshal(in.ToolChoice, &word) != nil {
		if err := json.Unmarshal(in.ToolChoice, &named); err != nil || named.Type != "function" {
			return adapter.Refuse(0, "tool_choice", "Cohere can be told to use tools, or not to, or which function.")
		}
	}
	switch word {
	case "none":
		out.ToolChoice = "NONE"
	case "required":
		out.ToolChoice = "REQUIRED"
	}
	for i, t := range in.Tools {
		if t.Type != "function" {
			return adapter.Refuse(0, fmt.Sprintf("tools[%d].type", i), "Cohere has tools that are functions, and no %q.", t.Type)
		}
		var f struct {
			Name string `json:"name"`
		}
		if err := json.Unmarshal(t.Function, &f); err != nil {
			return adapter.Refuse(0, fmt.Sprintf("tools[%d].function", i), "It has to be a function with a name.")
		}
		// Cohere has no way to name one of several: it gets the one alone, and has to use it.
		if named.Type != "" && f.Name != named.Function.Name {
			continue
		}
		out.Tools = append(out.Tools, cohereTool(t))
	}
	if named.Type != "" {
		if len(out.Tools) == 0 {
			return adapter.Refuse(0, "tool_choice.function.name", "There is no tool %q.", named.Function.Name)
		}
		out.ToolChoice = "REQUIRED"
	}
	return nil
}
