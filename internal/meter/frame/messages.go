package frame

import (
	"bufio"
	"encoding/binary"
	"io"
	"math"
	"math/bits"

	"github.com/klauspost/compress/flate"
)

// messages reads what one side of a WebSocket sends, by RFC 6455, and RFC 7692 for what is compressed.
type messages struct {
	w      *work
	agreed bool // messages may be compressed
	head   [14]byte
	size   int // of the header, as far as it has come
	left   int64
	open   bool // a frame is being read; it has no more than left bytes
	fin    bool
	masked bool
	pings  bool // it is one of those that control the connection, and have nothing to do with messages
	mask   uint32

	message    bool // has begun and is not at its end
	compressed bool
	inflate    *inflater // once a message was compressed
	plain      [2048]byte
}

func (m *messages) reset(w *work) {
	m.w, m.agreed, m.size, m.left, m.open, m.message = w, false, 0, 0, false, false
}

func (m *messages) stop() {
	if m.inflate != nil {
		m.inflate.pull.close()
		m.inflate = nil
	}
}

func (m *messages) write(p []byte) {
	for i := 0; i < len(p) && !m.w.dead; {
		if !m.open {
			m.head[m.size] = p[i]
			m.size++
			i++
			if m.size >= 2 && m.size == m.headSize() && m.begin() && m.left == 0 {
				m.finish(i)
			}
			continue
		}
		n := int(min(m.left, int64(len(p)-i)))
		if !m.pings {
			m.payload(p[i : i+n])
		}
		m.left -= int64(n)
		i += n
		if m.left == 0 {
			m.finish(i)
		}
	}
}

// headSize is how long the header is of which the first two bytes have come.
func (m *messages) headSize() int {
	n := 2
	switch m.head[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if m.head[1]&0x80 != 0 {
		n += 4
	}
	return n
}

// begin is behind a header. It says whether there is any sense in it.
func (m *messages) begin() bool {
	const fin, rsv1, reserved, opcode = 0x80, 0x40, 0x30, 0x0f
	b, n := m.head[0], 2
	m.size = 0
	m.fin, m.masked = b&fin != 0, m.head[1]&0x80 != 0
	length := uint64(m.head[1] & 0x7f)
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(m.head[2:]))
		n += 2
	case 127:
		length = binary.BigEndian.Uint64(m.head[2:])
		n += 8
	}
	if m.masked {
		m.mask = binary.LittleEndian.Uint32(m.head[n:])
	}
	op := b & opcode
	m.pings = op >= 8
	switch {
	case b&reserved != 0, op > 2 && op < 8, op > 10, length > math.MaxInt64, m.pings && (!m.fin || length > 125 || b&rsv1 != 0):
		return m.fail("is no frame of the protocol")
	case !m.pings && m.message != (op == 0):
		return m.fail("does not go on where the one before it ended")
	case b&rsv1 != 0 && (!m.agreed || op == 0):
		return m.fail("is compressed, which was not agreed on")
	}
	m.left, m.open = int64(length), true
	if op == 1 || op == 2 {
		m.message, m.compressed = true, b&rsv1 != 0
		m.w.proj.begin(m.w.paths.root)
		if m.compressed && m.inflate == nil {
			m.inflate = newInflater(m.w)
		}
		if m.inflate != nil {
			m.inflate.over = false
		}
	}
	return true
}

// fail gives the connection up: where the next frame begins cannot be known.
func (m *messages) fail(why string) bool {
	m.w.blame("what comes after " + m.w.before() + " messages of the WebSocket " + why)
	m.w.dead = true
	return false
}

func (m *messages) payload(p []byte) {
	for m.masked && len(p) > 0 {
		n := min(len(p), len(m.plain))
		m.unmask(m.plain[:n], p[:n])
		m.take(m.plain[:n])
		p = p[n:]
	}
	m.take(p)
}

func (m *messages) unmask(to, from []byte) {
	key := uint64(m.mask)<<32 | uint64(m.mask)
	i := 0
	for ; i+8 <= len(from); i += 8 {
		binary.LittleEndian.PutUint64(to[i:], binary.LittleEndian.Uint64(from[i:])^key)
	}
	for ; i < len(from); i++ {
		to[i] = from[i] ^ byte(m.mask)
		m.mask = bits.RotateLeft32(m.mask, -8)
	}
}

// take takes a part of a message without its mask.
func (m *messages) take(p []byte) {
	switch {
	case len(p) == 0:
	case m.compressed:
		m.inflate.write(p)
	default:
		m.w.proj.only(p)
	}
}

// finish is behind a frame, at the end of which i is.
func (m *messages) finish(i int) {
	m.open = false
	if !m.pings && m.fin {
		if m.compressed {
			m.inflate.write([]byte{0, 0, 0xff, 0xff}) // which the sender leaves out
		}
		if m.message = false; m.w.dead {
			return
		}
		m.w.give(nil, &m.w.proj, false, m.masked)
	}
	if !m.message {
		m.w.done = i
	}
}

func (m *messages) end() {
	if m.message && !m.w.dead {
		m.w.give(nil, &m.w.proj, true, m.masked)
	}
}

// inflater reads compressed messages. They are one stream, which the sender cuts after each of them: so what a message
// refers to in those before it is there.
type inflater struct {
	pull pull
	over bool // the sender has ended the stream; the rest of the message means nothing
}

func newInflater(w *work) *inflater {
	f := &inflater{}
	f.pull.start(func(r io.Reader) {
		in := bufio.NewReader(r)
		out := make([]byte, 4<<10)
		for z := flate.NewReader(in); ; {
			n, err := z.Read(out)
			w.proj.only(out[:n])
			switch {
			case err == nil:
				continue
			case f.pull.ended:
				return
			case err != io.EOF:
				w.blame("message " + w.next() + " of the WebSocket is compressed in a way that cannot be read")
				w.dead = true
				return
			}
			// The sender begins a new stream with the next message.
			f.over = true
			in.Reset(r)
			f.pull.in = nil
			if r, ok := z.(flate.Resetter); ok {
				_ = r.Reset(in, nil) // it has nothing to fail at
			}
		}
	})
	return f
}

func (f *inflater) write(p []byte) {
	if !f.over {
		f.pull.write(p)
	}
}
