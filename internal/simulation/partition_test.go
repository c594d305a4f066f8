package simulation_test

import (
	"maps"
	"slices"
	"time"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/ledger/escrow"
	"tollgate/ledger/grants"
	"tollgate/ledger/ingest"
	"tollgate/ledger/limits"
)

// partition is a stream, a database, and the ledger that leads.
type partition struct {
	w     *world
	n     uint32
	book  *escrow.Book   // the database
	mem   *escrow.Memory // of the leader
	stale *escrow.Book   // what a leader that was replaced believes; for a bug only

	stream  []stored
	base    uint64 // sequence number before the first of stream
	created int
	at      position // as the database has it
	seen    position // as the reader has it
	history int64
	epoch   int64
	limits  *limits.Book
	pacer   *escrow.Pacer[escrow.Recall]
	heldTo  time.Time // until when nothing is granted, after the database went back

	older   *escrow.Book // the database as a standby has it
	olderAt position
	olderOf time.Time

	recalled map[escrow.Recall]time.Time
	accounts map[int64]account // as the ledger knows them
	recent   []string          // for a bug only
}

type stored struct {
	subject string
	data    []byte
}

type position struct {
	created int
	seq     uint64
}

func newPartition(w *world, n uint32) *partition {
	p := &partition{
		w: w, n: n, book: escrow.NewBook(), mem: escrow.NewMemory(), pacer: escrow.NewPacer[escrow.Recall](), history: 1, created: 1,
		accounts: map[int64]account{}, recalled: map[escrow.Recall]time.Time{},
	}
	p.lead()
	return p
}

// apply is the transaction that takes in a change of an account.
func (p *partition) apply(a *account) {
	old, known := p.accounts[a.id]
	p.accounts[a.id] = *a
	for _, win := range p.windows(a.id) {
		switch {
		case win.Gen != a.gen:
			acc := p.book.Accounts[win]
			p.book.SetLimit(win, acc.Limit, acc.Version, true)
		default:
			p.bound(win, a)
			p.book.SetLimit(win, a.limit, a.version, false)
		}
	}
	if known && a.limit < old.limit {
		for _, win := range p.windows(a.id) {
			p.recall(p.book.Holders(win))
		}
	}
	if !p.w.is(editUntold) {
		p.tell([]int64{a.id})
	}
}

// bound moves what may be spent of a window when its limit changes: what is allocated then stays
// spendable.
func (p *partition) bound(win contract.Window, a *account) {
	t, acc := p.w.of(win), p.book.Accounts[win]
	if a.limit < acc.Limit {
		if p.w.is(editTakesBack) {
			p.seize(win)
		}
		t.bound = max(a.limit, acc.Limit-p.book.Free(win))
	} else {
		t.bound = max(t.bound, a.limit)
	}
}

// windows are those of an account, in order.
func (p *partition) windows(id int64) []contract.Window {
	var out []contract.Window
	for win := range p.book.Accounts {
		if win.Account == id {
			out = append(out, win)
		}
	}
	slices.SortFunc(out, contract.Window.Compare)
	return out
}

// grantable opens the window that a line asks for, if there is such a window now.
func (p *partition) grantable(win contract.Window) bool {
	a, ok := p.accounts[win.Account]
	if !ok || a.gen != win.Gen {
		return false
	}
	at, end, err := contract.WindowAt(a.wire(), time.Unix(win.Start, 0))
	early := 65 * time.Second
	if a.days > 0 {
		early = 5 * time.Second
	}
	if err != nil || at != win || time.Unix(win.Start, 0).After(p.w.now.Add(early)) ||
		end != 0 && !p.w.now.Before(time.Unix(end, 0).Add(time.Hour)) {
		return false
	}
	if _, there := p.book.Accounts[win]; !there {
		if a.days > 0 {
			zone, err := time.LoadLocation(a.zone)
			if err != nil {
				panic(err)
			}
			p.book.OpenDay(win, a.limit, a.version, a.days, escrow.DayOf(win.Start, zone))
		} else {
			p.book.Open(win, a.limit, a.version)
		}
		p.w.of(win).bound = max(p.w.of(win).bound, a.limit)
	}
	return true
}

// take decides a request and answers it.
func (p *partition) take(q packet) {
	var req eventv1.LeaseRequest
	lines, err := grants.Lines(decode(q.data, &req), p.n)
	if err != nil {
		p.w.fail("request of %s: %w", q.edge.name, err)
		return
	}
	before := p.book.Clone()
	p.w.before(p, lines)
	for i := range lines {
		lines[i].Grantable = p.grantable(lines[i].Window)
		lines[i].Active = 1 + p.w.rng.IntN(len(p.w.edges))
	}
	for i := range lines {
		lines[i].Hold = p.w.now.Before(p.heldTo)
	}
	opened := p.book.Clone()
	out := p.lease(lines)
	commit := !p.w.fault(14)
	if !commit {
		p.book = before
		p.w.count["commit failed"]++
		if !p.w.is(toldBeforeCommit) {
			q.edge.unanswered(q)
			return
		}
	} else if p.w.plant == none {
		if err := p.book.CheckGrants(opened, out); err != nil {
			p.w.fail("partition %d: %w", p.n, err)
		}
	}
	reply := &eventv1.LeaseReply{Inc: req.GetInc(), LedgerUnixMs: p.w.now.UnixMilli(), LeaderEpoch: p.epoch}
	for _, a := range out.Answers {
		if a.State == escrow.Dropped {
			reply.Lines, reply.Error = nil, contract.IncarnationEnded
			break
		}
		reply.Lines = append(reply.Lines, answerLine(a))
	}
	for _, s := range req.GetSpools() {
		reply.Marks = append(reply.Marks, p.mark(s.GetInc(), false))
	}
	p.w.after(p, q, reply)
	p.w.send(packet{kind: answer, edge: q.edge, inc: q.inc, part: p.n, data: encode(reply), request: q.request})
	p.recall(out.Recalls)
	p.tell(out.Freed)
}

var states = map[escrow.State]eventv1.LeaseState{
	escrow.Granted: eventv1.LeaseState_LEASE_STATE_GRANTED, escrow.Pending: eventv1.LeaseState_LEASE_STATE_PENDING,
	escrow.Exhausted: eventv1.LeaseState_LEASE_STATE_EXHAUSTED, escrow.Unknown: eventv1.LeaseState_LEASE_STATE_UNKNOWN,
}

func answerLine(a escrow.Answer) *eventv1.GrantLine {
	return &eventv1.GrantLine{
		Window: a.Window.ToProto(), GrantedTotal: int64(a.Granted), State: states[a.State],
		Limit: int64(a.Limit), LimitVersion: a.Version, SpentElsewhere: int64(a.SpentElsewhere), RetryAfterMs: 20,
	}
}

// recall asks holders to give back, each account once in a while.
func (p *partition) recall(recalls []escrow.Recall) {
	of := map[int64][]escrow.Recall{}
	var accounts []int64
	for _, r := range recalls {
		if of[r.Window.Account] == nil {
			accounts = append(accounts, r.Window.Account)
		}
		of[r.Window.Account] = append(of[r.Window.Account], r)
	}
	for _, id := range accounts {
		if p.w.is(recallStorm) {
			p.recallNow(of[id])
			continue
		}
		p.recallNow(p.pacer.Offer(p.w.now, id, of[id]))
	}
	p.recallNow(p.pacer.Due(p.w.now))
}

func (p *partition) recallNow(recalls []escrow.Recall) {
	for _, r := range recalls {
		e := p.w.edgeOf(r.Inc)
		if e == nil || p.w.is(neverRecalled) {
			continue
		}
		p.mem.Recalled(r)
		if last, ok := p.recalled[r]; ok && p.w.now.Sub(last) < escrow.Pace {
			p.w.fail("%v was recalled twice within %s", r.Window, p.w.now.Sub(last))
		}
		p.recalled[r] = p.w.now
		p.w.send(packet{kind: control, edge: e, part: p.n, data: encode(&eventv1.EdgeControl{Inc: r.Inc, Recalls: []*eventv1.AccountWindow{r.Window.ToProto()}})})
		p.w.count["recalled"]++
	}
}

func (p *partition) tell(accounts []int64) {
	if len(accounts) == 0 || p.w.is(freedUntold) {
		return
	}
	for _, e := range p.w.edges {
		p.w.send(packet{kind: changed, edge: e, data: encode(&eventv1.BudgetChanged{Accounts: accounts})})
	}
}

func (p *partition) mark(inc int64, gap bool) *eventv1.Mark {
	m := &eventv1.Mark{Inc: inc, Part: p.n, Hwm: p.book.Incs[inc].HWM, Gap: gap, Epoch: p.history}
	if p.w.is(marksNeverGoBack) {
		m.Epoch = 1
	}
	return m
}

// consume is the transaction on the next message of the stream.
func (p *partition) consume() bool {
	if p.seen.created != p.created || p.seen.seq > p.base+uint64(len(p.stream)) {
		if !p.w.is(positionTrusted) {
			p.seen = position{created: p.created, seq: p.base}
		}
	}
	p.seen.seq = max(p.seen.seq, p.base)
	i := p.seen.seq - p.base
	if i >= uint64(len(p.stream)) {
		return false
	}
	m := p.stream[i]
	b, err := ingest.Decode(m.subject, m.data, p.n)
	if err != nil {
		p.w.fail("batch on %s: %w", m.subject, err)
		return false
	}
	before, at := p.book.Clone(), p.at
	out := p.book1(b.Batch)
	p.at = position{p.created, p.seen.seq + 1}
	if p.w.fault(14) {
		p.book, p.at = before, at
		p.w.count["commit failed"]++
		return false
	}
	p.seen.seq++
	if e := p.w.edgeOf(b.Inc); e != nil {
		data := encode(&eventv1.EdgeControl{Inc: b.Inc, Marks: []*eventv1.Mark{p.mark(b.Inc, out.Verdict == escrow.Gap)}})
		p.w.send(packet{kind: control, edge: e, part: p.n, data: data})
	}
	p.tell(out.Freed)
	return true
}

// loseStream is a power failure of the stream's machine, or somebody who deletes it.
func (p *partition) loseStream() {
	n := len(p.stream)
	if p.w.coin(4) {
		p.stream, p.base, p.created = nil, 0, p.created+1
		p.w.count["stream wiped"]++
	} else if n > 0 {
		p.stream = p.stream[:n-1-p.w.rng.IntN(min(5, n))]
		p.w.count["stream lost its end"]++
	}
}

// failover makes another ledger the leader: it has the database and nothing else.
func (p *partition) failover() {
	p.mem, p.pacer, p.seen = escrow.NewMemory(), escrow.NewPacer[escrow.Recall](), p.at
	clear(p.recalled)
	p.lead()
	p.w.count["ledger failed over"]++
}

// remember is the standby of the database catching up.
func (p *partition) remember() { p.older, p.olderAt, p.olderOf = p.book.Clone(), p.at, p.w.now }

// loseCommits makes the standby the database. What edges were granted since is theirs all the same.
func (p *partition) loseCommits() {
	// Spools keep what is booked for their linger: a standby may be that far behind, less the time in which
	// edges hear of it.
	if p.older == nil || p.w.now.Sub(p.olderOf) > spool.DefaultLinger-4*time.Minute {
		return
	}
	for win, leases := range p.book.Leases {
		for inc, l := range leases {
			if d := l.Granted - p.older.Leases[win][inc].Granted; d > 0 {
				p.w.of(win).lost += d
			}
		}
	}
	p.book, p.at, p.older = p.older, p.olderAt, nil
	p.history++
	for _, id := range slices.Sorted(maps.Keys(p.accounts)) { // the configuration stream is read again
		a := p.accounts[id]
		for _, win := range p.windows(id) {
			if win.Gen == a.gen {
				p.book.SetLimit(win, a.limit, a.version, false)
			}
		}
	}
	p.failover()
	p.heldTo = p.w.now.Add(10 * time.Second)
	p.w.steady = p.w.now.Add(spool.DefaultLinger)
	p.w.count["commits lost"]++
}
