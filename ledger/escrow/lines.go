package escrow

import (
	"slices"
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
	// Hold says that nothing is granted now, though it might be soon: a database that was restored has
	// to hear first what edges were granted before.
	Hold bool
	// Active is how many incarnations have asked for this account-window lately.
	Active int
}

// Answer is what one line is answered.
type Answer struct {
	Window         contract.Window
	Inc            int64
	Granted        money.Nanos // granted total
	State          State
	Limit          money.Nanos // of this window: less than the account's if others of a rolling period took some
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
	// Forced is what was spent beyond what had been granted.
	Forced money.Nanos
	// Grants is what was newly granted of each account-window.
	Grants map[contract.Window]money.Nanos
	// Freed are accounts of which as much became free as would help somebody who was refused: whoever
	// was told that they are exhausted should hear of it.
	Freed []int64
	freed []contract.Window // of which
}

// Lease decides lines together. First everything that they report is taken in, then money is granted,
// so what one gives back is there for another. The memory is only ever a hint.
func (b *Book) Lease(lines []Line, m *Memory) Outcome {
	out := Outcome{Answers: make([]Answer, len(lines)), Grants: map[contract.Window]money.Nanos{}}
	r := b.rolling()
	before := b.taken(lines)
	for i, q := range lines {
		out.Answers[i] = Answer{Window: q.Window, Inc: q.Inc, State: b.admissible(q)}
		b.take(q, &out.Answers[i], m, &out)
	}
	for i, q := range lines {
		if out.Answers[i].State == Granted && !q.Hold {
			a, l, x := grant(b.refresh(r, q.Window), b.Leases[q.Window][q.Inc], q.Ask, q.Active)
			b.put(q.Window, q.Inc, a, l)
			if x > 0 {
				out.Grants[q.Window] += x
			}
		}
	}
	b.freed(before, r, m, &out)
	recalled := map[Recall]bool{}
	for i, q := range lines {
		ans := &out.Answers[i]
		if _, known := b.Accounts[q.Window]; !known || ans.State == Dropped {
			continue
		}
		a, l := b.refresh(r, q.Window), b.Leases[q.Window][q.Inc]
		ans.Granted, ans.Limit, ans.Version = l.Granted, a.Here(), a.Version
		ans.SpentElsewhere = b.Spent(q.Window) - l.Consumed
		if ans.State != Granted || covered(l, q.Ask) {
			continue
		}
		if q.Hold {
			ans.State = Pending
			continue
		}
		ans.State = Exhausted
		m.refuse(q.Window, lacking(l, q.Ask))
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
	return out
}

// take takes in what a line reports, if it can be believed.
func (b *Book) take(q Line, ans *Answer, m *Memory, out *Outcome) {
	inc := b.Incs[q.Inc]
	a, known := b.Accounts[q.Window]
	if inc.State.Ended() || !known {
		return
	}
	if q.Ask.Validate() != nil {
		ans.State = Unknown
		return
	}
	if inc.State == Lost { // it was not
		inc.State = Live
		b.Incs[q.Inc] = inc
	}
	a, l, healed, forced := observe(a, b.Leases[q.Window][q.Inc], q.Ask)
	b.put(q.Window, q.Inc, a, l)
	if healed > 0 {
		out.Healed = append(out.Healed, Healed{q.Window, q.Inc, healed})
	}
	out.Forced = add(out.Forced, forced)
	m.observe(q)
}

// admissible is Granted where granting is allowed.
func (b *Book) admissible(q Line) State {
	if b.Incs[q.Inc].State.Ended() {
		return Dropped
	}
	if a, ok := b.Accounts[q.Window]; !ok || a.Closed || !q.Grantable {
		return Unknown
	}
	return Granted
}

// taken is what is allocated of the lines' account-windows.
func (b *Book) taken(lines []Line) map[contract.Window]money.Nanos {
	out := map[contract.Window]money.Nanos{}
	for _, q := range lines {
		if a, ok := b.Accounts[q.Window]; ok {
			out[q.Window] = a.Alloc
		}
	}
	return out
}

// freed finds what has less allocated than before, if edges that were refused should hear of it. What one
// window of a rolling period gives back is free for the others that share a span with it.
func (b *Book) freed(before map[contract.Window]money.Nanos, r rolling, m *Memory, out *Outcome) {
	check := func(w contract.Window) {
		if a := b.refresh(r, w); !a.Closed && m.helps(w, a.Free()) {
			out.Freed, out.freed = append(out.Freed, w.Account), append(out.freed, w)
		}
	}
	for w, was := range before {
		a := b.Accounts[w]
		switch {
		case a.Alloc >= was:
			continue
		case a.Days == 0:
			check(w)
			continue
		}
		for _, v := range r[series{w.Account, w.Gen}] {
			if far := b.Accounts[v].Day - a.Day; max(far, -far) < int64(a.Days) {
				check(v)
			}
		}
	}
	slices.Sort(out.Freed)
	out.Freed = slices.Compact(out.Freed)
}
