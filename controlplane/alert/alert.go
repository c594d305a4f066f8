// Package alert tells people of what needs them: one alert when a condition of the attention list begins, and one when it ends. Which
// conditions last is in the database, so that a restart tells nothing twice; one control plane at a time looks for them, and any of
// them sends. Each alert has an identifier that is the same whenever it is sent: it may arrive twice, and never not at all while its
// receiver can be reached within a day. It is at the edge of the control plane: nothing waits for it.
package alert

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"tollgate/controlplane/attention"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
)

// Config says how alerts are told. The zero value of a time is no default: begin with DefaultConfig.
type Config struct {
	Every      time.Duration // between two looks for conditions
	Lease      time.Duration // after which another control plane looks, if this one says nothing
	Calm       time.Duration // for which a condition has to be gone until it has ended
	Poll       time.Duration // between two looks for what is due
	FirstRetry time.Duration // after the first failure; twice as long after each further one
	MostRetry  time.Duration
	GiveUp     time.Duration // after which an alert is not tried any more
	Within     time.Duration // in which a receiver has to answer
	AtOnce     int           // alerts that are sent at a time
	ConsoleURL string        // where people reach the console, for links; empty for none
}

// DefaultConfig is how alerts are told.
func DefaultConfig() Config {
	return Config{
		Every: 3 * time.Second, Lease: 15 * time.Second, Calm: 15 * time.Second, Poll: time.Second,
		FirstRetry: 5 * time.Second, MostRetry: 10 * time.Minute, GiveUp: 24 * time.Hour, Within: 10 * time.Second, AtOnce: 8,
	}
}

// Board tells what needs somebody.
type Board interface {
	Check(ctx context.Context) (*attention.View, error)
}

// Opener opens what only the master key opens.
type Opener interface {
	Open(id string, envelope []byte) ([]byte, error)
}

// Teller tells. Make it with New and run it with Run.
type Teller struct {
	cfg    Config
	store  *store.Store
	board  Board
	sender *Sender
	log    *slog.Logger
	name   string // of this process, among those that may watch

	failed string // the last failure that was logged
}

// New makes a teller; the store stays its owner's.
func New(cfg Config, st *store.Store, board Board, vault Opener, log *slog.Logger) *Teller {
	return &Teller{cfg: cfg, store: st, board: board, sender: NewSender(vault, cfg.Within), log: log, name: rand.Text()}
}

// Sender sends what is not to wait for its turn.
func (t *Teller) Sender() *Sender { return t.sender }

// Run tells until ctx ends. Whatever fails is tried again.
func (t *Teller) Run(ctx context.Context) error {
	defer t.sender.close()
	var both sync.WaitGroup
	both.Go(func() { t.watch(ctx) })
	both.Go(func() { t.deliver(ctx) })
	both.Wait()
	return nil
}

// forgetEvery is how often what is too old is deleted.
const forgetEvery = time.Hour

func (t *Teller) watch(ctx context.Context) {
	var forgot time.Time
	for ctx.Err() == nil {
		err := t.look(ctx)
		if err == nil && time.Since(forgot) >= forgetEvery {
			forgot, err = time.Now(), t.store.ForgetAlerts(ctx)
		}
		switch {
		case err == nil, errors.Is(err, store.ErrNotWatching):
			t.failed = ""
		case ctx.Err() == nil && err.Error() != t.failed:
			t.failed = err.Error()
			t.log.WarnContext(ctx, "what needs attention cannot be found, trying again", "err", err)
		}
		pause(ctx, t.cfg.Every)
	}
	// Another control plane goes on at once.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = t.store.EndWatch(ctx, t.name) // or when the lease is over
}

// look looks once, if this process has the right to.
func (t *Teller) look(ctx context.Context) error {
	if err := t.store.Watch(ctx, t.name, t.cfg.Lease); err != nil {
		return err
	}
	view, err := t.board.Check(ctx)
	if err != nil {
		return err
	}
	settings, err := t.store.Settings(ctx)
	if err != nil {
		return err
	}
	s := &store.Settlement{
		Holder: t.name, Lease: t.cfg.Lease, Calm: t.cfg.Calm,
		Known: func(kind string) bool { return !view.Unknown[attention.KindOf(kind)] },
		Ends:  func(kind string) bool { return attention.KindOf(kind) != attention.BudgetWarned },
		Alert: func(event string, c *store.Condition, at time.Time) registry.Alert {
			return t.alert(event, c, at, settings.Name)
		},
	}
	for n := range view.Items {
		i := &view.Items[n]
		s.There = append(s.There, store.Condition{
			ID: i.ID(), Kind: attention.Name(i.Kind), Severity: int16(i.Severity), ObjectKind: i.ObjectKind, ObjectID: i.ObjectID,
			ObjectName: i.ObjectName, TeamID: i.TeamID, Sentence: i.Sentence, Figure: i.Figure, Since: i.Since,
		})
	}
	return t.store.Settle(ctx, s)
}

func (t *Teller) alert(event string, c *store.Condition, at time.Time, deployment string) registry.Alert {
	a := registry.Alert{
		Event: event, Kind: c.Kind, Severity: attention.SeverityName(c.Severity), Sentence: c.Sentence, Figure: c.Figure, Condition: c.ID,
		Object: registry.AlertObject{Kind: c.ObjectKind, ID: c.ObjectID, Name: c.ObjectName}, Since: c.Since.UTC(), Time: at.UTC(),
		Deployment: deployment, Link: link(t.cfg.ConsoleURL, c),
	}
	if event == registry.AlertEnd && c.Gone != nil {
		gone := c.Gone.UTC()
		a.Ended = &gone
	}
	return a
}

// pages are the console's, by the kind of an object.
var pages = map[string]string{
	"budget": "/budgets", "edge": "/edges", "endpoint": "/endpoints", "model": "/endpoints", "key": "/keys", "secret": "/secrets",
}

func link(base string, c *store.Condition) string {
	if base == "" {
		return ""
	}
	page := pages[c.ObjectKind]
	if page != "" && c.ObjectKind != "model" && c.ObjectKind != "secret" {
		page += "/" + url.PathEscape(c.ObjectName)
	}
	return strings.TrimRight(base, "/") + page
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
