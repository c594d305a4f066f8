package chat

import (
	"strconv"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/jsontext"
	"tollgate/internal/meter/frame"
)

// answer translates an answer that came as a whole.
func (t *translation) answer(body []byte) ([]byte, error) {
	if !frame.Valid(body) {
		return nil, adapter.Fail("The vendor's answer is not valid JSON.")
	}
	doc := gjson.ParseBytes(body)
	var typ, id, content, reason, used gjson.Result
	doc.ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "type":
			typ = v
		case "id":
			id = v
		case "content":
			content = v
		case "stop_reason":
			reason = v
		case "usage":
			used = v
		}
		return true
	})
	if typ.Str == "error" {
		return nil, adapter.Read(0, "", body)
	}
	if !content.IsArray() {
		return nil, adapter.Fail("The vendor's answer is no message of Anthropic Messages: it has no content.")
	}
	var (
		said, thought, calls []byte
		err                  error
	)
	content.ForEach(func(_, block gjson.Result) bool {
		switch block.Get("type").Str {
		case "text":
			said = more(said, block.Get("text"))
		case "thinking":
			thought = more(thought, block.Get("thinking"))
		case "tool_use":
			if t.legacy && len(calls) > 0 {
				return true // the old form has room for one, and no more were allowed
			}
			if err = complete(block); err == nil {
				calls = t.callOf(part(calls), block)
			}
		}
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	dst := make([]byte, 0, len(body)+512)
	dst = t.head(dst, id, "chat.completion")
	dst = append(dst, `,"choices":[{"index":0,"message":{"role":"assistant","content":`...)
	dst = quoted(dst, said)
	if len(thought) > 0 {
		dst = quoted(append(dst, `,"reasoning_content":`...), thought)
	}
	dst = append(dst, `,"refusal":null`...)
	switch {
	case len(calls) == 0:
	case t.legacy:
		dst = append(append(dst, `,"function_call":`...), calls...)
	default:
		dst = append(append(append(dst, `,"tool_calls":[`...), calls...), ']')
	}
	dst = append(dst, `},"logprobs":null,"finish_reason":"`...)
	dst = append(append(dst, t.finish(reason.Str)...), `"}],"usage":`...)
	var u usage
	u.read(used)
	return append(u.write(dst), '}'), nil
}

// more adds text to what is between the quotes of a JSON text.
func more(dst []byte, text gjson.Result) []byte {
	return append(dst, jsontext.Inner(text)...)
}

func quoted(dst, inner []byte) []byte {
	if len(inner) == 0 {
		return append(dst, "null"...)
	}
	return append(append(append(dst, '"'), inner...), '"')
}

// head begins an answer or a piece of one.
func (t *translation) head(dst []byte, id gjson.Result, object string) []byte {
	dst = append(dst, `{"id":"chatcmpl-`...)
	if id.Type == gjson.String && id.Raw != `""` {
		dst = append(dst, jsontext.Inner(id)...)
	} else {
		dst = append(dst, t.call.ID...)
	}
	dst = append(append(append(dst, `","object":"`...), object...), `","created":`...)
	dst = strconv.AppendInt(dst, t.call.Unix, 10)
	return gjson.AppendJSONString(append(dst, `,"model":`...), t.call.Asked)
}

// callOf writes the call of a tool.
func (t *translation) callOf(dst []byte, block gjson.Result) []byte {
	if !t.legacy {
		dst = append(append(dst, `{"id":`...), jsonText(block.Get("id"))...)
		dst = append(dst, `,"type":"function","function":`...)
	}
	dst = gjson.AppendJSONString(append(dst, `{"name":`...), t.names.Callers(block.Get("name").String()))
	dst = append(arguments(append(dst, `,"arguments":`...), block.Get("input")), '}')
	if !t.legacy {
		dst = append(dst, '}')
	}
	return dst
}

// complete says what is missing of a call that the caller is to answer.
func complete(block gjson.Result) error {
	if block.Get("id").Str == "" || block.Get("name").Str == "" {
		return adapter.Fail("The vendor's answer has a call of a tool without an identifier or a name.")
	}
	return nil
}

// jsonText is a text as it was written; empty if it is none.
func jsonText(v gjson.Result) string {
	if v.Type != gjson.String {
		return `""`
	}
	return v.Raw
}

// arguments writes what a tool is called with: text that is JSON.
func arguments(dst []byte, input gjson.Result) []byte {
	if !input.IsObject() {
		return append(dst, `"{}"`...)
	}
	return jsontext.AppendDocument(dst, input.Raw)
}

// finish is why the answer ended, in OpenAI's words.
func (t *translation) finish(reason string) string {
	switch reason {
	case "max_tokens", "model_context_window_exceeded":
		return "length"
	case "tool_use":
		if t.legacy {
			return "function_call"
		}
		return "tool_calls"
	case "refusal":
		return "content_filter"
	default:
		return "stop"
	}
}

// usage is what the vendor says to have used.
type usage struct{ input, cached, written, output, thought int64 }

// read takes the numbers that are there. Those of a stream come in two events, and the later ones count.
func (u *usage) read(v gjson.Result) {
	v.ForEach(func(k, n gjson.Result) bool {
		switch k.Str {
		case "input_tokens":
			count(&u.input, n)
		case "cache_read_input_tokens":
			count(&u.cached, n)
		case "cache_creation_input_tokens":
			count(&u.written, n)
		case "output_tokens":
			count(&u.output, n)
		case "output_tokens_details":
			count(&u.thought, n.Get("thinking_tokens"))
		}
		return true
	})
}

func count(to *int64, v gjson.Result) {
	if n, ok := jsontext.Count(v); ok {
		*to = n
	}
}

// write writes usage as OpenAI counts it: the prompt has what was read from the cache, and written to it, in it.
func (u *usage) write(dst []byte) []byte {
	prompt := u.input + u.cached + u.written
	dst = strconv.AppendInt(append(dst, `{"prompt_tokens":`...), prompt, 10)
	dst = strconv.AppendInt(append(dst, `,"completion_tokens":`...), u.output, 10)
	dst = strconv.AppendInt(append(dst, `,"total_tokens":`...), prompt+u.output, 10)
	dst = strconv.AppendInt(append(dst, `,"prompt_tokens_details":{"cached_tokens":`...), u.cached, 10)
	dst = strconv.AppendInt(append(dst, `,"cache_write_tokens":`...), u.written, 10)
	dst = strconv.AppendInt(append(dst, `},"completion_tokens_details":{"reasoning_tokens":`...), u.thought, 10)
	return append(dst, "}}"...)
}
