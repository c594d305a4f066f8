package snapsync

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tollgate/internal/contract"
	"tollgate/internal/feed"
)

// again is how long to wait before the stream is looked for again.
const again = 250 * time.Millisecond

// Run follows the stream until ctx ends. That NATS or the stream is away is no reason to return.
func (s *Sync) Run(ctx context.Context) error {
	var tidying sync.WaitGroup
	tidying.Go(func() { s.tidy(ctx) })
	defer tidying.Wait()
	told := ""
	for ctx.Err() == nil {
		err := s.follow(ctx)
		if err == nil || ctx.Err() != nil {
			told = ""
			continue
		}
		if err.Error() != told {
			told = err.Error()
			level := slog.LevelWarn
			if errors.Is(err, jetstream.ErrStreamNotFound) {
				level = slog.LevelInfo // in a new deployment, until a control plane has come up
			}
			s.log.Log(ctx, level, "configuration stream cannot be followed, trying again", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
	return nil
}

// follow reads the newest value of each subject and then every change, until the stream cannot be
// read or is another one than it was. Values that were read before are not applied again: their
// versions say so.
func (s *Sync) follow(ctx context.Context) error {
	if err := s.conn.AwaitConnected(ctx); err != nil {
		return err
	}
	r, err := feed.Newest(ctx, s.conn.JetStream(), contract.StreamConfig, contract.ConfigAllKeys, contract.ConfigRoutes, contract.ConfigHead)
	if err != nil {
		return err
	}
	defer r.Close()
	return r.Each(ctx, func(m feed.Message) error {
		_ = s.apply(m.Subject, m.Data, true) // logged and counted there
		return nil
	})
}
