package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"tollgate/loadtest/deployment"
)

// loss is what came of an edge that was killed under traffic and started again.
type loss struct {
	edge   string
	had    int           // requests that it had then
	down   time.Duration // until it was ready again
	moved  int64         // requests that went to another edge
	lost   int64         // requests that it took with it
	served int64         // of these, how many had come to the vendor
	after  int64         // answers that it gave after it had been started again
	twice  int64         // requests that came to the vendor more than once
	wrong  []string      // failures that have nothing to do with it
	logged []string      // complaints
}

// unsent is how many of the lost requests had not come to the vendor. The edge may have written down that it would send them, and then
// they are booked as if it had: nobody can know.
func (l *loss) unsent() int64 { return l.lost - l.served }

func (l *loss) String() string {
	return fmt.Sprintf("%s was killed with %d requests and ready again after %s; %d lost (%d of them served), %d sent to another edge, %d answered by it afterwards",
		l.edge, l.had, l.down.Round(time.Millisecond), l.lost, l.served, l.moved, l.after)
}

// verdict says all that is wrong, if callers were told of heard lost requests.
func (l *loss) verdict(heard int64) (errs []error) {
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, what := range l.wrong {
		fail("a request failed that another edge could have served: %s", what)
	}
	for _, line := range l.logged {
		fail("in a log: %.300s", line)
	}
	if l.lost != heard {
		fail("%d requests were lost with the edge, but callers saw %d", l.lost, heard)
	}
	if l.twice > 0 {
		fail("%d requests came to the vendor more than once", l.twice)
	}
	if l.had == 0 {
		fail("%s had no request when it was killed", l.edge)
	}
	if l.after == 0 {
		fail("%s answered nothing after it had been started again", l.edge)
	}
	return errs
}

// drain is how long an edge that stops waits for its requests, of which the longest takes much less.
const drain = 10 * time.Second

// playLoss runs a deployment of processes behind a balancer, and kills an edge of it under traffic.
func playLoss(ctx context.Context, o options, sc scenario, dir string, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, sc.bound(o))
	defer cancel()
	v, err := startVendor(ctx)
	if err != nil {
		return err
	}
	defer v.stop()
	d, err := deployment.Start(ctx, deployment.Options{Dir: filepath.Join(dir, sc.name), Tollgate: o.tollgate, DatabaseURL: o.database, Edges: o.edges, Drain: drain})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Stop()) }()
	b := deployment.NewBalancer(ctx, d.Edges)
	defer b.Stop()
	f, err := startFront(ctx, b)
	if err != nil {
		return err
	}
	defer f.stop()
	s := &stack{edges: o.edges, banner: banner{gateways: []string{f.url()}}, clients: newClients(d.Server, deployment.AdminToken)}
	if err := s.createEndpoint(ctx, v.url()); err != nil {
		return err
	}
	k, err := s.createKey(ctx, sc)
	if err != nil {
		return err
	}
	if err := errors.Join(s.awaitLive(ctx), b.AwaitAll(ctx)); err != nil {
		return err
	}
	script, err := unpack(sc.name, dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s: %d edges behind a balancer\n", sc.name, o.edges)
	v.guard(k.secret)
	r := report{loss: &loss{edge: d.Edges[0].Name}}
	if r.load, err = sendLosing(ctx, o, sc, script, k.secret, f, d.Edges[0], v, r.loss, out); err != nil {
		return err
	}
	r.loss.count(f, v)
	r.vendor, r.leaked = v.count(), v.leakedKeys()
	if r.ledger, err = s.awaitBooked(ctx, []string{k.id}, r.vendor, r.loss.unsent()); err != nil {
		return err
	}
	r.loss.logged = d.Complaints()
	r.print(out)
	return r.verdict()
}

// count takes what the balancer and the vendor have seen.
func (l *loss) count(f *front, v *vendor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l.moved, l.lost, l.wrong, l.twice = f.balancer.Moved.Load(), int64(len(f.lost)), f.wrong, v.cameTwice()
	for _, number := range f.lost {
		if v.cameHere(number) > 0 {
			l.served++
		}
	}
}

// sendLosing runs k6, and loses an edge meanwhile.
func sendLosing(ctx context.Context, o options, sc scenario, script, secret string, f *front, e *deployment.Edge, v *vendor, l *loss, out io.Writer) (load, error) {
	out = &serial{w: out}
	during, end := context.WithCancel(ctx)
	defer end()
	var failed error
	var wg sync.WaitGroup
	wg.Go(func() { failed = l.happen(during, o, sc, f, e, v, out) })
	sent, err := runK6(ctx, o, script, []string{f.url()}, secret, sc, out)
	end()
	wg.Wait()
	return sent, errors.Join(err, failed)
}

// happen kills the edge when a fifth of the traffic has been sent, and starts it again after another fifth.
func (l *loss) happen(ctx context.Context, o options, sc scenario, f *front, e *deployment.Edge, v *vendor, out io.Writer) error {
	base := "http://" + e.Addr
	fifth := int64(float64(o.rate) * sc.lasts(o).Seconds() / 5)
	if err := until(ctx, "a fifth of the traffic was served", func() bool { return v.count() >= fifth }); err != nil {
		return err
	}
	if err := until(ctx, e.Name+" had a request", func() bool { n, _ := f.has(base); return n > 0 }); err != nil {
		return err
	}
	l.had = f.kill(base, e.Kill)
	killed, before := time.Now(), v.count()
	// What is killed is started again whatever happens, so that it can be stopped as all others.
	waited := until(ctx, "the other edges served a fifth of the traffic", func() bool { return v.count() >= before+fifth })
	if err := errors.Join(waited, e.Start()); err != nil {
		return err
	}
	_, answered := f.has(base)
	if err := e.AwaitReady(ctx); err != nil {
		return err
	}
	l.down = time.Since(killed)
	if err := until(ctx, e.Name+" answered after it had been started again", func() bool { _, n := f.has(base); return n > answered }); err != nil {
		return err
	}
	fmt.Fprintf(out, "  %s was killed and answers again\n", e.Name)
	<-ctx.Done() // the end of the traffic
	_, now := f.has(base)
	l.after = now - answered
	return nil
}

// until waits for something that must be so before the traffic ends.
func until(ctx context.Context, what string, is func() bool) error {
	for !is() {
		if !deployment.Pause(ctx, time.Millisecond) {
			return fmt.Errorf("the traffic ended before %s", what)
		}
	}
	return nil
}

// serial is a writer for several at a time.
type serial struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *serial) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}
