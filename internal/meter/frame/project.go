package frame

const (
	// maxDoc is how much is kept of a frame.
	maxDoc = 1 << 20
	// maxText is how much is kept of a text.
	maxText = 64 << 10
	// maxLabel is how much is kept of what may be the name of an event.
	maxLabel = 256
	// maxKey is how long a name may be that is kept or looked up.
	maxKey = 64 << 10
	// maxNumber is how long a number may be that is kept.
	maxNumber = 1 << 10
	// maxDepth is how deep objects and arrays may lie in each other.
	maxDepth = 512
)

// state is where in a document the projection is.
type state uint8

const (
	atValue    state = iota // a value has to come
	atFirst                 // a value, or the end of the array that has just begun
	atKeyOrEnd              // a name, or the end of the object that has just begun
	atKey                   // a name
	atColon                 //
	atNext                  // a comma, or the end of the object or array
	inString                // also in a name
	inEscape                // behind a backslash
	inHex                   // behind \u
	inNumber                //
	inLiteral               // true, false, null
	atEnd                   // the document is whole
	broken                  // it is none
)

// mode is what becomes of the text that is being read.
type mode uint8

const (
	skipped mode = iota
	copied
	counted // its characters are
	sunk    // what it stands for is read on its own
	asKey
)

// level is an object or an array that is kept.
type level struct {
	node  *node // nil if it is kept only because what it is in is kept whole
	whole bool
	array bool
	chars bool // an array of texts whose lengths are wanted
	cur   int  // of an object: the place of the kid that is being read, -1 if it is none of them
	next  int  // of an array: the index of the next element
	slots int  // where its slots begin
}

// slot is where in the document a kid of an object is kept. From is 0 if it is not.
type slot struct{ from, to int }

// projector reads one JSON document, in pieces, checks it strictly, and keeps of it what a tree of nodes wants.
type projector struct {
	st     state
	kinds  [maxDepth]bool // of the objects and arrays that are open: whether it is an array
	depth  int            // how many of them there are
	skip   int            // how many of those, the innermost, are not kept
	levels []level        // the others
	slots  []slot

	// The value that is about to come or being read.
	node  *node
	whole bool
	stand bool   // it is an element that has to be there, whatever it is
	key   []byte // to be written before it, if it is kept
	kept  bool   // something has been written for it

	out []byte
	// labels are where in the document the texts at "type" and "event_type" are.
	labels [2]slot
	over   bool // more was wanted than is kept
	cut    bool // a text or number was too long

	text textState
	num  numState
	rest string // of a literal
}

// begin makes it ready for a document.
func (j *projector) begin(root *node) {
	j.st, j.depth, j.skip = atValue, 0, 0
	j.levels, j.slots, j.out = j.levels[:0], j.slots[:0], j.out[:0]
	j.node, j.whole, j.stand, j.key, j.kept = root, false, true, nil, false
	j.over, j.cut, j.labels = false, false, [2]slot{}
}

// feed takes the next piece and returns how much of it belongs to the document: all, unless the document ends or breaks.
func (j *projector) feed(p []byte) int {
	i := 0
	for i < len(p) {
		switch j.st {
		case inString:
			i = j.string(p, i)
			continue
		case inNumber:
			i = j.number(p, i)
			continue
		case inEscape, inHex:
			j.escape(p[i])
			i++
			continue
		case inLiteral:
			i = j.literal(p, i)
			continue
		case atEnd, broken:
			return i
		case atValue, atFirst, atKeyOrEnd, atKey, atColon, atNext:
			if j.skip > 0 {
				if i = j.leap(p, i); i == len(p) {
					return i
				}
			}
		}
		c := p[i]
		if c <= ' ' {
			if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
				j.st = broken
				return i
			}
			i++
			continue
		}
		switch j.st {
		case atColon:
			if c != ':' {
				j.st = broken
				return i
			}
			j.st = atValue
			i++
		case atNext:
			i++
			switch {
			case c == ',' && j.kinds[j.depth-1]:
				j.st = atValue
			case c == ',':
				j.st = atKey
			case c == '}' && !j.kinds[j.depth-1], c == ']' && j.kinds[j.depth-1]:
				j.close(c)
			default:
				j.st = broken
				return i
			}
		case atKeyOrEnd, atKey:
			i++
			switch {
			case c == '"':
				j.beginKey()
			case c == '}' && j.st == atKeyOrEnd:
				j.close(c)
			default:
				j.st = broken
				return i
			}
		case atFirst, atValue:
			if c == ']' && j.st == atFirst {
				i++
				j.close(c)
				continue
			}
			i = j.value(c, i)
		case inString, inEscape, inHex, inNumber, inLiteral, atEnd, broken: // dealt with above
		}
	}
	return i
}

// value begins the value whose first byte is c, and returns where it goes on.
func (j *projector) value(c byte, i int) int {
	if j.skip == 0 && j.depth > 0 && j.kinds[j.depth-1] {
		j.element()
	}
	switch c {
	case '"':
		j.beginText()
		return i + 1
	case '{', '[':
		j.open(c == '[')
		return i + 1
	case 't':
		j.rest = "true"
	case 'f':
		j.rest = "false"
	case 'n':
		j.rest = "null"
	default:
		if c != '-' && (c < '0' || c > '9') {
			j.st = broken
			return i
		}
		j.beginNumber()
		return i
	}
	if j.scalar() {
		j.out = append(j.out, j.rest...)
	}
	j.st = inLiteral
	return i
}

// element sets what is kept of the next element of the innermost array.
func (j *projector) element() {
	l := &j.levels[len(j.levels)-1]
	i := l.next
	l.next++
	j.key, j.kept = nil, false
	n := l.node
	switch {
	case l.whole:
		j.whole, j.node, j.stand = true, nil, false
		if n != nil {
			j.node = n.elem
		}
	case l.chars:
		j.whole, j.node, j.stand = false, n, true
		if n.elem != nil { // it counts characters as well
			j.node = n.elem
		}
	default:
		j.whole, j.node, j.stand = false, nil, n.counts(i)
		if n.keeps(i) {
			j.node = n.elem
		}
	}
}

// scalar writes what comes before a number or a literal, if it is kept, and says whether it is.
func (j *projector) scalar() bool {
	if j.skip > 0 {
		return false
	}
	n := j.node
	switch {
	case j.whole || n != nil && (n.whole || n.scalar || n.count):
		j.out = append(j.out, j.key...)
		j.kept = true
		return true
	case n != nil && n.chars:
		j.write("null")
	case j.stand:
		j.placeholder()
	}
	return false
}

// write writes something instead of the value that comes.
func (j *projector) write(s string) {
	j.out = append(append(j.out, j.key...), s...)
	j.kept = true
}

// placeholder writes an element that has to be there. At the top it is the document.
func (j *projector) placeholder() {
	if j.depth == 0 {
		j.write("null")
		return
	}
	j.write("0")
}

// open begins an object or an array.
func (j *projector) open(array bool) {
	if j.depth == maxDepth {
		j.st = broken
		return
	}
	j.kinds[j.depth] = array
	j.depth++
	j.st = atKeyOrEnd
	if array {
		j.st = atFirst
	}
	if j.skip > 0 || !j.keepOpen(array) {
		j.skip++
	}
}

// keepOpen says whether an object or array that begins is kept, and writes its beginning then.
func (j *projector) keepOpen(array bool) bool {
	n := j.node
	whole := j.whole || n != nil && n.whole
	switch {
	case whole:
	case n != nil && array && n.arrays(), n != nil && !array && n.objects():
	case n != nil && n.chars:
		j.write("null")
		return false
	case j.depth == 1 && array:
		j.write("[]")
		return false
	case j.depth == 1:
		j.write("{}")
		return false
	case j.stand:
		j.placeholder()
		return false
	default:
		return false
	}
	j.out = append(j.out, j.key...)
	l := level{node: n, whole: whole, array: array, cur: -1, slots: len(j.slots)}
	if array {
		j.out = append(j.out, '[')
		l.chars = !whole && n.chars && !n.count
	} else {
		j.out = append(j.out, '{')
		if n != nil {
			for range n.kids {
				j.slots = append(j.slots, slot{})
			}
		}
	}
	j.levels = append(j.levels, l)
	return true
}

// close ends the innermost object or array.
func (j *projector) close(c byte) {
	j.depth--
	if j.skip > 0 {
		j.skip--
		j.ended()
		return
	}
	l := &j.levels[len(j.levels)-1]
	j.slots = j.slots[:l.slots]
	j.levels = j.levels[:len(j.levels)-1]
	// What is kept is written with a comma behind it.
	if end := len(j.out) - 1; j.out[end] == ',' {
		j.out[end] = c
	} else {
		j.out = append(j.out, c)
	}
	j.kept = true
	j.ended()
}

// ended is behind a value.
func (j *projector) ended() {
	if j.depth == 0 {
		j.st = atEnd
		return
	}
	j.st = atNext
	if j.skip > 0 || !j.kept {
		return
	}
	j.out = append(j.out, ',')
	if l := &j.levels[len(j.levels)-1]; l.cur >= 0 {
		j.slots[l.slots+l.cur].to = len(j.out)
	}
	if len(j.out) > maxDoc {
		j.overflow()
	}
}

// overflow gives the document up and only looks for its end.
func (j *projector) overflow() {
	j.over = true
	j.skip = j.depth
	j.levels, j.slots, j.out = j.levels[:0], j.slots[:0], j.out[:0]
}

// named is behind a name, without quotes; raw is how it is written.
func (j *projector) named(raw, name []byte) {
	j.st = atColon
	if j.skip > 0 {
		return
	}
	l := &j.levels[len(j.levels)-1]
	var n *node
	if l.node != nil {
		n = l.node.find(name)
	}
	l.cur = -1
	j.node, j.whole, j.stand, j.key, j.kept = n, l.whole, false, nil, false
	if n != nil {
		if l.cur = n.place; n.label && j.depth == 1 {
			j.labels[n.place] = slot{}
		}
		j.key = n.key
		if s := &j.slots[l.slots+n.place]; s.to > 0 {
			j.remove(*s)
		}
		j.slots[l.slots+n.place] = slot{from: len(j.out)}
	}
	if l.whole && n == nil {
		j.out = append(append(append(j.out, '"'), raw...), '"', ':')
	}
}

// remove takes back an earlier value of a name. gjson finds the first one and everybody else the last.
func (j *projector) remove(s slot) {
	if s.to < len(j.out) { // spaces are cheaper than moving what follows
		for i := s.from; i < s.to; i++ {
			j.out[i] = ' '
		}
		return
	}
	end := s.from
	for j.out[end-1] == ' ' {
		end--
	}
	j.out = j.out[:end]
}

// finish ends the input and returns what is kept; nil if there was no document.
func (j *projector) finish() []byte {
	if j.st == inNumber && j.depth == 0 {
		j.endNumber()
	}
	if j.st != atEnd || j.over {
		return nil
	}
	return j.out
}

// label is the text at "type" or "event_type" as it is written in the document; nil if there is none.
func (j *projector) label() []byte {
	for _, s := range j.labels {
		if s.to > s.from {
			return j.out[s.from:s.to]
		}
	}
	return nil
}

// partial says that a document has begun and could have gone on.
func (j *projector) partial() bool { return j.st != atEnd && j.st != broken }
