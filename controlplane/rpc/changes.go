package rpc

import (
	"context"
	"slices"
	"time"

	"connectrpc.com/connect"

	"tollgate/controlplane/access"
	"tollgate/controlplane/changes"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
)

// Changes is what tells of changes.
type Changes interface {
	After(revision int64) (news changes.News, ready bool)
}

const (
	changesAtLeast = 10 * time.Second // between two messages when nothing changes, so that a dead connection is noticed
	changesInOne   = 500              // in a message, at most
	changesTooOld  = 20_000           // revisions that nobody is told one by one
)

// WatchChanges sends what changes, as soon as it is known here. The first message says where the caller is, so that it can go on
// from there after a break.
func (s *systemService) WatchChanges(ctx context.Context, req *controlv1.WatchChangesRequest, stream *connect.ServerStream[controlv1.WatchChangesResponse]) error {
	if s.changes == nil {
		return fault.New(fault.UnavailableErr, "This control plane does not follow changes.")
	}
	w := &watch{service: s, caller: access.From(ctx), kinds: req.GetKinds(), at: req.GetAfterRevision(), send: func(m *controlv1.WatchChangesResponse) error {
		return sendWithin(ctx, func() error { return stream.Send(m) })
	}}
	for {
		news, ready := s.changes.After(w.at)
		if ready {
			if err := w.tell(ctx, news); err != nil {
				return err
			}
		}
		t := time.NewTimer(max(0, min(changesAtLeast, time.Until(w.sent.Add(changesAtLeast)))))
		select {
		case <-news.Waits:
		case <-t.C:
			if w.epoch == 0 { // there is nothing to tell yet
				w.sent = time.Now()
			}
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-s.stopping:
			t.Stop()
			return nil
		}
		t.Stop()
	}
}

// watch is how far one caller is.
type watch struct {
	service *systemService
	caller  *access.Caller
	kinds   []string
	send    func(*controlv1.WatchChangesResponse) error

	target int64 // revision that there was when the caller came
	at     int64 // revision up to which everything was told
	epoch  int64 // of it; 0 before the first message
	sent   time.Time
}

// tell sends what is new, or that nothing is, if it is time to.
func (w *watch) tell(ctx context.Context, news changes.News) error {
	begun := w.epoch != 0
	if !begun {
		// The caller may know of something that has not come here yet.
		if w.target == 0 {
			st, err := w.service.store.State(ctx)
			if err != nil {
				return err
			}
			w.target = st.Current.Revision
		}
		if news.UpTo < w.target {
			return nil
		}
	}
	switch {
	case !begun && w.at == 0:
		return w.message(nil, news.UpTo, news.Epoch, false)
	case w.at > news.UpTo, begun && news.Epoch != w.epoch, news.UpTo-w.at > changesTooOld:
		return w.message(nil, news.UpTo, news.Epoch, true)
	}
	all := news.Changes
	if news.Missing {
		var err error
		if all, err = w.service.store.Changes(ctx, w.at, news.UpTo); err != nil {
			return err
		}
	}
	visible := make([]store.Change, 0, len(all))
	for _, c := range all {
		if w.sees(&c) {
			visible = append(visible, c)
		}
	}
	for len(visible) > changesInOne {
		// Of a revision that is cut, the part does not count: it would be told again after a break.
		if err := w.message(visible[:changesInOne], visible[changesInOne].Revision-1, news.Epoch, false); err != nil {
			return err
		}
		visible = visible[changesInOne:]
	}
	if len(visible) == 0 && begun && time.Since(w.sent) < changesAtLeast {
		w.at = news.UpTo
		return nil
	}
	return w.message(visible, news.UpTo, news.Epoch, false)
}

// sees says whether the caller may know of a change, and wants to.
func (w *watch) sees(c *store.Change) bool {
	if len(w.kinds) > 0 && !slices.Contains(w.kinds, c.Kind) {
		return false
	}
	permission, ok := seenWith[c.Kind]
	if !ok {
		permission = access.AuditRead // of what only the audit tells
	}
	scope := w.caller.Scope(permission)
	return scope.Everywhere || slices.ContainsFunc(c.Teams, scope.Covers)
}

func (w *watch) message(visible []store.Change, revision, epoch int64, reset bool) error {
	m := &controlv1.WatchChangesResponse{Revision: revision, Epoch: epoch, Reset_: reset, Changes: each(visible, func(c *store.Change) *controlv1.Change {
		return &controlv1.Change{Revision: c.Revision, Kind: c.Kind, Id: c.ID, Name: c.Name, Action: c.Action, Actor: c.Actor, Time: timeTo(c.Time)}
	})}
	if err := w.send(m); err != nil {
		return err
	}
	w.at, w.epoch, w.sent = revision, epoch, time.Now()
	return nil
}
