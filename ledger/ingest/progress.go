package ingest

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"tollgate/internal/contract"
	"tollgate/ledger/store"
)

const (
	// progressEvery is how often edges hear what others have spent. It is for what they show and for
	// nothing that they decide.
	progressEvery = 250 * time.Millisecond
	// maxProgress bounds what is read at once. The rest follows.
	maxProgress = 5000
	// maxTouched bounds what waits to be read. Beyond it edges do not hear of every window, and all windows
	// are looked at for warnings once there is time.
	maxTouched = 50_000
)

// Source reads what to tell, and records what was reached. store.Store is one.
type Source interface {
	Progress(ctx context.Context, windows []contract.Window) ([]store.Progress, error)
	Warn(ctx context.Context, windows []contract.Window) ([]store.Warning, error)
	WarnAll(ctx context.Context, part uint32) ([]store.Warning, error)
}

// Progress tells edges what others have spent on the account-windows that they share, and records warnings
// where a share of a limit was reached. A nil Progress does nothing.
type Progress struct {
	src  Source
	part uint32
	tell func([]store.Progress)
	warn func([]store.Warning)
	log  *slog.Logger

	mu      sync.Mutex // guards what follows
	touched map[contract.Window]bool
	missed  bool // that something was touched
}

// NewProgress makes a Progress of a partition. What was reached is passed to warn, too, unless that is nil.
// A Progress begins by looking at everything, because what was booked last by another leader may have had no time.
func NewProgress(src Source, part uint32, tell func([]store.Progress), warn func([]store.Warning), log *slog.Logger) *Progress {
	return &Progress{src: src, part: part, tell: tell, warn: warn, log: log, touched: map[contract.Window]bool{}, missed: true}
}

// Touched notes that something was spent.
func (p *Progress) Touched(windows []contract.Window) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range windows {
		if len(p.touched) >= maxTouched {
			p.missed = true
			return
		}
		p.touched[w] = true
	}
}

// Run tells until ctx ends.
func (p *Progress) Run(ctx context.Context) error {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if windows := p.take(); len(windows) > 0 {
			p.look(ctx, windows)
		} else if p.missedSome() {
			p.lookAtAll(ctx)
		}
	}
}

func (p *Progress) look(ctx context.Context, windows []contract.Window) {
	list, err := p.src.Progress(ctx, windows)
	if err != nil {
		p.log.DebugContext(ctx, "progress not read", "err", err) // the next line says it too
	} else {
		p.tell(list)
	}
	warnings, err := p.src.Warn(ctx, windows)
	if err != nil {
		p.log.WarnContext(ctx, "warnings not recorded for now", "err", err)
		p.Touched(windows)
	}
	p.reached(ctx, warnings)
}

func (p *Progress) lookAtAll(ctx context.Context) {
	warnings, err := p.src.WarnAll(ctx, p.part)
	if err != nil {
		p.log.WarnContext(ctx, "warnings not recorded for now", "err", err)
		p.mu.Lock()
		p.missed = true
		p.mu.Unlock()
	}
	p.reached(ctx, warnings)
}

func (p *Progress) reached(ctx context.Context, warnings []store.Warning) {
	for _, w := range warnings {
		p.log.WarnContext(ctx, "a share of a budget was reached", "budget", w.BudgetID, "account", w.Window.Account, "gen", w.Window.Gen,
			"start", w.Window.Start, "percent", w.Percent, "spent", w.Spent.String(), "limit", w.Limit.String())
	}
	if p.warn != nil && len(warnings) > 0 {
		p.warn(warnings)
	}
}

func (p *Progress) take() []contract.Window {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []contract.Window
	for w := range p.touched {
		if len(out) == maxProgress {
			break
		}
		out = append(out, w)
		delete(p.touched, w)
	}
	return out
}

func (p *Progress) missedSome() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	missed := p.missed
	p.missed = false
	return missed
}
