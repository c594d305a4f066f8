package responses

import (
	"slices"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/completions"
	"tollgate/edge/adapter/jsontext"
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
func (s *stream) fragment(position int64, f *completions.Call) error {
	index := position
	if f.HasIndex {
		index = f.Index
	}
	c := s.callAt(index)
	// Some servers give every call the same index. Another id is another call, unless it comes without a name: there are
	// servers too that make up an id for every fragment.
	if c == nil || f.ID != "" && f.ID != c.id && f.Name != "" && c.item != nil {
		c = &call{index: index}
		s.calls = append(s.calls, c)
		if len(s.calls) > mostItems {
			return adapter.Fail("The answer of %s is too long.", s.t.call.Vendor)
		}
	}
	if c.id == "" && c.item == nil {
		c.id = f.ID
	}
	if f.Name != "" && c.item == nil {
		s.openCall(c, f.Name)
	}
	s.argue(c, jsontext.Inner(f.Arguments))
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
