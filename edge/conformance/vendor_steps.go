package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// request is the one that a vendor is at.
func (p *play) request(who string) (*arrival, error) {
	if a := p.at[who]; a != nil {
		return a, nil
	}
	return nil, errors.New("no request came to it")
}

// vendorGets waits for a request:
//
//	vendor gets METHOD TARGET
//	vendor gets TLS             the beginning of TLS, which it does not speak
//	vendor gets nothing         no byte came to it, also not until the end of the case
//	vendor gets no more         no further request does
//	vendor gets no whole        no request came to it whole: a head may have
//
// Below it are lines of expect, "body TEXT" for its whole body, which is empty where nothing is said, and
// "open" if other steps read that.
func vendorGets(ctx context.Context, p *play, s Step) error {
	v := p.vendors[s.Who]
	switch s.Arg {
	case "nothing":
		p.quiet = append(p.quiet, func() error {
			for _, text := range v.seen() {
				if text != "" {
					return fmt.Errorf("%s got %s", s.Who, short(text))
				}
			}
			return nil
		})
		return nil
	case "no whole":
		p.quiet = append(p.quiet, func() error { return noWhole(s.Who, v) })
		return nil
	case "no more":
		p.quiet = append(p.quiet, func() error {
			select {
			case a := <-v.arrivals:
				if a.err == nil {
					return fmt.Errorf("%s got %s %s, too", s.Who, a.h.method, a.h.target)
				}
			default:
			}
			return nil
		})
		return nil
	}
	if a := p.at[s.Who]; a != nil {
		close(a.next)
		p.at[s.Who] = nil
	}
	var a *arrival
	select {
	case a = <-v.arrivals:
	case <-ctx.Done():
		return errors.New("no request came")
	}
	p.at[s.Who] = a
	switch {
	case s.Arg == "TLS" && errors.Is(a.err, errTLS):
		return nil
	case a.err != nil:
		return fmt.Errorf("what came is no request: %w", a.err)
	}
	errs := []error{expect(a.h.fields, s.Lines)}
	if got := a.h.method + " " + a.h.target; got != s.Arg {
		errs = append(errs, fmt.Errorf("got %q", got))
	}
	b, err := bodyOf(s.Lines)
	if err != nil {
		return err
	}
	if !b.open {
		got, err := readRest(ctx, a.f)
		if err != nil {
			errs = append(errs, fmt.Errorf("its body after %s: %w", short(got), err))
		} else if got != b.text {
			errs = append(errs, errors.New("its body "+differ(got, b.text)))
		}
	}
	return errors.Join(errs...)
}

// noWhole reads what came to a vendor without an answer.
func noWhole(who string, v *vendor) error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	for {
		select {
		case a := <-v.arrivals:
			if a.err != nil {
				continue
			}
			if text, err := readRest(ctx, a.f); !errors.Is(err, errAborted) {
				return fmt.Errorf("%s got %s %s with %s: %w", who, a.h.method, a.h.target, short(text), err)
			}
		default:
			return nil
		}
	}
}

// vendorReads reads as many bytes of the request's body as the text has, which must be it.
func vendorReads(ctx context.Context, p *play, s Step) error {
	a, err := p.request(s.Who)
	if err != nil {
		return err
	}
	return readExactly(ctx, p, a.f, s)
}

// vendorSees is how the request goes on: "end" for the proper end of its body, with lines of expect for
// its trailers, "abort" for another one, "close" for the end of the connection or of the stream.
func vendorSees(ctx context.Context, p *play, s Step) error {
	a, err := p.request(s.Who)
	if err != nil {
		return err
	}
	if s.Arg == "close" {
		return a.f.ended(ctx)
	}
	return seeEnd(ctx, a.f, s, func() {})
}

// vendorAnswers answers the request:
//
//	vendor answers STATUS [REASON]
//	vendor answers ok
//	vendor answers raw TEXT
//
// Below it are header lines, "body TEXT" for a whole body, "open" if it follows in other steps, and
// "trailer NAME: VALUE". A body without a framing among the headers gets its length.
func vendorAnswers(_ context.Context, p *play, s Step) error {
	a, err := p.request(s.Who)
	if err != nil {
		return err
	}
	if text, ok := strings.CutPrefix(s.Arg, "raw "); ok {
		text, err := p.textOf(text, s.Lines)
		if err == nil {
			a.w.text(text, false)
			a.switched(strings.HasPrefix(text, "HTTP/1.1 101 "))
		}
		return err
	}
	arg, lines := s.Arg, s.Lines
	if arg == "ok" {
		arg, lines = "200 OK", append(slices.Clone(lines), `body "ok"`)
	}
	h := &head{}
	code, reason, _ := strings.Cut(arg, " ")
	if h.status, err = strconv.Atoi(code); err != nil {
		return err
	}
	h.reason = reason
	fields, rest := fieldsOf(lines)
	b, err := bodyOf(rest)
	if err != nil {
		return err
	}
	h.fields = fields
	if b.there && !b.open && len(h.get("Content-Length"))+len(h.get("Transfer-Encoding")) == 0 && len(b.trailers) == 0 {
		h.fields = append(h.fields, field{"Content-Length", strconv.Itoa(len(b.text))})
	}
	a.switched(h.status == 101)
	informs := h.status >= 100 && h.status < 200 && h.status != 101
	a.f.sendHead(h, informs || b.open || len(b.trailers) > 0 || b.there && (b.text != "" || len(h.get("Transfer-Encoding")) > 0))
	if b.there {
		a.f.sendBody(b.text, false)
	}
	if !b.open && !informs && (b.there || len(b.trailers) > 0) {
		a.f.sendEnd(b.trailers)
	}
	return nil
}

// switched makes all that follows on the connection the request's body, once the protocol is another one.
func (a *arrival) switched(is bool) {
	if f, ok := a.f.(*flow1); ok && is {
		f.body = f.w.r
	}
}

// vendorWrites sends a part of the answer's body: "vendor writes [bytewise] [raw] TEXT".
func vendorWrites(_ context.Context, p *play, s Step) error {
	a, err := p.request(s.Who)
	if err != nil {
		return err
	}
	arg, bytewise := strings.CutPrefix(s.Arg, "bytewise ")
	arg, raw := strings.CutPrefix(arg, "raw ")
	text, err := p.textOf(arg, s.Lines)
	switch {
	case err != nil:
		return err
	case raw:
		a.w.text(text, bytewise)
	default:
		a.f.sendBody(text, bytewise)
	}
	return nil
}

// vendorEnds ends the answer's body, with the trailers below it.
func vendorEnds(_ context.Context, p *play, s Step) error {
	a, err := p.request(s.Who)
	if err != nil {
		return err
	}
	fields, _ := fieldsOf(s.Lines)
	a.f.sendEnd(fields)
	return nil
}

// vendorCloses closes the connection.
func vendorCloses(_ context.Context, p *play, s Step) error {
	a, err := p.request(s.Who)
	if err == nil {
		a.w.end()
	}
	return err
}

// vendorResets breaks the answer off: with a reset of the connection, or of the stream.
func vendorResets(_ context.Context, p *play, s Step) error {
	a, err := p.request(s.Who)
	if err == nil {
		a.f.reset()
	}
	return err
}

// vendorShuts says that nothing more will be sent on the connection.
func vendorShuts(_ context.Context, p *play, s Step) error {
	a, err := p.request(s.Who)
	if err == nil {
		a.w.shut()
	}
	return err
}

// vendorRetires tells over HTTP/2 that the connection will take no further request.
func vendorRetires(_ context.Context, p *play, s Step) error {
	a, err := p.request(s.Who)
	if err != nil {
		return err
	}
	f, ok := a.f.(*flow2)
	if !ok {
		return errors.New("that is of HTTP/2")
	}
	a.s.leave(f.id)
	return nil
}
