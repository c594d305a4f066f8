package schemas

import (
	"encoding/json"
	"errors"
	"fmt"
)

// MessagesStream checks the events of a stream of Anthropic Messages, one after another: their form, and that they come in an order
// that a client can make a message of. After every event what has come is legal; Complete says whether it is a whole answer.
// The zero value is ready.
type MessagesStream struct {
	started, ended, stopped, failed bool

	open   string // type of the block that is open; empty for none
	blocks int    // that were begun
}

// anthropicEvent is what the order of events depends on.
type anthropicEvent struct {
	Type  string `json:"type"`
	Index int    `json:"index"`
	Block struct {
		Type string `json:"type"`
	} `json:"content_block"`
	Delta struct {
		Type string `json:"type"`
	} `json:"delta"`
}

// Read checks all events of a text, which need not be a whole stream but must end with an event.
func (s *MessagesStream) Read(text []byte) error {
	return Events(text, s.Event)
}

// Event checks the next event.
func (s *MessagesStream) Event(typ string, data []byte) error {
	if string(data) == "[DONE]" {
		return errors.New("[DONE] is of another schema")
	}
	if err := Check("anthropic-event", data); err != nil {
		return fmt.Errorf("%s: %w", data, err)
	}
	var v anthropicEvent
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	if typ != v.Type {
		return fmt.Errorf("the event %q has the type %q", typ, v.Type)
	}
	if err := s.next(&v); err != nil {
		return fmt.Errorf("%s: %w", data, err)
	}
	return nil
}

func (s *MessagesStream) next(v *anthropicEvent) error {
	switch {
	case s.stopped:
		return errors.New("nothing comes after message_stop")
	case s.failed:
		return errors.New("nothing comes after an error")
	case v.Type == "error":
		s.failed = true
		return nil
	case v.Type == "message_start":
		if s.started {
			return errors.New("the message has started already")
		}
		s.started = true
		return nil
	case !s.started:
		return errors.New("message_start comes first")
	case v.Type == "ping":
		return nil
	case s.ended && v.Type != "message_stop":
		return errors.New("only message_stop comes after message_delta")
	}
	switch v.Type {
	case "content_block_start":
		if s.open != "" || v.Index != s.blocks {
			return fmt.Errorf("block %d starts where block %d should, or while another is open", v.Index, s.blocks)
		}
		s.open = v.Block.Type
		s.blocks++
	case "content_block_delta", "content_block_stop":
		if s.open == "" || v.Index != s.blocks-1 {
			return fmt.Errorf("block %d is not open", v.Index)
		}
		if v.Type == "content_block_stop" {
			s.open = ""
		} else if !deltaFits(s.open, v.Delta.Type) {
			return fmt.Errorf("a block of the type %s has no %s", s.open, v.Delta.Type)
		}
	case "message_delta":
		if s.open != "" {
			return errors.New("a block is still open")
		}
		s.ended = true
	case "message_stop":
		if !s.ended {
			return errors.New("message_delta comes before message_stop")
		}
		s.stopped = true
	}
	return nil
}

func deltaFits(block, delta string) bool {
	switch delta {
	case "text_delta", "citations_delta":
		return block == "text"
	case "thinking_delta", "signature_delta":
		return block == "thinking"
	case "compaction_delta":
		return block == "compaction"
	default:
		return block == "tool_use" || block == "server_tool_use" || block == "mcp_tool_use"
	}
}

// Complete says whether a whole answer has come.
func (s *MessagesStream) Complete() bool { return s.stopped }

// Failed says whether the stream has ended with an error.
func (s *MessagesStream) Failed() bool { return s.failed }
