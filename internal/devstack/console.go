package devstack

import (
	"context"
	"time"
)

// setupLasts is how long the link in the banner works: for somebody who has just started this.
const setupLasts = 30 * time.Minute

// consoleAt is where the console opens.
type consoleAt struct {
	url   string
	setup bool // it sets up the first owner, once
}

func (c consoleAt) text() string {
	if c.setup {
		return c.url + "  (one-time, 30 min)"
	}
	return c.url
}

// consoleAt is a link to set up the first owner with, or the console's address where there is one.
func (s *stack) consoleAt(ctx context.Context) (consoleAt, error) {
	link, err := s.control.OfferSetup(ctx, setupLasts)
	if err != nil || link != "" {
		return consoleAt{link, true}, err
	}
	return consoleAt{url: "http://" + local(s.control.Addr())}, nil
}

// browse opens the console. That there is no browser keeps nothing from running.
func (s *stack) browse(ctx context.Context) error {
	if err := s.o.Browse(ctx, s.setup.console.url); err != nil && ctx.Err() == nil {
		s.o.Log.WarnContext(ctx, "no browser could be opened: open the console's address yourself", "err", err)
	}
	<-ctx.Done()
	return nil
}

// gateway says where callers reach the first edge. Others than this machine reach it elsewhere, where nobody here knows.
func (s *stack) gateway() func() string {
	if s.o.Serve != nil {
		return nil
	}
	return func() string { return "http://" + local(s.edges[0].Addr()) }
}
