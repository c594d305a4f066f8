package frame

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

const (
	// maxDecoded is how much a body may come to. It costs no memory, but the time of a processor.
	maxDecoded = 16 << 30
	// maxWindow is how far a body may refer back, which RFC 9659 sets for zstd; the others cannot refer back further.
	maxWindow = 8 << 20
	// maxCodings is how many codings a body may have, one around the other.
	maxCodings = 4
)

// pull turns a reader's work around: it is given pieces, and reads them in a function that runs only while one is being
// given. The function is a coroutine: nothing runs at the same time as anything else, and close ends it.
type pull struct {
	in    []byte
	some  bool // anything has come
	ended bool
	gone  bool // the function has returned
	yield func(struct{}) bool
	next  func() (struct{}, bool)
	stop  func()
}

func (p *pull) start(read func(io.Reader)) {
	p.next, p.stop = iter.Pull(func(yield func(struct{}) bool) {
		p.yield = yield
		read(p)
	})
}

// Read gives what has come, and waits for more where there is nothing.
func (p *pull) Read(b []byte) (int, error) {
	for len(p.in) == 0 {
		if p.ended || !p.yield(struct{}{}) {
			p.ended = true
			return 0, io.EOF
		}
	}
	n := copy(b, p.in)
	p.in = p.in[n:]
	return n, nil
}

// write gives a piece. It returns when all of it has been read.
func (p *pull) write(b []byte) {
	p.in, p.some = b, true
	p.resume()
	p.in = nil
}

func (p *pull) resume() {
	if !p.gone {
		_, more := p.next()
		p.gone = !more
	}
}

// close says that no more comes, and returns when the function has.
func (p *pull) close() {
	p.ended = true
	p.resume()
	p.stop()
}

// decoder takes the codings off a body.
type decoder struct {
	w    *work
	pull pull
	left int64
}

// codingsOf are the codings of a content encoding, in the order in which they were put on. trouble says why they cannot be
// taken off.
func codingsOf(encoding string) (codings []string, trouble string) {
	if encoding == "" {
		return nil, ""
	}
	for name := range strings.SplitSeq(encoding, ",") {
		switch name = strings.ToLower(strings.TrimSpace(name)); name {
		case "", "identity":
		case "gzip", "x-gzip", "deflate", "br", "zstd":
			codings = append(codings, strings.TrimPrefix(name, "x-"))
		default:
			return nil, "the content encoding " + clip(name) + " is not known"
		}
	}
	if len(codings) > maxCodings {
		return nil, "the body has too many content encodings"
	}
	return codings, ""
}

// Plain is a body without its content encoding: as much of it as can be read, at most so many bytes and as far as there is
// room for it, and whether that is all of it. It is nil if the encoding is not known. room is asked for so many bytes in all
// before they are taken.
func Plain(body []byte, encoding string, most int64, room func(bytes int64) bool) (plain []byte, whole bool) {
	codings, trouble := codingsOf(encoding)
	if trouble != "" {
		return nil, false
	}
	if len(body) == 0 { // it need not be coded
		return body, true
	}
	r := io.Reader(bytes.NewReader(body))
	for _, coding := range slices.Backward(codings) {
		z, done, err := open(coding, r)
		defer done()
		if err != nil {
			return nil, false
		}
		r = z
	}
	var err error
	for err == nil {
		if int64(len(plain)) == most { // one more says whether that is all
			var one [1]byte
			_, err = io.ReadFull(r, one[:])
			return plain, errors.Is(err, io.EOF)
		}
		if len(plain) == cap(plain) {
			size := min(max(2*int64(cap(plain)), 32<<10), most)
			if !room(size) {
				return plain, false
			}
			plain = append(make([]byte, 0, size), plain...)
		}
		var n int
		n, err = r.Read(plain[len(plain):cap(plain)])
		plain = plain[:len(plain)+n]
	}
	return plain, errors.Is(err, io.EOF)
}

// decode makes a decoder for a content encoding; nil if there is none.
func decode(w *work, encoding string) *decoder {
	codings, trouble := codingsOf(encoding)
	if trouble != "" {
		w.blame(trouble)
		w.dead = true
	}
	if len(codings) == 0 {
		return nil
	}
	d := &decoder{w: w, left: maxDecoded}
	d.pull.start(func(r io.Reader) { d.read(r, codings) })
	return d
}

// clip is the beginning of a text that somebody else has sent.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 32)], "") }

func (d *decoder) write(p []byte) { d.pull.write(p) }

func (d *decoder) end(bool) { d.pull.close() }

// read reads the whole body through its codings; the one that was put on last comes off first.
func (d *decoder) read(r io.Reader, codings []string) {
	for _, coding := range slices.Backward(codings) {
		z, done, err := open(coding, r)
		defer done()
		if err != nil {
			d.fail(coding, err)
			return
		}
		r = z
	}
	out, _ := buffers.Get().(*[16 << 10]byte)
	defer buffers.Put(out)
	for !d.w.dead {
		n, err := r.Read(out[:])
		if n > 0 {
			d.w.framer.write(out[:n])
		}
		if d.left -= int64(n); d.left < 0 {
			d.w.blame("the body is larger than is read when it is decoded")
			return
		}
		if err != nil {
			d.fail(codings[0], err)
			return
		}
	}
}

func (d *decoder) fail(coding string, err error) {
	switch {
	case !d.pull.some, errors.Is(err, io.EOF): // an empty body need not be coded
	case errors.Is(err, io.ErrUnexpectedEOF):
		d.w.blame("the " + coding + " body broke off")
	default:
		d.w.blame("the " + coding + " body cannot be decoded: " + err.Error())
	}
}

var (
	buffers = sync.Pool{New: func() any { return new([16 << 10]byte) }}
	gzips   = sync.Pool{New: func() any { return new(gzip.Reader) }}
	flates  = sync.Pool{New: func() any { return flate.NewReader(nil) }}
	brotlis = sync.Pool{New: func() any { return brotli.NewReader(nil) }}
	zstds   = sync.Pool{New: newZstd}
	readers = sync.Pool{New: func() any { return bufio.NewReader(nil) }}
)

func newZstd() any {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		panic("frame: " + err.Error()) // the options are no one's but ours
	}
	return z
}

// open reads one coding. done gives its memory back.
func open(coding string, r io.Reader) (z io.Reader, done func(), err error) {
	switch coding {
	case "br":
		b, _ := brotlis.Get().(*brotli.Reader)
		return b, func() { _ = b.Reset(nil); brotlis.Put(b) }, b.Reset(r)
	case "zstd":
		d, _ := zstds.Get().(*zstd.Decoder)
		return d, func() { _ = d.Reset(nil); zstds.Put(d) }, d.Reset(r)
	}
	in, _ := readers.Get().(*bufio.Reader)
	in.Reset(r)
	back := func() { in.Reset(nil); readers.Put(in) }
	if coding == "gzip" {
		g, _ := gzips.Get().(*gzip.Reader)
		return g, func() { gzips.Put(g); back() }, g.Reset(in)
	}
	// Some send what RFC 9110 calls deflate, which is zlib, and some what it sounds like.
	if b, err := in.Peek(2); err == nil && b[0]&0x0f == 8 && (int(b[0])<<8|int(b[1]))%31 == 0 {
		z, err := zlib.NewReader(in)
		return z, back, err
	}
	f, _ := flates.Get().(io.ReadCloser)
	if reset, ok := f.(flate.Resetter); ok {
		err = reset.Reset(in, nil)
	}
	return f, func() { flates.Put(f); back() }, err
}
