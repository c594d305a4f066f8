package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// longestRun bounds everything.
const longestRun = 30 * time.Minute

// options are the command line.
type options struct {
	only      []string // names of proxies
	scenarios []scenario
	rounds    int
	slice     time.Duration
	streams   int    // that are open and silent
	profile   string // file for the profile of the edge's CPU
	write     bool   // the results into the documents
	getenv    func(string) string
}

// What a run is like, and a short one.
const (
	usualRounds, shortRounds   = 7, 2
	usualSlice, shortSlice     = time.Second, 250 * time.Millisecond
	usualStreams, shortStreams = 2000, 500
	leastSlice                 = 50 * time.Millisecond
)

// ours is the name of our own among the proxies.
const ours = "tollgate"

func proxyNames() []string {
	names := []string{ours}
	for _, p := range peers {
		names = append(names, p.name)
	}
	return names
}

func parseOptions(args []string, getenv func(string) string, out io.Writer) (options, error) {
	o := options{getenv: getenv}
	var only, names string
	var short bool
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&only, "only", strings.Join(proxyNames(), ","), "proxies to run, comma-separated")
	f.StringVar(&names, "scenario", strings.Join(scenarioNames(), ","), "what to run, comma-separated")
	f.BoolVar(&short, "short", false, "few and short rounds: shows that everything works, and no more than roughly what it costs")
	f.IntVar(&o.rounds, "rounds", 0, fmt.Sprintf("rounds of each scenario (%d)", usualRounds))
	f.DurationVar(&o.slice, "slice", 0, fmt.Sprintf("how long each proxy has its turn in a round (%s)", usualSlice))
	f.IntVar(&o.streams, "streams", 0, fmt.Sprintf("streams that are open and silent (%d)", usualStreams))
	f.StringVar(&o.profile, "cpuprofile", "", "file for a profile of the edge's CPU, taken beside JSON of 1 KB after the rounds")
	f.BoolVar(&o.write, "write", false, "write the results into docs/performance.md and docs/images/performance.svg")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.defaults(short)
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.rounds < 1:
		return o, fmt.Errorf("--rounds: %d is not positive", o.rounds)
	case o.slice < leastSlice:
		return o, fmt.Errorf("--slice: %s is less than %s", o.slice, leastSlice)
	case o.streams < 1:
		return o, fmt.Errorf("--streams: %d is not positive", o.streams)
	}
	for name := range strings.SplitSeq(only, ",") {
		if !slices.Contains(proxyNames(), name) {
			return o, fmt.Errorf("--only: there is no %q, only %s", name, strings.Join(proxyNames(), ", "))
		}
		o.only = append(o.only, name)
	}
	for name := range strings.SplitSeq(names, ",") {
		if !slices.Contains(scenarioNames(), name) {
			return o, fmt.Errorf("--scenario: there is no %q, only %s", name, strings.Join(scenarioNames(), ", "))
		}
	}
	for _, s := range scenarios { // in the order in which they have to be
		if slices.Contains(strings.Split(names, ","), s.name) {
			o.scenarios = append(o.scenarios, s)
		}
	}
	switch {
	case o.profile != "" && (!slices.Contains(o.only, ours) || !o.has(plainJSON)):
		return o, fmt.Errorf("--cpuprofile: it needs %s and the scenario %s", ours, plainJSON)
	case o.write && (len(o.only) < len(proxyNames()) || len(o.scenarios) < len(scenarios)):
		return o, errors.New("--write: the documents have all proxies and all scenarios")
	}
	return o, nil
}

// defaults fills in what was not set.
func (o *options) defaults(short bool) {
	rounds, slice, streams := usualRounds, usualSlice, usualStreams
	if short {
		rounds, slice, streams = shortRounds, shortSlice, shortStreams
	}
	if o.rounds == 0 {
		o.rounds = rounds
	}
	if o.slice == 0 {
		o.slice = slice
	}
	if o.streams == 0 {
		o.streams = streams
	}
}

// has says whether a scenario is played.
func (o *options) has(names ...string) bool {
	return slices.ContainsFunc(o.scenarios, func(s scenario) bool { return slices.Contains(names, s.name) })
}
