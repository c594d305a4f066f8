package messages

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/completions"
	"tollgate/edge/adapter/jsontext"
	"tollgate/internal/meter/frame"
)

// answer translates an answer that came as a whole.
func answer(body []byte, f *format) ([]byte, error) {
	if !frame.Valid(body) {
		return nil, adapter.Fail("The vendor's answer is no JSON document.")
	}
	d := completions.Read(body)
	if !d.Choice.IsObject() {
		if d.Failed {
			return nil, adapter.Read(0, "", body)
		}
		return nil, adapter.Fail("The vendor's answer has no choices.")
	}
	if err := adapter.Interrupted(d.Choice); err != nil {
		return nil, err
	}
	choice := completions.ReadChoice(d.Choice)
	if !choice.Said.IsObject() {
		return nil, adapter.Fail("The vendor's answer has no message.")
	}
	out := make([]byte, 0, len(body)+512)
	out = append(appendID(append(out, `{"id":"`...), d.ID, f), `","type":"message","role":"assistant","model":`...)
	out = append(append(out, f.asked...), `,"content":[`...)
	c := content{format: f, finish: choice.Finish, out: out}
	start := len(out)
	if err := c.message(choice.Said); err != nil {
		return nil, err
	}
	if out = c.out; len(out) > start {
		out = append(out[:start], out[start+1:]...) // the comma before the first block
	}
	stop := stopOf(choice.Finish, choice.Stop, c.calls > 0)
	out = append(stop.append(append(out, ']', ',')), `,"usage":`...)
	u := usage{completions.ReadUsage(d.Used)}
	return append(u.append(out), '}'), nil
}

// appendID writes the id of a message between quotes.
func appendID(dst []byte, id string, f *format) []byte {
	id = strings.TrimPrefix(strings.TrimPrefix(id, "chatcmpl-"), "msg_")
	if id == "" {
		id = f.id
	}
	return appendIdentifier(append(dst, "msg_"...), id)
}

// appendIdentifier writes an id with the characters that Anthropic's clients send back without harm.
func appendIdentifier(dst []byte, id string) []byte {
	for i := range len(id) {
		if c := id[i]; adapter.Identifies(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '_')
		}
	}
	return dst
}

// callID is the id of a tool's call: the vendor's own where it has one that no other call of the answer has.
func callID(id string, f *format, n int, taken func(id string) bool) string {
	if id == "" {
		id = "call_" + f.id + "_" + strconv.Itoa(n)
	}
	id = string(appendIdentifier(nil, id))
	unique := id
	for i := 2; taken(unique); i++ {
		unique = id + "_" + strconv.Itoa(i)
	}
	return unique
}

// stop says why an answer ended.
type stop struct {
	reason   string
	sequence string // JSON; empty for none
}

// stopOf says why an answer ended. other is what vLLM says about it: the text that it was told to stop at.
func stopOf(finish string, other gjson.Result, calls bool) stop {
	switch {
	case finish == "length":
		return stop{reason: "max_tokens"}
	case finish == "content_filter":
		return stop{reason: "refusal"}
	case calls, finish == "tool_calls", finish == "function_call":
		// A model that was made to call a tool says that it has just stopped.
		return stop{reason: "tool_use"}
	case other.Type == gjson.String:
		return stop{"stop_sequence", other.Raw}
	default:
		return stop{reason: "end_turn"}
	}
}

func (s stop) append(dst []byte) []byte {
	dst = append(append(append(dst, `"stop_reason":"`...), s.reason...), `","stop_sequence":`...)
	if s.sequence == "" {
		return append(dst, "null"...)
	}
	return append(dst, s.sequence...)
}

// content makes the blocks of an answer.
type content struct {
	format *format
	finish string
	out    []byte // each block behind a comma
	calls  int
	ids    []string
}

// message makes blocks of what the vendor's message says: thoughts, then text, then calls of tools.
func (c *content) message(m gjson.Result) error {
	said := completions.ReadSaid(m)
	c.thought(said.Thought)
	completions.Pieces(said.Content, c.thought, c.text, c.text)
	c.text(said.Refusal)
	var err error
	said.Calls(func(call completions.Call) bool {
		err = c.call(&call)
		return err == nil
	})
	return err
}

func (c *content) thought(v gjson.Result) {
	if v.Type == gjson.String && v.Str != "" && c.format.thoughts {
		c.out = append(append(append(c.out, `,{"type":"thinking","thinking":`...), v.Raw...), `,"signature":""}`...)
	}
}

func (c *content) text(v gjson.Result) {
	if v.Type == gjson.String && v.Str != "" {
		c.out = append(append(append(c.out, `,{"type":"text","text":`...), v.Raw...), '}')
	}
}

// call makes a block of a call.
func (c *content) call(call *completions.Call) error {
	if call.Name == "" {
		return adapter.Fail("The vendor's answer calls a tool without a name.")
	}
	if c.calls == mostCalls {
		return tooManyCalls()
	}
	input := "{}"
	switch arguments := call.Arguments; {
	case arguments.Type == gjson.String:
		switch ok := whole(arguments.Str); {
		case blank(arguments.Str):
		case ok:
			input = arguments.Str
		case c.finish != "length":
			return brokenArguments(call.Name)
		}
	case jsontext.Present(arguments):
		return brokenArguments(call.Name)
	}
	id := callID(call.ID, c.format, c.calls, func(id string) bool { return slices.Contains(c.ids, id) })
	c.ids = append(c.ids, id)
	c.calls++
	c.out = append(append(append(c.out, `,{"type":"tool_use","id":"`...), id...), `","name":`...)
	c.out = gjson.AppendJSONString(c.out, c.format.names.Callers(call.Name))
	c.out = append(append(append(c.out, `,"input":`...), input...), '}')
	return nil
}

// mostCalls bounds how many calls and other blocks an answer may have. Each of them is compared with the others.
const mostCalls = 4096

func tooManyCalls() *adapter.Error {
	return adapter.Fail("The vendor's answer has more than %d blocks.", mostCalls)
}

// whole says whether arguments are a JSON object.
func whole(arguments string) bool {
	text := []byte(arguments)
	return frame.Valid(text) && strings.HasPrefix(strings.TrimLeft(arguments, " \t\r\n"), "{")
}

func brokenArguments(name string) *adapter.Error {
	return adapter.Fail("The vendor's answer calls the tool %q with arguments that are no JSON object.", name)
}
