package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"tollgate/loadtest/compare/load"
	"tollgate/loadtest/compare/usage"
	"tollgate/loadtest/compare/vendor"
)

// subject is a proxy as it is asked in a scenario.
type subject struct {
	name string
	*proxy

	path string // first segment, in place of the scenario's; empty for that
	key  string
}

// subjects are the proxies that can do what a scenario asks for.
func (f *field) subjects(s scenario) (list []subject) {
	for _, p := range f.proxies {
		if s.tls && p.secure != "" || !s.tls && p.plain != "" {
			list = append(list, subject{name: p.name, proxy: p, key: p.key})
		}
	}
	return list
}

// play has all scenarios played.
func (f *field) play(ctx context.Context) (*results, error) {
	r := &results{machine: machine(ctx), date: time.Now().UTC(), rounds: f.o.rounds, slice: f.o.slice, streams: f.o.streams, versions: f.versions()}
	for _, s := range f.o.scenarios {
		fmt.Fprintf(f.out, "%s: %s\n", s.name, s.title)
		var err error
		switch s.name {
		case silent:
			r.silent, err = f.playSilent(ctx, s)
		case latency:
			r.latency, err = f.playLatency(ctx, s, r.capacity())
		case features:
			r.features, err = f.playFeatures(ctx, s)
		default:
			var p played
			p, err = f.playRounds(ctx, s, f.subjects(s))
			r.scenarios = append(r.scenarios, p)
		}
		if err == nil && s.name == plainJSON && f.o.profile != "" {
			err = f.profile(ctx, s)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	for _, p := range f.proxies {
		bytes, err := usage.RSS(p.PID())
		if err != nil {
			return nil, err
		}
		r.memory = append(r.memory, memory{p.name, p.plain == "", bytes})
	}
	for _, s := range f.stacks {
		r.booked = append(r.booked, s.books)
	}
	r.left = f.left
	return r, nil
}

// playRounds gives each subject its turn in each round, in another order each time.
func (f *field) playRounds(ctx context.Context, s scenario, list []subject) (played, error) {
	p := played{scenario: s, turns: map[string][]slice{}}
	for _, one := range list {
		p.order = append(p.order, one.name)
	}
	for range f.o.rounds {
		for _, one := range shuffled(list) {
			turn, err := f.turn(ctx, s, one)
			if err != nil {
				return p, fmt.Errorf("%s: %w", one.name, err)
			}
			p.turns[one.name] = append(p.turns[one.name], turn)
		}
	}
	return p, nil
}

func shuffled[T any](list []T) []T {
	list = slices.Clone(list)
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// job is what a subject is asked in a scenario.
func (f *field) job(s scenario, one subject) load.Job {
	job, path := s.job, s.path
	if one.path != "" {
		path = one.path
	}
	job.Address, job.Path, job.Key, job.For = one.plain, "/"+path+"/"+s.what, one.key, f.o.slice
	job.Expect = vendor.Length(s.what)
	if s.tls {
		job.Address, job.CA = one.secure, f.ca
	}
	return job
}

// turn measures one subject once.
func (f *field) turn(ctx context.Context, s scenario, one subject) (slice, error) {
	c, err := startLoad(ctx, f.job(s, one))
	if err != nil {
		return slice{}, err
	}
	before, err := usage.CPU(one.PID())
	if err != nil {
		return slice{}, errors.Join(err, c.stop())
	}
	r, err := f.finish(ctx, c, one)
	if err != nil {
		return slice{}, err
	}
	after, err := usage.CPU(one.PID())
	if err != nil {
		return slice{}, err
	}
	return sliceOf(s, r, after-before), nil
}

// finish has a load begin, checks how it went and returns when the subject has nothing left to do for it.
func (f *field) finish(ctx context.Context, c *child, one subject) (load.Result, error) {
	r, err := c.begin()
	if err != nil {
		return r, err
	}
	if r.Wrong > 0 {
		return r, fmt.Errorf("%d of %d answers were wrong, the first: %s", r.Wrong, r.Sent, r.Error)
	}
	if r.Done == 0 {
		return r, errors.New("nothing was answered")
	}
	return r, one.settled(ctx, sent{r.Sent, r.Messages, r.Left})
}

const (
	steadyWithin = 5 * time.Second
	steadyEvery  = 250 * time.Millisecond
)

// playSilent finds out how much memory a silent stream takes: what is resident while many are open, beside what was before.
func (f *field) playSilent(ctx context.Context, s scenario) (map[string]int64, error) {
	perStream := map[string]int64{}
	s.job.Connections = f.o.streams
	for _, one := range f.subjects(s) {
		before, err := steady(one.proxy)
		if err != nil {
			return nil, err
		}
		c, err := startLoad(ctx, f.job(s, one))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", one.name, err)
		}
		after, err := steady(one.proxy)
		if err != nil {
			return nil, errors.Join(err, c.stop())
		}
		if _, err := f.finish(ctx, c, one); err != nil {
			return nil, fmt.Errorf("%s: %w", one.name, err)
		}
		perStream[one.name] = (after - before) / int64(f.o.streams)
	}
	return perStream, nil
}

// steady is the memory that a proxy has when it does not change any more, or after a while.
func steady(p *proxy) (int64, error) {
	const same = 64 << 10
	last, err := usage.RSS(p.PID())
	for deadline := time.Now().Add(steadyWithin); err == nil && time.Now().Before(deadline); {
		time.Sleep(steadyEvery)
		var now int64
		if now, err = usage.RSS(p.PID()); max(now-last, last-now) < same {
			return now, err
		}
		last = now
	}
	return last, err
}
