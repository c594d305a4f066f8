package main

import (
	"context"

	"tollgate/loadtest/deployment"
)

// restarts stops and starts all edges but the last, one after the other, until the time is over.
func restarts(ctx, over context.Context, o options, b *deployment.Balancer, w *watch) error {
	for i := 0; deployment.Pause(over, o.restart); i++ {
		back := b.Backends[i%(len(b.Backends)-1)]
		if err := back.Edge.Stop(); err != nil {
			return err
		}
		w.ended()
		if err := back.Edge.Start(); err != nil {
			return err
		}
		if err := back.Edge.AwaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}
