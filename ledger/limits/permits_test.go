package limits_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/ledger/limits"
)

// teller is an edge that says what permits it holds.
type teller struct {
	b   *limits.Book
	inc int64
	seq uint64
}

func (e *teller) say(d time.Duration, held, want int64) (*eventv1.PermitGrant, []limits.Recall) {
	e.seq++
	g, r := e.b.Permits(at(d), e.inc, "edge", []*eventv1.PermitLine{{Limit: 1, Held: held, Want: want, Seq: e.seq}})
	return g[0], r
}

func permits(amount int64, learn time.Duration) (*limits.Book, *teller, *teller) {
	b := limits.New(start, learn)
	b.Set([]*eventv1.Limit{{Id: 1, Kind: concurrent, Amount: amount}})
	return b, &teller{b: b, inc: 1}, &teller{b: b, inc: 2}
}

// Guarantee: permits that one edge holds are no other's until it says that it gave them up, or was not
// heard for longer than a session.
func TestPermitsAreHeld(t *testing.T) {
	t.Parallel()
	_, a, b := permits(5, 0)
	if g, _ := a.say(0, 0, 5); g.GetPermits() != 5 || g.GetSessionTtlMs() != 8000 {
		t.Fatalf("first: %v", g)
	}
	g, recalls := b.say(0, 0, 2)
	if g.GetPermits() != 0 || g.GetRetryAfterMs() == 0 || len(recalls) != 1 || recalls[0] != (limits.Recall{Edge: "edge", Inc: 1, Limit: 1}) {
		t.Fatalf("second: %v %v", g, recalls)
	}
	if g, recalls = b.say(10*time.Millisecond, 0, 2); g.GetPermits() != 0 || len(recalls) != 0 {
		t.Fatalf("soon again: %v %v", g, recalls)
	}
	if g, _ = a.say(20*time.Millisecond, 4, 4); g.GetPermits() != 3 {
		t.Fatalf("one given up, and one to make room: %v", g)
	}
	if g, _ = b.say(30*time.Millisecond, 0, 2); g.GetPermits() != 1 {
		t.Fatalf("what was given up: %v", g)
	}
	if g, _ = b.say(11*time.Second, 1, 5); g.GetPermits() != 1 {
		t.Fatalf("before the end of the session: %v", g)
	}
	if g, _ = b.say(13*time.Second, 1, 5); g.GetPermits() != 5 {
		t.Fatalf("after it: %v", g)
	}
	if g, _ = a.say(14*time.Second, 2, 2); g.GetPermits() != 0 && g.GetPermits() != 2 {
		t.Fatalf("requests that outlived their session: %v", g)
	}
}

// Guarantee: a new leader gives nothing until every edge had the time to say what it holds, but of a
// limit that is new.
func TestLearning(t *testing.T) {
	t.Parallel()
	book, a, b := permits(5, limits.SessionEnd)
	if g, _ := a.say(0, 0, 5); g.GetPermits() != 0 || g.GetRetryAfterMs() != 1000 {
		t.Fatalf("while it learns: %v", g)
	}
	if g, _ := b.say(time.Second, 4, 5); g.GetPermits() != 4 || g.GetSessionTtlMs() != 8000 {
		t.Fatalf("held before: %v", g)
	}
	if g, _ := a.say(12*time.Second, 0, 5); g.GetPermits() != 1 {
		t.Fatalf("when it has learnt: %v", g)
	}
	book.Set([]*eventv1.Limit{{Id: 1, Kind: concurrent, Amount: 5}, {Id: 2, Kind: concurrent, Amount: 5}})
	g, _ := book.Permits(at(0), 1, "edge", []*eventv1.PermitLine{{Limit: 2, Want: 5, Seq: 1}})
	if g[0].GetPermits() != 5 {
		t.Fatalf("new: %v", g)
	}
}

// Guarantee: a line that was overtaken changes nothing.
func TestOvertakenLines(t *testing.T) {
	t.Parallel()
	_, a, b := permits(5, 0)
	a.say(0, 0, 5)
	a.seq = 0
	if g, _ := a.say(0, 0, 0); g.GetSessionTtlMs() != 0 {
		t.Fatalf("overtaken: %v", g)
	}
	if g, _ := b.say(0, 0, 1); g.GetPermits() != 0 {
		t.Fatalf("free: %v", g)
	}
}

// Guarantee: what edges may use, together and with what they still hold, is never above the limit
// while they do as they are told; and an edge that wants a permit gets one, though another never tires.
func TestPermitsStayBelowTheLimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.Int64Range(1, 30).Draw(t, "amount")
		b := limits.New(start, 0)
		b.Set([]*eventv1.Limit{{Id: 1, Kind: concurrent, Amount: amount}})
		edges := make([]*teller, rapid.IntRange(1, 6).Draw(t, "edges"))
		held := make([]int64, len(edges))
		for i := range edges {
			edges[i] = &teller{b: b, inc: int64(i + 1)}
		}
		now := time.Duration(0)
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			now += time.Duration(rapid.Int64Range(0, int64(100*time.Millisecond)).Draw(t, "later"))
			i := rapid.IntRange(0, len(edges)-1).Draw(t, "edge")
			held[i] = rapid.Int64Range(0, held[i]).Draw(t, "held")
			g, _ := edges[i].say(now, held[i], held[i]+rapid.Int64Range(0, 20).Draw(t, "more"))
			held[i] = max(held[i], g.GetPermits())
			sum := int64(0)
			for _, n := range held {
				sum += n
			}
			if sum > amount {
				t.Fatalf("%d of %d", sum, amount)
			}
		}
		if len(edges) == 1 || amount < int64(len(edges)) {
			return
		}
		for range 200 { // all are greedy, and do as they are told
			for i, e := range edges {
				g, _ := e.say(now, held[i], held[i]+5)
				held[i] = g.GetPermits()
			}
		}
		for i, n := range held {
			if n == 0 {
				t.Fatalf("edge %d of %d holds nothing of %d: %v", i, len(edges), amount, held)
			}
		}
	})
}
