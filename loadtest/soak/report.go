package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"tollgate/internal/money"
)

// report is what everybody has seen.
type report struct {
	began   time.Time
	took    time.Duration
	traffic *traffic
	vendors *vendors
	changes *changes
	watch   *watch
	silence *silence
	failed  error // of a change, a restart or a look at an edge
	settled error // what the edges kept
	books   error
	stopped error
	logged  []string
}

func (r *report) print(out io.Writer) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(out, "  %-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	t := r.traffic
	p50, p99 := t.quantiles()
	var requests, failures int64
	for _, n := range t.done {
		requests += n
	}
	for _, n := range t.failures {
		failures += n
	}
	row("requests", "%d in %s: %s", requests, r.took.Round(time.Second), byName(t.done))
	row("", "%d whose callers left, %d errors that the vendor was asked for, %d sent to another edge", t.left, t.byVendor, t.b.Moved.Load())
	row("streams", "%d open at most", t.mostOpen)
	row("silence", "%d streams open all the time, for each of which the edge keeps %.1f KB, and had %.1f KB more resident memory", len(r.silence.open),
		r.silence.each(liveOf)/1e3, r.silence.each(rssOf)/1e3)
	row("failures", "%d: %s", failures, byName(t.failures))
	row("latency", "p50 %.2f ms, p99 %.2f ms", p50.Seconds()*1e3, p99.Seconds()*1e3)
	row("changes", "%s; %d restarts", byName(r.changes.made), r.watch.lives)
	var owed money.Nanos
	var paid int64
	for kind, n := range r.vendors.counts {
		paid += n
		owed += r.vendors.owed[kind]
	}
	row("vendor", "%d answers that are paid for, $%s", paid, owed)
	for _, at := range r.curve() {
		row("edge", "%s", at)
	}
	for _, line := range slices.Concat(t.told, r.vendors.wrong, r.logged) {
		row("!", "%.600s", line)
	}
}

// curve is what the edge that never restarts kept: before, at the start, in the middle and at the end
// of the traffic, and after it.
func (r *report) curve() (lines []string) {
	line := func(when string, s sample) {
		lines = append(lines, fmt.Sprintf("%-8s %4d MB, %6d goroutines, %5d files, %5d in flight", when, s.rss>>20, s.goroutines, s.files, s.inFlight))
	}
	line("before", r.watch.rest)
	if list := r.watch.samples; len(list) > 0 {
		line("start", list[0])
		line("middle", list[len(list)/2])
		line("end", list[len(list)-1])
	}
	line("after", r.watch.after)
	return lines
}

func byName(counts map[string]int64) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(list, ", ")
}

// What may grow. Memory, from the first third of the run to the last: a tenth, because how many of the busy streams happen to be on this
// edge differs with the restarts of the others, and what a collection of garbage more or less makes. Goroutines and files, to the last quarter, come in waves, because connections are kept for some time after an edge
// that restarts has sent its share here: their highest wave may be a fifth higher. What is left of them
// when the traffic is over is counted one by one.
const (
	spareMemory = 16 << 20
	// fewSamples are too few to tell growth from the time that a new process takes to reach its usual size.
	fewSamples = 120
)

// verdict says all that is wrong.
func (r *report) verdict() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	t := r.traffic
	for kind, n := range t.failures {
		fail("%d requests of kind %s failed, and not by the vendor's doing", n, kind)
	}
	for kind := range prices {
		if t.done[kind] == 0 {
			fail("no request of kind %s was served", kind)
		}
	}
	if t.left == 0 {
		fail("no caller left")
	}
	if want := t.o.streams; t.mostOpen < want*3/4 {
		fail("only %d of %d streams were open at a time", t.mostOpen, want)
	}
	if r.watch.lives == 0 {
		fail("no edge was restarted")
	}
	for _, what := range r.vendors.wrong {
		fail("the vendor: %s", what)
	}
	for _, line := range r.logged {
		fail("in a log: %.300s", line)
	}
	errs = append(errs, r.growth()...)
	for what, err := range map[string]error{"while it ran": r.failed, "left behind": r.settled, "the books": r.books, "at the end": r.stopped, "last use": errors.Join(r.changes.errs...)} {
		if err != nil {
			fail("%s: %w", what, err)
		}
	}
	return errors.Join(errs...)
}

// growth is what an edge keeps more and more of.
func (r *report) growth() (errs []error) {
	list := r.watch.samples
	if len(list) < fewSamples {
		return nil
	}
	early, last := list[:len(list)*3/4], list[len(list)*3/4:]
	fail := func(what string, before, after int64, when string) {
		errs = append(errs, fmt.Errorf("%s of the edge that never restarts grew from %d to %d in the last %s of the run", what, before, after, when))
	}
	if before, after := median(list[:len(list)/3], rssOf), median(list[len(list)*2/3:], rssOf); after > before+before/10+spareMemory {
		fail("bytes of memory", before, after, "third")
	}
	for what, of := range map[string]func(sample) int64{"goroutines": goroutinesOf, "files": filesOf} {
		if before, after := peak(early, of), peak(last, of); after > before+before/5 {
			fail(what, before, after, "quarter")
		}
	}
	return errs
}
