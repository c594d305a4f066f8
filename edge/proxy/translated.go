package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/translate"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
	"tollgate/internal/id"
	"tollgate/internal/meter/frame"
	"tollgate/internal/meter/inject"
)

// relayTranslated answers the caller of a model with what a deployment has answered, in the caller's schema. It says whether it has
// done so: an answer that is in that schema already goes on as any other, but for what it says of the gateway's credential.
func (t *try) relayTranslated(ctx context.Context) bool {
	c, a, h := t.c, t.answer, t.hop
	switch refused := a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden; {
	case refused:
		// What the vendor says of it is about the gateway's key, parts of which some vendors repeat.
		t.closeAnswer()
		c.g.d.Log.Warn("the vendor refuses the credential of a deployment", "request_id", c.id.Text(id.Request), "deployment", h.d.Name, "status", a.Status)
		c.refuse(fault.New(fault.UpstreamRefused, "The vendor of %s refused the gateway's credential.", h.d.Name))
	case !h.translates(c.ask):
		return false
	case a.Status >= 200 && a.Status < 300 && h.streamed(c.ask, a):
		t.relayStream(ctx)
	default:
		t.relayWhole(ctx)
	}
	return true
}

// streamed says whether an answer is a stream.
func (h *hop) streamed(of *ask, a *Answer) bool {
	if h.count != nil {
		return false
	}
	kind := get(a.Headers, "Content-Type")
	if isEventStream(kind) {
		return true
	}
	kind, _, _ = strings.Cut(strings.ToLower(kind), ";")
	return h.remote != nil && h.streams(of) && strings.Trim(kind, " \t") != "application/json"
}

// relayWhole reads an answer, translates it and sends that on. Nothing goes on before all of it is there, so that what it costs is
// told.
func (t *try) relayWhole(ctx context.Context) {
	c, a := t.c, t.answer
	good := a.Status >= 200 && a.Status < 300
	body, broken, unpaid := t.readWhole(ctx)
	t.closeAnswer()
	switch {
	case ctx.Err() != nil && (broken != nil || unpaid != nil):
		if t.end.outcome == eventv1.SpendOutcome_SPEND_OUTCOME_INTERRUPTED {
			t.end.outcome = untaken(ctx)
		}
		c.giveUp(c.ended(ctx))
		return
	case unpaid != nil:
		t.withhold(ctx, unpaid)
		return
	case broken != nil && good:
		c.refuse(broken)
		return
	}
	t.whole = broken == nil
	answer, err := t.translate(ctx, body)
	if ctx.Err() != nil {
		t.end.outcome = untaken(ctx)
		c.giveUp(c.ended(ctx))
		return
	}
	if good {
		if t.end.outcome = eventv1.SpendOutcome_SPEND_OUTCOME_OK; err != nil {
			t.end.outcome = eventv1.SpendOutcome_SPEND_OUTCOME_TARGET_ERROR
		}
	}
	if err != nil {
		t.tellError(err)
		return
	}
	t.settle() // what it costs is known, and the headers tell it
	headers := append(c.ourHeaders(c.lines[:0]), t.translatedHeaders(answer.Headers)...)
	c.begin(answer.Status, headers, int64(len(answer.Body)))
	if _, err := c.x.Out.Write(answer.Body); err != nil {
		c.x.Out.Abort()
	}
}

// littleWhole is how long an answer is at most that needs no room of those that all share.
const littleWhole = 64 << 10

// readWhole reads an answer that is to be translated as a whole. broken is a fault that says why it is not whole.
func (t *try) readWhole(ctx context.Context) (body []byte, broken, unpaid error) {
	c, a := t.c, t.answer
	if a.Length == 0 || a.Status == http.StatusNoContent {
		return nil, nil, nil
	}
	most := c.modelBody()
	if a.Length > most {
		return nil, t.invalid("it has %s, and the limit is %s", bytesText(a.Length), bytesText(most)), nil
	}
	silence := t.listen()
	defer silence.stop()
	var taken int64
	defer func() { c.g.room.used.Add(-taken) }()
	if a.Length > littleWhole {
		if !c.g.room.take(a.Length) {
			return nil, noRoom(), nil
		}
		taken = a.Length
	}
	body = make([]byte, 0, max(a.Length+1, 4<<10)) // one more, to see its end
	for {
		if len(body) == cap(body) {
			more := int64(cap(body))
			if !c.g.room.take(more) {
				return nil, noRoom(), nil
			}
			taken += more
			body = append(make([]byte, 0, 2*cap(body)), body...)
		}
		n, err := a.Body.Read(body[len(body):cap(body)])
		if n > 0 {
			piece := body[len(body) : len(body)+n]
			if _, unpaid = t.afford(ctx, piece); unpaid != nil {
				return nil, nil, unpaid
			}
			if body = body[:len(body)+n]; int64(len(body)) > most {
				return nil, t.invalid("it has more than %s, the limit", bytesText(most)), nil
			}
			silence.again()
		}
		switch {
		case errors.Is(err, io.EOF):
			return t.plain(body, most)
		case err != nil:
			return body, t.invalid("it broke off"), nil
		}
	}
}

// plain takes off a content encoding that was not asked for.
func (t *try) plain(body []byte, most int64) (plain []byte, broken, unpaid error) {
	a := t.answer
	if uncoded(a.Headers) {
		return body, nil, nil
	}
	var taken int64
	defer func() { t.c.g.room.used.Add(-taken) }()
	plain, whole := frame.Plain(body, joined(a.Headers, "Content-Encoding"), most, func(n int64) bool {
		if !t.c.g.room.take(n - taken) {
			return false
		}
		taken = n
		return true
	})
	if !whole {
		return nil, t.invalid("it is compressed, which was not asked for, and can't be read"), nil
	}
	return plain, nil, nil
}

// invalid is the error for an answer that cannot be translated.
func (t *try) invalid(format string, args ...any) *fault.Error {
	e := fault.New(fault.UpstreamAnswerWrong, format, args...)
	e.Message = "The answer of " + t.hop.d.Name + " can't be passed on: " + e.Message + "."
	return e
}

// translate makes the caller's answer of a whole one. The error is an *adapter.Error or a fault.
func (t *try) translate(ctx context.Context, body []byte) (*AdapterAnswer, error) {
	h, of := t.hop, t.c.ask
	answer := &AdapterAnswer{Status: t.answer.Status, Headers: t.answer.Headers, Body: body}
	var err error
	if h.remote != nil {
		if answer, err = h.remote.Whole(ctx, answer); err != nil {
			return nil, err
		}
	}
	if answer.Status < 200 || answer.Status >= 300 {
		return nil, adapter.Read(answer.Status, get(t.answer.Headers, "Retry-After"), answer.Body)
	}
	answer = &AdapterAnswer{Status: http.StatusOK, Headers: []Header{jsonContent}, Body: answer.Body}
	switch {
	case h.count != nil:
		answer.Body, err = h.count.answer(answer.Body)
	case h.out != nil:
		answer.Body, err = h.out.Answer(ctx, answer.Body)
	}
	if err != nil {
		return nil, t.wrong(err)
	}
	if of.foreign != nil {
		return of.foreign.Whole(ctx, answer)
	}
	return answer, nil
}

// wrong is an error of a translation: one of the answer, as a fault.
func (t *try) wrong(err error) error {
	e, ok := errors.AsType[*adapter.Error](err)
	if !ok || e.Kind != adapter.Broken {
		return err
	}
	return fault.New(fault.UpstreamAnswerWrong, "The answer of %s can't be translated. %s", t.hop.d.Name, t.hop.served(e).Message)
}

// served is an error of a translation about the deployment that has answered: several may share one translation, which knows but the
// name of the first.
func (h *hop) served(e *adapter.Error) *adapter.Error {
	if e.Kind != adapter.Broken || h.made == h.d.Name {
		return e
	}
	out := *e
	out.Message = strings.Replace(e.Message, h.made, h.d.Name, 1)
	return &out
}

// translatedHeaders are those of an answer that is not the vendor's own: of the vendor's none go on.
func (t *try) translatedHeaders(own []Header) []Header {
	c := t.c
	out := append(plainly(own), c.requestIDHeader(c.ask.schema))
	return append(out, Header{"Date", time.Now().UTC().Format(http.TimeFormat)})
}

// idle is the longest silence in an answer.
func (t *try) idle() time.Duration {
	if t.hop != nil && t.hop.d.Upstream.Idle > 0 {
		return t.hop.d.Upstream.Idle
	}
	return t.c.idle()
}

// streamOf is what translates a streamed answer, and how that begins.
func (t *try) streamOf(ctx context.Context) (stream adapter.Stream, head *AdapterAnswer, end func(), err error) {
	h, of, a := t.hop, t.c.ask, t.answer
	end = func() {}
	head = &AdapterAnswer{Status: http.StatusOK, Headers: []Header{
		{"Content-Type", "text/event-stream; charset=utf-8"}, {"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"},
	}}
	through := func(next adapter.Stream) {
		if stream == nil {
			stream = next
		} else {
			stream = translate.Through(next, stream)
		}
	}
	begin := func(x AdapterExchange, answer *AdapterAnswer) (AdapterStream, error) {
		s, err := x.Begin(ctx, answer)
		if err == nil {
			before := end
			end = func() { s.Close(); before() }
			through(s)
		}
		return s, err
	}
	if h.remote != nil {
		if _, err = begin(h.remote, &AdapterAnswer{Status: a.Status, Headers: a.Headers}); err != nil {
			return nil, nil, end, err
		}
	}
	if h.out != nil {
		through(h.out.Stream(ctx))
	}
	if of.foreign != nil {
		s, err := begin(of.foreign, head)
		if err != nil {
			return nil, nil, end, err
		}
		head = s.Head()
	}
	return stream, head, end, nil
}

// relayStream translates a stream as it comes.
func (t *try) relayStream(ctx context.Context) {
	c, a := t.c, t.answer
	if !uncoded(a.Headers) {
		t.closeAnswer()
		c.refuse(t.invalid("it is a compressed stream, which was not asked for"))
		return
	}
	stream, head, end, err := t.streamOf(ctx)
	defer func() { end() }()
	if err != nil {
		t.closeAnswer()
		t.tellError(err)
		return
	}
	c.begin(head.Status, append(c.ourHeaders(c.lines[:0]), t.translatedHeaders(head.Headers)...), -1)
	if t.hop.out == nil && t.hop.remote == nil && t.strips(a) {
		t.strip = &inject.UsageOnly{} // the caller's adapter has not asked for it either
	}
	k := newTalk(c.x.Out, stream)
	defer k.stop() // also if a translation fails by a bug: the answer is not for pings any more
	outcome := t.copyStream(ctx, k)
	k.stop()
	if t.end.outcome = outcome; outcome == eventv1.SpendOutcome_SPEND_OUTCOME_OK {
		t.whole = true
		return
	}
	c.x.Out.Abort()
}

// copyStream passes a stream on through its translation and says how it ended. A caller who is still there is told why it ended
// early: what came of it must not be taken for complete.
func (t *try) copyStream(ctx context.Context, k *talk) eventv1.SpendOutcome {
	c, a := t.c, t.answer
	if k.flush() != nil {
		return untaken(ctx)
	}
	silence := t.listen()
	defer silence.stop()
	in := bufferFor(-1)
	defer func() { in.leave() }()
	for {
		n, err := a.Body.Read(*in.buf)
		if n > 0 {
			silence.stop()
			piece, unpaid := t.passable(ctx, (*in.buf)[:n])
			if failed := k.next(piece); failed != nil {
				return t.failStream(ctx, k, failed)
			}
			if unpaid != nil {
				if ctx.Err() != nil {
					return t.failStream(ctx, k, context.Cause(ctx))
				}
				f := t.tooDear("The answer was cut off when its cost reached what is available", unpaid)
				c.g.d.Log.Info("answer cut off", "request_id", c.id.Text(id.Request), "endpoint", c.endpoint.Name, "err", f)
				_ = k.fail(adapter.FromFault(f), c.id.Text(id.Request)) // a caller who is gone needs no reason
				return eventv1.SpendOutcome_SPEND_OUTCOME_CUT
			}
			silence.again()
		}
		switch {
		case err == nil:
			in.after(n)
		case errors.Is(err, io.EOF):
			if t.strip != nil {
				if failed := k.next(t.strip.Rest(t.stripped[:0])); failed != nil {
					return t.failStream(ctx, k, failed)
				}
			}
			if failed := k.end(true); failed != nil {
				return t.failStream(ctx, k, failed)
			}
			return eventv1.SpendOutcome_SPEND_OUTCOME_OK
		default:
			failed := k.end(false)
			if failed == nil {
				failed = t.invalid("it broke off")
			}
			if cause := context.Cause(ctx); cause != nil {
				failed = cause
			}
			return t.failStream(ctx, k, failed)
		}
	}
}

// failStream tells the caller why a stream ends, if anybody is there, and says how it ended.
func (t *try) failStream(ctx context.Context, k *talk, why error) eventv1.SpendOutcome {
	c := t.c
	if errors.Is(why, errGone) {
		return untaken(ctx)
	}
	outcome := brokenOff(ctx)
	if ctx.Err() != nil {
		if why = c.ended(ctx); errors.Is(why, ErrCallerGone) {
			return outcome
		}
	}
	if e, ok := errors.AsType[*adapter.Error](why); ok {
		why = t.hop.served(e)
	}
	_ = k.fail(t.hop.unechoed(c.told(why)), c.id.Text(id.Request)) // a caller who is gone needs no reason
	return outcome
}

// tellError passes on an error: a vendor's own, or one of the gateway about what the vendor has answered.
func (t *try) tellError(err error) {
	if e, ok := errors.AsType[*adapter.Error](err); ok {
		t.c.answerError(t.hop.unechoed(e))
		return
	}
	t.c.refuse(err)
}
