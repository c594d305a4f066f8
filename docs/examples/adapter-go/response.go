package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"tollgate/sdk/adapter"
)

// cohereResponse is an answer of Cohere's.
type cohereResponse struct {
	ID      string `json:"id"`
	Message struct {
		Content []struct {
			Type     string `json:"type"`
			Text     string `json:"text"`
			Thinking string `json:"thinking"`
		} `json:"content"`
		ToolPlan  string     `json:"tool_plan"`
		ToolCalls []toolCall `json:"tool_calls"`
	} `json:"message"`
	FinishReason string      `json:"finish_reason"`
	Usage        cohereUsage `json:"usage"`
}

type cohereUsage struct {
	Tokens struct {
		Input  int64 `json:"input_tokens"`
		Output int64 `json:"output_tokens"`
	} `json:"tokens"`
	Cached int64 `json:"cached_tokens"`
}

// cohereError is what Cohere answers in place of an answer.
type cohereError struct {
	Message string `json:"message"`
	Type    string `json:"error_type"`
}

// chatResponse is an answer of Chat Completions, or one chunk of a streamed one.
type chatResponse struct {
	ID      string       `json:"id"`
	Object  string       `json:"object"`
	Created int64        `json:"created"`
	Model   string       `json:"model"`
	Choices []chatChoice `json:"choices"`
	Usage   *chatUsage   `json:"usage,omitempty"`
}

type chatChoice struct {
	Index        int         `json:"index"`
	Message      *chatAnswer `json:"message,omitempty"`
	Delta        *chatDelta  `json:"delta,omitempty"`
	FinishReason *string     `json:"finish_reason"`
}

type chatAnswer struct {
	Role      string     `json:"role"`
	Content   *string    `json:"content"`
	Refusal   *string    `json:"refusal"`
	Reasoning string     `json:"reasoning_content,omitempty"`
	ToolCalls []toolCall `json:"tool_calls,omitempty"`
}

type chatUsage struct {
	Prompt        int64         `json:"prompt_tokens"`
	Completion    int64         `json:"completion_tokens"`
	Total         int64         `json:"total_tokens"`
	PromptDetails promptDetails `json:"prompt_tokens_details"`
}

type promptDetails struct {
	Cached int64 `json:"cached_tokens"`
}

// chatError is an error of Chat Completions.
type chatError struct {
	Error struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	} `json:"error"`
}

var jsonHeader = http.Header{"Content-Type": {"application/json"}}

// TranslateResponse makes an answer of Chat Completions of one of Cohere's.
func (cohere) TranslateResponse(_ context.Context, call *adapter.Call, response *adapter.Response) (*adapter.Response, error) {
	if response.Status >= 400 {
		return failure(response)
	}
	var about kept
	if err := json.Unmarshal(call.State, &about); err != nil {
		return nil, fmt.Errorf("what was kept of the request: %w", err)
	}
	var in cohereResponse
	if err := json.Unmarshal(response.Body, &in); err != nil {
		return nil, fmt.Errorf("an answer of Cohere's: %w", err)
	}
	reason, ok := finishReason(in.FinishReason)
	if !ok {
		return nil, fmt.Errorf("Cohere gave up with %q", in.FinishReason) //nolint:staticcheck // it begins with a name
	}
	answer := &chatAnswer{Role: "assistant", ToolCalls: in.Message.ToolCalls}
	text := in.Message.ToolPlan
	for _, part := range in.Message.Content {
		text += part.Text
		answer.Reasoning += part.Thinking
	}
	if text != "" || len(answer.ToolCalls) == 0 {
		answer.Content = &text
	}
	body, err := json.Marshal(chatResponse{
		ID: "chatcmpl-" + in.ID, Object: "chat.completion", Created: about.Created, Model: about.Model,
		Choices: []chatChoice{{Message: answer, FinishReason: &reason}}, Usage: usage(&in.Usage),
	})
	return &adapter.Response{Status: http.StatusOK, Header: jsonHeader, Body: body}, err
}

// finishReason is why a model stopped. It is not ok if it did not finish.
func finishReason(reason string) (string, bool) {
	switch reason {
	case "COMPLETE", "STOP_SEQUENCE":
		return "stop", true
	case "MAX_TOKENS":
		return "length", true
	case "TOOL_CALL":
		return "tool_calls", true
	default: // ERROR, TIMEOUT, and what is not known
		return "", false
	}
}

// usage counts what the model read and wrote. Cohere bills fewer tokens, without those of its own templates; what is
// charged is the gateway's to say, from Cohere's own answer.
func usage(u *cohereUsage) *chatUsage {
	return &chatUsage{
		Prompt: u.Tokens.Input, Completion: u.Tokens.Output, Total: u.Tokens.Input + u.Tokens.Output,
		PromptDetails: promptDetails{Cached: u.Cached},
	}
}

// failure translates an error. The status stays: it is the gateway that knows what a vendor's 401 means to callers.
func failure(response *adapter.Response) (*adapter.Response, error) {
	var in cohereError
	if err := json.Unmarshal(response.Body, &in); err != nil || in.Message == "" {
		in.Message = fmt.Sprintf("Cohere answered with status %d.", response.Status)
	}
	body, err := json.Marshal(errorOf(response.Status, &in))
	header := jsonHeader.Clone()
	if after := response.Header.Get("Retry-After"); after != "" {
		header.Set("Retry-After", after)
	}
	return &adapter.Response{Status: response.Status, Header: header, Body: body}, err
}

func errorOf(status int, in *cohereError) *chatError {
	out := &chatError{}
	out.Error.Message, out.Error.Type = in.Message, "invalid_request_error"
	code := ""
	switch {
	case in.Type == "TOO_MANY_TOKENS" || strings.HasPrefix(in.Message, "too many tokens"):
		code = "context_length_exceeded"
	case status == http.StatusNotFound:
		code = "model_not_found"
	case status == http.StatusTooManyRequests:
		out.Error.Type, code = "rate_limit_error", "rate_limit_exceeded"
	case status >= 500:
		out.Error.Type = "server_error"
	}
	if code != "" {
		out.Error.Code = &code
	}
	return out
}
