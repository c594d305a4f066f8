// Package changes tells whoever waits for it what changes in the configuration, as soon as it is committed, whichever control
// plane did it. It reads each change once, however many wait, and keeps the latest in memory; a reader that is slow reads them
// later and holds up nobody. It decides nothing about who may see what.
package changes

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"tollgate/controlplane/store"
)

const (
	poll  = time.Second // between looks without a notification
	keeps = 8192        // changes in memory
)

// Hub follows changes. Make it with New and run it with Run.
type Hub struct {
	store *store.Store
	log   *slog.Logger
	poll  time.Duration
	keeps int

	mu      sync.Mutex // guards the fields below
	ready   bool
	epoch   int64
	from    int64 // all changes after this revision are in memory
	upTo    int64 // revision up to which they are all
	latest  []store.Change
	changed chan struct{}
}

// New makes a hub on a store that stays its owner's.
func New(st *store.Store, log *slog.Logger) *Hub {
	return &Hub{store: st, log: log, poll: poll, keeps: keeps, changed: make(chan struct{})}
}

// Run follows changes until ctx ends. A database that is away is waited for.
func (h *Hub) Run(ctx context.Context) error {
	failed := ""
	for ctx.Err() == nil {
		err := h.listen(ctx)
		if ctx.Err() == nil && err.Error() != failed {
			failed = err.Error()
			h.log.WarnContext(ctx, "changes cannot be listened for, looking for them instead", "err", err)
		}
		// Connections may be had from the pool although none of its own can be.
		_ = h.look(ctx)
		t := time.NewTimer(h.poll)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
	return nil
}

func (h *Hub) listen(ctx context.Context) error {
	l, err := h.store.Listen(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	for {
		if err := h.look(ctx); err != nil {
			return err
		}
		if err := l.Wait(ctx, h.poll); err != nil {
			return err
		}
	}
}

// look reads what is new.
func (h *Hub) look(ctx context.Context) error {
	st, err := h.store.State(ctx)
	if err != nil {
		return err
	}
	h.mu.Lock()
	after, fresh := h.upTo, !h.ready || st.Current.Epoch != h.epoch || st.Current.Revision < h.upTo
	h.mu.Unlock()
	if !fresh && st.Current.Revision == after {
		return nil
	}
	var news []store.Change
	if !fresh {
		if news, err = h.store.Changes(ctx, after, st.Current.Revision); err != nil {
			return err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if fresh { // the first look, or another history
		h.ready, h.epoch, h.from, h.latest = true, st.Current.Epoch, st.Current.Revision, nil
	}
	h.upTo = st.Current.Revision
	h.latest = append(h.latest, news...)
	h.forget()
	close(h.changed)
	h.changed = make(chan struct{})
	return nil
}

// forget lets go of the oldest revisions, each whole.
func (h *Hub) forget() {
	n := len(h.latest) - h.keeps
	if n <= 0 {
		return
	}
	for n < len(h.latest) && h.latest[n].Revision == h.latest[n-1].Revision {
		n++
	}
	h.from = h.latest[n-1].Revision
	h.latest = append([]store.Change(nil), h.latest[n:]...)
}

// News is what is new to somebody.
type News struct {
	Changes []store.Change // oldest first; shared, not to be changed
	UpTo    int64          // revision up to which they are all
	Epoch   int64          // of the revisions
	Missing bool           // there are changes before, which are not in memory
	Waits   <-chan struct{}
}

// After is what is known of what came after a revision. Ready is false until the database was read once. Waits is closed when
// there is more.
func (h *Hub) After(revision int64) (n News, ready bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n = News{UpTo: h.upTo, Epoch: h.epoch, Missing: revision < h.from, Waits: h.changed}
	if !n.Missing {
		for i := len(h.latest); ; i-- {
			if i == 0 || h.latest[i-1].Revision <= revision {
				n.Changes = h.latest[i:len(h.latest):len(h.latest)]
				break
			}
		}
	}
	return n, h.ready
}
