package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// callerSends sends a request, on the connection that there is or a new one:
//
//	caller sends METHOD TARGET [HTTP/1.0]
//	caller sends raw TEXT
//
// Below it are header lines and "body TEXT", "open" if the body follows in other steps, "no key" if it
// carries none, "no host", and "trailer NAME: VALUE".
func callerSends(ctx context.Context, p *play, s Step) error {
	if err := p.connect(ctx); err != nil {
		return err
	}
	if text, ok := strings.CutPrefix(s.Arg, "raw "); ok {
		text, err := p.textOf(text, s.Lines)
		if err != nil {
			return err
		}
		method, _, _ := strings.Cut(text, " ")
		f := &flow1{w: p.wire, method: method}
		f.w.text(text, false)
		p.sent = append(p.sent, &sending{flow: f, raw: true})
		return nil
	}
	h := &head{proto: "HTTP/1.1"}
	words := strings.Fields(s.Arg)
	if len(words) < 2 {
		return errors.New("a request has a method and a target")
	}
	h.method, h.target = words[0], words[1]
	if len(words) > 2 {
		h.proto = words[2]
	}
	fields, rest := fieldsOf(s.Lines)
	body, err := bodyOf(rest)
	if err != nil {
		return err
	}
	h.fields = fields
	if !slices.Contains(rest, "no host") && len(h.get("Host")) == 0 {
		h.fields = append([]field{{"Host", "gateway.example"}}, h.fields...)
	}
	if !slices.Contains(rest, "no key") && !carries(fields, s.Arg, p.key) {
		h.fields = append(h.fields, field{"Authorization", "Bearer " + p.key})
	}
	if body.there && len(h.get("Content-Length"))+len(h.get("Transfer-Encoding")) == 0 {
		h.fields = append(h.fields, field{"Content-Length", strconv.Itoa(len(body.text))})
	}
	var f flow = &flow1{w: p.wire}
	if p.session != nil {
		f = p.session.begin()
	}
	p.sent = append(p.sent, &sending{flow: f})
	open := body.open || body.there && (body.text != "" || len(h.get("Transfer-Encoding")) > 0) || len(body.trailers) > 0
	f.sendHead(h, open)
	if open {
		f.sendBody(body.text, false)
	}
	if open && !body.open {
		f.sendEnd(body.trailers)
	}
	return nil
}

// carries says whether a request has its key where its case put it.
func carries(fields []field, line, key string) bool {
	return strings.Contains(line, key) || slices.ContainsFunc(fields, func(f field) bool { return strings.Contains(f.value, key) })
}

// connect makes the connection if there is none.
func (p *play) connect(ctx context.Context) error {
	if p.wire != nil {
		return nil
	}
	c, err := p.g.Dial(ctx, p.transport)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	p.wire = newWire(c, p.rng)
	p.wires = append(p.wires, p.wire)
	if p.session = nil; p.transport == H2 || p.transport == H2C {
		p.session = newSession(p.wire, false)
	}
	return nil
}

// body is what a step says about the body of a message.
type body struct {
	there, open bool
	text        string
	trailers    []field
}

func bodyOf(lines []string) (b body, err error) {
	for _, l := range lines {
		kind, rest, _ := strings.Cut(l, " ")
		switch kind {
		case "body":
			b.there = true
			if b.text, err = parseText(rest); err != nil {
				return b, err
			}
		case "open":
			b.open = true
		case "trailer":
			name, value, _ := strings.Cut(rest, ":")
			b.trailers = append(b.trailers, field{name, strings.TrimSpace(value)})
		}
	}
	return b, nil
}

// textOf is the text behind a verb and in the lines below it.
func (p *play) textOf(arg string, lines []string) (string, error) {
	var out strings.Builder
	for _, l := range append([]string{arg}, lines...) {
		if l = strings.TrimSpace(l); l == "" {
			continue
		}
		text, err := parseText(l)
		if err != nil {
			return "", err
		}
		out.WriteString(text)
	}
	return out.String(), nil
}

// latest is the request that was sent last: what is written belongs to it.
func (p *play) latest() (*sending, error) {
	if len(p.sent) == 0 {
		return nil, errors.New("no request was sent")
	}
	return p.sent[len(p.sent)-1], nil
}

// current is the request whose answer is read.
func (p *play) current() (*sending, error) {
	if len(p.sent) == 0 {
		return nil, errors.New("no answer is awaited")
	}
	return p.sent[0], nil
}

// callerWrites sends a part of a body: "caller writes [raw] [bytewise] TEXT". raw is not framed.
func callerWrites(_ context.Context, p *play, s Step) error {
	arg, bytewise := strings.CutPrefix(s.Arg, "bytewise ")
	arg, raw := strings.CutPrefix(arg, "raw ")
	text, err := p.textOf(arg, s.Lines)
	if err != nil {
		return err
	}
	if raw {
		p.wire.text(text, bytewise)
		return nil
	}
	f, err := p.latest()
	if err == nil {
		f.sendBody(text, bytewise)
	}
	return err
}

// callerEnds ends a body, with the trailers below it.
func callerEnds(_ context.Context, p *play, s Step) error {
	f, err := p.latest()
	if err == nil {
		fields, _ := fieldsOf(s.Lines)
		f.sendEnd(fields)
	}
	return err
}

// callerGets reads the next head: "caller gets STATUS". Below it are lines of expect, "body TEXT" for
// the whole body and a proper end, "error CODE" for a body of the gateway's own, "chunked" and "length
// N" for how the body is framed.
func callerGets(ctx context.Context, p *play, s Step) error {
	if len(p.sent) > 0 && p.sent[0].answered {
		if !p.sent[0].over {
			if _, err := readAll(ctx, p.sent[0]); err != nil {
				return fmt.Errorf("the answer before: %w", err)
			}
		}
		if last := p.sent[0]; len(p.sent) == 1 && last.raw {
			// What was sent as it is may have been several requests.
			p.sent = append(p.sent, &sending{flow: &flow1{w: p.wire}, raw: true})
		}
		p.sent = p.sent[1:]
	}
	f, err := p.current()
	if err != nil {
		return err
	}
	h, err := f.readHead(ctx)
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	f.answered = h.status >= 200 || h.status == 101
	if want := strings.Fields(s.Arg)[0]; strconv.Itoa(h.status) != want {
		var text string
		if f.answered {
			text, _ = readAll(ctx, f)
		}
		return fmt.Errorf("got status %d, want %s: %s", h.status, want, short(text))
	}
	errs := []error{expect(h.fields, s.Lines)}
	for _, l := range s.Lines {
		kind, rest, _ := strings.Cut(l, " ")
		switch kind {
		case "has", "lacks", "exactly", "many":
		case "chunked":
			encoded := p.session != nil || slices.Equal(h.get("Transfer-Encoding"), []string{"chunked"})
			if len(h.get("Content-Length")) > 0 || !encoded {
				errs = append(errs, fmt.Errorf("it is not chunked: %q", h.fields))
			}
		case "length":
			if got := h.get("Content-Length"); !slices.Equal(got, []string{rest}) {
				errs = append(errs, fmt.Errorf("its length is %q, want %s", got, rest))
			}
		case "body":
			want, err := parseText(rest)
			if err != nil {
				return err
			}
			errs = append(errs, wantAll(ctx, f, want))
		case "error":
			errs = append(errs, wantError(ctx, f, h, rest))
		default:
			errs = append(errs, fmt.Errorf("nobody knows what %q is", l))
		}
	}
	return errors.Join(errs...)
}

func wantAll(ctx context.Context, f *sending, want string) error {
	got, err := readAll(ctx, f)
	if err != nil {
		return fmt.Errorf("the body after %s: %w", short(got), err)
	}
	if got != want {
		return errors.New("the body " + differ(got, want))
	}
	return nil
}

func wantError(ctx context.Context, f *sending, h *head, code string) error {
	text, err := readAll(ctx, f)
	if err != nil {
		return err
	}
	var body struct {
		Error struct{ Code, Message, Hint string }
	}
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		return fmt.Errorf("%s is no error in JSON: %w", short(text), err)
	}
	if body.Error.Code != code || body.Error.Message == "" || body.Error.Hint == "" {
		return fmt.Errorf("got the error %s, want %s", short(text), code)
	}
	if got := h.get("Content-Type"); !slices.Equal(got, []string{"application/json"}) {
		return fmt.Errorf("an error of the type %q", got)
	}
	return nil
}

// readAll reads until the end.
func readAll(ctx context.Context, f *sending) (string, error) {
	f.over = true
	return readRest(ctx, f)
}

func readRest(ctx context.Context, f flow) (string, error) {
	var out strings.Builder
	buf := make([]byte, 64<<10)
	for {
		n, err := f.readBody(ctx, buf)
		out.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			return out.String(), nil
		}
		if err != nil {
			return out.String(), err
		}
	}
}

// callerReads reads as many bytes as the text has, which must be it.
func callerReads(ctx context.Context, p *play, s Step) error {
	f, err := p.current()
	if err != nil {
		return err
	}
	return readExactly(ctx, p, f, s)
}

func readExactly(ctx context.Context, p *play, f flow, s Step) error {
	want, err := p.textOf(s.Arg, s.Lines)
	if err != nil {
		return err
	}
	got := make([]byte, 0, len(want))
	for len(got) < len(want) {
		n, err := f.readBody(ctx, got[len(got):len(want):len(want)])
		got = got[:len(got)+n]
		if err != nil && len(got) < len(want) {
			return fmt.Errorf("after %s: %w", short(string(got)), err)
		}
	}
	if string(got) != want {
		return errors.New(differ(string(got), want))
	}
	return nil
}

// callerSees is how it goes on for the caller: "end" for a proper end of the body, with lines of expect
// for its trailers, "abort" for another one, "close" for the end of the connection.
func callerSees(ctx context.Context, p *play, s Step) error {
	f, err := p.current()
	if err != nil {
		return err
	}
	if s.Arg == "close" {
		f.over = true
		return f.ended(ctx)
	}
	return seeEnd(ctx, f, s, func() { f.over = true })
}

func seeEnd(ctx context.Context, f flow, s Step, over func()) error {
	over()
	got, err := readRest(ctx, f)
	switch {
	case s.Arg == "abort" && err == nil:
		return fmt.Errorf("it ended properly, after %s more", short(got))
	case s.Arg == "abort" && !errors.Is(err, errAborted):
		return err
	case s.Arg == "end" && err != nil:
		return fmt.Errorf("it did not end properly: %w", err)
	case s.Arg != "end" && s.Arg != "abort":
		return fmt.Errorf("nobody knows how to see %q", s.Arg)
	case got != "":
		return fmt.Errorf("%s came before the end", short(got))
	}
	return expect(f.trailers(), s.Lines)
}

// callerLeaves closes the connection; over HTTP/2 it resets the stream.
func callerLeaves(_ context.Context, p *play, _ Step) error {
	f, err := p.latest()
	if err != nil {
		return err
	}
	f.over = true
	if p.session != nil {
		f.reset()
		return nil
	}
	p.wire.end()
	p.wire = nil
	return nil
}

// callerResets closes the connection so that the other side sees a reset.
func callerResets(_ context.Context, p *play, _ Step) error {
	for _, f := range p.sent {
		f.over = true
	}
	p.wire.abort()
	p.wire = nil
	return nil
}

// callerShuts says that nothing more will be sent on the connection.
func callerShuts(_ context.Context, p *play, _ Step) error {
	p.wire.shut()
	return nil
}

// callerConnects makes the next request go over a new connection; the old one stays open.
func callerConnects(ctx context.Context, p *play, _ Step) error {
	for _, f := range p.sent {
		if f.answered && !f.over {
			if _, err := readAll(ctx, f); err != nil {
				return err
			}
		}
	}
	p.wire, p.sent = nil, nil
	return nil
}
