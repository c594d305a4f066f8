package ingest

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"tollgate/internal/contract"
	"tollgate/ledger/store"
)

// progressEvery is how often edges hear what others have spent. It is for what they show and for
// nothing that they decide.
const progressEvery = 250 * time.Millisecond

// maxProgress bounds what is read at once. The rest follows.
const maxProgress = 5000

// Source reads what to tell. store.Store is one.
type Source interface {
	Progress(ctx context.Context, windows []contract.Window) ([]store.Progress, error)
}

// Progress tells edges what others have spent on the account-windows that they share. A nil Progress
// tells nothing.
type Progress struct {
	src  Source
	tell func([]store.Progress)
	log  *slog.Logger

	mu      sync.Mutex // guards touched
	touched map[contract.Window]bool
}

// NewProgress makes a Progress.
func NewProgress(src Source, tell func([]store.Progress), log *slog.Logger) *Progress {
	return &Progress{src: src, tell: tell, log: log, touched: map[contract.Window]bool{}}
}

// Touched notes that something was spent.
func (p *Progress) Touched(windows []contract.Window) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range windows {
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
		windows := p.take()
		if len(windows) == 0 {
			continue
		}
		list, err := p.src.Progress(ctx, windows)
		if err != nil {
			p.log.DebugContext(ctx, "progress not read", "err", err) // the next line says it too
			continue
		}
		p.tell(list)
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
