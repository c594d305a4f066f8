package pool_test

import (
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tollgate/edge/pool"
	"tollgate/edge/routing"
)

// Guarantee: in any ten seconds an endpoint makes no more retries than ten, or its share of the requests
// of that time; and fewer are refused only when they are used up. A new configuration gives no new ones.
func TestRetryBudget(t *testing.T) {
	t.Parallel()
	type step struct {
		Requests, Retries int
		Pass              time.Duration
	}
	rapid.Check(t, func(rt *rapid.T) {
		percent := rapid.IntRange(1, 100).Draw(rt, "percent")
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{
				rapid.IntRange(0, 200).Draw(t, "requests"), rapid.IntRange(0, 50).Draw(t, "retries"),
				time.Duration(rapid.IntRange(0, 4000).Draw(t, "ms")) * time.Millisecond,
			}
		}), 1, 20).Draw(rt, "steps")
		var problem string
		synctest.Test(t, func(t *testing.T) {
			e := endpoint(failover, "a")
			e.Retry = &routing.Retry{BudgetPercent: uint32(percent)}
			p := seeded(e)
			began := time.Now()
			firsts, retries := map[int]int{}, map[int]int{} // by second
			lately := func(of map[int]int) (n int) {
				now := int(time.Since(began) / time.Second)
				for second := now - 9; second <= now; second++ {
					n += of[second]
				}
				return n
			}
			for _, s := range steps {
				second := int(time.Since(began) / time.Second)
				for range s.Requests {
					var tries pool.Tries
					c := pick(t, p, e, &tries)
					c.Done()
					tries.Drop(c)
					tries.Retry()
					pick(t, p, e, &tries).Done() // no first attempt
					firsts[second]++
				}
				for range s.Retries {
					may := lately(retries) < max(10, lately(firsts)*percent/100)
					if p.MayRetry(e) != may {
						problem = "a retry is allowed, or refused, that should not be"
						return
					}
					if may {
						retries[second]++
					}
				}
				pass(s.Pass)
				next := endpoint(failover, "a")
				next.Retry = e.Retry
				e = next
				p.Sync([]*routing.Endpoint{e})
			}
		})
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}
