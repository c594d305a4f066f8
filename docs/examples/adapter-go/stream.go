package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"tollgate/sdk/adapter"
)

// cohereEvent is an event of a streamed answer of Cohere's.
type cohereEvent struct {
	ID    string `json:"id"`
	Type  string `json:"type"`
	Index int    `json:"index"`
	Delta struct {
		Message struct {
			Content   json.RawMessage `json:"content"`    // a list at the beginning, then a part
			ToolCalls json.RawMessage `json:"tool_calls"` // a list at the beginning, then a call
			ToolPlan  string          `json:"tool_plan"`
		} `json:"message"`
		FinishReason string      `json:"finish_reason"`
		Usage        cohereUsage `json:"usage"`
		Error        string      `json:"error"`
		ErrorType    string      `json:"error_type"`
	} `json:"delta"`
}

type chatDelta struct {
	Role      string     `json:"role,omitempty"`
	Content   *string    `json:"content,omitempty"`
	Reasoning string     `json:"reasoning_content,omitempty"`
	ToolCalls []toolCall `json:"tool_calls,omitempty"`
}

// stream translates one streamed answer.
type stream struct {
	about kept
	id    string
	bare  map[int]bool // tool calls of which no argument has come
	ended bool         // Cohere has said that it has finished
	wrong bool         // or that it has failed
}

// NewStream begins a streamed answer.
func (cohere) NewStream(_ context.Context, call *adapter.Call, response *adapter.Response) (adapter.Stream, *adapter.Response, error) {
	s := &stream{bare: map[int]bool{}}
	if err := json.Unmarshal(call.State, &s.about); err != nil {
		return nil, nil, fmt.Errorf("what was kept of the request: %w", err)
	}
	return s, &adapter.Response{Status: response.Status, Header: http.Header{"Content-Type": {"text/event-stream"}}}, nil
}

// Event translates one event.
func (s *stream) Event(_ context.Context, event adapter.Event) ([]adapter.Event, error) {
	if s.ended || s.wrong {
		return nil, nil // Cohere's own "[DONE]"
	}
	var in cohereEvent
	if err := json.Unmarshal(event.Data, &in); err != nil {
		return nil, fmt.Errorf("an event of Cohere's: %w", err)
	}
	empty := ""
	switch in.Type {
	case "message-start":
		s.id = "chatcmpl-" + in.ID
		return s.delta(&chatDelta{Role: "assistant", Content: &empty})
	case "content-start", "content-delta":
		var part struct{ Text, Thinking string }
		if err := json.Unmarshal(in.Delta.Message.Content, &part); err != nil {
			return nil, fmt.Errorf("a part of an answer of Cohere's: %w", err)
		}
		if part.Text == "" && part.Thinking == "" {
			return nil, nil
		}
		delta := &chatDelta{Reasoning: part.Thinking}
		if part.Text != "" {
			delta.Content = &part.Text
		}
		return s.delta(delta)
	case "tool-plan-delta":
		return s.delta(&chatDelta{Content: &in.Delta.Message.ToolPlan})
	case "tool-call-start", "tool-call-delta":
		var call toolCall
		if err := json.Unmarshal(in.Delta.Message.ToolCalls, &call); err != nil {
			return nil, fmt.Errorf("a tool call of Cohere's: %w", err)
		}
		s.bare[in.Index] = call.Function.Arguments == "" && (in.Type == "tool-call-start" || s.bare[in.Index])
		call.Index = &in.Index
		return s.delta(&chatDelta{ToolCalls: []toolCall{call}})
	case "tool-call-end":
		if !s.bare[in.Index] {
			return nil, nil
		}
		// Clients parse the arguments, and nothing is not JSON.
		return s.delta(&chatDelta{ToolCalls: []toolCall{{Index: &in.Index, Function: functionCall{Arguments: "{}"}}}})
	case "message-end":
		return s.end(&in)
	default: // citations, and what will be invented
		return nil, nil
	}
}

func (s *stream) end(in *cohereEvent) ([]adapter.Event, error) {
	reason, ok := finishReason(in.Delta.FinishReason)
	if !ok {
		s.wrong = true
		text := in.Delta.Error
		if text == "" {
			text = fmt.Sprintf("Cohere gave up with %q.", in.Delta.FinishReason)
		}
		data, err := json.Marshal(errorOf(http.StatusInternalServerError, &cohereError{Message: text, Type: in.Delta.ErrorType}))
		return []adapter.Event{{Data: data}}, err
	}
	s.ended = true
	events, err := s.chunk([]chatChoice{{Delta: &chatDelta{}, FinishReason: &reason}}, nil)
	if err == nil && s.about.Usage {
		var last []adapter.Event
		last, err = s.chunk([]chatChoice{}, usage(&in.Delta.Usage))
		events = append(events, last...)
	}
	return events, err
}

// End says that the answer is whole, if Cohere has said so.
func (s *stream) End(_ context.Context, whole bool) ([]adapter.Event, error) {
	switch {
	case !whole || s.wrong:
		return nil, nil
	case !s.ended:
		return nil, errors.New("a stream of Cohere's ended before its message did")
	}
	return []adapter.Event{{Data: []byte("[DONE]")}}, nil
}

func (s *stream) delta(d *chatDelta) ([]adapter.Event, error) {
	return s.chunk([]chatChoice{{Delta: d}}, nil)
}

func (s *stream) chunk(choices []chatChoice, u *chatUsage) ([]adapter.Event, error) {
	data, err := json.Marshal(chatResponse{
		ID: s.id, Object: "chat.completion.chunk", Created: s.about.Created, Model: s.about.Model, Choices: choices, Usage: u,
	})
	return []adapter.Event{{Data: data}}, err
}
