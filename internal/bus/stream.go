package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// EnsureStream makes the stream exist with this configuration: it creates a
// missing one and changes one that differs. Settings that a server cannot
// change on an existing stream are an error that says which, and the stream
// stays as it is; nothing is ever deleted to make room for the new form.
// Several processes may call it at once.
func (c *Conn) EnsureStream(ctx context.Context, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	// Creating a stream that exists in the same form succeeds, and the server
	// compares better than this side could: it knows the defaults it fills in.
	s, err := c.js.CreateStream(ctx, cfg)
	if err == nil {
		return s, nil
	}
	if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return nil, fmt.Errorf("create stream %s: %w", cfg.Name, err)
	}
	s, err = c.js.UpdateStream(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("stream %s exists with other settings that cannot be changed: %w", cfg.Name, err)
	}
	return s, nil
}
