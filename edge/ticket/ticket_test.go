package ticket_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	edgeticket "tollgate/edge/ticket"
	"tollgate/internal/fault"
	"tollgate/internal/seal"
	"tollgate/internal/ticket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var began = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newKey(t *testing.T) *seal.Key {
	t.Helper()
	k, err := seal.Parse(seal.Generate())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func made(t *testing.T, key *seal.Key, edge string, at time.Time) string {
	t.Helper()
	text, _, err := ticket.Make(key, [32]byte{7}, edge, "console", at)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func code(err error) fault.Code {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Code
	}
	return ""
}

// Guarantee: a ticket is taken once by the edge that it names, within its minute and the difference of clocks that is allowed for, and by
// none that has begun after it was made.
func TestTicketIsTakenOnce(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	taker := edgeticket.New(key, "fra-1", began)
	good := made(t, key, "fra-1", began)
	if hash, source, err := taker.Take(good, began.Add(time.Second)); err != nil || hash != [32]byte{7} || source != "console" {
		t.Fatalf("%x %s %v", hash, source, err)
	}
	for _, c := range []struct {
		what string
		text string
		now  time.Duration
		want fault.Code
	}{
		{"again", good, time.Second, fault.KeyRevoked},
		{"again, late", good, 69 * time.Second, fault.KeyRevoked},
		{"after its time", good, 71 * time.Second, fault.KeyExpired},
		{"at the end of its time", made(t, key, "fra-1", began), 70 * time.Second, ""},
		{"from a clock ahead", made(t, key, "fra-1", began.Add(10*time.Second)), 0, ""},
		{"from the future", made(t, key, "fra-1", began.Add(11*time.Second)), 0, fault.KeyExpired},
		{"of the process before", made(t, key, "fra-1", began.Add(-time.Millisecond)), time.Second, fault.KeyExpired},
		{"of another edge", made(t, key, "fra-2", began), time.Second, fault.KeyUnknown},
		{"of another deployment", made(t, newKey(t), "fra-1", began), time.Second, fault.KeyUnknown},
		{"changed", good + "A", time.Second, fault.KeyUnknown},
	} {
		if _, _, err := taker.Take(c.text, began.Add(c.now)); code(err) != c.want || c.want == "" && err != nil {
			t.Errorf("%s: %v, want %s", c.what, err, c.want)
		}
	}
	if !taker.Is(good) || taker.Is("tgk_x") || taker.Is(ticket.Prefix) {
		t.Error("tickets are not told from keys")
	}
}

// Guarantee: of many who present the same ticket at once, one gets through.
func TestOneOfManyIsTaken(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	taker, text := edgeticket.New(key, "e", began), made(t, key, "e", began)
	var wg sync.WaitGroup
	passed := make(chan struct{}, 32)
	for range 32 {
		wg.Go(func() {
			if _, _, err := taker.Take(text, began); err == nil {
				passed <- struct{}{}
			}
		})
	}
	wg.Wait()
	if len(passed) != 1 {
		t.Errorf("%d got through", len(passed))
	}
}

// Guarantee: what is remembered is bounded; beyond that tickets are refused until those remembered are too old to be taken, and none is
// taken twice meanwhile.
func TestMemoryOfTicketsIsBounded(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	taker, first := edgeticket.New(key, "e", began), made(t, key, "e", began)
	if _, _, err := taker.Take(first, began); err != nil {
		t.Fatal(err)
	}
	var err error
	n := 1
	for ; err == nil; n++ {
		_, _, err = taker.Take(made(t, key, "e", began), began)
	}
	if code(err) != fault.Overloaded || n < 1000 {
		t.Fatalf("after %d: %v", n, err)
	}
	if _, _, err := taker.Take(first, began); code(err) != fault.KeyRevoked {
		t.Errorf("the first one again: %v", err)
	}
	later := began.Add(2 * time.Minute)
	if _, _, err := taker.Take(made(t, key, "e", later), later); err != nil {
		t.Errorf("after those before have expired: %v", err)
	}
}
