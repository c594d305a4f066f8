package limit

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/lifecycle"
)

// Set is what this edge has of every limit that requests came for lately.
type Set struct {
	cfg     Config
	base    time.Time
	asker   Asker
	log     *slog.Logger
	seq     atomic.Uint64 // of the last permit line
	sharers atomic.Int64  // the most edges that ever shared a limit

	mu    sync.Mutex // guards the fields below; a line's or a part's lock may be taken under it
	lines map[int64]*line
	order []*line // all of them, in the order in which they came
	parts map[uint32]*part
	start func(*part) // set while Run runs
}

// New makes an empty set. Without Run, or somebody who does what it does, the ledger is never asked.
func New(cfg Config, asker Asker, log *slog.Logger) *Set {
	if cfg.Wait <= 0 {
		cfg.Wait = DefaultConfig().Wait
	}
	s := &Set{cfg: cfg, asker: asker, log: log, lines: map[int64]*line{}, parts: map[uint32]*part{}}
	if s.base = time.Now(); cfg.Now != nil {
		s.base = cfg.Now()
	}
	return s
}

// now is the time since the set was made. Nothing here needs to know the time of day.
func (s *Set) now() int64 {
	if s.cfg.Now != nil {
		return int64(s.cfg.Now().Sub(s.base))
	}
	return int64(time.Since(s.base)) // half the cost of time.Now
}

// Acquire takes what every limit asks of a request, or nothing: one request, units, and a permit for
// as long as it runs. Where a limit has too little it asks the ledger and waits, taking nothing
// meanwhile, for as long as the configuration allows. It fails with rate_limited, limit_unavailable or
// the context's error.
func (s *Set) Acquire(ctx context.Context, p *Pass, limits []*Limit, units int64) error {
	p.reset(limits, units)
	if len(p.holds) == 0 {
		return nil
	}
	now := s.now()
	if err := s.find(p, now); err != nil {
		return err
	}
	if p.take(now) {
		return nil
	}
	w := s.queue(p, now)
	defer w.End()
	timer := time.NewTimer(s.cfg.Wait)
	defer timer.Stop()
	for {
		if done, err := w.Try(); done {
			return err
		}
		select {
		case <-w.turn:
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			w.until = min(w.until, s.now()) // so that the next try is the last
		}
	}
}

// find gives every hold the line of its limit. It fails if a limit is such that no time would help.
func (s *Set) find(p *Pass, now int64) error {
	for i := range p.holds {
		h := &p.holds[i]
		if h.hopeless() {
			p.holds = nil
			return hopeless(h)
		}
		l := h.limit.last.Load()
		if l == nil || l.set != s || l.gone.Load() {
			l = s.line(h.limit, now)
		}
		h.line = l
	}
	return nil
}

// line is where this edge counts a limit.
func (s *Set) line(of *Limit, now int64) *line {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lines[of.id]
	if l == nil || l.gone.Load() || l.kind != of.kind || l.part.id != of.part {
		l = &line{set: s, part: s.part(of.part), id: of.id, kind: of.kind, version: of.version, seen: now, shareOf: -1}
		l.burn.at, l.peakAt = now, now
		s.lines[of.id] = l
		s.order = append(s.order, l)
	}
	l.mu.Lock()
	if l.seen = now; of.version != l.version {
		// The limit was changed since the ledger refused.
		l.version, l.denied, l.unknown = of.version, denial{}, 0
	}
	l.mu.Unlock()
	of.last.Store(l)
	return l
}

// part is the way to the ledger of a partition. The caller holds mu.
func (s *Set) part(id uint32) *part {
	p, ok := s.parts[id]
	if !ok {
		p = &part{set: s, id: id, wake: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
		s.parts[id] = p
		if s.start != nil {
			s.start(p)
		}
	}
	return p
}

// Recall returns permits of these limits that are not used, and for a while also those whose requests
// end, because others wait for them.
func (s *Set) Recall(limits []int64) {
	now := s.now()
	for _, id := range limits {
		s.mu.Lock()
		l := s.lines[id]
		s.mu.Unlock()
		if l != nil && l.kind == eventv1.LimitKind_LIMIT_KIND_CONCURRENT {
			l.recalled.Store(now + int64(idle))
			l.part.ask(l, now)
		}
	}
}

// Parts are the partitions of the ledger that this edge asks, in their order.
func (s *Set) Parts() []uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]uint32, 0, len(s.parts))
	for id := range s.parts {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

// Next makes a request to the ledger of a partition of what is due, or says how long to wait if
// nothing is. Its tokens live from now on, so it is to be sent at once. Until it is done or has failed
// there is no other.
func (s *Set) Next(part uint32) (x *Exchange, wait time.Duration) {
	s.mu.Lock()
	p := s.part(part)
	s.mu.Unlock()
	return p.next()
}

// Run asks the ledger for what requests need and tells it what is held, until ctx ends. It runs once.
func (s *Set) Run(ctx context.Context) error {
	var group lifecycle.Group
	defer group.Stop()
	s.mu.Lock()
	s.start = func(p *part) { group.Go("limit sender", p.run) }
	for _, p := range s.parts {
		s.start(p)
	}
	s.mu.Unlock()

	ticker := time.NewTicker(sweep)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			s.Sweep()
		}
	}
}

// Sweep looks after what time does: permits that are idle are returned, and limits that no request
// came for are forgotten.
func (s *Set) Sweep() {
	now := s.now()
	s.mu.Lock()
	lines := slices.Clone(s.order)
	s.mu.Unlock()
	forgotten := false
	for _, l := range lines {
		forgotten = l.swept(now) || forgotten
	}
	if !forgotten {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order = slices.DeleteFunc(s.order, func(l *line) bool {
		if l.gone.Load() && s.lines[l.id] == l {
			delete(s.lines, l.id)
		}
		return l.gone.Load()
	})
}

// swept looks after one line, and says whether it is of no use any more.
func (l *line) swept(now int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bury(now)
	if l.kind != eventv1.LimitKind_LIMIT_KIND_CONCURRENT {
		l.measure(now)
	} else if s := l.slots.Load(); s != 0 {
		l.seen = now
		if permits(s) > l.crowded(now) {
			l.part.ask(l, now)
		}
	}
	if now-l.seen < int64(keep) || len(l.waiters) > 0 || len(l.chunks) > 0 || l.debt > 0 || l.told > 0 || l.slots.Load() != 0 {
		return false
	}
	l.gone.Store(true)
	return true
}

// ReturnAll returns all permits and waits, not for long, until the ledger has heard of it. It is for the
// end of a process, after its requests.
func (s *Set) ReturnAll() {
	now := s.now()
	parts := map[*part]bool{}
	s.mu.Lock()
	lines := slices.Clone(s.order)
	s.mu.Unlock()
	for _, l := range lines {
		if permits(l.slots.Load()) > 0 {
			l.recalled.Store(never)
			l.part.ask(l, now)
			parts[l.part] = true
		}
	}
	const patience = time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	for p := range parts {
		wg.Go(func() {
			// What a request under way brings is to be returned as well.
			p.turn <- struct{}{}
			defer func() { <-p.turn }()
			for ctx.Err() == nil {
				x, _ := p.next()
				if x == nil {
					return
				}
				p.exchange(ctx, x)
			}
		})
	}
}
