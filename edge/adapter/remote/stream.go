package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/sse"
	"tollgate/edge/breaker"
	"tollgate/edge/proxy"
	adapterv1 "tollgate/gen/tollgate/adapter/v1"
	"tollgate/internal/meter/frame"
)

// Stream is a streamed answer that an adapter translates event by event. It ends with its context or with Close, whichever is
// first, and waits for nothing longer than the adapter's timeout.
type Stream struct {
	x      *Exchange
	parent context.Context //nolint:containedctx // of the exchange, which the stream is a part of
	ctx    context.Context //nolint:containedctx // the stream's own, which a late answer ends
	cancel context.CancelCauseFunc
	rpc    *connect.BidiStreamForClientSimple[adapterv1.TranslateStreamRequest, adapterv1.TranslateStreamResponse]
	late   *time.Timer

	head   Response
	events bool // what goes out is server-sent events; else lines
	reads  bool // what comes in is
	reader sse.Reader
	line   []byte // of which the end has not come

	done   bool  // "[DONE]" has gone out
	broken error // the adapter cannot be asked any more
}

// Begin begins a streamed answer, of which response is the status and the headers. The stream's Head is that for the other side. The
// error is a *fault.Error, or the context's.
func (x *Exchange) Begin(ctx context.Context, response *Response) (proxy.AdapterStream, error) {
	s := &Stream{x: x, parent: ctx, reads: isEvents(response.Headers)}
	s.reader.Most = x.server.maxBytes
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	permit, ok := x.server.breaker.Allow()
	if !ok {
		s.cancel(nil)
		return nil, x.server.alone()
	}
	s.late = time.AfterFunc(x.server.timeout, func() { s.cancel(errLate) })
	answer, failure, err := s.open(response)
	if failure != nil {
		permit.Report(outcome(ctx, s.ctx, failure))
	} else {
		permit.Report(breaker.Success)
	}
	if err == nil {
		err = s.begun(response, answer)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// open makes the call and sends the beginning. failure is the call's own error, of which err is what to tell.
func (s *Stream) open(response *Response) (answer *adapterv1.TranslateStreamResponse, failure, err error) {
	begun := time.Now()
	defer func() { s.x.server.metrics.Done(result(err), time.Since(begun)) }()
	if s.rpc, failure = s.x.server.client.TranslateStream(s.ctx); failure == nil {
		answer, failure = s.swap(&adapterv1.TranslateStreamRequest{Part: &adapterv1.TranslateStreamRequest_Begin{Begin: &adapterv1.StreamBegin{
			Role: adapterv1.Role(s.x.role), State: s.x.state, Response: toProto(&Response{Status: response.Status, Headers: response.Headers}),
		}}})
	}
	if !s.late.Stop() && failure == nil {
		failure = errLate
	}
	if failure != nil {
		return nil, failure, s.x.server.explain(s.parent, s.ctx, failure)
	}
	return answer, nil, nil
}

// swap sends a message and waits for its answer.
func (s *Stream) swap(m *adapterv1.TranslateStreamRequest) (*adapterv1.TranslateStreamResponse, error) {
	if err := s.rpc.Send(m); err != nil && !errors.Is(err, io.EOF) { // after io.EOF, Receive says why
		return nil, err
	}
	answer, err := s.rpc.Receive()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the adapter ended the stream") // which is not its to do
	}
	return answer, err
}

// begun checks the head.
func (s *Stream) begun(response *Response, answer *adapterv1.TranslateStreamResponse) error {
	var err error
	server := s.x.server
	if r := answer.GetResponse(); r != nil {
		if s.head, err = s.x.head(r); err != nil {
			return server.failed(err, "%s", err)
		}
	} else {
		s.head = Response{Status: response.Status, Headers: []Header{header("content-type", valueOf(response.Headers, "content-type"))}}
	}
	s.events = isEvents(s.head.Headers)
	if s.x.role == Vendor && !s.events {
		return server.failed(nil, "it answered with a stream that is not %s", eventStream)
	}
	if len(answer.GetEvents()) > 0 {
		return server.failed(nil, "it answered the beginning of a stream with events")
	}
	return nil
}

// Head is the status and the headers for the other side.
func (s *Stream) Head() *Response { return &s.head }

// Close ends the call. Nothing may be asked of the stream afterwards.
func (s *Stream) Close() {
	s.late.Stop()
	s.cancel(nil)
	if s.rpc != nil {
		// What they return says nothing about an exchange that is over.
		_ = s.rpc.CloseRequest()
		_ = s.rpc.CloseResponse()
		s.rpc = nil
	}
	if s.broken == nil {
		s.broken = errClosed
	}
}

var errClosed = &adapter.Error{Kind: adapter.Broken, Message: "The stream is closed."}

// Next appends what a piece of the answer comes to. The error is an *adapter.Error.
func (s *Stream) Next(dst, piece []byte) ([]byte, error) {
	var err error
	emit := func(e sse.Event) error {
		dst, err = s.ask(dst, event(e.Type, e.Data))
		return err
	}
	if s.reads {
		err = s.reader.Next(piece, emit)
	} else {
		err = s.lines(piece, emit)
	}
	if errors.Is(err, sse.ErrTooLong) {
		err = s.fail("an event of the answer is larger than the %d bytes that it takes", s.x.server.maxBytes)
	}
	return dst, err
}

// lines takes NDJSON apart.
func (s *Stream) lines(piece []byte, emit func(sse.Event) error) error {
	for {
		line, rest, ended := bytes.Cut(piece, []byte{'\n'})
		if len(s.line)+len(line) > s.x.server.maxBytes {
			return sse.ErrTooLong
		}
		if !ended {
			s.line = append(s.line, line...)
			return nil
		}
		if len(s.line) > 0 {
			s.line = append(s.line, line...)
			line = s.line
		}
		err := emitLine(line, emit)
		s.line, piece = s.line[:0], rest
		if err != nil {
			return err
		}
	}
}

func emitLine(line []byte, emit func(sse.Event) error) error {
	if line = bytes.TrimSpace(line); len(line) == 0 {
		return nil
	}
	return emit(sse.Event{Data: line})
}

// End appends what is missing when the answer has come to its end. If it has broken off, nothing is appended: Fail tells it. The error
// is an *adapter.Error.
func (s *Stream) End(dst []byte, whole bool) ([]byte, error) {
	if !whole {
		return dst, &adapter.Error{Kind: adapter.Broken, Message: "The model's answer broke off."}
	}
	var err error
	emit := func(e sse.Event) error {
		dst, err = s.ask(dst, event(e.Type, e.Data))
		return err
	}
	if s.reads {
		err = s.reader.End(emit)
	} else {
		err = emitLine(s.line, emit)
	}
	if err != nil {
		return dst, err
	}
	if dst, err = s.ask(dst, ended(true)); err != nil {
		return dst, err
	}
	if s.x.role == Vendor && !s.done {
		return dst, s.fail("it ended a stream without [DONE]")
	}
	return dst, nil
}

func event(typ string, data []byte) *adapterv1.TranslateStreamRequest {
	return &adapterv1.TranslateStreamRequest{Part: &adapterv1.TranslateStreamRequest_Event{
		Event: &adapterv1.Event{Type: valid(typ), Data: data},
	}}
}

func ended(whole bool) *adapterv1.TranslateStreamRequest {
	return &adapterv1.TranslateStreamRequest{Part: &adapterv1.TranslateStreamRequest_End{End: &adapterv1.StreamEnd{Whole: whole}}}
}

// ask has the adapter answer a message, and appends its events.
func (s *Stream) ask(dst []byte, m *adapterv1.TranslateStreamRequest) ([]byte, error) {
	if s.broken != nil {
		return dst, told(s.broken)
	}
	begun := time.Now()
	server := s.x.server
	s.late.Reset(server.timeout)
	answer, err := s.swap(m)
	if !s.late.Stop() && err == nil {
		err = errLate
	}
	if err != nil {
		s.broken = server.explain(s.parent, s.ctx, err)
		err = s.broken
	}
	server.metrics.Done(result(err), time.Since(begun))
	if err != nil {
		return dst, told(err)
	}
	for _, e := range answer.GetEvents() {
		if dst, err = s.write(dst, e); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// write appends an event of the adapter's.
func (s *Stream) write(dst []byte, e *adapterv1.Event) ([]byte, error) {
	typ, data := e.GetType(), e.GetData()
	if s.x.role == Vendor {
		switch {
		case s.done:
			return dst, s.fail("it went on after [DONE]")
		case string(data) == doneMark:
			s.done = true
		case !frame.Valid(data) || !gjson.ParseBytes(data).IsObject():
			return dst, s.fail("an event that it answered with is not a JSON object")
		case gjson.GetBytes(data, "error").IsObject():
			return dst, adapter.Read(0, "", data)
		}
	}
	if !s.events {
		if bytes.ContainsAny(data, "\r\n") {
			return dst, s.fail("a line that it answered with has a line end in it")
		}
		return append(append(dst, data...), '\n'), nil
	}
	if strings.ContainsAny(typ, "\r\n") {
		return dst, s.fail("the type of an event that it answered with has a line end in it")
	}
	if !bytes.ContainsAny(data, "\r\n") {
		return sse.Append(dst, typ, data), nil
	}
	if typ != "" {
		dst = append(append(append(dst, "event: "...), typ...), '\n')
	}
	data = bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte{'\n'}), []byte{'\r'}, []byte{'\n'})
	for line := range bytes.SplitSeq(data, []byte{'\n'}) {
		dst = append(append(append(dst, "data: "...), line...), '\n')
	}
	return append(dst, '\n'), nil
}

const doneMark = "[DONE]"

// fail ends the asking: the adapter has shown that it does not know what it does.
func (s *Stream) fail(format string, args ...any) *adapter.Error {
	e := told(s.x.server.failed(nil, format, args...))
	s.broken = e
	return e
}

// Fail appends an error as the last event. In the role of a client's the adapter says how it reads in the caller's schema; if
// it cannot, nothing is known of that schema, and the error is that of Chat Completions.
func (s *Stream) Fail(dst []byte, e *adapter.Error, requestID string) []byte {
	text := adapter.Append(nil, adapter.Chat, e, requestID)
	if s.x.role == Client && s.broken == nil {
		before := len(dst)
		out, err := s.ask(dst, event("", text))
		if err == nil {
			out, err = s.ask(out, ended(false))
		}
		if err == nil && len(out) > before {
			return out
		}
		dst = dst[:before]
	}
	if s.events {
		return sse.Append(dst, "", text)
	}
	return append(append(dst, text...), '\n')
}

// Ping appends a comment, where what goes out may have one.
func (s *Stream) Ping(dst []byte) []byte {
	if !s.events {
		return dst
	}
	return append(dst, ": ping\n"...)
}
