// Package lifecycle starts the parts of a process in order, watches them and
// stops them last-started first, so that whatever feeds a part is gone before
// the part is. Nothing it starts outlives it unnoticed: a part that will not
// stop and a goroutine that panics are both reported.
//
// It is not a supervisor. A part that fails is never restarted; the process
// stops in good order and whatever started the process starts it again.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"
)

// lastWords is what parts share after the drain time is used up. Without it a
// listener with one slow client would cost the spool its closing sync.
const lastWords = 2 * time.Second

// Part is one long-lived piece of a process.
type Part struct {
	Name string

	// Run blocks until its context ends or it fails. A part without Run is one
	// that only has to be stopped, such as a connection.
	Run func(context.Context) error

	// Ready, if set, returns once the part can serve the parts after it, which
	// are not started before. Its context ends when the process is to stop or
	// when a part started so far has fallen.
	Ready func(context.Context) error

	// Stop, if set, asks Run to finish gently. The context of Run ends only
	// after Stop has returned.
	Stop func(context.Context) error
}

type running struct {
	Part
	cancel context.CancelFunc
	done   chan struct{} // closed after err is set
	err    error
}

// Run starts parts in order and waits for ctx to end or for one of them to
// return, then stops them one at a time, last started first. All the gentle
// stops together get the drain time, and what remains then is cancelled. It
// returns nil only if ctx ended and every part stopped without an error.
func Run(ctx context.Context, drain time.Duration, parts ...Part) error {
	// Parts must survive the end of ctx: it is what begins the drain.
	base := context.WithoutCancel(ctx)
	fell := make(chan string, len(parts))
	starting, startFailed := context.WithCancel(ctx)
	defer startFailed()

	var up []*running
	var errs []error
	for _, p := range parts {
		if starting.Err() != nil {
			break
		}
		up = append(up, start(base, p, func() {
			fell <- p.Name
			startFailed()
		}))
		if p.Ready == nil {
			continue
		}
		if err := p.Ready(starting); err != nil {
			// After a fall or a request to stop, the error is only an echo.
			if starting.Err() == nil {
				errs = append(errs, fmt.Errorf("%s did not get ready: %w", p.Name, err))
			}
			startFailed()
			break
		}
	}
	if len(errs) == 0 {
		select {
		case <-ctx.Done():
		case name := <-fell:
			errs = append(errs, fmt.Errorf("%s returned early", name))
		}
	}
	errs = append(errs, stopAll(base, drain, up)...)
	return errors.Join(errs...)
}

func start(base context.Context, p Part, ended func()) *running {
	ctx, cancel := context.WithCancel(base)
	r := &running{Part: p, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		defer ended()
		// One part's bug must not take the orderly stop from the others.
		defer func() {
			if v := recover(); v != nil {
				r.err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
			}
		}()
		if p.Run == nil {
			<-ctx.Done()
			return
		}
		r.err = p.Run(ctx)
	}()
	return r
}

func stopAll(base context.Context, drain time.Duration, up []*running) []error {
	gentle, cancel := context.WithTimeout(base, drain)
	defer cancel()
	final, cancelFinal := context.WithTimeout(base, drain+lastWords)
	defer cancelFinal()

	var errs []error
	for _, r := range slices.Backward(up) {
		if r.Stop != nil {
			if err := callStop(gentle, final, r.Stop); err != nil {
				errs = append(errs, fmt.Errorf("stop %s: %w", r.Name, err))
			}
		}
		r.cancel()
		select {
		case <-r.done:
		case <-final.Done():
			// Both may be true by now; a part that has ended is not late.
			select {
			case <-r.done:
			default:
				errs = append(errs, fmt.Errorf("%s still running %s after the stop began", r.Name, drain+lastWords))
				continue
			}
		}
		if r.err != nil && !errors.Is(r.err, context.Canceled) {
			errs = append(errs, fmt.Errorf("%s: %w", r.Name, r.err))
		}
	}
	return errs
}

// callStop gives up on a stop function that ignores its context, which would
// otherwise hold up every part started before it.
func callStop(gentle, final context.Context, stop func(context.Context) error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				done <- fmt.Errorf("panic: %v\n%s", v, debug.Stack())
			}
		}()
		done <- stop(gentle)
	}()
	select {
	case err := <-done:
		return err
	case <-final.Done():
		return final.Err()
	}
}
