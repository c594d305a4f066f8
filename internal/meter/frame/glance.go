package frame

import (
	"encoding/binary"
	"math/bits"
)

// A glance reads a document that is here in one piece, and of which nothing but plain values is wanted. It copies what is
// wanted and leaps over the rest, so that it costs a part of what the projection does. It vouches for a document or it does
// not: whatever is rare is left to the projection, which reads the document from its beginning as if nobody had looked.
// So there is one reader that knows everything, and what a glance says is always what that one would have said.

// Field is a value of a frame that was read at a glance.
type Field struct {
	Path     uint8 // the number of the path, in the order in which paths were asked for
	Text     bool  // it is a text; otherwise it is a number, true or false
	from, to int32
}

// spot is a place that plain paths lead to or through.
type spot struct {
	name  string
	lens  uint64 // which lengths the names of its kids have
	kids  []spot
	bit   uint64 // of its own
	path  int16  // the path that ends here; -1 if none does
	label uint8  // 1 or 2 if a text here may be the kind of an event: the first comes before the second
}

// mostSpots is how many places a glance looks at: they are told apart by bits.
const mostSpots = 64

// spotOf makes the spot of a node; false if more is wanted there than plain values.
func spotOf(n *node, count *int) (s spot, ok bool) {
	if *count == mostSpots || n.scalar || n.chars || n.sink || n.elem != nil || n.every || len(n.index) > 0 || n.twice {
		return s, false
	}
	s = spot{name: n.name, lens: n.lens, bit: 1 << *count, path: -1}
	if *count++; n.path > 0 {
		s.path = int16(n.path - 1)
	}
	for _, k := range n.kids {
		kid, ok := spotOf(k, count)
		if !ok || !plainly(k.name) {
			return s, false
		}
		if k.label {
			kid.label = uint8(k.place) + 1
		}
		s.kids = append(s.kids, kid)
	}
	return s, true
}

// plainly says whether every reader of paths takes a name for just this name.
func plainly(name string) bool {
	for i := range len(name) {
		c := name[i]
		if letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'; !letter && (i == 0 || c != '-' && c-'0' > 9) {
			return false
		}
	}
	return name != ""
}

// find is the kid of that name; nil if there is none.
func (s *spot) find(name []byte) *spot {
	if s.lens&lenBit(len(name)) == 0 {
		return nil
	}
	for i := range s.kids {
		if k := &s.kids[i]; k.name == string(name) {
			return k
		}
	}
	return nil
}

// glance is what was read at a glance.
type glance struct {
	fields []Field
	kept   []byte // what they are of
	seen   uint64 // bits of the spots that were there
	labels [2]struct{ from, to int32 }
}

// document reads the object that p begins with and returns where it ends; 0 if it does not vouch for it.
func (g *glance) document(top *spot, p []byte) (end int) {
	g.fields, g.kept, g.seen = g.fields[:0], g.kept[:0], 0
	g.labels[0].to, g.labels[1].to = 0, 0
	return g.object(top, p, 0)
}

// kind is the text that may be the kind of an event; nil if there is none.
func (g *glance) kind() []byte {
	for _, l := range g.labels {
		if l.to > 0 {
			return g.kept[l.from:l.to]
		}
	}
	return nil
}

// object reads the object that begins at i and returns where it ends; 0 if it does not vouch for it. What is looked for
// twice is left to the projection: of several the last holds.
func (g *glance) object(s *spot, p []byte, i int) int {
	for first := true; ; first = false {
		if i = blank(p, i+1); i >= len(p) {
			return 0
		}
		if first && p[i] == '}' {
			return i + 1
		}
		start := i + 1
		n := short(p, i)
		if n == 0 {
			return 0 // of a name with a backslash nobody knows yet what it says
		}
		kid := s.find(p[start:n])
		if i = colon(p, n+1); i == 0 {
			return 0
		}
		if kid == nil {
			i = over(p, i)
		} else {
			if g.seen&kid.bit != 0 {
				return 0
			}
			g.seen |= kid.bit
			i = g.value(kid, p, i)
		}
		if i == 0 {
			return 0
		}
		if i = blank(p, i); i >= len(p) || p[i] != ',' {
			if i < len(p) && p[i] == '}' {
				return i + 1
			}
			return 0
		}
	}
}

// value reads a value that paths lead to or through.
func (g *glance) value(s *spot, p []byte, i int) int {
	switch p[i] {
	case '{':
		switch {
		case s.path >= 0:
			return 0
		case len(s.kids) > 0:
			return g.object(s, p, i)
		}
		return over(p, i)
	case '[':
		if s.path >= 0 {
			return 0
		}
		return over(p, i)
	case '"':
		if s.path < 0 && s.label == 0 {
			return over(p, i)
		}
		start := i + 1
		n := short(p, i)
		if n == 0 || len(g.kept)+n-start > maxText || s.path < 0 && n-start > maxLabel {
			return 0
		}
		from := g.keep(p[start:n])
		if s.label > 0 && n > start {
			l := &g.labels[s.label-1]
			l.from, l.to = from, int32(len(g.kept))
		}
		if s.path >= 0 {
			g.fields = append(g.fields, Field{uint8(s.path), true, from, int32(len(g.kept))})
		}
		return n + 1
	default:
		n := scalar(p, i)
		if n == i || n-i > maxNumber {
			return 0
		}
		if s.path >= 0 && p[i] != 'n' {
			from := g.keep(p[i:n])
			g.fields = append(g.fields, Field{uint8(s.path), false, from, int32(len(g.kept))})
		}
		return n
	}
}

func (g *glance) keep(p []byte) (from int32) {
	from = int32(len(g.kept))
	g.kept = append(g.kept, p...)
	return from
}

// blank is behind the space from i on.
func blank(p []byte, i int) int {
	if i < len(p) && p[i] > ' ' {
		return i
	}
	return indented(p, i)
}

func indented(p []byte, i int) int {
	for i < len(p) && (p[i] == ' ' || p[i] == '\n' || p[i] == '\r' || p[i] == '\t') {
		if i++; i+8 <= len(p) && binary.LittleEndian.Uint64(p[i:]) == ones*' ' {
			i += 8
		}
	}
	return i
}

// stop is behind what is surely part of a text from i on: at its end, at a backslash, at what is in no text, or at the end.
// Names and most values end within 16 bytes.
func stop(p []byte, i int) int {
	if len(p)-i < 16 {
		return i + plain(p[i:])
	}
	q := p[i : i+16]
	if m := special(binary.LittleEndian.Uint64(q)) & highs; m != 0 {
		return i + bits.TrailingZeros64(m)>>3
	}
	if m := special(binary.LittleEndian.Uint64(q[8:])) & highs; m != 0 {
		return i + 8 + bits.TrailingZeros64(m)>>3
	}
	return i + 16 + plain(p[i+16:])
}

// short is where the text ends that begins at i and has no backslash; 0 if there is none.
func short(p []byte, i int) int {
	if p[i] != '"' {
		return 0
	}
	if i = stop(p, i+1); i >= len(p) || p[i] != '"' {
		return 0
	}
	return i
}

// text is where the text ends that begins at i; 0 if there is none.
func text(p []byte, i int) int {
	if p[i] != '"' {
		return 0
	}
	if i = stop(p, i+1); i < len(p) && p[i] == '\\' {
		i = textEnd(p, i)
	}
	if i >= len(p) || p[i] != '"' {
		return 0
	}
	return i
}

// colon is where the value begins whose name ends before i; 0 if none does.
func colon(p []byte, i int) int {
	if i+1 < len(p) && p[i] == ':' && p[i+1] > ' ' {
		return i + 1
	}
	if i = blank(p, i); i >= len(p) || p[i] != ':' {
		return 0
	}
	if i = blank(p, i+1); i >= len(p) {
		return 0
	}
	return i
}

// scalar is behind the number or literal that i is at; i if it is none or its end may not be in the piece. Most are whole
// numbers.
func scalar(p []byte, i int) int {
	if c := p[i]; c-'1' < 9 {
		n := i + 1
		for n < len(p) && p[n]-'0' < 10 {
			n++
		}
		if n < len(p) && (p[n] == ',' || p[n] == '}') {
			return n
		}
	}
	return scalarEnd(p, i)
}

// over is behind the value that begins at i; 0 if it is not surely one.
func over(p []byte, i int) int {
	var arrays uint64 // a bit for each object or array that is open, the lowest for the innermost
	depth := 0
	for {
		if i >= len(p) {
			return 0
		}
		switch c := p[i]; c {
		case '"':
			if i = text(p, i); i == 0 {
				return 0
			}
			i++
		case '{', '[':
			if depth == bits.UintSize {
				return 0
			}
			depth++
			arrays <<= 1
			if i = blank(p, i+1); i >= len(p) {
				return 0
			}
			if c == '[' {
				arrays |= 1
				if p[i] != ']' {
					continue
				}
			} else if p[i] != '}' {
				if i = name(p, i); i == 0 {
					return 0
				}
				continue
			}
		default:
			if arrays&1 != 0 {
				if n := elements(p, i); n > i {
					i = blank(p, n)
					continue
				}
			}
			n := scalar(p, i)
			if n == i {
				return 0
			}
			i = n
		}
		if depth == 0 {
			return i
		}
		if i = ended(p, i, &depth, &arrays); i == 0 || depth == 0 {
			return i
		}
	}
}

// ended is where the next value begins behind one that has ended, or behind the outermost object or array.
func ended(p []byte, i int, depth *int, arrays *uint64) int {
	for i < len(p) {
		array := *arrays&1 != 0
		switch c := p[i]; {
		case c == ',':
			if i = blank(p, i+1); array || i >= len(p) {
				return i
			}
			return name(p, i)
		case c == ']' && array, c == '}' && !array:
			i++
			*depth--
			if *arrays >>= 1; *depth == 0 {
				return i
			}
		case c <= ' ':
			n := blank(p, i)
			if n == i {
				return 0
			}
			i = n
		default:
			return 0
		}
	}
	return 0
}

// name is where the value begins whose name begins at i.
func name(p []byte, i int) int {
	n := text(p, i)
	if n == 0 {
		return 0
	}
	return colon(p, n+1)
}
