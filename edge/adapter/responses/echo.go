package responses

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter/jsontext"
)

// echo is what an answer repeats of its request. It is written once: a stream has it three times.
type echo struct {
	head   []byte // up to the status
	middle []byte // from the instructions to the model
	tail   []byte // behind the output, up to the service tier
	tier   []byte // the service tier if the vendor says none
	end    []byte // from store up to the usage
	close  []byte // behind the usage
}

func (q *request) echo() echo {
	instructions, _ := q.get("instructions")
	b := make([]byte, 0, 1024+len(instructions.Raw)+len(q.echoedTools))
	var ends [5]int
	b = append(b, `{"id":"resp_`...)
	b = append(b, q.call.ID...)
	b = append(b, `","object":"response","created_at":`...)
	b = strconv.AppendInt(b, q.call.Unix, 10)
	b = append(b, `,"status":"`...)
	ends[0] = len(b)

	b = append(b, `,"instructions":`...)
	b = q.echoed(b, "instructions", "null")
	b = append(b, `,"max_output_tokens":`...)
	b = q.echoed(b, "max_output_tokens", "null")
	b = append(b, `,"max_tool_calls":`...)
	b = q.echoed(b, "max_tool_calls", "null")
	b = gjson.AppendJSONString(append(b, `,"model":`...), q.call.Asked)
	ends[1] = len(b)

	b = append(b, `,"parallel_tool_calls":`...)
	b = q.echoed(b, "parallel_tool_calls", "true")
	b = append(b, `,"previous_response_id":null,"prompt_cache_key":`...)
	b = q.echoed(b, "prompt_cache_key", "null")
	b = append(b, `,"reasoning":{"effort":`...)
	reasoning, _ := q.get("reasoning")
	effort := reasoning.Get("effort")
	if jsontext.Present(effort) {
		b = append(b, effort.Raw...)
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"summary":null},"safety_identifier":`...)
	b = q.echoed(b, "safety_identifier", "null")
	ends[2] = len(b)

	b = q.echoed(b, "service_tier", `"auto"`)
	ends[3] = len(b)

	b = append(b, `,"store":false,"temperature":`...)
	b = q.echoed(b, "temperature", "null")
	b = append(b, `,"text":`...)
	b = q.echoText(b)
	b = append(b, `,"tool_choice":`...)
	b = q.echoed(b, "tool_choice", `"auto"`)
	b = append(b, `,"tools":`...)
	b = append(append(append(b, '['), q.echoedTools...), ']')
	b = append(b, `,"top_logprobs":0,"top_p":`...)
	b = q.echoed(b, "top_p", "null")
	b = append(b, `,"truncation":"disabled","usage":`...)
	ends[4] = len(b)

	b = append(b, `,"user":`...)
	b = q.echoed(b, "user", "null")
	b = append(b, `,"metadata":`...)
	b = q.echoed(b, "metadata", "{}")
	b = append(b, '}')
	return echo{head: b[:ends[0]], middle: b[ends[0]:ends[1]], tail: b[ends[1]:ends[2]], tier: b[ends[2]:ends[3]], end: b[ends[3]:ends[4]], close: b[ends[4]:]}
}

// echoed appends a field of the request, or what stands for it.
func (q *request) echoed(dst []byte, name, otherwise string) []byte {
	if v, ok := q.get(name); ok {
		return append(dst, oneLine(v.Raw)...)
	}
	return append(dst, otherwise...)
}

func (q *request) echoText(dst []byte) []byte {
	text, _ := q.get("text")
	dst = append(dst, `{"format":`...)
	if f := text.Get("format"); f.IsObject() {
		dst = append(dst, oneLine(f.Raw)...)
	} else {
		dst = append(dst, `{"type":"text"}`...)
	}
	if v := text.Get("verbosity"); jsontext.Present(v) {
		dst = append(append(dst, `,"verbosity":`...), v.Raw...)
	}
	return append(dst, '}')
}

// echoTool keeps a tool for the answer. Those of an answer have fields that those of a request may leave out.
func (q *request) echoTool(raw string, t *tool) {
	dst := q.echoedTools
	if len(dst) > 0 {
		dst = append(dst, ',')
	}
	raw = oneLine(raw)
	if t.kind != "function" {
		q.echoedTools = append(dst, raw...)
		return
	}
	dst = append(dst, strings.TrimRight(raw[:len(raw)-1], " \t")...)
	if !t.parameters.Exists() {
		dst = append(dst, `,"parameters":null`...)
	}
	if !t.strict.Exists() {
		dst = append(dst, `,"strict":false`...)
	}
	q.echoedTools = append(dst, '}')
}

// oneLine takes line ends out of JSON, which an event of a stream cannot have. In a text of JSON they are always escaped.
func oneLine(raw string) string {
	if !strings.ContainsAny(raw, "\r\n") {
		return raw
	}
	return strings.Map(func(c rune) rune {
		if c == '\r' || c == '\n' {
			return -1
		}
		return c
	}, raw)
}

// outcome is how an answer stands.
type outcome struct {
	status     string
	incomplete string // why; empty if it is not
	tier       string // JSON; empty for what was asked
	usage      usage
}

// size is about how long the object is without its output.
func (e *echo) size() int {
	return len(e.head) + len(e.middle) + len(e.tail) + len(e.tier) + len(e.end) + len(e.close) + 512
}

// response appends the whole object. output is its items with commas between them.
func (e *echo) response(dst []byte, o outcome, output []byte) []byte {
	dst = append(append(append(dst, e.head...), o.status...), `","background":false,"error":null,"incomplete_details":`...)
	if o.incomplete != "" {
		dst = append(append(append(dst, `{"reason":"`...), o.incomplete...), `"}`...)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(append(dst, e.middle...), `,"output":[`...)
	dst = append(append(append(dst, output...), ']'), e.tail...)
	dst = append(dst, `,"service_tier":`...)
	if o.tier != "" {
		dst = append(dst, o.tier...)
	} else {
		dst = append(dst, e.tier...)
	}
	dst = append(dst, e.end...)
	dst = o.usage.append(dst)
	return append(dst, e.close...)
}

// end is the outcome for a finish_reason.
func end(finish string) outcome {
	switch finish {
	case "length":
		return outcome{status: "incomplete", incomplete: "max_output_tokens"}
	case "content_filter":
		return outcome{status: "incomplete", incomplete: "content_filter"}
	default:
		return outcome{status: "completed"}
	}
}

// tier is the service tier that the vendor says, if the caller's schema has it.
func tier(v gjson.Result) string {
	switch v.String() {
	case "auto", "default", "flex", "scale", "priority":
		return v.Raw
	}
	return ""
}
