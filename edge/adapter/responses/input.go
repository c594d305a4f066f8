package responses

import (
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/jsontext"
)

// conversation writes the messages: instructions first, then the items of the input.
func (q *request) conversation() error {
	c := conversation{q: q, out: append(q.out, `,"messages":[`...)}
	input, _ := q.get("input")
	if v, ok := q.get("instructions"); ok {
		if v.Type != gjson.String {
			return q.wrong("instructions", "it must be a text")
		}
		if v.Str != "" {
			c.message(q.systemRole(), []part{{kind: textPart, raw: v.Raw}})
		}
	}
	switch {
	case input.Type == gjson.String:
		c.message("user", []part{{kind: textPart, raw: input.Raw}})
	case input.IsArray():
		if err := c.items(input); err != nil {
			return err
		}
	default:
		return q.wrong("input", "it must be a text or a list of items")
	}
	if c.n == 0 {
		return q.wrong("input", "there is nothing in it")
	}
	q.out = append(c.out, ']')
	return nil
}

// systemRole is the role of what stands above the user.
func (q *request) systemRole() string {
	if q.opt.GetDeveloperRole() {
		return "developer"
	}
	return "system"
}

// conversation makes messages of items. In Chat Completions a turn of the assistant is one message with its text and its calls,
// and the results of all its calls follow at once. In Responses each of them is an item of its own, and a result may come later.
type conversation struct {
	q       *request
	out     []byte
	n       int                 // messages
	results map[string][]result // of calls, by the call's id, in their order: vendors are known to use an id again in a later turn

	turn struct {
		open    bool
		parts   []part
		calls   []byte
		ids     []called
		thought []byte // what was thought, between quotes
	}
}

// result is what an item function_call_output says.
type result struct {
	index  int // in the input
	output gjson.Result
}

// called is a call that waits for its result.
type called struct {
	index int // in the input
	id    string
}

func (c *conversation) items(input gjson.Result) error {
	if strings.Contains(input.Raw, resultType) { // which may also be a word of a text: then nothing comes of it
		if err := c.collect(input); err != nil {
			return err
		}
	}
	var err error
	i := 0
	var it entry
	input.ForEach(func(_, item gjson.Result) bool {
		it.read(item)
		err = c.item(i, &it)
		i++
		return err == nil
	})
	if err == nil {
		err = c.close()
	}
	if err != nil {
		return err
	}
	first := -1
	for _, waiting := range c.results {
		if len(waiting) > 0 && (first < 0 || waiting[0].index < first) {
			first = waiting[0].index
		}
	}
	if first >= 0 {
		return c.q.wrong(at("input", first)+".call_id", "no function_call in the input has this id")
	}
	return nil
}

const resultType = "function_call_output"

// collect reads the results of calls.
func (c *conversation) collect(input gjson.Result) error {
	c.results = map[string][]result{}
	var err error
	i := -1
	input.ForEach(func(_, item gjson.Result) bool {
		i++
		if item.Get("type").String() != resultType {
			return true
		}
		id := item.Get("call_id")
		if id.Type != gjson.String {
			err = c.q.wrong(at("input", i)+".call_id", "it must be the id of a call")
			return false
		}
		c.results[id.Str] = append(c.results[id.Str], result{i, item.Get("output")})
		return true
	})
	return err
}

// entry is an item of the input.
type entry struct {
	kind                                   string
	role, content, callID, name, arguments gjson.Result
}

// read takes an item apart in one pass.
func (e *entry) read(item gjson.Result) {
	*e = entry{}
	if !item.IsObject() {
		return
	}
	item.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "type":
			e.kind = value.String()
		case "role":
			e.role = value
		case "content":
			e.content = value
		case "call_id":
			e.callID = value
		case "name":
			e.name = value
		case "arguments":
			e.arguments = value
		}
		return true
	})
}

// item reads one item.
func (c *conversation) item(i int, item *entry) error {
	kind := item.kind
	if kind == "" && item.role.Exists() {
		kind = "message"
	}
	switch kind {
	case "message":
		return c.said(i, item)
	case "function_call":
		return c.call(i, item)
	case resultType:
		return c.close() // which writes it
	case "reasoning":
		c.thought(item)
		return nil
	case "item_reference":
		return c.q.cannot(at("input", i), "items of earlier answers are not kept here; send the item itself")
	case "":
		return c.q.wrong(at("input", i)+".type", "every item has a type")
	default:
		return c.q.cannot(at("input", i), "an item "+printable(kind)+" has no counterpart there")
	}
}

// said reads a message.
func (c *conversation) said(i int, item *entry) error {
	role := item.role.String()
	parts, err := c.q.parts(where{"input", i, ".content"}, item.content, role)
	if err != nil {
		return err
	}
	switch role {
	case "assistant":
		// A message after calls of the same turn cannot stand between them and their results.
		if c.turn.open && len(c.turn.ids) == 0 && c.turn.parts != nil {
			if err := c.close(); err != nil {
				return err
			}
		}
		c.turn.open = true
		c.turn.parts = append(c.turn.parts, parts...)
		return nil
	case "system", "developer":
		role = c.q.systemRole()
	case "user":
	default:
		return c.q.wrong(at("input", i)+".role", "it must be user, assistant, system or developer")
	}
	if err := c.close(); err != nil {
		return err
	}
	c.message(role, parts)
	return nil
}

// call reads a call of a function.
func (c *conversation) call(i int, item *entry) error {
	id, name, arguments := item.callID, item.name, item.arguments
	switch {
	case id.Type != gjson.String || id.Str == "":
		return c.q.wrong(at("input", i)+".call_id", "every call has an id")
	case name.Type != gjson.String || name.Str == "":
		return c.q.wrong(at("input", i)+".name", "every call has the name of a function")
	case arguments.Type != gjson.String:
		return c.q.wrong(at("input", i)+".arguments", "it must be a text with JSON in it")
	}
	t := &c.turn
	t.open = true
	if len(t.ids) > 0 {
		t.calls = append(t.calls, ',')
	}
	t.calls = append(append(t.calls, `{"id":`...), id.Raw...)
	t.calls = gjson.AppendJSONString(append(t.calls, `,"type":"function","function":{"name":`...), c.q.names.Vendors(name.String()))
	raw := arguments.Raw
	if arguments.Str == "" {
		raw = `"{}"`
	}
	t.calls = append(append(append(t.calls, `,"arguments":`...), raw...), "}}"...)
	t.ids = append(t.ids, called{i, id.String()})
	return nil
}

// thought reads what was thought in an earlier turn. Most vendors want nothing of it; what is encrypted only OpenAI can read.
func (c *conversation) thought(item *entry) {
	if !c.q.opt.GetReasoningContent() {
		c.q.dropped = adapter.Leave(c.q.dropped, "input.reasoning")
		return
	}
	// Thoughts begin a turn: those that come after a message of the assistant belong to the next one.
	if c.turn.open && len(c.turn.ids) == 0 && c.turn.parts != nil {
		c.flush()
	}
	item.content.ForEach(func(_, p gjson.Result) bool {
		if text := p.Get("text"); text.Type == gjson.String {
			c.turn.open = true
			c.turn.thought = append(c.turn.thought, jsontext.Inner(text)...)
		}
		return true
	})
}

// close ends the assistant's turn, if there is one, and writes the results of its calls.
func (c *conversation) close() error {
	calls := c.turn.ids
	c.flush()
	var shown []part // which the role tool cannot have
	for _, call := range calls {
		waiting := c.results[call.id]
		if len(waiting) == 0 {
			return c.q.wrong(at("input", call.index), "there is no function_call_output with its call_id")
		}
		c.results[call.id] = waiting[1:]
		more, err := c.result(call.id, waiting[0])
		if err != nil {
			return err
		}
		shown = append(shown, more...)
	}
	if shown != nil {
		c.message("user", shown)
	}
	return nil
}

// flush writes the assistant's turn.
func (c *conversation) flush() {
	t := &c.turn
	if !t.open {
		return
	}
	c.begin("assistant")
	switch {
	case len(t.parts) > 0 || len(t.ids) == 0:
		c.content(t.parts)
	default:
		c.out = append(c.out, `,"content":null`...)
	}
	if t.thought != nil {
		c.out = append(append(append(c.out, `,"reasoning_content":"`...), t.thought...), '"')
	}
	if len(t.ids) > 0 {
		c.out = append(append(append(c.out, `,"tool_calls":[`...), t.calls...), ']')
	}
	c.out = append(c.out, '}')
	c.turn.open, c.turn.parts, c.turn.ids = false, nil, nil
	c.turn.calls, c.turn.thought = c.turn.calls[:0], nil
}

// result writes the result of a call. What is not text is returned: it follows in a message of the user's, and the result
// says so in its place.
func (c *conversation) result(id string, r result) (shown []part, err error) {
	output := r.output
	var parts []part
	switch {
	case output.Type == gjson.String:
		parts = []part{{kind: textPart, raw: output.Raw}}
	case output.IsArray():
		all, err := c.q.parts(where{"input", r.index, ".output"}, output, "tool")
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			if p.kind == textPart {
				parts = append(parts, p)
				continue
			}
			label := string(gjson.AppendJSONString(nil, "["+p.noun()+" of the result of call "+id+"]"))
			parts = append(parts, part{kind: textPart, raw: label})
			shown = append(shown, part{kind: textPart, raw: label}, p)
		}
	default:
		return nil, c.q.wrong(at("input", r.index)+".output", "it must be a text or a list of parts")
	}
	c.begin("tool")
	c.out = gjson.AppendJSONString(append(c.out, `,"tool_call_id":`...), id)
	c.content(parts)
	c.out = append(c.out, '}')
	return shown, nil
}

// message writes a message that is nothing but its content.
func (c *conversation) message(role string, parts []part) {
	c.begin(role)
	c.content(parts)
	c.out = append(c.out, '}')
}

func (c *conversation) begin(role string) {
	if c.n > 0 {
		c.out = append(c.out, ',')
	}
	c.n++
	c.out = append(append(append(c.out, `{"role":"`...), role...), '"')
}
