package frame

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
)

const (
	awsPrelude    = 12
	awsMaxHeaders = 128 << 10 // that AWS sets itself
	awsMaxMessage = 32 << 20  // twice what AWS sets itself
)

// aws reads the messages of an event stream of AWS. The payload goes straight into the projection, its checksum is
// made on the way. Bedrock wraps JSON in base64 in its chunks; these are read as what is in them.
type aws struct {
	w       *work
	at      awsAt
	prelude [awsPrelude]byte
	headers []byte
	size    int // of what has come of the part that is being read
	total   int // of the headers
	left    int // of the payload
	sum     uint32
	tail    [4]byte

	event []byte
	chunk bool
	inner inner
}

type awsAt uint8

const (
	inPrelude awsAt = iota
	inHeaders
	inPayload
	inTail
)

func (a *aws) reset(w *work) {
	// One by one: what is inside is large, and would pass over the stack.
	a.w, a.at, a.size, a.total, a.left, a.sum, a.chunk = w, inPrelude, 0, 0, 0, 0, false
	a.headers, a.event = a.headers[:0], a.event[:0]
}

func (a *aws) trim() {
	a.inner.proj.trim()
	if cap(a.headers) > 4<<10 {
		a.headers = nil
	}
}

func (a *aws) write(p []byte) {
	for i := 0; i < len(p) && !a.w.dead; {
		switch a.at {
		case inPrelude:
			n := copy(a.prelude[a.size:], p[i:])
			a.size += n
			i += n
			if a.size == awsPrelude {
				a.begin()
			}
		case inHeaders:
			n := min(a.total-len(a.headers), len(p)-i)
			a.headers = append(a.headers, p[i:i+n]...)
			i += n
			if len(a.headers) == a.total {
				a.named()
			}
		case inPayload:
			n := min(a.left, len(p)-i)
			a.sum = crc32.Update(a.sum, crc32.IEEETable, p[i:i+n])
			a.w.proj.only(p[i : i+n])
			a.left -= n
			i += n
			if a.left == 0 {
				a.at, a.size = inTail, 0
			}
		case inTail:
			n := copy(a.tail[a.size:], p[i:])
			a.size += n
			i += n
			if a.size == len(a.tail) {
				a.finish(i)
			}
		}
	}
}

// begin is behind the prelude.
func (a *aws) begin() {
	total, headers := binary.BigEndian.Uint32(a.prelude[:]), binary.BigEndian.Uint32(a.prelude[4:])
	switch {
	case crc32.ChecksumIEEE(a.prelude[:8]) != binary.BigEndian.Uint32(a.prelude[8:]):
		a.fail("has a wrong checksum at its beginning")
		return
	case total > awsMaxMessage, headers > awsMaxHeaders, total < awsPrelude+4, headers > total-awsPrelude-4:
		a.fail("says that it is longer than it can be")
		return
	}
	a.sum = crc32.ChecksumIEEE(a.prelude[:])
	a.total, a.left = int(headers), int(total-headers-awsPrelude-4)
	a.headers = a.headers[:0]
	a.at = inHeaders
	if a.total == 0 {
		a.named()
	}
}

// fail gives the stream up: where the next message begins cannot be known.
func (a *aws) fail(why string) {
	a.w.blame("message " + a.w.next() + " of the event stream " + why)
	a.w.dead = true
}

// named is behind the headers.
func (a *aws) named() {
	a.sum = crc32.Update(a.sum, crc32.IEEETable, a.headers)
	a.event = a.event[:0]
	if !a.readHeaders() {
		a.fail("has headers that cannot be read")
		return
	}
	root := a.w.paths.root
	if a.chunk = string(a.event) == "chunk"; a.chunk {
		root = a.w.paths.wrap
		a.inner.reset(a.w.paths.root)
		a.w.proj.text.sink = &a.inner
	}
	a.w.proj.begin(root)
	a.at = inPayload
	if a.left == 0 {
		a.at, a.size = inTail, 0
	}
}

// readHeaders finds what the message is called.
func (a *aws) readHeaders() bool {
	const text = 7
	sizes := [...]int{0, 0, 1, 2, 4, 8, -1, -1, 8, 16} // of values by their types; the others say it themselves
	best := 0
	for h := a.headers; len(h) > 0; {
		n := int(h[0])
		if len(h) < 1+n+1 || int(h[1+n]) >= len(sizes) {
			return false
		}
		name, kind := h[1:1+n], int(h[1+n])
		h = h[2+n:]
		size := sizes[kind]
		if size < 0 {
			if len(h) < 2 {
				return false
			}
			size = int(binary.BigEndian.Uint16(h))
			h = h[2:]
		}
		if len(h) < size {
			return false
		}
		if rank := awsRank(name); kind == text && rank > best {
			best = rank
			a.event = append(a.event[:0], h[:min(size, maxLabel)]...)
		}
		h = h[size:]
	}
	return true
}

// awsRank says how well a header names a message.
func awsRank(name []byte) int {
	switch string(name) {
	case ":exception-type":
		return 3
	case ":event-type":
		return 2
	case ":error-code":
		return 1
	}
	return 0
}

// finish is behind a message, at the end of which i is.
func (a *aws) finish(i int) {
	if a.sum != binary.BigEndian.Uint32(a.tail[:]) {
		a.fail("has a wrong checksum")
		return
	}
	j := &a.w.proj
	if a.chunk && j.finish() != nil && a.inner.whole() {
		j = &a.inner.proj
	}
	a.w.give(a.event, j, false, false)
	a.at, a.size = inPrelude, 0
	a.w.done = i
}

func (a *aws) end() {
	if !a.w.dead && (a.at != inPrelude || a.size > 0) {
		a.w.blame("message " + a.w.next() + " of the event stream broke off")
		a.w.give(a.eventOnly(), nil, true, false)
	}
}

// eventOnly is the name of a message that broke off, if it has come.
func (a *aws) eventOnly() []byte {
	if a.at == inPayload || a.at == inTail {
		return a.event
	}
	return nil
}

// inner reads a document that is written in base64 in another one.
type inner struct {
	proj  projector
	root  *node
	some  bool // there was one
	wrong bool // it is no base64
	// padded says that padding has come.
	padded bool
	rest   [4]byte
	size   int
	out    [3 << 9]byte
}

func (n *inner) reset(root *node) { n.root, n.some = root, false }

func (n *inner) begin() {
	n.some, n.wrong, n.padded, n.size = true, false, false, 0
	n.proj.begin(n.root)
}

func (n *inner) write(p []byte) {
	if len(p) == 0 {
		return
	}
	for n.size > 0 && len(p) > 0 {
		k := copy(n.rest[n.size:], p)
		p = p[k:]
		if n.size += k; n.size == len(n.rest) {
			n.size = 0
			n.decode(n.rest[:])
		} else if len(p) == 0 {
			return
		}
	}
	for len(p) >= 4 {
		k := min(len(p), len(n.out)/3*4) &^ 3
		n.decode(p[:k])
		p = p[k:]
	}
	n.size = copy(n.rest[:], p)
}

func (n *inner) decode(p []byte) {
	if n.padded { // padding ends it
		n.wrong = true
	}
	if n.wrong {
		return
	}
	n.padded = p[len(p)-1] == '='
	k, err := base64.StdEncoding.Decode(n.out[:], p)
	if err != nil {
		n.wrong = true
		return
	}
	n.proj.only(n.out[:k])
}

// whole says that there was a whole document.
func (n *inner) whole() bool {
	return n.some && !n.wrong && n.size == 0 && n.proj.finish() != nil
}
