package frame

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// textState is where in a text the projection is.
type textState struct {
	mode    mode
	raw     []byte // of a name that is not whole in one piece
	escaped bool   // the name has a backslash
	long    bool   // the name is too long to be kept
	from    int    // where in the document the text began
	limit   int    // how much of it is kept
	full    bool   // no more is kept
	chars   int64
	hex     int  // how many digits of \u are missing
	code    rune // what they are so far
	high    bool // the first half of a pair came last
	one     [utf8.UTFMax]byte
	sink    textSink
}

// textSink takes what a text stands for.
type textSink interface {
	begin()
	write(p []byte)
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plain is how many bytes at the beginning are neither a quote, a backslash, nor a control character. Texts are most of what
// there is, so that 32 bytes are looked at before it is asked whether one of them is.
func plain(p []byte) int {
	i := 0
	for len(p)-i >= 32 {
		q := p[i : i+32]
		a, b := special(binary.LittleEndian.Uint64(q)), special(binary.LittleEndian.Uint64(q[8:]))
		c, d := special(binary.LittleEndian.Uint64(q[16:])), special(binary.LittleEndian.Uint64(q[24:]))
		if (a|b|c|d)&highs != 0 {
			switch {
			case a&highs != 0:
				return i + first(a)
			case b&highs != 0:
				return i + 8 + first(b)
			case c&highs != 0:
				return i + 16 + first(c)
			default:
				return i + 24 + first(d)
			}
		}
		i += 32
	}
	for ; len(p)-i >= 8; i += 8 {
		if m := special(binary.LittleEndian.Uint64(p[i:])); m&highs != 0 {
			return i + first(m)
		}
	}
	for ; i < len(p); i++ {
		if c := p[i]; c < ' ' || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// special has the highest bit of each of eight bytes set that is a quote, a backslash or a control character. The lowest that
// is set is always right; those above it, and all other bits, do not matter. With one bit turned over, a quote comes right
// behind the control characters, so that both are found at once.
func special(x uint64) uint64 {
	y, b := x^ones*2, x^ones*'\\'
	return (y-ones*('"'^2+1))&^y | (b-ones)&^b
}

// first is the place of the first byte that special has found.
func first(m uint64) int { return bits.TrailingZeros64(m&highs) >> 3 }

// starts is how many characters begin in p.
func starts(p []byte) (n int64) {
	for ; len(p) >= 8; p = p[8:] {
		x := binary.LittleEndian.Uint64(p)
		n += 8 - int64(bits.OnesCount64(x>>7&(^x>>6)&ones)) // 10xxxxxx goes on with one
	}
	for _, c := range p {
		if c&0xc0 != 0x80 {
			n++
		}
	}
	return n
}

// beginText begins a text that is a value.
func (j *projector) beginText() {
	j.st = inString
	t := &j.text
	t.mode = skipped
	if j.skip > 0 {
		return
	}
	n := j.node
	switch {
	case j.whole:
		t.mode, t.limit = copied, maxText
	case n == nil:
	case n.sink:
		t.mode = sunk
		t.sink.begin()
		return
	case n.whole || n.scalar || n.chars && n.count:
		t.mode, t.limit = copied, maxText
	case n.count && !n.label:
		j.write(`""`)
		return
	case n.chars:
		t.mode, t.chars, t.high = counted, 0, false
		j.out = append(j.out, j.key...)
		j.kept = true
		return
	case n.label:
		t.mode, t.limit = copied, maxLabel
	}
	if t.mode == copied {
		j.out = append(append(j.out, j.key...), '"')
		t.from, t.full = len(j.out), false
		j.kept = true
	} else if j.stand {
		j.placeholder()
	}
}

// beginKey begins a name.
func (j *projector) beginKey() {
	j.st = inString
	t := &j.text
	t.mode, t.raw, t.escaped, t.long = asKey, t.raw[:0], false, false
}

// string reads on in a text, up to its end or a backslash.
func (j *projector) string(p []byte, i int) int {
	t := &j.text
	var n int
	if t.mode == skipped {
		n = textEnd(p, i)
	} else {
		n = i + plain(p[i:])
	}
	if n == len(p) {
		j.run(p[i:n])
		return n
	}
	switch p[n] {
	case '"':
		j.st = atNext
		if t.mode == asKey {
			name := p[i:n]
			if len(t.raw) > 0 || t.long {
				j.run(name)
				name = t.raw
			}
			j.endKey(name)
			return n + 1
		}
		if n > i {
			j.run(p[i:n])
		}
		j.endText()
	case '\\':
		j.run(p[i:n])
		j.st = inEscape
		j.beginEscape()
	default:
		j.st = broken
		return n
	}
	return n + 1
}

// run takes a part of a text without backslashes.
func (j *projector) run(p []byte) {
	t := &j.text
	switch t.mode {
	case skipped:
	case copied:
		j.keep(p)
	case counted:
		if len(p) > 0 {
			t.chars += starts(p)
			t.high = false
		}
	case sunk:
		t.sink.write(p)
	case asKey:
		if j.skip == 0 {
			t.name(p)
		}
	}
}

func (t *textState) single(c byte) []byte {
	t.one[0] = c
	return t.one[:1]
}

// name takes a part of a name.
func (t *textState) name(p []byte) {
	if t.long = t.long || len(t.raw)+len(p) > maxKey; !t.long {
		t.raw = append(t.raw, p...)
	}
}

// keep writes as much of a text as may be kept, up to the end of a character.
func (j *projector) keep(p []byte) {
	t := &j.text
	if t.full {
		return
	}
	if room := t.limit - (len(j.out) - t.from); len(p) > room {
		for room = max(room, 0); room > 0 && !utf8.RuneStart(p[room]); room-- {
		}
		if room == 0 && !utf8.RuneStart(p[0]) { // a piece before this one ended in the middle of it
			for end := len(j.out); end > t.from; {
				end--
				c := j.out[end]
				if j.out = j.out[:end]; utf8.RuneStart(c) {
					break
				}
			}
		}
		p = p[:room]
		t.full = true
		j.cut = j.cut || t.limit == maxText
	}
	j.out = append(j.out, p...)
}

// beginEscape is behind a backslash.
func (j *projector) beginEscape() {
	t := &j.text
	switch t.mode {
	case copied: // the longest is kept whole or not at all
		if !t.full && len(j.out)-t.from+6 > t.limit {
			t.full = true
			j.cut = j.cut || t.limit == maxText
		}
		if !t.full {
			j.out = append(j.out, '\\')
		}
	case asKey:
		t.escaped = true
		j.run(t.single('\\'))
	case skipped, counted, sunk:
	}
}

// escape takes a byte behind a backslash.
func (j *projector) escape(c byte) {
	t := &j.text
	if t.mode == asKey {
		j.run(t.single(c))
	} else if t.mode == copied && !t.full {
		j.out = append(j.out, c)
	}
	if j.st == inHex {
		d, ok := hexDigit(c)
		if !ok {
			j.st = broken
			return
		}
		t.code = t.code<<4 | d
		if t.hex--; t.hex == 0 {
			j.st = inString
			j.escaped(t.code)
		}
		return
	}
	j.st = inString
	switch c {
	case '"', '\\', '/':
		j.escaped(rune(c))
	case 'b', 'f', 'n', 'r', 't':
		j.escaped(' ') // which of them it is does not matter to anyone
	case 'u':
		j.st, t.hex, t.code = inHex, 4, 0
	default:
		j.st = broken
	}
}

func hexDigit(c byte) (rune, bool) {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0'), true
	case c >= 'a' && c <= 'f':
		return rune(c-'a') + 10, true
	case c >= 'A' && c <= 'F':
		return rune(c-'A') + 10, true
	}
	return 0, false
}

// escaped takes the character that was written with a backslash. Two halves of a pair are one.
func (j *projector) escaped(r rune) {
	t := &j.text
	switch t.mode {
	case counted:
		if t.high && r >= 0xdc00 && r <= 0xdfff {
			t.high = false
			return
		}
		t.chars++
		t.high = r >= 0xd800 && r <= 0xdbff
	case sunk:
		t.sink.write(t.one[:utf8.EncodeRune(t.one[:], r)])
	case skipped, copied, asKey:
	}
}

func (j *projector) endText() {
	switch t := &j.text; t.mode {
	case copied:
		if n := j.node; n != nil && n.label && j.depth == 1 {
			j.labels[n.place] = slot{t.from, len(j.out)}
		}
		j.out = append(j.out, '"')
	case counted:
		j.out = strconv.AppendInt(j.out, t.chars, 10)
	case skipped, sunk, asKey:
	}
	j.ended()
}

func (j *projector) endKey(raw []byte) {
	name := raw
	switch t := &j.text; {
	case j.skip > 0:
	case t.long || len(raw) > maxKey:
		if j.levels[len(j.levels)-1].whole {
			j.overflow()
		}
		name = nil
	case t.escaped:
		quoted := append(append([]byte{'"'}, raw...), '"')
		name = []byte(gjson.ParseBytes(quoted).Str)
	}
	j.named(raw, name)
}
