package proxy

import (
	"context"
	"errors"
	"testing"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
)

// Guarantee: an edge that the ledger has given up is not ready and says why, until it is restarted.
func TestGivenUpIsNotReady(t *testing.T) {
	t.Parallel()
	b := newStages(t, &eventv1.RouteEndpoint{PriceNanos: 5}, &script{status: 200})
	var ended error
	b.gateway.d.Ended = func() error { return ended }
	if err := b.gateway.Ready(); err != nil {
		t.Error(err)
	}
	ended = errors.New("given up")
	if err := b.gateway.Ready(); !errors.Is(err, ended) {
		t.Errorf("Ready = %v", err)
	}
}

// Guarantee: an edge that is about to stop says so before it refuses anything, so that a balancer sends
// requests elsewhere in time.
func TestLeavingServes(t *testing.T) {
	t.Parallel()
	b := newStages(t, &eventv1.RouteEndpoint{PriceNanos: 5}, &script{status: 200})
	call := func() int {
		out := &got{}
		b.gateway.Serve(context.Background(), &Exchange{Method: "GET", Target: "/x", Out: out, Headers: []Header{{"Authorization", b.key}}})
		return out.status
	}
	b.gateway.Leave()
	if err := b.gateway.Ready(); err == nil {
		t.Error("it is ready although it leaves")
	}
	if status := call(); status != 200 {
		t.Errorf("it answered %d although it has not stopped", status)
	}
	b.gateway.Stop()
	if status := call(); status != 503 {
		t.Errorf("it answered %d although it has stopped", status)
	}
}

// forgetful has a bug: it settles nothing.
type forgetful struct{ *watchedSpool }

func (forgetful) Settle(spool.Ticket, *spool.Settlement) { panic("a bug") }

// Guarantee: a request whose settlement fails by a bug keeps what was held for it: its intent stays open, and
// costs as much in the end. Freed before that, the money would be spent twice.
func TestNothingIsFreedThatIsNotSettled(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]*eventv1.RouteEndpoint{
		"a price": {PriceNanos: 500},
		"usage":   {Usage: &eventv1.UsagePrice{BaseNanos: 100, HoldNanos: 400, Rates: []*eventv1.UsageRate{rate(responseBytes, 1e6)}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newStages(t, e, &script{status: 200, pieces: []string{"abc"}})
			b.gateway.d.Spool = forgetful{b.spool}
			func() {
				defer func() { _ = recover() }() // of no interest here
				b.gateway.Serve(context.Background(), &Exchange{Method: "GET", Target: "/x", Out: &got{}, Headers: []Header{{"Authorization", b.key}}})
			}()
			b.money.mu.Lock()
			defer b.money.mu.Unlock()
			if b.money.open != 0 || b.money.spent != money.Nanos(500) {
				t.Errorf("%d holds are open, %d is taken for spent", b.money.open, b.money.spent)
			}
		})
	}
}
