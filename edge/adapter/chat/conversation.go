package chat

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/jsontext"
	"tollgate/internal/meter/frame"
)

// conversation is the messages on their way. OpenAI has one for each result of a tool, and lets anyone speak twice; Anthropic has
// turns, by the user and the assistant one after the other, and results come first in the turn behind their calls.
type conversation struct {
	r      *request
	system []mark
	dst    []byte

	role    string         // whose turn it is; empty before the first
	results []byte         // of tools, in a user's turn
	parts   []byte         // the rest of a turn
	calls   map[string]int // of tools, and the turn of the assistant that made them
	asking  int            // the assistant's last turn
	// functions are the identifiers that calls of the old form got, by the name of what they call.
	functions map[string]string
	numbered  int
}

// mark is a text, and whether what comes before its end is to be cached. text is JSON.
type mark struct {
	text  string
	cache string
}

// conversation writes system and messages.
func (r *request) conversation(dst []byte) ([]byte, error) {
	if !r.messages.IsArray() {
		return nil, r.wrong("messages", "it must be a list")
	}
	c := conversation{r: r, dst: append(dst, `,"messages":[`...)}
	last := 0
	for i, m := range adapter.Elements(r.messages) {
		if role := m.Get("role").Str; role != "system" && role != "developer" {
			last = i
		}
	}
	var m spoken
	for i, v := range adapter.Elements(r.messages) {
		m.take(v)
		if err := c.message("messages["+strconv.Itoa(i)+"]", &m, i == last); err != nil {
			return nil, err
		}
	}
	if len(c.results) > 0 || c.role == "assistant" {
		if err := r.goOn(); err != nil {
			return nil, err
		}
	}
	c.turn("")
	if c.dst[len(c.dst)-1] == '[' {
		return nil, r.cannot("messages", "somebody has to say something in them besides what the system does")
	}
	return c.hoist(append(c.dst, ']')), nil
}

// hoist writes what was said to the model before the conversation, and during it.
func (c *conversation) hoist(dst []byte) []byte {
	if len(c.system) == 0 {
		return dst
	}
	dst = append(dst, `,"system":`...)
	if !slices.ContainsFunc(c.system, func(m mark) bool { return m.cache != "" }) {
		dst = append(dst, '"')
		for i, m := range c.system {
			if i > 0 {
				dst = append(dst, `\n`...)
			}
			dst = append(dst, jsontext.Bare(m.text)...)
		}
		return append(dst, '"')
	}
	dst = append(dst, '[')
	for _, m := range c.system {
		dst = text(comma(dst), m)
	}
	return append(dst, ']')
}

func text(dst []byte, m mark) []byte {
	dst = append(append(dst, `{"type":"text","text":`...), m.text...)
	return append(cached(dst, m.cache), '}')
}

func cached(dst []byte, cache string) []byte {
	if cache == "" {
		return dst
	}
	return append(append(dst, `,"cache_control":`...), cache...)
}

// turn ends the turn of who has spoken, if it is somebody else's.
func (c *conversation) turn(role string) {
	if role == c.role {
		return
	}
	if len(c.results)+len(c.parts) > 0 {
		c.dst = append(append(append(comma(c.dst), `{"role":"`...), c.role...), `","content":[`...)
		c.dst = append(c.dst, c.results...)
		if len(c.results) > 0 && len(c.parts) > 0 {
			c.dst = append(c.dst, ',')
		}
		c.dst = append(append(c.dst, c.parts...), "]}"...)
		c.results, c.parts = c.results[:0], c.parts[:0]
	}
	c.role = role
}

// part begins another part of a turn.
func part(list []byte) []byte {
	if len(list) > 0 {
		return append(list, ',')
	}
	return list
}

// spoken is a message taken apart, in one pass. What is null is absent.
type spoken struct {
	role                                                     string
	name, content, id, calls, call, refusal, audio, thoughts gjson.Result
}

func (s *spoken) take(m gjson.Result) {
	*s = spoken{}
	if !m.IsObject() {
		return
	}
	m.ForEach(func(k, v gjson.Result) bool {
		if v.Type == gjson.Null {
			return true
		}
		switch k.String() {
		case "role":
			s.role = v.Str
		case "name":
			s.name = v
		case "content":
			s.content = v
		case "tool_call_id":
			s.id = v
		case "tool_calls":
			s.calls = v
		case "function_call":
			s.call = v
		case "refusal":
			s.refusal = v
		case "audio":
			s.audio = v
		case "reasoning_content", "reasoning":
			s.thoughts = v
		}
		return true
	})
}

func (c *conversation) message(field string, m *spoken, last bool) error {
	if m.name.Exists() && m.role != "function" {
		// Who of several people speaks is not known there; what is said is.
		if err := c.r.leave("messages[].name"); err != nil {
			return err
		}
	}
	content := m.content
	switch m.role {
	case "system", "developer":
		return c.texts(field+".content", content, func(m mark) { c.system = append(c.system, m) })
	case "user":
		if !content.Exists() {
			return c.r.wrong(field+".content", "it is missing")
		}
		c.turn("user")
		return c.user(field+".content", content)
	case "tool":
		if m.id.Type != gjson.String {
			return c.r.wrong(field+".tool_call_id", "it is missing")
		}
		return c.result(field, ".tool_call_id", callID(m.id.Str), content)
	case "function":
		id, ok := c.functions[m.name.Str]
		if !ok {
			return c.r.wrong(field+".name", "it names %q, which the assistant has not called before", m.name.Str)
		}
		return c.result(field, ".name", id, content)
	case "assistant":
		return c.assistant(field, m, last)
	default:
		return c.r.wrong(field+".role", "it must be system, developer, user, assistant or tool")
	}
}

// texts reads content that is text alone.
func (c *conversation) texts(field string, content gjson.Result, add func(mark)) error {
	switch {
	case content.Type == gjson.Null:
		return nil
	case content.Type == gjson.String:
		if content.Raw != `""` {
			add(mark{text: content.Raw})
		}
		return nil
	case !content.IsArray():
		return c.r.wrong(field, "it must be text, or a list of parts")
	}
	for i, p := range adapter.Elements(content) {
		at := field + "[" + strconv.Itoa(i) + "]"
		name := "text"
		if typ := p.Get("type").Str; typ == "refusal" {
			name = typ
		} else if typ != name {
			return c.r.cannot(at+".type", "a part of the type %q cannot be here", typ)
		}
		t := p.Get(name)
		if t.Type != gjson.String {
			return c.r.wrong(at+"."+name, "it must be text")
		}
		if t.Raw != `""` {
			add(mark{t.Raw, c.cache(p)})
		}
	}
	return nil
}

// result adds what a tool has said.
func (c *conversation) result(field, name, id string, content gjson.Result) error {
	if turn, ok := c.calls[id]; !ok || turn != c.asking {
		return c.r.wrong(field+name, "it names a call that the assistant has not made right before")
	}
	c.turn("user")
	c.results = append(part(c.results), `{"type":"tool_result","tool_use_id":"`...)
	c.results = append(append(c.results, id...), `","content":`...)
	switch {
	case content.Type == gjson.Null:
		c.results = append(c.results, `""`...)
	case content.Type == gjson.String:
		c.results = append(c.results, content.Raw...)
	default:
		var parts []byte
		parts, err := c.list(parts, field+".content", content)
		if err != nil {
			return err
		}
		c.results = append(append(append(c.results, '['), parts...), ']')
	}
	c.results = append(c.results, '}')
	return nil
}

func (c *conversation) assistant(field string, m *spoken, last bool) error {
	call := m.call
	if m.audio.IsObject() {
		return c.r.cannot(field+".audio", "Anthropic Messages neither takes nor makes audio")
	}
	if m.thoughts.Exists() {
		// Thoughts count only with the vendor's signature, which Chat Completions has no place for.
		c.r.dropped = adapter.Leave(c.r.dropped, "messages[].reasoning_content")
	}
	var said []mark
	if err := c.texts(field+".content", m.content, func(m mark) { said = append(said, m) }); err != nil {
		return err
	}
	if t := m.refusal; t.Type == gjson.String && t.Str != "" {
		said = append(said, mark{text: t.Raw})
	}
	asks := adapter.Some(m.calls) || call.IsObject()
	if len(said) == 0 && !asks {
		return nil
	}
	if len(c.results)+len(c.parts) == 0 && c.dst[len(c.dst)-1] == '[' {
		return c.r.cannot(field+".role", "a conversation begins with the user there")
	}
	if c.role != "assistant" {
		c.asking++
	}
	c.turn("assistant")
	if last && !asks {
		said = trimmed(said)
	}
	for _, t := range said {
		c.parts = text(part(c.parts), t)
	}
	for i, t := range adapter.Elements(m.calls) {
		at := field + ".tool_calls[" + strconv.Itoa(i) + "]"
		if typ := t.Get("type"); typ.Exists() && typ.Str != "function" {
			return c.r.cannot(at+".type", "calls of the type %q are OpenAI's own", typ.Str)
		}
		id := t.Get("id")
		if id.Type != gjson.String || id.Str == "" {
			return c.r.wrong(at+".id", "it is missing")
		}
		if err := c.call(at+".function", callID(id.Str), t.Get("function")); err != nil {
			return err
		}
	}
	if !call.IsObject() {
		return nil
	}
	if c.functions == nil {
		c.functions = map[string]string{}
	}
	id := "call_" + strconv.Itoa(c.numbered)
	c.numbered++
	c.functions[call.Get("name").Str] = id
	return c.call(field+".function_call", id, call)
}

// trimmed is a text for the model to go on with, which must not end in white space.
func trimmed(said []mark) []mark {
	for len(said) > 0 {
		end := &said[len(said)-1]
		whole := gjson.Parse(end.text).String()
		short := strings.TrimRight(whole, " \t\r\n")
		if short == whole {
			break
		}
		if short != "" {
			end.text = string(gjson.AppendJSONString(nil, short))
			break
		}
		said = said[:len(said)-1]
	}
	return said
}

// call adds the call of a tool.
func (c *conversation) call(field, id string, f gjson.Result) error {
	name, arguments := f.Get("name"), f.Get("arguments")
	if name.Type != gjson.String || name.Str == "" {
		return c.r.wrong(field+".name", "it is missing")
	}
	input := strings.TrimSpace(arguments.String())
	switch {
	case arguments.Exists() && arguments.Type != gjson.String && arguments.Type != gjson.Null:
		return c.r.wrong(field+".arguments", "it must be text that is a JSON object")
	case input == "":
		input = "{}"
	case input[0] != '{' || !frame.Valid([]byte(input)):
		return c.r.cannot(field+".arguments", "they are not a JSON object, which Anthropic Messages needs them to be")
	}
	if c.calls == nil {
		c.calls = map[string]int{}
	}
	c.calls[id] = c.asking
	c.parts = append(append(part(c.parts), `{"type":"tool_use","id":"`...), id...)
	c.parts = append(append(c.parts, `","name":"`...), c.r.names.Vendors(name.Str)...)
	c.parts = append(append(append(c.parts, `","input":`...), input...), '}')
	return nil
}
