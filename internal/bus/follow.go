package bus

import (
	"context"
	"time"
)

// followAgain is how long to wait after following has failed.
const followAgain = time.Second

// Follow runs follow whenever there is a connection, and again after it has failed, until the context ends, whatever happens to
// NATS. A failure that lasts is told to failed once.
func (c *Conn) Follow(ctx context.Context, follow func(context.Context) error, failed func(error)) {
	last := ""
	for ctx.Err() == nil {
		err := c.AwaitConnected(ctx)
		if err == nil {
			err = follow(ctx)
		}
		if err != nil && ctx.Err() == nil && err.Error() != last {
			last = err.Error()
			failed(err)
		}
		t := time.NewTimer(followAgain)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
}
