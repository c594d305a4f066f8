package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Window sizes that HTTP/2 begins with, and the one that this side gives to the other.
const (
	firstWindow = 65535
	ownWindow   = 1 << 20
	frameSize   = 16384
)

// session is one connection of HTTP/2, of a caller or of a vendor. It does not judge more than frames
// and header blocks: the cases say what must be in them.
type session struct {
	w      *wire
	server bool
	fr     *http2.Framer
	enc    *hpack.Encoder
	block  bytes.Buffer
	opened chan *flow2 // requests that came, for a vendor
	done   chan struct{}

	mu      sync.Mutex // guards what follows
	change  chan struct{}
	flows   map[uint32]*flow2
	next    uint32
	window  int64 // what may be sent, over all streams
	initial int64 // what a new stream may be sent
	err     error // why the connection is over
}

func newSession(w *wire, server bool) *session {
	s := &session{
		w: w, server: server, fr: http2.NewFramer(w, w.r), opened: make(chan *flow2, 64), done: make(chan struct{}),
		change: make(chan struct{}), flows: map[uint32]*flow2{}, next: 1, window: firstWindow, initial: firstWindow,
	}
	s.enc = hpack.NewEncoder(&s.block)
	s.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	s.fr.MaxHeaderListSize = 1 << 20
	s.fr.SetMaxReadFrameSize(1 << 20)
	if !server {
		w.text(http2.ClientPreface, false)
	}
	w.later(func() {
		_ = s.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: ownWindow}, http2.Setting{ID: http2.SettingEnablePush, Val: 0})
		_ = s.fr.WriteWindowUpdate(0, ownWindow)
	})
	w.wg.Go(s.read)
	return s
}

// changed wakes all that wait. s.mu is held.
func (s *session) changed() {
	close(s.change)
	s.change = make(chan struct{})
}

func (s *session) read() {
	err := s.frames()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	for _, f := range s.flows {
		f.fail(fmt.Errorf("%w: the connection ended: %w", errAborted, err))
	}
	close(s.done)
	s.changed()
}

func (s *session) frames() error {
	if s.server {
		preface := make([]byte, len(http2.ClientPreface))
		if _, err := io.ReadFull(s.w.r, preface); err != nil {
			return err
		}
		if string(preface) != http2.ClientPreface {
			return fmt.Errorf("%q is no preface", preface)
		}
	}
	for {
		fr, err := s.fr.ReadFrame()
		if err != nil {
			if se, ok := errors.AsType[http2.StreamError](err); ok {
				s.withFlow(se.StreamID, func(f *flow2) { f.fail(err) })
				continue
			}
			return err
		}
		s.take(fr)
	}
}

func (s *session) take(fr http2.Frame) {
	switch fr := fr.(type) {
	case *http2.SettingsFrame:
		if fr.IsAck() {
			return
		}
		if n, ok := fr.Value(http2.SettingInitialWindowSize); ok {
			s.mu.Lock()
			for _, f := range s.flows {
				f.window += int64(n) - s.initial
			}
			s.initial = int64(n)
			s.changed()
			s.mu.Unlock()
		}
		s.w.later(func() { _ = s.fr.WriteSettingsAck() })
	case *http2.PingFrame:
		if data := fr.Data; !fr.IsAck() {
			s.w.later(func() { _ = s.fr.WritePing(true, data) })
		}
	case *http2.WindowUpdateFrame:
		s.mu.Lock()
		if fr.StreamID == 0 {
			s.window += int64(fr.Increment)
		} else if f := s.flows[fr.StreamID]; f != nil {
			f.window += int64(fr.Increment)
		}
		s.changed()
		s.mu.Unlock()
	case *http2.MetaHeadersFrame:
		if s.server {
			s.open(fr.StreamID)
		}
		s.withFlow(fr.StreamID, func(f *flow2) { f.headers(fr) })
	case *http2.DataFrame:
		s.withFlow(fr.StreamID, func(f *flow2) {
			f.data = append(f.data, fr.Data()...)
			f.over = f.over || fr.StreamEnded()
		})
	case *http2.RSTStreamFrame:
		s.withFlow(fr.StreamID, func(f *flow2) {
			f.gone = true
			f.fail(fmt.Errorf("%w: reset with %s", errAborted, fr.ErrCode))
		})
	case *http2.GoAwayFrame:
		s.mu.Lock()
		for id, f := range s.flows {
			if id > fr.LastStreamID {
				f.fail(fmt.Errorf("%w: the connection goes away with %s", errAborted, fr.ErrCode))
			}
		}
		s.changed()
		s.mu.Unlock()
	}
}

// open makes the stream of a request that came, unless these are its trailers.
func (s *session) open(id uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flows[id] != nil {
		return
	}
	f := &flow2{s: s, id: id, window: s.initial}
	s.flows[id] = f
	select {
	case s.opened <- f:
	default: // no case has so many
	}
}

func (s *session) withFlow(id uint32, do func(*flow2)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flows[id]; f != nil {
		do(f)
		s.changed()
	}
}

// begin makes the stream of a request that is to be sent.
func (s *session) begin() *flow2 {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &flow2{s: s, id: s.next, window: s.initial}
	if s.err != nil {
		f.fail(fmt.Errorf("%w: the connection ended: %w", errAborted, s.err))
	}
	s.flows[s.next] = f
	s.next += 2
	return f
}

// flow2 is a stream of HTTP/2. What the other side sent is kept until it is read; the fields are
// guarded by the session's lock.
type flow2 struct {
	s      *session
	id     uint32
	window int64

	heads []*head
	data  []byte
	over  bool
	tail  []field
	err   error
	gone  bool // whether the other side has reset it, which may be after its own end
	sent  bool // whether the own side has ended
}

func (f *flow2) fail(err error) {
	if f.err == nil && !f.over {
		f.err = err
	}
}

func (f *flow2) headers(fr *http2.MetaHeadersFrame) {
	if fr.Truncated {
		f.fail(errors.New("the headers are too large"))
		return
	}
	h := &head{proto: "HTTP/2.0"}
	for _, l := range fr.Fields {
		switch l.Name {
		case ":method":
			h.method = l.Value
		case ":path":
			h.target = l.Value
		case ":status":
			h.status, _ = strconv.Atoi(l.Value)
		case ":authority":
			h.fields = append(h.fields, field{"Host", l.Value})
		case ":scheme":
		default:
			h.fields = append(h.fields, field{l.Name, l.Value})
		}
	}
	if h.method == "" && h.status == 0 {
		f.tail = h.fields
	} else {
		f.heads = append(f.heads, h)
	}
	f.over = f.over || fr.StreamEnded()
}

// ofConnection are names that HTTP/2 has no headers for: the case that sends one means HTTP/1.1.
func ofConnection(l field) bool {
	switch strings.ToLower(l.name) {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "host":
		return true
	case "te":
		return l.value != "trailers"
	}
	return false
}

func (f *flow2) sendHead(h *head, open bool) {
	var all []field
	if f.s.server {
		all = append(all, field{":status", strconv.Itoa(h.status)})
	} else {
		host := h.get("Host")
		all = append(all, field{":method", h.method}, field{":scheme", "https"}, field{":path", h.target}, field{":authority", host[0]})
	}
	for _, l := range h.fields {
		if !ofConnection(l) {
			all = append(all, field{strings.ToLower(l.name), l.value})
		}
	}
	f.writeHeaders(all, !open)
}

func (f *flow2) writeHeaders(all []field, end bool) {
	f.sent = f.sent || end
	f.s.w.later(func() {
		f.s.block.Reset()
		for _, l := range all {
			_ = f.s.enc.WriteField(hpack.HeaderField{Name: l.name, Value: l.value})
		}
		block, first := f.s.block.Bytes(), true
		for first || len(block) > 0 {
			part := block[:min(len(block), frameSize)]
			block = block[len(part):]
			if first {
				_ = f.s.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: f.id, BlockFragment: part, EndStream: end, EndHeaders: len(block) == 0})
			} else {
				_ = f.s.fr.WriteContinuation(f.id, len(block) == 0, part)
			}
			first = false
		}
	})
}

func (f *flow2) sendBody(text string, bytewise bool) {
	parts := pieces(f.s.w.rng, text)
	if bytewise {
		parts = parts[:0]
		for i := range len(text) {
			parts = append(parts, text[i:i+1])
		}
	}
	for _, p := range parts {
		f.s.w.later(func() { f.write(p) })
	}
}

// write sends data as far as the other side takes it. It holds up all that is queued behind it, which
// no case minds.
func (f *flow2) write(p string) {
	for len(p) > 0 {
		s := f.s
		s.mu.Lock()
		n := min(int64(len(p)), s.window, f.window, frameSize)
		over, change := s.err != nil || f.err != nil, s.change
		if n > 0 {
			s.window -= n
			f.window -= n
		}
		s.mu.Unlock()
		switch {
		case over:
			return
		case n <= 0:
			<-change
			continue
		}
		if s.fr.WriteData(f.id, false, []byte(p[:n])) != nil {
			return
		}
		p = p[n:]
	}
}

func (f *flow2) sendEnd(trailers []field) {
	if f.sent {
		return
	}
	if len(trailers) > 0 {
		lower := make([]field, len(trailers))
		for i, l := range trailers {
			lower[i] = field{strings.ToLower(l.name), l.value}
		}
		f.writeHeaders(lower, true)
		return
	}
	f.sent = true
	f.s.w.later(func() { _ = f.s.fr.WriteData(f.id, true, nil) })
}

// wait waits until ready says so. It runs with the session's lock.
func (f *flow2) wait(ctx context.Context, ready func() bool) error {
	for {
		f.s.mu.Lock()
		ok, change := ready(), f.s.change
		f.s.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return fmt.Errorf("nothing more came: %w", ctx.Err())
		}
	}
}

func (f *flow2) readHead(ctx context.Context) (h *head, err error) {
	waited := f.wait(ctx, func() bool {
		if len(f.heads) > 0 {
			h, f.heads = f.heads[0], f.heads[1:]
			return true
		}
		err = f.err
		return err != nil
	})
	return h, errors.Join(err, waited)
}

func (f *flow2) readBody(ctx context.Context, p []byte) (n int, err error) {
	waited := f.wait(ctx, func() bool {
		if n = copy(p, f.data); n > 0 {
			f.data = f.data[n:]
			return true
		}
		if err = f.err; err == nil && f.over {
			err = io.EOF
		}
		return err != nil
	})
	if n > 0 {
		f.s.w.later(func() {
			_ = f.s.fr.WriteWindowUpdate(0, uint32(n))
			_ = f.s.fr.WriteWindowUpdate(f.id, uint32(n))
		})
	}
	if waited != nil {
		return n, waited
	}
	return n, err
}

func (f *flow2) trailers() []field {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	return f.tail
}

func (f *flow2) reset() {
	f.s.w.later(func() { _ = f.s.fr.WriteRSTStream(f.id, http2.ErrCodeCancel) })
}

func (f *flow2) ended(ctx context.Context) error {
	return f.wait(ctx, func() bool { return f.gone || f.err != nil || f.s.err != nil })
}

// leave tells the other side that requests above the last one that is named will not be answered.
func (s *session) leave(last uint32) {
	s.w.later(func() { _ = s.fr.WriteGoAway(last, http2.ErrCodeNo, nil) })
}
