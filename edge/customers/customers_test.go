package customers_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tollgate/edge/customers"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// table is one in which some customers are known, and new ones get a budget.
func table(t *testing.T, known ...string) *routing.Table {
	t.Helper()
	rules := &eventv1.CustomerRules{Create: true, WithBudget: true, Unbounded: known}
	out, err := routing.Compile(&eventv1.RouteSnapshot{Customers: rules}, contract.Version{Epoch: 1, Revision: 1}, routing.Lookups{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// bench is a Sight that runs in a bubble.
type bench struct {
	*customers.Sight
	routes *routing.Holder
	asked  atomic.Int64
	stop   func()
}

func start(t *testing.T, cfg customers.Config, ask customers.Ask) *bench {
	t.Helper()
	b := &bench{routes: &routing.Holder{}}
	b.routes.Store(table(t))
	b.Sight = customers.New(cfg, func(ctx context.Context, name string) error {
		b.asked.Add(1)
		return ask(ctx, name)
	}, b.routes, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	b.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	synctest.Wait()
	return b
}

func unavailable(err error) bool { return errors.Is(err, fault.New(fault.CustomerUnavailable, "")) }

// Guarantee: however many requests wait for a new customer, the control plane is told once, and each gets a table that knows the
// customer, and none before there is one.
func TestAwaitIsOneQuestion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, customers.DefaultConfig(), func(context.Context, string) error { return nil })
		defer b.stop()
		got := make(chan error)
		for range 100 {
			go func() {
				known, err := b.Await(t.Context(), "acme")
				if err == nil && !known.Knows("acme") {
					err = errors.New("a table without the customer")
				}
				got <- err
			}()
		}
		synctest.Wait()
		select {
		case err := <-got:
			t.Fatalf("one did not wait: %v", err)
		default:
		}
		b.routes.Store(table(t, "other"))
		synctest.Wait()
		b.routes.Store(table(t, "other", "acme"))
		for range 100 {
			if err := <-got; err != nil {
				t.Error(err)
			}
		}
		if n := b.asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

// Guarantee: a request waits for a customer no longer than it may, whether nobody answers, the answer is a refusal, or the
// configuration does not come; and it stops when its caller does.
func TestAwaitEnds(t *testing.T) {
	t.Parallel()
	refusal := errors.New("no")
	for name, ask := range map[string]customers.Ask{
		"nobody answers":   func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() },
		"it is refused":    func(context.Context, string) error { return refusal },
		"no configuration": func(context.Context, string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := start(t, customers.DefaultConfig(), ask)
				defer b.stop()
				began := time.Now()
				if _, err := b.Await(t.Context(), "acme"); !unavailable(err) || time.Since(began) > 2*time.Second {
					t.Errorf("%v after %s", err, time.Since(began))
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				defer cancel()
				if _, err := b.Await(ctx, "acme"); !errors.Is(err, context.DeadlineExceeded) && !unavailable(err) {
					t.Errorf("a caller who left: %v", err)
				}
			})
		})
	}
}

// Guarantee: a flood of names makes no more questions than a second's worth at once, and no more at a time than it may; those that
// are told of customers only are told of each once, and again if that failed.
func TestFloodIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := customers.DefaultConfig()
		fail := true
		b := start(t, cfg, func(context.Context, string) error {
			if fail {
				return errors.New("away")
			}
			return nil
		})
		defer b.stop()
		for i := range 10_000 {
			b.Tell(fmt.Sprint("c", i))
		}
		synctest.Wait()
		if n := b.asked.Load(); n != cfg.PerSecond {
			t.Errorf("asked %d times at once", n)
		}
		time.Sleep(time.Second)
		fail = false
		b.asked.Store(0)
		for range 3 {
			b.Tell("c0")
			synctest.Wait()
		}
		if n := b.asked.Load(); n != 1 {
			t.Errorf("asked %d times of a customer that is told", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		cfg := customers.DefaultConfig()
		cfg.Names, cfg.Waiting = 3, 5
		b := start(t, cfg, func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() })
		defer b.stop()
		ended := make(chan error)
		for i := range 20 {
			go func() { _, err := b.Await(t.Context(), fmt.Sprint("c", i)); ended <- err }()
		}
		synctest.Wait()
		for range 17 {
			if err := <-ended; !unavailable(err) {
				t.Error(err)
			}
		}
		if n := b.asked.Load(); n != 3 {
			t.Errorf("asked of %d customers at a time", n)
		}
		for range 3 {
			if err := <-ended; !unavailable(err) {
				t.Error(err)
			}
		}
	})
}

// Guarantee: where new customers get no budget any more, nobody waits; and nothing is asked when the edge stops.
func TestNothingToWaitFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, customers.DefaultConfig(), func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() })
		got := make(chan error)
		go func() { _, err := b.Await(t.Context(), "acme"); got <- err }()
		synctest.Wait()
		free, err := routing.Compile(&eventv1.RouteSnapshot{}, contract.Version{Epoch: 1, Revision: 2}, routing.Lookups{})
		if err != nil {
			t.Fatal(err)
		}
		b.routes.Store(free)
		if err := <-got; err != nil {
			t.Error(err)
		}
		b.stop()
		b.routes.Store(table(t))
		if _, err := b.Await(t.Context(), "acme"); !unavailable(err) {
			t.Errorf("after its end: %v", err)
		}
	})
}
