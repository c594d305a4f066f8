package admit

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/lifecycle"
	"tollgate/internal/money"
)

// Leaser asks the ledger's leader of a partition. It returns what the ledger answered, after what it
// granted was durable.
type Leaser interface {
	Lease(ctx context.Context, part uint32, lines []*eventv1.LeaseLine) ([]*eventv1.GrantLine, error)
}

// Book is what this edge holds of every account-window in this life of the process. Requests that
// find the money there wait for nobody.
type Book struct {
	cfg    Config
	leaser Leaser
	log    *slog.Logger
	lower  func(*line) int64 // how unspent money is put out of reach; a test breaks it to be caught
	tick   atomic.Uint32     // counts sweeps, as a clock that costs nothing to read

	mu      sync.Mutex // guards the fields below; a line's lock may be taken under it
	lines   map[contract.Window]*line
	current map[int64]*line    // by account: the window drawn on last
	ends    map[int64][]*line  // by the end of their windows
	watched []*line            // those that are active
	senders map[uint32]*sender // by partition
	start   func(*sender)      // set while Run runs
	latest  time.Time          // the clock, but never going back
}

// NewBook makes an empty book for this life of the process. Without Run nothing is ever granted.
func NewBook(cfg Config, leaser Leaser, log *slog.Logger) *Book {
	return &Book{
		cfg: cfg.withDefaults(), leaser: leaser, log: log, lower: lower,
		lines: map[contract.Window]*line{}, current: map[int64]*line{},
		ends: map[int64][]*line{}, senders: map[uint32]*sender{},
	}
}

// Run asks the ledger for what requests need, repeats what is held, and returns what is idle, until
// ctx ends. It runs once.
func (b *Book) Run(ctx context.Context) error {
	var group lifecycle.Group
	defer group.Stop()
	b.mu.Lock()
	b.start = func(s *sender) { group.Go("lease sender", s.run) }
	for _, s := range b.senders {
		b.start(s)
	}
	b.mu.Unlock()

	ticker := time.NewTicker(max(b.cfg.Idle/ticksIdle, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			b.sweep()
		}
	}
}

// sender is the sender of a partition.
func (b *Book) sender(part uint32) *sender {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.senders[part]
	if !ok {
		s = &sender{book: b, part: part, wake: make(chan struct{}, 1)}
		b.senders[part] = s
		if b.start != nil {
			b.start(s)
		}
	}
	return s
}

// find is the line that an account draws on. It never goes back to an earlier window, whatever the
// clock does.
func (b *Book) find(a *Account, now time.Time) *line {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.After(b.latest) {
		b.latest = now
	}
	w, end := a.windowAt(b.latest)
	l := b.current[a.id]
	if l == nil || l.gone.Load() || w.Gen > l.window.Gen || w.Gen == l.window.Gen && w.Start > l.window.Start {
		l = b.lines[w]
		if l == nil {
			l = &line{book: b, window: w, part: a.part, period: a.calendar.period, end: end, subject: strings.Clone(a.subject)}
			l.limit.Store(-1)
			l.tick.Store(b.tick.Load())
			b.lines[w] = l
			b.ends[end] = append(b.ends[end], l)
		}
		b.current[a.id] = l
	}
	l.mu.Lock()
	if a.version > l.version {
		// The limit was changed since the ledger refused.
		l.denied = time.Time{}
	}
	l.mu.Unlock()
	a.last.Store(l)
	return l
}

// Hold sets amount aside in every account, or in none. Where an account has too little it asks the
// ledger and waits, holding nothing meanwhile, for as long as the configuration allows. It fails with
// budget_exhausted, budget_unavailable or the context's error.
func (b *Book) Hold(ctx context.Context, accounts []*Account, amount money.Nanos) (*Hold, error) {
	if amount <= 0 || len(accounts) == 0 {
		return nothing, nil
	}
	h := &Hold{amount: int64(amount)}
	h.lines = h.few[:0]
	now := b.cfg.Now()
	for _, a := range accounts {
		l := a.last.Load()
		if l == nil || l.book != b || l.window.Gen < a.gen || now.Unix() >= l.end {
			l = b.find(a, now)
		}
		h.add(l)
	}
	if h.take() {
		return h, nil
	}
	for i, l := range h.lines {
		if l.gone.Load() { // the clock went back into a window that was over
			for _, a := range accounts {
				if a.id == l.window.Account {
					h.lines[i] = b.find(a, now)
				}
			}
		}
	}
	if err := b.wait(ctx, h); err != nil {
		return nil, err
	}
	return h, nil
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
			l.giveBack(true)
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
		l.denied, l.away, l.void = time.Time{}, time.Time{}, true
		waits := len(l.waiters) > 0
		l.mu.Unlock()
		if waits {
			b.sender(l.part).hurry(l)
		}
	}
}

func (b *Book) lookup(w contract.Window) *line {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lines[w]
}
