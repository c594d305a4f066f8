package main

import (
	"context"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Rates of the open loop: one that leaves nearly all of the machine idle, and half of what the reference carries, or so many
// where that is not known.
const (
	calmRate    = 2000
	unknownRate = 20000
	direct      = "no proxy"
)

// rate is an open loop with what came of it.
type rate struct {
	title       string
	perSecond   int
	connections int
	late        map[string]*hdrhistogram.Histogram
	behind      map[string]bool // who could not keep up
}

// playLatency asks all proxies, and the vendor itself, for answers at fixed rates.
func (f *field) playLatency(ctx context.Context, s scenario, capacity float64) ([]rate, error) {
	half := unknownRate
	if capacity > 0 {
		half = int(capacity / 2)
	}
	rates := []rate{
		{title: "1 connection", perSecond: calmRate, connections: 1},
		{title: fmt.Sprintf("%d connections, half of what NGINX carries", connections), perSecond: half, connections: connections},
	}
	vendorItself := &proxy{name: direct, plain: f.at.Plain, key: otherKey, settled: unbooked}
	list := append(f.subjects(s), subject{name: direct, proxy: vendorItself, key: otherKey})
	for i := range rates {
		r := &rates[i]
		r.late, r.behind = map[string]*hdrhistogram.Histogram{}, map[string]bool{}
		s.job.Rate, s.job.Connections = r.perSecond, r.connections
		for range f.o.rounds {
			for _, one := range shuffled(list) {
				if err := f.latencyTurn(ctx, s, one, r); err != nil {
					return nil, fmt.Errorf("%s: %w", one.name, err)
				}
			}
		}
	}
	return rates, nil
}

// muchLonger is how much longer than it should a turn takes of whom cannot keep up.
const muchLonger = 1.25

func (f *field) latencyTurn(ctx context.Context, s scenario, one subject, r *rate) error {
	c, err := startLoad(ctx, f.job(s, one))
	if err != nil {
		return err
	}
	got, err := f.finish(ctx, c, one)
	if err != nil {
		return err
	}
	if got.Behind || float64(got.Took) > muchLonger*float64(f.o.slice) {
		r.behind[one.name] = true
	}
	all := hdrhistogram.Import(got.Late)
	if before := r.late[one.name]; before != nil {
		before.Merge(all)
	} else {
		r.late[one.name] = all
	}
	return nil
}

func unbooked(context.Context, sent) error { return nil }

// at is the latency that a share of the answers, in percent, does not exceed.
func (r rate) at(name string, percent float64) time.Duration {
	return time.Duration(r.late[name].ValueAtQuantile(percent))
}
