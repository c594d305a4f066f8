package proxy

import (
	"context"
	"runtime"
	"testing"
)

// Guarantee: between the two sides of an engine that lends its memory a request costs no allocation, with a key, four budgets, a
// recorded intent, limits of size, of rate and of number, a breaker, metrics and somebody who watches; also where its price is by
// usage. What a meter has counted is written down, which is one. Each stage keeps to that by itself.
func TestStagesAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector allocates; only that the stages work is shown")
	}
	for name, endpoint := range cannedPrices(t) {
		most := map[string]float64{}
		if name == "metered" {
			most["settle"], most["all"] = 1, 1
		}
		t.Run(name, func(t *testing.T) {
			c := newCanned(t, endpoint, cannedJSON)
			check := func(t *testing.T, stage string, n float64) {
				t.Helper()
				if c.status != 200 || c.sent != len(cannedJSON) {
					t.Errorf("answered %d with %d bytes", c.status, c.sent)
				}
				if !raceEnabled && n > most[stage] {
					t.Errorf("%v allocations, want %v at most", n, most[stage])
				}
			}
			t.Run("all", func(t *testing.T) {
				check(t, "all", testing.AllocsPerRun(2000, func() { c.serve(t.Context()) }))
			})
			for i, s := range stagesOfCall {
				t.Run(s.name, func(t *testing.T) { check(t, s.name, c.allocsOf(t.Context(), i)) })
			}
		})
	}
}

// stagesOfCall are what Serve takes a request through, where all goes well.
var stagesOfCall = []struct {
	name string
	run  func(ctx context.Context, c *call) error
}{
	{"match", func(ctx context.Context, c *call) error { return first(ctx, c, (*call).open, (*call).match) }},
	{"authenticate", func(ctx context.Context, c *call) error { return c.authenticate(ctx) }},
	{"label", func(ctx context.Context, c *call) error {
		return first(ctx, c, (*call).label, (*call).checkBody, (*call).customer, (*call).models)
	}},
	{"price", func(ctx context.Context, c *call) error { return c.price(ctx) }},
	{"within", func(ctx context.Context, c *call) error { return c.within(ctx) }},
	{"body", func(ctx context.Context, c *call) error { return c.readAhead(ctx) }},
	{"hold", func(ctx context.Context, c *call) error { return c.hold(ctx) }},
	{"headers", func(ctx context.Context, c *call) error {
		if err := c.openBody(ctx); err != nil {
			return err
		}
		choice, err := c.g.d.Pools.Pick(c.pool, &c.tries, &c.first.place)
		if err == nil {
			c.now = c.newTry(choice)
		}
		return err
	}},
	{"intent", func(ctx context.Context, c *call) error { return c.now.ready(ctx) }},
	{"send", func(ctx context.Context, c *call) error {
		c.now.send(ctx)
		_, err := c.next(ctx, c.now)
		return err
	}},
	{"relay", func(ctx context.Context, c *call) error { c.now.relay(ctx); c.newest.closeAll(); return nil }},
	{"settle", func(_ context.Context, c *call) error { c.over = c.elapsed(); c.settle(); return nil }},
	{"tell", func(ctx context.Context, c *call) error { c.finish(ctx); c.leave(); return nil }},
	{"release", func(_ context.Context, c *call) error { c.release(); c.recycle(); return nil }},
}

func first(ctx context.Context, c *call, stages ...func(*call, context.Context) error) error {
	for _, stage := range stages {
		if err := stage(c, ctx); err != nil {
			return err
		}
	}
	return nil
}

// allocsOf is how many allocations a stage costs on average, without fractions: what others in the process allocate meanwhile is
// less than one in each run.
func (c *canned) allocsOf(ctx context.Context, of int) float64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const runs = 100
	var before, after runtime.MemStats
	var n uint64
	for run := range runs + 1 {
		c.begin()
		call := newCall(c.gateway, &c.x)
		for i, stage := range stagesOfCall {
			if i == of {
				runtime.ReadMemStats(&before)
			}
			if stage.run(ctx, call) != nil {
				c.status = -1
			}
			if i == of && run > 0 { // once to warm up
				runtime.ReadMemStats(&after)
				n += after.Mallocs - before.Mallocs
			}
		}
	}
	return float64(n / runs)
}
