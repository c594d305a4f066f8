package main

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"tollgate/internal/money"
)

//go:embed scenarios/*.js
var scripts embed.FS

// price of a request to the endpoint of the test. It has more decimals than a float sum keeps exact.
const price money.Nanos = 2_500_000

// scenario is one script of k6 and what must be true after it.
type scenario struct {
	name     string
	script   string        // if it is not called as the scenario is
	requests int64         // how many the key's budget is for; 0 for more than will ever be sent
	short    time.Duration // it sends at the rate of the command line for this long, or as the command line says; 0 if it has an end of its own
	churn    bool          // keys are made, rotated and revoked meanwhile
	loss     bool          // an edge is killed meanwhile, behind a balancer
}

// ampleBudget is far more than any run spends.
const ampleBudget = 10_000 * money.Dollar

var scenarios = map[string]scenario{
	"smoke":  {short: 15 * time.Second},
	"steady": {script: "traffic", short: 20 * time.Second},
	"spike":  {script: "traffic", short: 20 * time.Second},
	"soak":   {script: "traffic", short: 20 * time.Second},
	"sse":    {short: 10 * time.Second},
	"budget": {requests: 500},
	"storm":  {requests: 1000},
	"churn":  {script: "traffic", short: 15 * time.Second, churn: true},
	"loss":   {short: 20 * time.Second, loss: true},
}

func scenarioNames() []string { return slices.Sorted(maps.Keys(scenarios)) }

// shape is what the script of traffic is told.
func (s scenario) shape() string {
	if s.churn {
		return "steady"
	}
	return s.name
}

// lasts is how long the scenario sends; 0 if it has an end of its own.
func (s scenario) lasts(o options) time.Duration {
	if s.short > 0 && o.duration > 0 {
		return o.duration
	}
	return s.short
}

func (s scenario) budget() money.Nanos {
	if s.requests == 0 {
		return ampleBudget
	}
	return money.Nanos(s.requests) * price
}

// bound is how long a scenario may take.
func (s scenario) bound(o options) time.Duration {
	return s.lasts(o) + 3*time.Minute
}

// play runs a scenario with a key and a budget of its own, prints what came of it and checks it.
func (s *stack) play(ctx context.Context, o options, sc scenario, v *vendor, dir string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, sc.bound(o))
	defer cancel()
	k, err := s.createKey(ctx, sc)
	if err != nil {
		return err
	}
	if err := s.awaitLive(ctx); err != nil {
		return err
	}
	script, err := unpack(cmp.Or(sc.script, sc.name), dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s: %d edges\n", sc.name, s.edges)
	v.guard(k.secret)
	before := v.count()
	load, changed, err := s.send(ctx, o, sc, script, k.secret, out)
	if err != nil {
		return err
	}
	r := report{load: load, churn: changed, limit: sc.requests, vendor: v.count() - before, leaked: v.leakedKeys()}
	r.ledger, err = s.awaitBooked(ctx, append(changed.keys, k.id), r.vendor, 0)
	if err != nil {
		return err
	}
	r.print(out)
	return r.verdict()
}

// send runs k6, and what changes keys meanwhile.
func (s *stack) send(ctx context.Context, o options, sc scenario, script, secret string, out io.Writer) (load, *churn, error) {
	if !sc.churn {
		l, err := runK6(ctx, o, script, s.gateways, secret, sc, out)
		return l, &churn{}, err
	}
	during, end := context.WithCancel(ctx)
	defer end()
	var changed *churn
	var failed error
	var wg sync.WaitGroup
	wg.Go(func() { changed, failed = s.changeKeys(during) })
	l, err := runK6(ctx, o, script, s.gateways, secret, sc, out)
	end()
	wg.Wait()
	l.paid += changed.paid
	return l, changed, errors.Join(err, failed)
}

// unpack writes the script of a scenario where k6 can read it.
func unpack(name, dir string) (string, error) {
	text, err := scripts.ReadFile("scenarios/" + name + ".js")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name+".js")
	return path, os.WriteFile(path, text, 0o600)
}
