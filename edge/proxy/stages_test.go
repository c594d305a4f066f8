package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"tollgate/edge/metrics"
	"tollgate/edge/pool"
	"tollgate/edge/routing"
	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
)

// script is a target without a connection. It reads the request's body, and answers.
type script struct {
	status  int
	headers []Header
	pieces  []string
	length  int64 // of the answer; 0 for what the pieces have, -1 for not told
	breaks  error // in place of the end of the answer
	between func(n int)

	attempt *Attempt
	body    string
}

func (s *script) RoundTrip(_ context.Context, a *Attempt) (*Answer, error) {
	s.attempt = a
	if a.Body != nil {
		text, err := io.ReadAll(a.Body)
		if s.body = string(text); err != nil {
			return nil, &AttemptError{Failure: FailBody, Text: "x", Sent: true, Err: err}
		}
	}
	length := s.length
	if length == 0 {
		length = int64(len(strings.Join(s.pieces, "")))
	}
	return &Answer{Status: s.status, Headers: s.headers, Length: length, Body: &scriptBody{s: s}}, nil
}

type scriptBody struct {
	s  *script
	n  int // pieces that were read
	at int // bytes of the next one
}

func (b *scriptBody) Read(p []byte) (int, error) {
	if b.s.between != nil {
		b.s.between(b.n)
	}
	if b.n == len(b.s.pieces) {
		if b.s.breaks != nil {
			return 0, b.s.breaks
		}
		return 0, io.EOF
	}
	rest := b.s.pieces[b.n][b.at:]
	n := copy(p, rest)
	if b.at += n; n == len(rest) {
		b.n, b.at = b.n+1, 0
	}
	return n, nil
}

func (b *scriptBody) Close() error { return nil }

// got is what a caller without a connection gets.
type got struct {
	status  int
	headers []Header
	body    strings.Builder
	aborted bool
	check   func() // before each piece goes on
	fails   error  // of the next write
}

func (g *got) Interim(int, []Header) {}
func (g *got) Begin(status int, headers []Header, _ int64) {
	g.status, g.headers = status, slices.Clone(headers)
}

func (g *got) Write(p []byte) (int, error) {
	if g.fails != nil {
		return 0, g.fails
	}
	g.body.Write(p)
	if g.check != nil {
		g.check()
	}
	return len(p), nil
}
func (g *got) Flush() error                  { return nil }
func (g *got) Trailers([]Header)             {}
func (g *got) Switch([]Header) (Conn, error) { return nil, io.EOF }
func (g *got) Abort()                        { g.aborted = true }

// sentBody is a request's body that comes a few bytes at a time.
type sentBody struct {
	io.Reader
}

// Trailers are none.
func (b sentBody) Trailers() []Header { return nil }

func (sentBody) Interrupt() {}
func (sentBody) Drain()     {}

// stages is a gateway between a script and nobody.
type stages struct {
	*bench
	to  *script
	key string // how it is presented
}

func newStages(tb testing.TB, endpoint *eventv1.RouteEndpoint, to *script, change ...func(*options)) *stages {
	tb.Helper()
	b := &bench{money: &purse{left: money.Max / 2}, gate: &gate{}, metrics: metrics.New(), routes: &routing.Holder{}}
	o := options{accounts: []*eventv1.Account{accountOf(7, eventv1.AccountScope_ACCOUNT_SCOPE_EVERYTHING, "")}}
	for _, f := range change {
		f(&o)
	}
	b.t = tb
	endpoint.Id, endpoint.Name, endpoint.Path, endpoint.Targets = "ep_x", "x", "/x", []string{"http://a.example"}
	b.serve(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{endpoint}, Accounts: o.accounts, Limits: o.limits, Customers: o.rules})
	b.spool = newWatchedSpool(tb)
	log := slog.New(slog.DiscardHandler)
	b.gateway = New(Config{}, Deps{
		Routes: b.routes, Keys: newKeys(tb, o.keys...), Budgets: b.money, Limits: b.gate, Spool: b.spool,
		Pools: pool.New(log), Upstream: to, Metrics: b.metrics, Log: log, Customers: o.sight,
	})
	return &stages{b, to, "Bearer " + testKey}
}

// call sends one request through the stages.
func (s *stages) call(ctx context.Context, method, body string, length int64, headers ...Header) *got {
	s.t.Helper()
	out := &got{}
	s.callInto(ctx, out, method, body, length, headers...)
	return out
}

func (s *stages) callInto(ctx context.Context, out Responder, method, body string, length int64, headers ...Header) {
	s.t.Helper()
	x := &Exchange{
		Method: method, Target: "/x", Length: length, Out: out,
		Headers: append([]Header{{"Authorization", s.key}}, headers...),
	}
	if body != "" {
		x.Body = sentBody{strings.NewReader(body)}
	}
	s.gateway.Serve(ctx, x)
	s.checkMoney()
}

// lastIntent is the newest intent, what was recorded of it, and how it was settled.
func (s *stages) lastIntent() (spool.Intent, []partial, spool.Settlement) {
	s.t.Helper()
	s.spool.mu.Lock()
	defer s.spool.mu.Unlock()
	if len(s.spool.order) == 0 {
		s.t.Fatal("there was no intent")
	}
	ticket := s.spool.order[len(s.spool.order)-1]
	if len(s.spool.ends[ticket]) != 1 {
		s.t.Fatalf("settled %d times", len(s.spool.ends[ticket]))
	}
	return s.spool.intents[ticket], s.spool.parts[ticket], s.spool.ends[ticket][0]
}

var errBroken = errors.New("the target broke off")

func rate(unit eventv1.UsageUnit, perMillion int64) *eventv1.UsageRate {
	return &eventv1.UsageRate{Unit: unit, NanosPerMillion: perMillion}
}

func headerRate(name string, perMillion int64) *eventv1.UsageRate {
	return &eventv1.UsageRate{Unit: responseHeader, Header: name, NanosPerMillion: perMillion}
}

const (
	requestBytes   = eventv1.UsageUnit_USAGE_UNIT_REQUEST_BYTES
	responseBytes  = eventv1.UsageUnit_USAGE_UNIT_RESPONSE_BYTES
	responseEvents = eventv1.UsageUnit_USAGE_UNIT_RESPONSE_EVENTS
	responseHeader = eventv1.UsageUnit_USAGE_UNIT_RESPONSE_HEADER

	outcomeCut     = eventv1.SpendOutcome_SPEND_OUTCOME_CUT
	outcomeRefused = eventv1.SpendOutcome_SPEND_OUTCOME_REFUSED
)
