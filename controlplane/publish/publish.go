// Package publish turns committed changes into values of the configuration stream. One process does
// so at a time; it reads everything that is dirty as of one revision, publishes whole values in the
// order accounts, keys, routes, head, and only then strikes them off the list. Whatever dies at
// whatever moment, the next round does the rest again.
//
//	what fails                  what follows
//	a crash before publishing   the subjects are still dirty: they are published
//	a crash while publishing    the same; readers of the head have not been told of half a revision
//	a crash before recording    the stream is ahead of the records: a new epoch, everything again
//	the database, restored      the stream is ahead of the records: a new epoch, everything again
//	NATS away                   changes stay dirty; on its return the stream is compared
//	the stream, wiped or old    it is compared and republished
//	the sealing key, changed    the stream names the old one: everything again, as a new revision
//	a version before this one   what it did not know is missing: likewise, as soon as this one leads
//	a second publisher          it has no lock; one that lost it unaware is refused by the sequence
//	                            numbers that each publish expects
//
// It decides nothing about the configuration itself, and it never waits for a reader.
package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
)

// Sealer makes of a stored secret what edges can open.
type Sealer interface {
	Seal(id, name string, envelope []byte) ([]byte, error)
	SealingKeyID() []byte
}

// Config says how to publish.
type Config struct {
	Partitions uint32 // of the ledger, over which accounts are spread
	Replicas   int    // of the stream
}

const (
	sweepEvery = 10 * time.Minute
	poll       = time.Second            // between looks at the database and the stream without a notification
	retry      = 250 * time.Millisecond // after something failed, twice as long each time
	mostRetry  = 4 * time.Second
	ackWithin  = 5 * time.Second // for all acknowledgements of one group

	// knows is raised by each release that adds something to a value. While two releases run, the one before may
	// publish what was made through this one, and leave that out.
	knows = 1
)

// Publisher publishes. Make it with New and run it with Run.
type Publisher struct {
	cfg    Config
	store  *store.Store
	bus    *bus.Conn
	sealer Sealer
	log    *slog.Logger
	failed string // last failure logged, so that a lasting one is one line

	encoded map[*registry.Endpoint][]byte // endpoints as they were published last
}

// New makes a publisher; the connection and the store stay their owner's.
func New(cfg Config, st *store.Store, conn *bus.Conn, sealer Sealer, log *slog.Logger) *Publisher {
	return &Publisher{cfg: cfg, store: st, bus: conn, sealer: sealer, log: log}
}

// Run publishes, or waits to, until the context ends. Nothing that can mend itself ends it.
func (p *Publisher) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		lead, err := p.store.Lead(ctx)
		switch {
		case err == nil:
			p.log.InfoContext(ctx, "publishing begins")
			err = p.lead(ctx, lead)
			lead.Close()
			p.report(ctx, err)
		case errors.Is(err, store.ErrNotLeader):
		default:
			p.report(ctx, err)
		}
		pause(ctx, poll)
	}
	return nil
}

// lead publishes as long as the right to is held. It returns when the database has failed; failures
// of the stream are tried again.
func (p *Publisher) lead(ctx context.Context, lead *store.Lead) error {
	s := &session{Publisher: p, lead: lead}
	wait := retry
	for ctx.Err() == nil {
		err := s.round(ctx)
		switch {
		case err == nil:
			p.failed, wait = "", retry
			if err := s.sweep(ctx); err != nil {
				return err
			}
			if err := lead.Wait(ctx, poll); err != nil {
				return err
			}
		case errors.Is(err, errStream):
			s.mirror = nil
			p.report(ctx, err)
			// The wait also tells whether the right is still held.
			if err := s.ping(ctx); err != nil {
				return err
			}
			pause(ctx, wait)
			if wait = min(2*wait, mostRetry); !p.bus.Connected() {
				wait = retry // its return is to be noticed soon
			}
		default:
			return err
		}
	}
	return ctx.Err()
}

func (p *Publisher) report(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil || err.Error() == p.failed {
		return
	}
	p.failed = err.Error()
	p.log.WarnContext(ctx, "publishing failed, trying again", "err", err)
}

// pause waits out the time or the context.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// errStream marks failures of the stream, after which its state is not known.
var errStream = errors.New("configuration stream")

func streamError(err error) error { return fmt.Errorf("%w: %w", errStream, err) }

// session is one time of holding the right to publish. In it the database cannot have been
// restored, because that would have broken the connection.
type session struct {
	*Publisher
	lead       *store.Lead
	mirror     *mirror          // what the stream has; nil when that is not known
	checked    time.Time        // when the mirror was last compared with the stream
	reconnects uint64           // of the connection, when the mirror was read
	attempted  contract.Version // newest version that this session has sent
	swept      time.Time        // when old secrets of keys were last looked for
}

// sweep has secrets forgotten that have stopped working long ago. What is left is done the next time.
func (s *session) sweep(ctx context.Context) error {
	if time.Since(s.swept) < sweepEvery {
		return nil
	}
	n, err := s.store.ForgetOldKeySecrets(ctx)
	if err != nil {
		return err
	}
	if n == 0 {
		s.swept = time.Now()
		return nil
	}
	s.log.InfoContext(ctx, "old secrets of keys forgotten", "secrets", n)
	return nil
}

func (s *session) ping(ctx context.Context) error {
	_, err := s.lead.State(ctx)
	return err
}

// round brings the stream up to date once.
func (s *session) round(ctx context.Context) error {
	if !s.bus.Connected() {
		return streamError(errors.New("not connected to NATS"))
	}
	if err := s.verify(ctx); err != nil {
		return err
	}
	fresh := s.mirror == nil
	if fresh {
		if err := s.load(ctx); err != nil {
			return err
		}
	}
	state, err := s.lead.State(ctx)
	if err != nil {
		return err
	}
	var all bool
	if fresh {
		if all, err = s.compare(ctx, state); err != nil {
			return err
		}
	}
	if !all && state.Current == state.Published {
		return nil
	}
	return s.publish(ctx, all)
}

// verify forgets the mirror if the stream is not as this session left it.
func (s *session) verify(ctx context.Context) error {
	if s.mirror == nil || time.Since(s.checked) < poll && s.reconnects == s.bus.NATS().Stats().Reconnects {
		return nil
	}
	same, err := s.mirror.same(ctx, s.bus.JetStream())
	if err != nil {
		return streamError(err)
	}
	s.checked = time.Now()
	if !same || s.reconnects != s.bus.NATS().Stats().Reconnects {
		s.mirror = nil
	}
	return nil
}

func (s *session) load(ctx context.Context) error {
	reconnects := s.bus.NATS().Stats().Reconnects
	stream, err := s.bus.EnsureStream(ctx, jetstream.StreamConfig{
		Name:              contract.StreamConfig,
		Subjects:          []string{contract.ConfigSubjects},
		Storage:           jetstream.FileStorage,
		MaxMsgsPerSubject: 1,
		Discard:           jetstream.DiscardOld,
		AllowDirect:       true,
		Replicas:          s.cfg.Replicas,
	})
	if err != nil {
		return streamError(err)
	}
	m, err := readMirror(ctx, stream)
	if err != nil {
		return streamError(err)
	}
	s.mirror, s.checked, s.reconnects = m, time.Now(), reconnects
	return nil
}

// compare says whether everything must be published again, and begins a new epoch if the stream has
// seen a history that the database has not.
func (s *session) compare(ctx context.Context, state store.State) (all bool, err error) {
	known := state.Published
	if s.attempted.Newer(known) {
		known = s.attempted
	}
	if newest := s.mirror.newest(); newest.Newer(known) {
		v, err := s.lead.NewEpoch(ctx, newest.Epoch)
		if err != nil {
			return false, err
		}
		s.log.WarnContext(ctx, "stream is ahead of the database, which was restored or ended while publishing: new epoch",
			"stream", newest.String(), "database", state.Current.String(), "published", state.Published.String(), "epoch", v.Epoch)
		return true, nil
	}
	head, ok := s.mirror.values[contract.ConfigHead]
	if !ok || state.Published.Newer(head.version) || state.Current.Epoch != state.Published.Epoch {
		s.log.InfoContext(ctx, "stream is empty or behind the database: publishing everything",
			"stream", head.version.String(), "published", state.Published.String())
		return true, nil
	}
	if other := !bytes.Equal(s.mirror.sealing, s.sealer.SealingKeyID()); other || s.mirror.knows < knows {
		// Edges take nothing that is not newer than what they have.
		v, err := s.lead.NewRevision(ctx)
		if err != nil {
			return false, err
		}
		s.log.InfoContext(ctx, "sealing key was changed, or a version before this one has published: publishing everything again",
			"version", v.String(), "sealing_key_changed", other)
		return true, nil
	}
	subjects, err := s.lead.Subjects(ctx)
	if err != nil {
		return false, err
	}
	for _, subject := range subjects {
		if v, ok := s.mirror.values[subject]; !ok || v.version == (contract.Version{}) {
			s.log.WarnContext(ctx, "stream has lost a value: publishing everything", "subject", subject)
			return true, nil
		}
	}
	return false, nil
}

// publish sends what is dirty, or everything, and records that it did.
func (s *session) publish(ctx context.Context, all bool) error {
	var more []string
	if all {
		subjects, err := s.lead.Subjects(ctx)
		if err != nil {
			return err
		}
		// Shards that the stream has and the database has not are sent as well, empty.
		more = append(subjects, s.mirror.subjects()...)
	}
	cfg, err := s.lead.Read(ctx, more)
	if err != nil {
		return err
	}
	began := time.Now()
	groups, err := s.values(ctx, cfg)
	if err != nil {
		return err
	}
	s.attempted = cfg.Current
	sent := 0
	for _, group := range groups {
		if err := s.send(ctx, cfg.Current, group); err != nil {
			return streamError(err)
		}
		sent += len(group)
	}
	// A stop that comes now must not leave the record undone: that would cost an epoch.
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if all {
		err = s.lead.DoneAll(finish, cfg.Current)
	} else {
		err = s.lead.Done(finish, cfg.Current, cfg.Dirty)
	}
	if err != nil {
		return err
	}
	s.log.InfoContext(ctx, "published", "version", cfg.Current.String(), "values", sent, "everything", all, "took", time.Since(began))
	return nil
}
