package messages

import (
	"strconv"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/meter/frame"
)

// Counting is a request that asks a vendor how many tokens a request has.
type Counting struct {
	// Path is where the vendor counts.
	Path string
	// Root says that Path starts at the root of the vendor's server, and not below its base URL.
	Root bool
	Body []byte
}

// Count translates a request of count_tokens into what the vendor has for it. The error is an *adapter.Error: NotFound where it has
// nothing, or where an Estimate is to be given in its place.
func Count(body []byte, call *adapter.Call) (Counting, error) {
	how := call.Options.GetCountTokens()
	if how != controlv1.CountTokens_COUNT_TOKENS_RESPONSES && how != controlv1.CountTokens_COUNT_TOKENS_TOKENIZE {
		return Counting{}, &adapter.Error{Kind: adapter.NotFound, Message: call.Vendor + " does not count the tokens of requests"}
	}
	r, err := read(body, call, true)
	if err != nil {
		return Counting{}, err
	}
	r.streams = false
	chat, err := r.write()
	if err != nil {
		return Counting{}, err
	}
	doc := gjson.ParseBytes(chat)
	out := gjson.AppendJSONString([]byte(`{"model":`), call.Model)
	if how == controlv1.CountTokens_COUNT_TOKENS_TOKENIZE {
		out = append(append(out, `,"messages":`...), doc.Get("messages").Raw...)
		if tools := doc.Get("tools"); tools.Exists() {
			out = append(append(out, `,"tools":`...), tools.Raw...)
		}
		return Counting{Path: "/tokenize", Root: true, Body: append(out, '}')}, nil
	}
	out = appendItems(append(out, `,"input":`...), doc.Get("messages"))
	out = appendFlatTools(out, doc.Get("tools"))
	return Counting{Path: "/responses/input_tokens", Body: append(out, '}')}, nil
}

// appendItems writes messages of Chat Completions as the items that Responses has for them.
func appendItems(out []byte, messages gjson.Result) []byte {
	out = append(out, '[')
	comma := ""
	messages.ForEach(func(_, m gjson.Result) bool {
		role, content := m.Get("role").Str, m.Get("content")
		if role == "tool" {
			out = append(append(out, comma...), `{"type":"function_call_output","call_id":`...)
			out = append(append(out, m.Get("tool_call_id").Raw...), `,"output":`...)
			out, comma = append(appendContent(out, content), '}'), ","
			return true
		}
		if content.IsArray() || content.Str != "" {
			out = append(append(append(out, comma...), `{"role":"`...), role...)
			out = append(appendContent(append(out, `","content":`...), content), '}')
			comma = ","
		}
		m.Get("tool_calls").ForEach(func(_, call gjson.Result) bool {
			out = append(append(append(out, comma...), `{"type":"function_call","call_id":`...), call.Get("id").Raw...)
			out = append(append(out, `,"name":`...), call.Get("function.name").Raw...)
			out = append(append(append(out, `,"arguments":`...), call.Get("function.arguments").Raw...), '}')
			comma = ","
			return true
		})
		return true
	})
	return append(out, ']')
}

func appendContent(out []byte, content gjson.Result) []byte {
	if !content.IsArray() {
		return append(out, content.Raw...)
	}
	out = append(out, '[')
	comma := ""
	content.ForEach(func(_, part gjson.Result) bool {
		out = append(out, comma...)
		comma = ","
		switch part.Get("type").Str {
		case "image_url":
			out = append(append(out, `{"type":"input_image","image_url":`...), part.Get("image_url.url").Raw...)
		case "file":
			out = append(append(out, `{"type":"input_file","filename":`...), part.Get("file.filename").Raw...)
			out = append(append(out, `,"file_data":`...), part.Get("file.file_data").Raw...)
		default:
			out = append(append(out, `{"type":"input_text","text":`...), part.Get("text").Raw...)
		}
		out = append(out, '}')
		return true
	})
	return append(out, ']')
}

// appendFlatTools writes tools as Responses has them: without an object around the function.
func appendFlatTools(out []byte, tools gjson.Result) []byte {
	if !tools.Exists() {
		return out
	}
	out = append(out, `,"tools":[`...)
	comma := ""
	tools.ForEach(func(_, tool gjson.Result) bool {
		out = append(append(out, comma...), `{"type":"function",`...)
		function := tool.Get("function").Raw
		out = append(out, function[1:]...)
		comma = ","
		return true
	})
	return append(out, ']')
}

const mostTokens = 1 << 50 // no request has as many

// Counted reads what the vendor has counted, and Answered writes it for the caller.
func Counted(answer []byte) (int64, error) {
	if frame.Valid(answer) {
		doc := gjson.ParseBytes(answer)
		for _, name := range []string{"input_tokens", "count"} {
			if v := doc.Get(name); v.Type == gjson.Number && v.Num >= 0 && v.Num <= mostTokens {
				return v.Int(), nil
			}
		}
	}
	return 0, adapter.Fail("The vendor's answer does not say how many tokens it has counted.")
}

// Answered is the answer of count_tokens.
func Answered(tokens int64) []byte {
	return append(strconv.AppendInt([]byte(`{"input_tokens":`), tokens, 10), '}')
}

// What an estimate counts besides text.
const (
	bytesOfToken     = 4
	tokensOfMessage  = 4
	tokensOfImage    = 1600
	tokensOfDocument = 3000
)

// Estimate says how many tokens a request has, about, without asking anyone: a token for every four bytes of text that the model
// reads (names and descriptions of tools, their schemas and inputs included), rounded up, four for every message, 1600 for every
// image and 3000 for every document that is not text. The same request always has the same.
func Estimate(body []byte) int64 {
	if !frame.Valid(body) {
		return 0
	}
	var e estimate
	doc := gjson.ParseBytes(body)
	e.content(doc.Get("system"))
	if doc.Get("system").Exists() {
		e.tokens += tokensOfMessage
	}
	doc.Get("messages").ForEach(func(_, m gjson.Result) bool {
		e.tokens += tokensOfMessage
		e.content(m.Get("content"))
		return true
	})
	doc.Get("tools").ForEach(func(_, tool gjson.Result) bool {
		e.tokens += tokensOfMessage
		e.bytes += int64(len(tool.Get("name").Str) + len(tool.Get("description").Str) + len(tool.Get("input_schema").Raw))
		return true
	})
	return e.tokens + (e.bytes+bytesOfToken-1)/bytesOfToken
}

type estimate struct{ bytes, tokens int64 }

func (e *estimate) content(v gjson.Result) {
	if v.Type == gjson.String {
		e.bytes += int64(len(v.Str))
		return
	}
	if !v.IsArray() {
		return
	}
	v.ForEach(func(_, b gjson.Result) bool {
		switch b.Get("type").Str {
		case "image":
			e.tokens += tokensOfImage
		case "document":
			switch b.Get("source.type").Str {
			case "text":
				e.bytes += int64(len(b.Get("source.data").Str))
			case "content":
				e.content(b.Get("source.content"))
			default:
				e.tokens += tokensOfDocument
			}
		case "tool_use":
			e.bytes += int64(len(b.Get("name").Str) + len(b.Get("input").Raw))
		case "thinking", "redacted_thinking":
			// Not sent on.
		default:
			e.bytes += int64(len(b.Get("text").Str))
			e.content(b.Get("content"))
		}
		return true
	})
}
