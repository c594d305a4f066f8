package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"tollgate/internal/money"
	"tollgate/loadtest/deployment"
)

// eventEvery is the time between two events of a stream.
const eventEvery = 500 * time.Millisecond

// unitPrice is what a unit of a metered request costs.
const unitPrice money.Nanos = 1_001

// prices of requests by kind. No sum of some is a multiple of another one, or the books could be right
// by chance.
var prices = map[string]money.Nanos{
	"post": 2_500_003, "metered": 700_001, "stream": 11_000_017, "upload": 5_000_011, "socket": 3_100_021,
	"grpc": 1_900_009, "blob": 130_003, "errors": 990_001, "retry": 1_700_021, "hedge": 410_009, "dyn": 610_007, "silent": 170_029,
}

// usual is for how many open streams the numbers of callers below are meant.
const usual = 2000

// caller is somebody who sends requests of one kind, one after the other.
type caller struct {
	t    *traffic
	kind string
	h2   bool
	send func(ctx context.Context, c *caller) error
	rest time.Duration        // between two requests, on average
	time bool                 // its answers take no time but the gateway's
	own  *deployment.Balancer // with connections of its own; nil for those of all
}

// group is callers of a kind.
type group struct {
	caller

	many int // for the usual number of streams
}

func groups() []group {
	return []group{
		{caller{kind: "post", send: post, rest: 200 * time.Millisecond, time: true}, 30},
		{caller{kind: "post", send: post, rest: 200 * time.Millisecond, time: true, h2: true}, 15},
		{caller{kind: "metered", send: metered, rest: 200 * time.Millisecond, time: true}, 10},
		{caller{kind: "dyn", send: post, rest: 200 * time.Millisecond}, 10},
		{caller{kind: "stream", send: stream}, usual * 4 / 5},
		{caller{kind: "stream", send: stream, h2: true}, usual / 5},
		{caller{kind: "stream", send: leave, rest: time.Second}, 20},
		{caller{kind: "upload", send: upload, rest: 2 * time.Second}, 4},
		{caller{kind: "upload", send: leaveUpload, rest: 4 * time.Second}, 2},
		{caller{kind: "socket", send: socket, rest: time.Second}, 50},
		{caller{kind: "grpc", send: grpcCall, rest: 300 * time.Millisecond, h2: true, time: true}, 10},
		{caller{kind: "blob", send: blob, rest: 300 * time.Millisecond, time: true}, 10},
		{caller{kind: "errors", send: failing, rest: 500 * time.Millisecond}, 10},
		{caller{kind: "retry", send: post, rest: time.Second}, 5},
		{caller{kind: "hedge", send: hedged, rest: 2 * time.Second}, 5},
		{caller{kind: "blob", send: idle, rest: 5 * time.Second}, 40},
	}
}

// traffic is all callers and what came of their requests.
type traffic struct {
	o       options
	b       *deployment.Balancer
	changes *changes

	mu       sync.Mutex // guards what follows
	done     map[string]int64
	left     int64 // requests whose callers left on purpose
	byVendor int64 // answers of 4xx and 5xx that the vendor was asked for
	took     []time.Duration
	open     int // streams
	mostOpen int
	failures map[string]int64 // by kind
	told     []string         // the first of them
}

func newTraffic(o options, b *deployment.Balancer, c *changes) *traffic {
	return &traffic{o: o, b: b, changes: c, done: map[string]int64{}, failures: map[string]int64{}}
}

// run has all callers send until over ends, and returns when each of them has its last answer.
func (t *traffic) run(ctx, over context.Context) error {
	var all sync.WaitGroup
	for _, g := range groups() {
		many := max(1, g.many*t.o.streams/usual)
		for i := range many {
			c := g.caller
			c.t = t
			if g.kind == "blob" && g.rest > time.Second {
				c.own = t.b.Apart()
			}
			// Nobody begins at the same time as all others.
			first := t.o.longest * time.Duration(i) / time.Duration(3*many)
			all.Go(func() { c.repeat(ctx, over, first) })
		}
	}
	all.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func (c *caller) repeat(ctx, over context.Context, first time.Duration) {
	if c.own != nil {
		defer c.own.CloseIdle()
	}
	if !deployment.Pause(over, first) {
		return
	}
	for over.Err() == nil {
		began := time.Now()
		err := c.send(ctx, c)
		c.t.ended(c, time.Since(began), err)
		if c.rest > 0 && !deployment.Pause(over, c.rest/2+rand.N(c.rest)) {
			return
		}
	}
}

// errLeft is the end of a request whose caller left on purpose.
var errLeft = errors.New("the caller left")

const mostTold = 25

func (t *traffic) ended(c *caller, took time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err == nil:
		t.done[c.kind]++
		if c.time {
			t.took = append(t.took, took)
		}
	case errors.Is(err, errLeft):
		t.left++
	default:
		t.failures[c.kind]++
		if len(t.told) < mostTold {
			t.told = append(t.told, fmt.Sprintf("%s %s: %v", time.Now().Format("15:04:05.000"), c.kind, err))
		}
	}
}

func (t *traffic) streams(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open += n
	t.mostOpen = max(t.mostOpen, t.open)
}

// vendorFailed counts an error that was asked for.
func (t *traffic) vendorFailed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byVendor++
}

// quantiles are of the answers that took no time but the gateway's.
func (t *traffic) quantiles() (p50, p99 time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.took) == 0 {
		return 0, 0
	}
	slices.Sort(t.took)
	return t.took[len(t.took)/2], t.took[len(t.took)*99/100]
}
