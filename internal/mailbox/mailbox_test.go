package mailbox_test

import (
	"sync"
	"testing"

	"tollgate/internal/mailbox"
)

// Guarantee: the receiver gets the newest value and none before it.
func TestNewestWins(t *testing.T) {
	t.Parallel()
	b := mailbox.New[int]()
	if b.Put(1) {
		t.Error("an empty box had something to replace")
	}
	if !b.Put(2) {
		t.Error("the replaced value went unreported")
	}
	if got := <-b.C(); got != 2 {
		t.Errorf("got %d, want 2", got)
	}
	select {
	case v := <-b.C():
		t.Errorf("%d was delivered after a newer value", v)
	default:
	}
}

// Guarantee: with several senders nobody blocks, a receiver never sees one
// sender's values out of order, and something put last is always there.
func TestSenders(t *testing.T) {
	t.Parallel()
	const senders, values = 4, 1000
	type value struct{ sender, n int }
	b := mailbox.New[value]()
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for n := 1; n <= values; n++ {
				b.Put(value{s, n})
			}
		})
	}
	stop := make(chan struct{})
	var last [senders]int
	var recv sync.WaitGroup
	recv.Go(func() {
		for {
			select {
			case v := <-b.C():
				if v.n <= last[v.sender] {
					t.Errorf("sender %d: %d after %d", v.sender, v.n, last[v.sender])
				}
				last[v.sender] = v.n
			case <-stop:
				return
			}
		}
	})
	wg.Wait()
	close(stop)
	recv.Wait()
	select {
	case v := <-b.C():
		last[v.sender] = v.n
	default:
	}
	for _, n := range last {
		if n == values {
			return
		}
	}
	t.Errorf("nobody's last value arrived: %v", last)
}
