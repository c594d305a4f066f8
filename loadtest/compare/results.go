package main

import (
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"tollgate/loadtest/compare/load"
)

// results is all that was measured.
type results struct {
	machine   string
	date      time.Time
	rounds    int
	slice     time.Duration
	versions  map[string]string // of proxies
	scenarios []played
	features  played
	latency   []rate
	streams   int              // that were open and silent
	silent    map[string]int64 // bytes of each of them, by proxy
	memory    []memory
	booked    []*books
	left      []string // out
}

// memory is what was resident when all was over.
type memory struct {
	name  string
	tls   bool // of an edge for callers in TLS, which is a process of its own
	bytes int64
}

// played is a scenario with the turns of each subject, round by round.
type played struct {
	scenario

	order []string // of the subjects
	turns map[string][]slice
}

// slice is one turn.
type slice struct {
	cpu       time.Duration // of the proxy, for each unit
	perSecond float64
	p50, p99  time.Duration
}

// reference is the proxy that the others are compared with.
const reference = "nginx"

func sliceOf(s scenario, r load.Result, cpu time.Duration) slice {
	done := float64(r.Done) * float64(max(s.each, 1))
	late := hdrhistogram.Import(r.Late)
	return slice{
		cpu: time.Duration(float64(cpu) / done), perSecond: done / r.Took.Seconds(),
		p50: time.Duration(late.ValueAtQuantile(50)), p99: time.Duration(late.ValueAtQuantile(99)),
	}
}

// ratio is the median of the ratios to another subject in each round; 0 without one.
func (p played) ratio(name, to string) float64 {
	base := p.turns[to]
	var list []float64
	for i, one := range p.turns[name] {
		if i < len(base) && base[i].cpu > 0 {
			list = append(list, float64(one.cpu)/float64(base[i].cpu))
		}
	}
	return median(list)
}

func (p played) cpu(name string) time.Duration {
	return of(p.turns[name], func(s slice) time.Duration { return s.cpu })
}

func (p played) perSecond(name string) float64 {
	return of(p.turns[name], func(s slice) float64 { return s.perSecond })
}

// of is the median of one figure over all rounds.
func of[T float64 | time.Duration](list []slice, figure func(slice) T) T {
	var all []T
	for _, one := range list {
		all = append(all, figure(one))
	}
	return median(all)
}

func median[T float64 | time.Duration](list []T) T {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	middle := len(list) / 2
	if len(list)%2 == 1 {
		return list[middle]
	}
	return (list[middle-1] + list[middle]) / 2
}

// capacity is how many requests the reference carries a second; 0 if that is not known.
func (r *results) capacity() float64 {
	for _, p := range r.scenarios {
		if p.name == plainJSON {
			return p.perSecond(reference)
		}
	}
	return 0
}
