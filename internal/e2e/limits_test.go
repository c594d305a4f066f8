package e2e_test

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv"
)

// limit puts a limit on a key. It lets nothing pass without the ledger: a request waits for its answer for
// 25 ms, and on a busy machine the shares that edges pass instead would add to what the ledger gives.
func (c *cluster) limit(name, key string, kind controlv1.LimitKind, amount, burst int64) {
	c.t.Helper()
	c.must(c.rpc.limits.CreateLimit(c.t.Context(), &controlv1.CreateLimitRequest{Limit: &controlv1.Limit{
		Name: name, Scope: &controlv1.Limit_Key{Key: key}, Kind: kind, Amount: amount, Burst: burst,
		Fallback: controlv1.LimitFallback_LIMIT_FALLBACK_CLOSED,
	}}))
}

// limited calls until the ledger has its say about limits.
func (c *cluster) limited(edge int, key, path string) (resp *http.Response, body []byte) {
	c.t.Helper()
	testenv.Eventually(c.t, eventually, func() (err error) {
		resp, body, err = c.call(edge, key, path)
		if err == nil && errorCode(body) == "limit_unavailable" {
			err = fmt.Errorf("%s %s", resp.Status, body)
		}
		return err
	})
	return resp, body
}

// Guarantee: a limit per minute holds over all edges together: in any time no more requests reach the
// vendor than its burst, and what flows in during that time and a second more; nearly all of it can be
// used; and a caller who waits for as long as Retry-After says passes.
func TestLimitPerMinuteOverAllEdges(t *testing.T) {
	t.Parallel()
	c := start(t, withEdges(3))
	c.endpoint("bria", "/bria", "")
	fast, slow := c.key("fast"), c.key("slow")
	const amount, burst = 600, 10
	c.limit("fast", "fast", controlv1.LimitKind_LIMIT_KIND_REQUESTS, amount, burst)
	c.limit("slow", "slow", controlv1.LimitKind_LIMIT_KIND_REQUESTS, 20, 1)
	c.awaitLive()

	var mu sync.Mutex
	var orders []*order
	begun := map[int]time.Time{}
	enough := make(chan struct{})
	const calls = burst + 40
	c.vendor.Handle(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		mu.Lock()
		orders = append(orders, &order{began: begun[n], arrived: time.Now()})
		if len(orders) == calls {
			close(enough)
		}
		mu.Unlock()
		_, _ = w.Write([]byte(`{}`))
	})
	var wg sync.WaitGroup
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	deadline := time.NewTimer(eventually)
	defer deadline.Stop()
	began := time.Now()
	for w := range 6 {
		wg.Go(func() {
			for {
				select {
				case <-enough:
					return
				case <-deadline.C:
					t.Error("the limit lets too little pass")
					return
				case <-pace.C:
				}
				mu.Lock()
				n := len(begun)
				begun[n] = time.Now()
				mu.Unlock()
				resp, body, err := c.call(w%3, fast, "/bria/x?n="+strconv.Itoa(n))
				switch {
				case err != nil:
					t.Error(err)
				case resp.StatusCode == http.StatusOK || errorCode(body) == "limit_unavailable":
				case resp.StatusCode != http.StatusTooManyRequests || errorCode(body) != "rate_limited" || resp.Header.Get("Retry-After") != "1":
					t.Errorf("%s, Retry-After %q, %s", resp.Status, resp.Header.Get("Retry-After"), body)
				}
			}
		})
	}
	wg.Wait()
	// Of 10 a second it takes 4 seconds, and some for the ledger to hear of the limit.
	t.Logf("%d requests took %s", calls, time.Since(began))
	mu.Lock()
	checkRate(t, orders, amount, burst)
	mu.Unlock()

	resp, body := c.limited(0, slow, "/bria/x?n=-1")
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s", resp.Status, body)
	}
	resp, body = c.limited(1, slow, "/bria/x?n=-1")
	told := time.Now()
	if resp.StatusCode != http.StatusTooManyRequests {
		t.Fatalf("%s %s", resp.Status, body)
	}
	wait, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || wait < 1 || wait > 3 {
		t.Fatalf("Retry-After %q: it takes 3 s", resp.Header.Get("Retry-After"))
	}
	testenv.Eventually(t, eventually, func() error {
		resp, body, err := c.call(1, slow, "/bria/x?n=-1")
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s %s", resp.Status, body)
		}
		return err
	})
	// If it were not this caller's turn then, the next would come 3 s later.
	if took := time.Since(told); took > time.Duration(wait+2)*time.Second {
		t.Errorf("Retry-After said %d s, and it took %s", wait, took)
	}
}

// Guarantee: a limit of requests at a time holds over all edges together, by the vendor's own count, and
// all of it can be used.
func TestLimitAtATimeOverAllEdges(t *testing.T) {
	t.Parallel()
	c := start(t, withEdges(3))
	c.endpoint("bria", "/bria", "")
	key := c.key("ci-bot")
	const most = 4
	c.limit("narrow", "ci-bot", controlv1.LimitKind_LIMIT_KIND_CONCURRENT, most, 0)
	c.awaitLive()
	var mu sync.Mutex
	running, worst, refused := 0, 0, 0
	full := make(chan struct{})
	c.vendor.Handle(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		running++
		worst = max(worst, running)
		mu.Unlock()
		// Nobody is answered before as many run as may, and another was refused.
		select {
		case <-full:
		case <-r.Context().Done():
		}
		mu.Lock()
		running--
		mu.Unlock()
		_, _ = w.Write([]byte(`{}`))
	})
	open := sync.OnceFunc(func() { close(full) })
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			testenv.Eventually(t, eventually, func() error {
				resp, body, err := c.call(i%3, key, "/bria/x")
				if err != nil {
					return err
				}
				if resp.StatusCode == http.StatusOK {
					return nil
				}
				if code := errorCode(body); code != "rate_limited" && code != "limit_unavailable" || resp.Header.Get("Retry-After") == "" {
					t.Errorf("%s %s", resp.Status, body)
				} else if code == "rate_limited" {
					mu.Lock()
					if refused++; running >= most {
						open()
					}
					mu.Unlock()
				}
				return fmt.Errorf("%s %s", resp.Status, body)
			})
		})
	}
	wg.Wait()
	if worst != most || refused == 0 {
		t.Errorf("%d requests ran at a time under a limit of %d, %d were refused", worst, most, refused)
	}
}
