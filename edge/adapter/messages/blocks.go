package messages

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/completions"
	"tollgate/edge/adapter/jsontext"
)

// blocks puts the blocks of a streamed answer one behind another. The first that is not closed goes on as it comes. What belongs
// to those behind it is held until that one has come to its end: a text when something else begins, a call when its arguments
// are whole, and anything when the answer ends. So no call waits for another unless the vendor mixes them.
type blocks struct {
	out    []byte
	list   []*streamed // in the order in which they began
	head   int         // the first that is not closed
	next   int         // index of the next block that is written
	held   int         // bytes that are kept
	format *format
}

type blockKind uint8

const (
	textBlock blockKind = iota
	thinkingBlock
	callBlock
)

// streamed is a block whose parts are coming.
type streamed struct {
	kind  blockKind
	index int    // in the caller's stream, once it is begun
	begun bool   // its start is written
	said  bool   // something of it is written
	wait  []byte // what is not yet written; inner

	// Of a call:
	place     int64  // the vendor's index
	hasPlace  bool   // it has one
	vendorID  string // as the vendor calls it
	id        string // as the caller does
	name      string
	arguments []byte
	extent    extent
}

// mostHeld bounds what is kept of one answer's calls and of blocks that wait.
const mostHeld = 16 << 20

// say adds to the text or the thoughts.
func (b *blocks) say(kind blockKind, v gjson.Result) error {
	if v.Type != gjson.String || v.Str == "" {
		return nil
	}
	at := len(b.list) - 1
	if at < b.head || b.list[at].kind != kind {
		at++
		b.list = append(b.list, &streamed{kind: kind})
	}
	return b.more(at, jsontext.Inner(v))
}

// call adds to a call.
func (b *blocks) call(c *completions.Call) error {
	at, s := b.find(c)
	if s.vendorID == "" {
		s.vendorID = c.ID
	}
	if s.name == "" {
		s.name = c.Name
	}
	part := c.Arguments
	if at < b.head {
		if !blank(part.Str) {
			return brokenArguments(s.name)
		}
		return nil
	}
	s.arguments = append(s.arguments, part.Str...)
	s.extent.add(part.Str)
	b.held += len(part.Str)
	return b.more(at, jsontext.Inner(part))
}

// find is the call that a part belongs to: by the vendor's index and by its id, because there are servers that give all calls the
// index 0, and others that give none.
func (b *blocks) find(c *completions.Call) (int, *streamed) {
	for i, s := range slices.Backward(b.list) {
		if s.kind != callBlock || c.HasIndex && s.hasPlace && s.place != c.Index {
			continue
		}
		if c.ID == "" || s.vendorID == "" || s.vendorID == c.ID {
			return i, s
		}
	}
	s := &streamed{kind: callBlock, place: c.Index, hasPlace: c.HasIndex}
	b.list = append(b.list, s)
	return len(b.list) - 1, s
}

// more adds to a block and writes what can be written.
func (b *blocks) more(at int, text string) error {
	s := b.list[at]
	if at == b.head && s.begun {
		if text != "" {
			b.delta(s, text)
		}
	} else {
		s.wait = append(s.wait, text...)
		b.held += len(text)
	}
	switch {
	case len(b.list) > mostCalls:
		return tooManyCalls()
	case b.held > mostHeld:
		return adapter.Fail("The vendor's stream mixes calls of which more than %d bytes would have to be kept.", mostHeld)
	}
	for b.head < len(b.list) {
		s := b.list[b.head]
		b.begin(s)
		if b.head == len(b.list)-1 || !s.ended() {
			return nil
		}
		if err := b.stop(s, false); err != nil {
			return err
		}
		b.head++
	}
	return nil
}

// ended says whether nothing more of a block can come once another has begun.
func (s *streamed) ended() bool { return s.kind != callBlock || s.begun && s.extent.ended }

// finish writes what is left, and says whether the answer calls a tool. cut says that the answer was cut short by the limit on
// its length: the last call may then be anything.
func (b *blocks) finish(cut bool) (calls bool, err error) {
	for ; b.head < len(b.list); b.head++ {
		s := b.list[b.head]
		if b.begin(s); !s.begun {
			if cut {
				continue
			}
			return false, adapter.Fail("The vendor's answer calls a tool without a name.")
		}
		if err := b.stop(s, cut); err != nil {
			return false, err
		}
	}
	for _, s := range b.list {
		calls = calls || s.kind == callBlock && s.begun
	}
	return calls, nil
}

// begin writes the start of a block and what has waited for it, as soon as that can be: a call needs its name.
func (b *blocks) begin(s *streamed) {
	if s.begun || s.kind == callBlock && s.name == "" {
		return
	}
	s.begun, s.index = true, b.next
	b.next++
	out := append(appendEventOf(b.out, "content_block_start", s.index), `,"content_block":`...)
	switch s.kind {
	case textBlock:
		out = append(out, `{"type":"text","text":""}`...)
	case thinkingBlock:
		out = append(out, `{"type":"thinking","thinking":"","signature":""}`...)
	case callBlock:
		s.id = callID(s.vendorID, b.format, s.index, func(id string) bool {
			return slices.ContainsFunc(b.list, func(o *streamed) bool { return o != s && o.id == id })
		})
		out = append(append(append(out, `{"type":"tool_use","id":"`...), s.id...), `","name":`...)
		out = append(gjson.AppendJSONString(out, b.format.names.Callers(s.name)), `,"input":{}}`...)
	}
	b.out = append(out, "}\n\n"...)
	if len(s.wait) > 0 {
		b.delta(s, string(s.wait))
		b.held -= len(s.wait)
		s.wait = nil
	}
}

// delta writes a part of a block.
func (b *blocks) delta(s *streamed, text string) {
	s.said = true
	out := append(appendEventOf(b.out, "content_block_delta", s.index), `,"delta":{"type":"`...)
	switch s.kind {
	case textBlock:
		out = append(out, `text_delta","text":"`...)
	case thinkingBlock:
		out = append(out, `thinking_delta","thinking":"`...)
	case callBlock:
		out = append(out, `input_json_delta","partial_json":"`...)
	}
	b.out = append(append(out, text...), "\"}}\n\n"...)
}

// stop writes the end of a block.
func (b *blocks) stop(s *streamed, cut bool) error {
	switch s.kind {
	case textBlock:
	case thinkingBlock:
		b.out = append(appendEventOf(b.out, "content_block_delta", s.index), ",\"delta\":{\"type\":\"signature_delta\",\"signature\":\"\"}}\n\n"...)
	case callBlock:
		if !cut && !blank(string(s.arguments)) && !whole(string(s.arguments)) {
			return brokenArguments(s.name)
		}
		if !s.said {
			b.delta(s, "")
		}
		b.held -= len(s.arguments)
		s.arguments = nil
	}
	b.out = append(appendEventOf(b.out, "content_block_stop", s.index), "}\n\n"...)
	return nil
}

// extent finds the end of a JSON object that comes in parts. It takes for granted that there is one: whether the text makes sense is
// looked at when it has ended.
type extent struct {
	depth         int
	text, escaped bool // in a string, and behind a backslash in it
	ended         bool
}

func (e *extent) add(part string) {
	for i := range len(part) {
		c := part[i]
		switch {
		case e.escaped:
			e.escaped = false
		case e.text:
			e.escaped, e.text = c == '\\', c != '"'
		case c == '"':
			e.text = true
		case c == '{' || c == '[':
			e.depth++
		case c == '}' || c == ']':
			e.depth--
			e.ended = e.depth == 0
		}
	}
}

func blank(text string) bool { return strings.TrimSpace(text) == "" }
