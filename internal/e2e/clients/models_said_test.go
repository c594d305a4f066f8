package clients_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
)

// said is what the scripted vendor answers, before it is written in a language.
type said struct {
	thinking, text string
	calls          []toolCall
	end            string // why it ends: "length", "stop" for a stop sequence, or by itself
	stop           string // the stop sequence
}

// What the vendors say that they used, and the names of the models that they say have answered.
const (
	saidModelOpenAI    = "gpt-4o-mini-2024-07-18"
	saidModelAnthropic = "claude-haiku-4-5-20251001"
	saidUsageOpenAI    = `{"prompt_tokens":120,"completion_tokens":30,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":20,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":5,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`
	saidUsageAnthropic = `{"input_tokens":100,"cache_creation_input_tokens":10,"cache_read_input_tokens":20,"output_tokens":%d,"service_tier":"standard"}`
)

// write is the answer to a request in its language, as a stream if it asks for one.
func (s said) write(lang string, q gjson.Result) []byte {
	switch stream := q.Get("stream").Bool(); {
	case lang == "messages" && stream:
		return s.messageEvents()
	case lang == "messages":
		return s.message()
	case stream:
		return s.chatChunks(q.Get("stream_options.include_usage").Bool())
	default:
		return s.chat()
	}
}

func quoted(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a text can always be written
	return strings.TrimSuffix(b.String(), "\n")
}

func (s said) finishReason() string {
	switch {
	case s.end == "length":
		return "length"
	case len(s.calls) > 0:
		return "tool_calls"
	default:
		return "stop"
	}
}

func (s said) stopReason() (reason, sequence string) {
	switch {
	case s.end == "length":
		return "max_tokens", "null"
	case s.stop != "":
		return "stop_sequence", quoted(s.stop)
	case len(s.calls) > 0:
		return "tool_use", "null"
	default:
		return "end_turn", "null"
	}
}

func (s said) chat() []byte {
	fields := []string{`"role":"assistant"`, `"refusal":null`, `"content":` + quoted(s.text)}
	if s.thinking != "" {
		fields = append(fields, `"reasoning_content":`+quoted(s.thinking))
	}
	var calls []string
	for _, c := range s.calls {
		calls = append(calls, fmt.Sprintf(`{"id":%s,"type":"function","function":{"name":%s,"arguments":%s}}`, quoted(c.id), quoted(c.name), quoted(c.input)))
	}
	if calls != nil {
		fields = append(fields, `"tool_calls":[`+strings.Join(calls, ",")+"]")
	}
	return fmt.Appendf(nil, `{"id":"chatcmpl-said","object":"chat.completion","created":1782321917,"model":%q,"choices":[{"index":0,"message":{%s},"logprobs":null,"finish_reason":%q}],"usage":%s,"service_tier":"default","system_fingerprint":null}`,
		saidModelOpenAI, strings.Join(fields, ","), s.finishReason(), saidUsageOpenAI)
}

func (s said) chatChunks(usage bool) []byte {
	var out bytes.Buffer
	chunk := func(choices, more string) {
		if usage && more == "" {
			more = `,"usage":null`
		}
		fmt.Fprintf(&out, "data: {\"id\":\"chatcmpl-said\",\"object\":\"chat.completion.chunk\",\"created\":1782321917,\"model\":%q,\"choices\":[%s]%s}\n\n", saidModelOpenAI, choices, more)
	}
	delta := func(d string) { chunk(`{"index":0,"delta":{`+d+`},"logprobs":null,"finish_reason":null}`, "") }
	delta(`"role":"assistant","content":"","refusal":null`)
	for _, part := range parts(s.thinking) {
		delta(`"reasoning_content":` + quoted(part))
	}
	for _, part := range parts(s.text) {
		delta(`"content":` + quoted(part))
	}
	for i, c := range s.calls {
		delta(fmt.Sprintf(`"tool_calls":[{"index":%d,"id":%s,"type":"function","function":{"name":%s,"arguments":""}}]`, i, quoted(c.id), quoted(c.name)))
		for _, part := range parts(c.input) {
			delta(fmt.Sprintf(`"tool_calls":[{"index":%d,"function":{"arguments":%s}}]`, i, quoted(part)))
		}
	}
	chunk(fmt.Sprintf(`{"index":0,"delta":{},"logprobs":null,"finish_reason":%q}`, s.finishReason()), "")
	if usage {
		chunk("", `,"usage":`+saidUsageOpenAI)
	}
	out.WriteString("data: [DONE]\n\n")
	return out.Bytes()
}

func (s said) message() []byte {
	var blocks []string
	if s.thinking != "" {
		blocks = append(blocks, `{"type":"thinking","thinking":`+quoted(s.thinking)+`,"signature":"c2lnbmVk"}`)
	}
	if s.text != "" {
		blocks = append(blocks, `{"type":"text","text":`+quoted(s.text)+`}`)
	}
	for _, c := range s.calls {
		blocks = append(blocks, fmt.Sprintf(`{"type":"tool_use","id":%s,"name":%s,"input":%s}`, quoted(c.id), quoted(c.name), c.input))
	}
	reason, sequence := s.stopReason()
	return fmt.Appendf(nil, `{"id":"msg_01said","type":"message","role":"assistant","model":%q,"content":[%s],"stop_reason":%q,"stop_sequence":%s,"usage":%s}`,
		saidModelAnthropic, strings.Join(blocks, ","), reason, sequence, fmt.Sprintf(saidUsageAnthropic, 30))
}

func (s said) messageEvents() []byte {
	var out bytes.Buffer
	event := func(name, format string, args ...any) {
		fmt.Fprintf(&out, "event: %s\ndata: {\"type\":%q%s}\n\n", name, name, fmt.Sprintf(format, args...))
	}
	event("message_start", `,"message":{"id":"msg_01said","type":"message","role":"assistant","model":%q,"content":[],"stop_reason":null,"stop_sequence":null,"usage":%s}`,
		saidModelAnthropic, fmt.Sprintf(saidUsageAnthropic, 1))
	index := 0
	block := func(start, kind, field, text, last string) {
		event("content_block_start", `,"index":%d,"content_block":%s`, index, start)
		event("ping", "")
		for _, part := range parts(text) {
			event("content_block_delta", `,"index":%d,"delta":{"type":%q,%q:%s}`, index, kind, field, quoted(part))
		}
		if last != "" {
			event("content_block_delta", `,"index":%d,"delta":%s`, index, last)
		}
		event("content_block_stop", `,"index":%d`, index)
		index++
	}
	if s.thinking != "" {
		block(`{"type":"thinking","thinking":"","signature":""}`, "thinking_delta", "thinking", s.thinking, `{"type":"signature_delta","signature":"c2lnbmVk"}`)
	}
	if s.text != "" {
		block(`{"type":"text","text":""}`, "text_delta", "text", s.text, "")
	}
	for _, c := range s.calls {
		block(fmt.Sprintf(`{"type":"tool_use","id":%s,"name":%s,"input":{}}`, quoted(c.id), quoted(c.name)), "input_json_delta", "partial_json", c.input, "")
	}
	reason, sequence := s.stopReason()
	event("message_delta", `,"delta":{"stop_reason":%q,"stop_sequence":%s},"usage":{"output_tokens":30}`, reason, sequence)
	event("message_stop", "")
	return out.Bytes()
}

// fail is a stream that ends with an error of the vendor's after half of its events.
func (s said) fail(lang string, stream []byte) []byte {
	events := bytes.SplitAfter(stream, []byte("\n\n"))
	out := bytes.Join(events[:len(events)/2], nil)
	if lang == "messages" {
		return append(out, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"...)
	}
	return append(out, "data: {\"error\":{\"message\":\"Overloaded\",\"type\":\"server_error\",\"param\":null,\"code\":\"overloaded\"}}\n\n"...)
}

// parts cuts a text into pieces of a few characters, as models say them.
func parts(text string) []string {
	var all []string
	for r := []rune(text); len(r) > 0; {
		n := min(5, len(r))
		all, r = append(all, string(r[:n])), r[n:]
	}
	return all
}
