package messages

import (
	"strconv"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter/jsontext"
)

// turns puts the messages of the translated request in their order. Chat Completions wants results of tools right behind the
// assistant's turn that called them, so that what the user says in the same turn is kept until they have come.
type turns struct {
	out     []byte // the translated request, with what is in its place, each message behind a comma
	results []byte // results of tools that belong behind it
	rest    []byte // what belongs behind these

	open     bool   // an assistant's turn is being put together
	text     []byte // inner
	calls    []byte // each behind a comma
	thoughts []byte // inner

	known map[string]bool // ids of the tools' calls so far
	parts parts           // of the user's message that is being put together
	tool  parts           // of the result that is being put together
}

// writeMessages writes the conversation, the system prompt first.
func (r *request) writeMessages(out []byte) ([]byte, error) {
	start := len(out)
	t := &turns{out: out, known: map[string]bool{}}
	t.parts.joiner, t.tool.joiner = `\n\n`, `\n`
	if err := r.systemPrompt(t); err != nil {
		return nil, err
	}
	last := ""
	var err error
	i := 0
	r.messages.ForEach(func(_, v gjson.Result) bool {
		last, err = r.turn(t, v, i)
		i++
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	t.assistantEnds()
	t.settle()
	if len(t.out) == start {
		return nil, r.invalid("messages", "there is nothing in them")
	}
	t.out[start] = '[' // in place of the first comma
	out = append(t.out, ']')
	if last != "assistant" || r.counting {
		return out, nil
	}
	if !r.opts.GetPrefill() {
		return nil, r.cannot("messages["+strconv.Itoa(i-1)+"]", "it does not continue an answer that was begun; let the last message be the user's")
	}
	return append(out, `,"continue_final_message":true,"add_generation_prompt":false`...), nil
}

// turn translates one message, and is its role.
func (r *request) turn(t *turns, v gjson.Result, i int) (string, error) {
	p := place{message: i, block: -1, inner: -1}
	if !v.IsObject() {
		return "", r.invalid(p.String(), "it must be an object")
	}
	var role, content gjson.Result
	v.ForEach(func(key, f gjson.Result) bool {
		switch key.Str {
		case "role":
			role = f
		case "content":
			content = f
		}
		return true
	})
	if content.Type != gjson.String && !content.IsArray() {
		return "", r.invalid(p.String()+".content", "it is required and must be a text or a list of blocks")
	}
	var err error
	switch role.Str {
	case "user":
		t.assistantEnds()
		err = r.user(t, content, p)
	case "assistant":
		if t.open && len(t.calls) == 0 {
			t.assistantEnds()
		}
		t.settle()
		t.open = true
		err = r.assistant(t, content, p)
	case "system":
		t.assistantEnds()
		err = r.systemText(t, content, p, &t.rest)
	default:
		err = r.invalid(p.String()+".role", "it must be user, assistant or system")
	}
	return role.Str, err
}

// settle puts what follows an assistant's turn behind it: results of tools first.
func (t *turns) settle() {
	t.out = append(append(t.out, t.results...), t.rest...)
	t.results, t.rest = t.results[:0], t.rest[:0]
}

// assistantEnds writes the assistant's turn, if there is one.
func (t *turns) assistantEnds() {
	if !t.open {
		return
	}
	t.open = false
	t.out = append(t.out, `,{"role":"assistant"`...)
	if len(t.text) > 0 || len(t.calls) == 0 {
		t.out = append(append(append(t.out, `,"content":"`...), t.text...), '"')
	} else {
		t.out = append(t.out, `,"content":null`...)
	}
	if len(t.thoughts) > 0 {
		t.out = append(append(append(t.out, `,"reasoning_content":"`...), t.thoughts...), '"')
	}
	if len(t.calls) > 0 {
		t.out = append(append(append(t.out, `,"tool_calls":[`...), t.calls[1:]...), ']')
	}
	t.out = append(t.out, '}')
	t.text, t.calls, t.thoughts = t.text[:0], t.calls[:0], t.thoughts[:0]
}

// systemPrompt writes the system prompt, if there is one.
func (r *request) systemPrompt(t *turns) error {
	p := place{message: systemPrompt, block: -1, inner: -1}
	switch {
	case !jsontext.Present(r.system), r.system.Type == gjson.String && r.system.Str == "":
		return nil
	case r.system.Type != gjson.String && !r.system.IsArray():
		return r.invalid("system", "it must be a text or a list of blocks of text")
	}
	return r.systemText(t, r.system, p, &t.out)
}

// systemText writes instructions to the model. They are text and nothing else.
func (r *request) systemText(t *turns, content gjson.Result, p place, to *[]byte) error {
	t.parts.reset()
	err := r.blocks(content, p, func(b *block, p place) error {
		if b.kind != "text" {
			return r.cannot(p.String(), "instructions are blocks of text, and this one is %q", b.kind)
		}
		return r.text(&t.parts, b, p)
	})
	if err != nil || t.parts.n == 0 {
		return err
	}
	role := `,{"role":"system","content":`
	if r.opts.GetDeveloperRole() {
		role = `,{"role":"developer","content":`
	}
	*to = append(t.parts.append(append(*to, role...), r.opts.GetStringContent()), '}')
	return nil
}

// user translates the user's turn: results of tools, and what the user says.
func (r *request) user(t *turns, content gjson.Result, p place) error {
	t.parts.reset()
	results := false
	err := r.blocks(content, p, func(b *block, p place) error {
		if b.kind == "tool_result" {
			results = true
			return r.result(t, b, p)
		}
		return r.part(&t.parts, b, p)
	})
	if err != nil || t.parts.n == 0 && results {
		return err
	}
	t.rest = append(t.rest, `,{"role":"user","content":`...)
	t.rest = append(t.parts.append(t.rest, r.opts.GetStringContent()), '}')
	return nil
}

// assistant translates the assistant's turn: what it said, and which tools it called.
func (r *request) assistant(t *turns, content gjson.Result, p place) error {
	return r.blocks(content, p, func(b *block, p place) error {
		switch b.kind {
		case "text":
			if b.text.Type != gjson.String {
				return r.invalid(p.String()+".text", "it is required and must be a text")
			}
			r.marked(b)
			if jsontext.Present(b.citations) && b.citations.Get("#").Int() > 0 {
				r.leave("messages.citations")
			}
			t.text = append(t.text, jsontext.Inner(b.text)...)
		case "tool_use":
			return r.use(t, b, p)
		case "thinking":
			if r.opts.GetReasoningContent() && b.thinking.Type == gjson.String {
				t.thoughts = append(t.thoughts, jsontext.Inner(b.thinking)...)
				return nil
			}
			r.leave("messages.thinking")
		case "redacted_thinking":
			r.leave("messages.redacted_thinking")
		default:
			return r.cannot(p.String(), "it takes no block of the type %q from the assistant", b.kind)
		}
		return nil
	})
}

// use translates a call of a tool.
func (r *request) use(t *turns, b *block, p place) error {
	switch {
	case b.id.Type != gjson.String || b.id.Str == "":
		return r.invalid(p.String()+".id", "it is required and must be a text")
	case b.name.Type != gjson.String || b.name.Str == "":
		return r.invalid(p.String()+".name", "it is required and must be a text")
	case !b.input.IsObject():
		return r.invalid(p.String()+".input", "it is required and must be an object")
	}
	r.marked(b)
	t.known[b.id.Str] = true
	t.calls = append(append(append(t.calls, `,{"id":`...), b.id.Raw...), `,"type":"function","function":{"name":`...)
	t.calls = gjson.AppendJSONString(t.calls, r.names.Vendors(b.name.Str))
	t.calls = append(t.calls, `,"arguments":`...)
	t.calls = append(jsontext.AppendDocument(t.calls, b.input.Raw), "}}"...)
	return nil
}
