package lifecycle

import (
	"context"
	"runtime/debug"
	"runtime/pprof"
	"sync"
)

// Group owns the background goroutines of one component. The zero value is
// ready. The component calls Stop when it closes, and nothing of it runs on.
type Group struct {
	// OnPanic, if set, is told of a goroutine that panicked, after the
	// group's context has been ended so that the rest winds up. Where it is
	// nil a panic ends the process, as it would without a group: a component
	// that has silently lost a goroutine is worse than one that is restarted.
	// It must be set before the first Go.
	OnPanic func(name string, value any, stack []byte)

	mu      sync.Mutex // guards the fields below
	ctx     context.Context
	cancel  context.CancelFunc
	stopped bool
	wg      sync.WaitGroup
}

// Go runs f until it returns; f ends when its context does. The name marks the
// goroutine in profiles. After Stop it does nothing and returns false.
func (g *Group) Go(name string, f func(ctx context.Context)) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return false
	}
	g.init()
	ctx := g.ctx
	g.wg.Go(func() {
		if g.OnPanic != nil {
			defer func() {
				if v := recover(); v != nil {
					stack := debug.Stack()
					g.cancel()
					g.OnPanic(name, v, stack)
				}
			}()
		}
		pprof.Do(ctx, pprof.Labels("goroutine", name), f)
	})
	return true
}

// Stop ends the context of all goroutines and waits for them. It may be called
// again, and from several goroutines, but not from one of the group's own.
func (g *Group) Stop() {
	g.mu.Lock()
	g.init()
	g.stopped = true
	g.cancel()
	g.mu.Unlock()
	g.wg.Wait()
}

func (g *Group) init() {
	if g.ctx == nil {
		g.ctx, g.cancel = context.WithCancel(context.Background())
	}
}
