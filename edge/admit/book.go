package admit

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/money"
)

// Leaser asks the ledger's leader of a partition. It returns what the ledger answered, after what it
// granted was durable.
type Leaser interface {
	Lease(ctx context.Context, part uint32, lines []*eventv1.LeaseLine) ([]*eventv1.GrantLine, error)
}

// Book is what this edge holds of every account-window in this life of the process. Requests that
// find the money there wait for nobody.
//
// Run drives it. Without Run it can be driven by hand, step by step: Begin, Try and End are a request
// that waits, Next, Done and Failed an exchange with the ledger, and Sweep what has to be done every
// now and then. Driven so by one goroutine, it does the same each time that it is driven in the same
// way with the same clock and jitter.
type Book struct {
	cfg    Config
	leaser Leaser
	log    *slog.Logger
	lower  func(l *line, keep int64) int64 // how unspent money is put out of reach; a test breaks it to be caught
	began  time.Time
	tick   atomic.Uint32 // counts sweeps, as a clock that costs nothing to read
	coarse atomic.Int64  // Unix seconds of the last sweep, or 0 if a window ends soon
	latest atomic.Int64  // the clock in Unix seconds, but never going back

	dice struct {
		sync.Mutex
		*rand.Rand
	}

	mu      sync.Mutex // guards the fields below; a line's lock may be taken under it
	lines   map[contract.Window]*line
	current map[int64]*line    // by account: the window drawn on last
	ends    map[int64][]*line  // by the end of their windows
	watched []*line            // those that are active
	senders map[uint32]*sender // by partition
	start   func(*sender)      // set while Run runs
}

// NewBook makes an empty book for this life of the process. The leaser is for Run and ReturnAll.
func NewBook(cfg Config, leaser Leaser, log *slog.Logger) *Book {
	b := &Book{
		cfg: cfg.withDefaults(), leaser: leaser, log: log, lower: lower,
		lines: map[contract.Window]*line{}, current: map[int64]*line{},
		ends: map[int64][]*line{}, senders: map[uint32]*sender{},
	}
	b.began = b.cfg.Now()
	b.dice.Rand = rand.New(b.cfg.Jitter)
	return b
}

const (
	millisecond = int64(time.Millisecond)
	second      = int64(time.Second)
)

// clock is the time since the book was made, in nanoseconds.
func (b *Book) clock() int64 { return int64(b.cfg.Now().Sub(b.began)) }

// before says whether a time that was set not long ago is still to come; 0 is none.
func (b *Book) before(until int64) bool {
	if until == 0 {
		return false
	}
	d := until - b.clock()
	return d > 0 && d <= notLater
}

// upTo is a random time from 0 to most.
func (b *Book) upTo(most time.Duration) time.Duration {
	b.dice.Lock()
	defer b.dice.Unlock()
	return time.Duration(b.dice.Int64N(int64(most) + 1))
}

// today is the clock that windows follow, in Unix seconds: it never goes back. The caller holds the
// lock.
func (b *Book) today() int64 {
	now := max(b.latest.Load(), b.cfg.Now().Unix())
	b.latest.Store(now)
	return now
}

// sender is the sender of a partition.
func (b *Book) sender(part uint32) *sender {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.senderLocked(part)
}

func (b *Book) senderLocked(part uint32) *sender {
	s, ok := b.senders[part]
	if !ok {
		s = &sender{book: b, part: part, wake: make(chan struct{}, 1), busy: make(chan struct{}, 1)}
		b.senders[part] = s
		if b.start != nil {
			b.start(s)
		}
	}
	return s
}

// find is the line that an account draws on. It never goes back to an earlier window, whatever the
// clock does.
func (b *Book) find(a *Account) *line {
	if a.soft {
		// It may be spent before anything is leased. Until its partition is joined it may not.
		if s := b.sender(a.part); !s.joined.Load() {
			if err := s.join(); err != nil {
				b.log.Warn("partition is not joined", "part", a.part, "err", err)
			}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	w, end := a.windowAt(b.today())
	l := b.current[a.id]
	if l != nil {
		w.Gen = max(w.Gen, l.window.Gen)
	}
	if l == nil || l.gone.Load() || w.Gen > l.window.Gen || w.Start > l.window.Start {
		if l = b.lines[w]; l == nil {
			l = b.open(w, end, a.calendar, a.part)
		}
		b.current[a.id] = l
	}
	l.mu.Lock()
	l.learn(a)
	l.mu.Unlock()
	a.last.Store(l)
	return l
}

// open makes a line. The caller holds the lock.
func (b *Book) open(w contract.Window, end int64, c *calendar, part uint32) *line {
	l := &line{book: b, sender: b.senderLocked(part), window: w, calendar: c, end: end}
	l.limit.Store(-1)
	l.tick.Store(b.tick.Load())
	l.measured = b.clock() / millisecond
	b.lines[w] = l
	b.ends[end] = append(b.ends[end], l)
	if b.soon(end) {
		b.coarse.Store(0)
	}
	return l
}

// draw is the lines of a request. With careful it draws on none that the book has forgotten, as the
// one that was drawn on last may be if the clock went back.
func (b *Book) draw(h *Hold, accounts []*Account, amount money.Nanos, careful bool) ([]*line, error) {
	h.begin(nil, 0)
	if amount <= 0 || len(accounts) == 0 {
		return nil, nil
	}
	now := b.coarse.Load()
	if now == 0 {
		now = b.cfg.Now().Unix()
	}
	lines := h.few[:0]
	for _, a := range accounts {
		l := a.last.Load()
		if l == nil || l.book != b || l.window.Gen < a.gen || now >= l.end || careful && l.gone.Load() {
			l = b.find(a)
		}
		lines = add(lines, l)
	}
	if len(lines) > MostDraws {
		return nil, fault.New(fault.InternalError, "The request draws on %d budgets; %d are the most.", len(lines), MostDraws)
	}
	return lines, nil
}

// Hold sets amount aside in every account, or in none, and fills h with it. Where an account has too
// little it asks the ledger and waits, holding nothing meanwhile, for as long as the configuration
// allows. It fails with budget_exhausted, budget_unavailable or the context's error, and h then holds
// nothing. What h held before has to have ended.
func (b *Book) Hold(ctx context.Context, h *Hold, accounts []*Account, amount money.Nanos) error {
	lines, err := b.draw(h, accounts, amount, false)
	if err != nil {
		return err
	}
	if take(lines, int64(amount)) {
		h.begin(lines, int64(amount))
		return nil
	}
	return b.Begin(h, accounts, amount).wait(ctx)
}

// Apply takes in what the ledger says unasked.
func (b *Book) Apply(grants []*eventv1.GrantLine) {
	for _, g := range grants {
		if l := b.lookup(contract.WindowOf(g.GetWindow())); l != nil {
			b.activate(l)
			if l.apply(g) {
				l.wake()
			}
		}
	}
}

// Recall returns what is unspent of these windows, and from now on also what is refunded of them,
// because others wait for it.
func (b *Book) Recall(windows []contract.Window) {
	for _, w := range windows {
		if l := b.lookup(w); l != nil {
			l.short.Store(true)
			l.giveBack(0, true)
		}
	}
}

// Invalidate forgets what the ledger has refused of these accounts: a limit was changed.
func (b *Book) Invalidate(accounts []int64) {
	for _, id := range accounts {
		b.mu.Lock()
		l := b.current[id]
		b.mu.Unlock()
		if l == nil {
			continue
		}
		l.mu.Lock()
		l.denied, l.away, l.void = 0, 0, true
		waits := len(l.waiters) > 0
		l.mu.Unlock()
		if waits {
			l.sender.hurry(l)
		}
	}
}

func (b *Book) lookup(w contract.Window) *line {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lines[w]
}
