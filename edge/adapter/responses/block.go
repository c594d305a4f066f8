package responses

import (
	"github.com/tidwall/gjson"

	"tollgate/edge/adapter/jsontext"
)

// item is an item of the output that was begun.
type item struct {
	index     int
	id        string
	reasoning bool

	parts []byte   // of a message that have ended, with commas between them
	part  int      // index of the open part
	open  bool     // a part is open
	kind  partKind // of the open part
	text  []byte   // of the open part, or the arguments of a call: JSON without quotes
	notes []byte   // annotations of the open part, with commas between them
	noted int64

	json []byte // the whole item, once it has ended
}

// add begins an item.
func (s *stream) add(prefix string) *item {
	it := &item{index: len(s.items), id: s.t.itemID(prefix, len(s.items))}
	s.items = append(s.items, it)
	return it
}

// think adds to the thoughts.
func (s *stream) think(v gjson.Result) {
	text := jsontext.Inner(v)
	if text == "" || len(s.items) > mostItems { // there is an error for it once the event at hand is read
		return
	}
	if s.block == nil || !s.block.reasoning {
		s.closeBlock("completed")
		it := s.add("rs_")
		it.reasoning = true
		s.block = it
		s.itemEvent("response.output_item.added", it.index, appendReasoningBegun(nil, it.id))
		s.partEvent("response.content_part.added", it, appendThoughtPart(nil, ""))
	}
	s.keep(s.block, text)
	s.deltaEvent("response.reasoning_text.delta", s.block, text)
}

// say adds to the text.
func (s *stream) say(v gjson.Result) { s.tell(textPart, "response.output_text.delta", v) }

// refuse adds to the words of a refusal.
func (s *stream) refuse(v gjson.Result) { s.tell(refusalPart, "response.refusal.delta", v) }

func (s *stream) tell(kind partKind, event string, v gjson.Result) {
	text := jsontext.Inner(v)
	if text == "" || len(s.items) > mostItems { // there is an error for it once the event at hand is read
		return
	}
	s.openText(kind)
	s.keep(s.block, text)
	s.deltaEvent(event, s.block, text)
}

func (s *stream) keep(it *item, text string) {
	it.text = append(it.text, text...)
	s.kept += len(text)
}

// openText makes sure that a message is open, with a part of a kind.
func (s *stream) openText(kind partKind) {
	if s.block == nil || s.block.reasoning {
		s.closeBlock("completed")
		s.block = s.add("msg_")
		s.itemEvent("response.output_item.added", s.block.index, appendMessage(nil, s.block.id, "in_progress", nil))
	}
	it := s.block
	if it.open && it.kind == kind {
		return
	}
	s.closePart(it)
	it.open, it.kind = true, kind
	empty := appendTextPart(nil, "", nil)
	if kind == refusalPart {
		empty = appendRefusalPart(nil, "")
	}
	s.partEvent("response.content_part.added", it, empty)
}

// annotate adds citations to the text.
func (s *stream) annotate(list gjson.Result) {
	list.ForEach(func(_, v gjson.Result) bool {
		note, ok := appendAnnotation(nil, v)
		if !ok {
			return true
		}
		s.openText(textPart)
		it := s.block
		if it.noted > 0 {
			it.notes = append(it.notes, ',')
		}
		it.notes = append(it.notes, note...)
		s.kept += len(note)
		s.annotationEvent(it, note)
		it.noted++
		return true
	})
}

// closePart ends the open part of a message.
func (s *stream) closePart(it *item) {
	if !it.open {
		return
	}
	var whole []byte
	if it.kind == refusalPart {
		s.doneEvent("response.refusal.done", "refusal", it)
		whole = appendRefusalPart(nil, string(it.text))
	} else {
		s.doneEvent("response.output_text.done", "text", it)
		whole = appendTextPart(nil, string(it.text), it.notes)
	}
	s.partEvent("response.content_part.done", it, whole)
	if it.part > 0 {
		it.parts = append(it.parts, ',')
	}
	it.parts = append(it.parts, whole...)
	it.part++
	it.open, it.text, it.notes, it.noted = false, nil, nil, 0
}

// closeBlock ends the open item of text or thoughts, if there is one.
func (s *stream) closeBlock(status string) {
	it := s.block
	if it == nil {
		return
	}
	s.block = nil
	if it.reasoning {
		text := string(it.text)
		s.doneEvent("response.reasoning_text.done", "text", it)
		s.partEvent("response.content_part.done", it, appendThoughtPart(nil, text))
		it.json = appendReasoning(nil, it.id, text)
	} else {
		s.closePart(it)
		it.json = appendMessage(nil, it.id, status, it.parts)
	}
	it.text, it.parts = nil, nil
	s.itemEvent("response.output_item.done", it.index, it.json)
}
