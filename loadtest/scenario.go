package main

import (
	"context"
	"embed"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
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
	requests int64 // how many the key's budget is for; 0 for more than will ever be sent
	atRate   bool  // it sends at the rate and for the time of the command line
}

// ampleBudget is far more than any run spends.
const ampleBudget = 10_000 * money.Dollar

var scenarios = map[string]scenario{
	"smoke":  {atRate: true},
	"budget": {requests: 500},
}

func scenarioNames() []string { return slices.Sorted(maps.Keys(scenarios)) }

func (s scenario) budget() money.Nanos {
	if s.requests == 0 {
		return ampleBudget
	}
	return money.Nanos(s.requests) * price
}

// bound is how long a scenario may take.
func (s scenario) bound(o options) time.Duration {
	if s.atRate {
		return o.duration + 2*time.Minute
	}
	return 3 * time.Minute
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
	script, err := unpack(sc.name, dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s: %d edges\n", sc.name, len(s.gateways))
	v.guard(k.secret)
	before := v.count()
	load, err := runK6(ctx, o, script, s.gateways, k.secret, sc, out)
	if err != nil {
		return err
	}
	r := report{load: load, limit: sc.requests, vendor: v.count() - before, leaked: v.leakedKeys()}
	r.ledger, err = s.awaitBooked(ctx, k.id, r.vendor)
	if err != nil {
		return err
	}
	r.print(out)
	return r.verdict()
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
