package responses

import (
	"slices"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
)

// call is a call of a function whose fragments are coming.
type call struct {
	index int64  // the vendor's
	id    string // the vendor's; empty if it gives none
	early []byte // arguments that came before the name
	name  string // the caller's
	item  *item  // nil until the name is known
}

// fragment reads a piece of a call. position stands for an index that is not there.
func (s *stream) fragment(position int64, v gjson.Result) error {
	index := position
	var id, name string
	var args gjson.Result
	v.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "index":
			if value.Type == gjson.Number {
				index = value.Int()
			}
		case "id":
			if value.Type == gjson.String {
				id = value.String()
			}
		case "function", "function_call":
			value.ForEach(func(key, value gjson.Result) bool {
				switch {
				case key.Str == "name" && value.Type == gjson.String:
					name = value.String()
				case key.Str == "arguments":
					args = value
				}
				return true
			})
		}
		return true
	})
	c := s.callAt(index)
	// Some servers give every call the same index. Another id is another call, unless it comes without a name: there are
	// servers too that make up an id for every fragment.
	if c == nil || id != "" && id != c.id && name != "" && c.item != nil {
		c = &call{index: index}
		s.calls = append(s.calls, c)
		if len(s.calls) > mostItems {
			return adapter.Fail("The answer of %s is too long.", s.t.call.Vendor)
		}
	}
	if c.id == "" && c.item == nil {
		c.id = id
	}
	if name != "" && c.item == nil {
		s.openCall(c, name)
	}
	var text string
	switch {
	case args.Type == gjson.String:
		text = inner(args)
	case args.IsObject():
		text = arguments(args)
	}
	s.argue(c, text)
	return nil
}

// callAt is the newest call of an index.
func (s *stream) callAt(index int64) *call {
	for _, c := range slices.Backward(s.calls) {
		if c.index == index {
			return c
		}
	}
	return nil
}

// openCall begins the item of a call.
func (s *stream) openCall(c *call, name string) {
	s.closeBlock("completed")
	c.name = s.t.names.Callers(name)
	c.item = s.add("fc_")
	if c.id == "" {
		c.id = s.t.itemID("call_", c.item.index)
	}
	s.itemEvent("response.output_item.added", c.item.index, appendCall(nil, c.item.id, "in_progress", c.id, c.name, ""))
	early := string(c.early)
	c.early = nil
	s.argue(c, early)
}

// argue adds to the arguments of a call.
func (s *stream) argue(c *call, text string) {
	switch {
	case text == "":
	case c.item == nil:
		c.early = append(c.early, text...)
		s.kept += len(text)
	default:
		s.keep(c.item, text)
		s.argumentsEvent(c.item, text)
	}
}

// closeCall ends a call.
func (s *stream) closeCall(c *call, status string) {
	it := c.item
	if len(it.text) == 0 {
		s.argue(c, "{}")
	}
	s.argumentsDoneEvent(it, c.name)
	it.json = appendCall(nil, it.id, status, c.id, c.name, string(it.text))
	it.text = nil
	s.itemEvent("response.output_item.done", it.index, it.json)
}
