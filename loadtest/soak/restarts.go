package main

import (
	"context"
	"time"
)

// restarts stops and starts all edges but the last, one after the other, until the time is over.
func restarts(ctx, over context.Context, o options, b *balancer, w *watch) error {
	for i := 0; pause(over, o.restart); i++ {
		back := b.backends[i%(len(b.backends)-1)]
		if err := back.edge.stop(o.drain + 15*time.Second); err != nil {
			return err
		}
		w.ended()
		if err := back.edge.start(); err != nil {
			return err
		}
		if err := back.edge.await(ctx, "http://"+back.edge.admin+"/-/readyz"); err != nil {
			return err
		}
	}
	return nil
}
