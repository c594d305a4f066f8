package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// silence is streams that are opened before all other traffic, tell one event and are then silent until the traffic is over. All of them go
// through the edge that never restarts, whose memory is watched.
type silence struct {
	c       *caller
	watch   *watch
	vendors *vendors
	before  sample // without them
	with    sample // and with all of them, before other traffic

	mu   sync.Mutex // guards what follows
	open []silent
}

// silent is one of them.
type silent struct {
	seed uint64
	body io.ReadCloser
}

func newSilence(t *traffic, w *watch, v *vendors) *silence {
	own := t.b.Apart()
	own.Backends = own.Backends[len(own.Backends)-1:]
	return &silence{c: &caller{t: t, kind: "silent", own: own}, watch: w, vendors: v}
}

// openers is how many streams are opened at a time.
const openers = 32

// begin opens all streams and sees what the edge keeps for them.
func (q *silence) begin(ctx context.Context) (err error) {
	if q.before, err = q.rest(ctx); err != nil {
		return err
	}
	left := make(chan struct{}, q.c.t.o.silent)
	for range q.c.t.o.silent {
		left <- struct{}{}
	}
	close(left)
	failed := make([]error, openers)
	var all sync.WaitGroup
	for i := range openers {
		all.Go(func() {
			for range left {
				if failed[i] = q.one(ctx); failed[i] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	for _, err := range failed {
		if err != nil {
			return fmt.Errorf("open a silent stream: %w", err)
		}
	}
	q.with, err = q.rest(ctx)
	return err
}

// one opens a stream and takes its one event.
func (q *silence) one(ctx context.Context) error {
	s := seed()
	resp, err := q.c.open(ctx, s, 1)
	if err != nil {
		return err
	}
	if err := expect(resp.Body, event(s, 0)); err != nil {
		_ = resp.Body.Close()
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open = append(q.open, silent{s, resp.Body})
	return nil
}

// rest is what the edge keeps when it has thrown away what it does not need.
func (q *silence) rest(ctx context.Context) (sample, error) {
	if err := q.watch.collect(ctx, q.watch.steady()); err != nil {
		return sample{}, err
	}
	return q.watch.look(ctx, q.watch.steady())
}

// run waits until over ends, and then has each stream come to its end, which must be whole.
func (q *silence) run(ctx, over context.Context) error {
	defer q.close()
	<-over.Done()
	q.vendors.endSilence()
	for _, s := range q.open {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		began := time.Now()
		err := expect(s.body, lastEvent)
		if err == nil {
			err = atEnd(s.body)
		}
		if err != nil {
			err = fmt.Errorf("a silent stream at its end %w", err)
		}
		q.c.t.ended(q.c, time.Since(began), err)
	}
	return nil
}

// close closes all streams, also those of a run that has failed.
func (q *silence) close() {
	for _, s := range q.open {
		_ = s.body.Close()
	}
	q.c.own.CloseIdle()
}

// atEnd makes sure that nothing more comes.
func atEnd(r io.Reader) error {
	more, err := io.ReadAll(r)
	switch {
	case err != nil:
		return fmt.Errorf("broke off: %w", err)
	case len(more) > 0:
		return fmt.Errorf("had %.100q after it", more)
	}
	return nil
}

// each is the memory of the edge for one of them, by what tells it.
func (q *silence) each(of func(sample) int64) float64 {
	return float64(of(q.with)-of(q.before)) / float64(max(1, len(q.open)))
}
