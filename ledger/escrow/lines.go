package escrow

import (
	"time"

	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// RetryAfter is when an edge asks again while others are giving back.
const RetryAfter = 20 * time.Millisecond

// Line is an Ask with everything that deciding it takes.
type Line struct {
	Window contract.Window
	Inc    int64
	Edge   string
	Ask    Ask
	// Grantable says that the account-window is known and current. Without it, what the line says
	// is booked and nothing is granted.
	Grantable bool
	// Active is how many incarnations have asked for this account-window lately.
	Active int
}

// Answer is what one line is answered.
type Answer struct {
	Window         contract.Window
	Inc            int64
	Granted        money.Nanos // granted total
	State          State
	Limit          money.Nanos
	Version        int64
	SpentElsewhere money.Nanos
}

// Healed is a grant that an edge knew of and the book did not.
type Healed struct {
	Window contract.Window
	Inc    int64
	Nanos  money.Nanos
}

// Outcome is what deciding lines led to.
type Outcome struct {
	Answers []Answer // one per line
	Recalls []Recall
	Healed  []Healed
	// Grants is what was newly granted of each account-window.
	Grants map[contract.Window]money.Nanos
	// Freed are accounts of which something became free where nothing was: whoever was told that
	// they are exhausted should hear of it.
	Freed []int64
}

// Lease decides lines together. First everything that they report is taken in, then money is granted,
// so what one gives back is there for another. The memory is only ever a hint.
func (b *Book) Lease(lines []Line, m *Memory) Outcome {
	out := Outcome{Answers: make([]Answer, len(lines)), Grants: map[contract.Window]money.Nanos{}}
	tight := b.tight()
	for i, q := range lines {
		out.Answers[i] = Answer{Window: q.Window, Inc: q.Inc, State: b.admissible(q)}
		if b.Incs[q.Inc].Closed {
			continue
		}
		if _, ok := b.Accounts[q.Window]; !ok {
			continue
		}
		if q.Ask.Validate() != nil {
			out.Answers[i].State = Unknown
			continue
		}
		a, l, healed := observe(b.Accounts[q.Window], b.Leases[q.Window][q.Inc], q.Ask)
		b.put(q.Window, q.Inc, a, l)
		if healed > 0 {
			out.Healed = append(out.Healed, Healed{q.Window, q.Inc, healed})
		}
		m.observe(q)
	}
	for i, q := range lines {
		if out.Answers[i].State == Granted {
			a, l, x := grant(b.Accounts[q.Window], b.Leases[q.Window][q.Inc], q.Ask, q.Active)
			b.put(q.Window, q.Inc, a, l)
			if x > 0 {
				out.Grants[q.Window] += x
			}
		}
	}
	recalled := map[Recall]bool{}
	for i, q := range lines {
		ans := &out.Answers[i]
		a, known := b.Accounts[q.Window]
		if !known || ans.State == Dropped {
			continue
		}
		l := b.Leases[q.Window][q.Inc]
		ans.Granted, ans.Limit, ans.Version = l.Granted, a.Limit, a.Version
		ans.SpentElsewhere = b.Spent(q.Window) - l.Consumed
		if ans.State != Granted || covered(l, q.Ask) {
			continue
		}
		ans.State = Exhausted
		for _, inc := range b.holders(q.Window, q.Inc) {
			if m.returnable(q.Window, inc, b.Leases[q.Window][inc]) {
				ans.State = Pending
			}
			// Even where the last line left nothing to give: a request may have failed since,
			// and what it held is unspent again.
			if r := (Recall{q.Window, inc, b.Incs[inc].Edge}); !recalled[r] {
				recalled[r] = true
				out.Recalls = append(out.Recalls, r)
			}
		}
	}
	out.Freed = b.freed(tight)
	return out
}

// admissible is Granted where granting is allowed.
func (b *Book) admissible(q Line) State {
	if b.Incs[q.Inc].Closed {
		return Dropped
	}
	if a, ok := b.Accounts[q.Window]; !ok || a.Closed || !q.Grantable {
		return Unknown
	}
	return Granted
}
