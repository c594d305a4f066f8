package signin

import (
	"sync"
	"time"

	"tollgate/internal/fault"
)

const (
	freeAttempts = 5
	longestWait  = 15 * time.Minute
	watched      = 10_000
)

// attempts makes guessing slow: after five failures, each further one from the same address for the same account doubles the
// wait. It is kept in memory, per process: what it loses with a restart is not worth a table.
type attempts struct {
	now func() time.Time

	mu  sync.Mutex // guards all
	all map[string]attempt
}

type attempt struct {
	failures int
	last     time.Time
}

func newAttempts(now func() time.Time) *attempts {
	return &attempts{now: now, all: map[string]attempt{}}
}

// wait is how long after the last failure the next attempt is looked at.
func (a attempt) wait() time.Duration {
	if a.failures < freeAttempts {
		return 0
	}
	return min(longestWait, time.Second<<min(a.failures-freeAttempts, 20))
}

// begin counts an attempt as failed until succeed says otherwise, so that many at once are no way around, or refuses it.
func (a *attempts) begin(who string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	one := a.all[who]
	if now.Sub(one.last) > 2*longestWait {
		one = attempt{}
	}
	if left := one.last.Add(one.wait()).Sub(now); one.failures >= freeAttempts && left > 0 {
		seconds := int((left + time.Second - 1) / time.Second)
		return fault.New(fault.RateLimited, "There were too many attempts to sign in: the next one is looked at in %d s.", seconds).
			WithHint("Wait, or set a new password with a link from an admin.").WithRetryAfter(left)
	}
	a.makeRoom(now)
	a.all[who] = attempt{one.failures + 1, now}
	return nil
}

func (a *attempts) succeed(who string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.all, who)
}

// makeRoom forgets those that wait for nothing any more and, if that is not enough, those that failed least.
func (a *attempts) makeRoom(now time.Time) {
	if len(a.all) < watched {
		return
	}
	for who, one := range a.all {
		if now.Sub(one.last) > one.wait() {
			delete(a.all, who)
		}
	}
	for who, one := range a.all {
		if len(a.all) < watched {
			return
		}
		if one.failures <= freeAttempts+1 {
			delete(a.all, who)
		}
	}
	for who := range a.all {
		if len(a.all) < watched {
			return
		}
		delete(a.all, who)
	}
}
