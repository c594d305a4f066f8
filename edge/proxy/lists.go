package proxy

import "sync"

// listRoom is how many headers there is room for in a list that is used again.
const listRoom = 16

var lists = sync.Pool{New: func() any { return new([listRoom]Header) }}

// takeList is an empty list with room for so many headers: into, if that has as much.
func takeList(into []Header, need int) []Header {
	switch {
	case cap(into) >= need:
		return into[:0]
	case need > listRoom:
		return make([]Header, 0, need)
	default:
		return lists.Get().(*[listRoom]Header)[:0] //nolint:forcetypeassert // the pool holds nothing else
	}
}

// giveList takes back one that nobody uses any more.
func giveList(list []Header) {
	if cap(list) == listRoom {
		clear(list[:listRoom])
		lists.Put((*[listRoom]Header)(list[:listRoom]))
	}
}

// giveLists gives back what the heads of an exchange were made in, which have left: its answer may last. A request that somebody else
// may still send keeps its own.
func (t *try) giveLists() {
	c := t.c
	giveList(c.lines)
	c.lines = nil
	if !c.shared && t == &c.first && c.newest == t && t.request.Over {
		giveList(t.lines)
		t.lines, t.request.Headers = nil, nil
	}
}
