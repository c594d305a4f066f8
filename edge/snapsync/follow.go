package snapsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tollgate/internal/contract"
)

// again is how long to wait before the stream is looked for again.
const again = 250 * time.Millisecond

// Run follows the stream until ctx ends. That NATS or the stream is away is no reason to return.
func (s *Sync) Run(ctx context.Context) error {
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

// follow reads the newest value of each subject and then every change, until the stream is another
// one than it was or cannot be read. Values that were read before are not applied again: their
// versions say so.
func (s *Sync) follow(ctx context.Context) error {
	if err := s.conn.AwaitConnected(ctx); err != nil {
		return err
	}
	js := s.conn.JetStream()
	stream, err := js.Stream(ctx, contract.StreamConfig)
	if err != nil {
		return fmt.Errorf("stream %s: %w", contract.StreamConfig, err)
	}
	created := stream.CachedInfo().Created
	consumer, err := js.OrderedConsumer(ctx, contract.StreamConfig, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{contract.ConfigAllKeys, contract.ConfigRoutes, contract.ConfigHead},
		DeliverPolicy:  jetstream.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		return fmt.Errorf("consumer of %s: %w", contract.StreamConfig, err)
	}
	failed := make(chan error, 1)
	consuming, err := consumer.Consume(func(msg jetstream.Msg) {
		_ = s.apply(msg.Subject(), msg.Data(), true) // logged and counted there
	}, jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		// The consumer makes itself anew after a gap or a pause; these it cannot mend.
		if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerDeleted) || errors.Is(err, jetstream.ErrConsumerNotFound) {
			select {
			case failed <- err:
			default:
			}
		}
	}))
	if err != nil {
		return fmt.Errorf("consume %s: %w", contract.StreamConfig, err)
	}
	defer func() {
		consuming.Stop()
		<-consuming.Closed()
	}()

	check := time.NewTicker(s.cfg.Check)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-failed:
			return fmt.Errorf("consume %s: %w", contract.StreamConfig, err)
		case <-consuming.Closed():
			return fmt.Errorf("consumer of %s has ended", contract.StreamConfig)
		case <-check.C:
		}
		if !s.conn.Connected() {
			continue
		}
		// A stream that was deleted and made again counts from 1, where the consumer waits for what
		// comes after the last number it saw: it would wait for ever.
		asked, cancel := context.WithTimeout(ctx, s.cfg.Check)
		stream, err := js.Stream(asked, contract.StreamConfig)
		cancel()
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			return fmt.Errorf("stream %s: %w", contract.StreamConfig, err)
		case err == nil && !stream.CachedInfo().Created.Equal(created):
			s.log.Info("configuration stream is a new one")
			return nil
		}
	}
}
