package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"tollgate/loadtest/compare/load"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sample are results of two rounds in which NGINX was twice as slow in the second.
func sample() *results {
	turns := func(first, second float64) []slice {
		one := func(cpu float64) slice {
			return slice{cpu: time.Duration(cpu * float64(time.Microsecond)), perSecond: 50_000 / cpu, p50: time.Millisecond, p99: 3 * time.Millisecond}
		}
		return []slice{one(first), one(second)}
	}
	h := func(values ...int64) *hdrhistogram.Histogram {
		h := load.NewHistogram()
		for _, v := range values {
			_ = h.RecordValue(v)
		}
		return h
	}
	json := played{
		scenario: scenario{name: plainJSON, title: "JSON & more", unit: "request"}, order: []string{ours, reference, "caddy"},
		turns: map[string][]slice{ours: turns(9, 18), reference: turns(10, 20), "caddy": turns(80, 161)},
	}
	return &results{
		machine: "A processor, 2 cores", date: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), rounds: 2, slice: time.Second,
		versions:  map[string]string{ours: "this one", reference: "1.22.1", "caddy": "v2.11.9"},
		scenarios: []played{json},
		features: played{
			scenario: scenario{title: "Features", unit: "request"}, order: []string{everythingOn, reference, "without any"},
			turns: map[string][]slice{everythingOn: turns(10, 20), reference: turns(10, 20), "without any": turns(8, 16)},
		},
		latency: []rate{{
			title: "1 connection", perSecond: 2000, late: map[string]*hdrhistogram.Histogram{direct: h(50_000), ours: h(80_000), reference: h(70_000)},
			behind: map[string]bool{reference: true},
		}},
		streams: 1000, silent: map[string]int64{ours: 15 << 10, reference: 18 << 10},
		memory: []memory{{ours, false, 50 << 20}, {ours, true, 60 << 20}, {reference, false, 20 << 20}},
		booked: []*books{{sent: sent{requests: 7}, owed: 7 * requestPrice}},
		left:   []string{"left out: haproxy: it is not installed\nand more"},
	}
}

// Guarantee: proxies are compared with what the reference took in the same round, so that a machine which got slower
// between rounds changes nothing.
func TestRatioIsOfTheSameRound(t *testing.T) {
	t.Parallel()
	p := sample().scenarios[0]
	if got := p.ratio(ours, reference); got != 0.9 {
		t.Errorf("ratio %v, want 0.9", got)
	}
	if got := p.ratio("haproxy", reference); got != 0 {
		t.Errorf("ratio of a proxy that did not run: %v", got)
	}
	p.turns[ours] = p.turns[ours][:1]
	if got := p.ratio(ours, reference); got != 0.9 {
		t.Errorf("ratio of one round %v, want 0.9", got)
	}
}

// Guarantee: the CPU of a turn is that of each unit, and streams count by their events.
func TestTurnCountsUnits(t *testing.T) {
	t.Parallel()
	h := load.NewHistogram()
	for i := range 100 {
		_ = h.RecordValue(int64(i+1) * 1_000_000)
	}
	got := sliceOf(scenario{each: 100}, load.Result{Done: 20, Took: 2 * time.Second, Late: h.Export()}, 4*time.Millisecond)
	if got.cpu != 2*time.Microsecond || got.perSecond != 1000 {
		t.Errorf("got %s per event and %.0f events/s, want 2µs and 1000", got.cpu, got.perSecond)
	}
	if got.p50.Round(time.Millisecond) != 50*time.Millisecond || got.p99.Round(time.Millisecond) != 99*time.Millisecond {
		t.Errorf("p50 %s and p99 %s, want 50ms and 99ms", got.p50, got.p99)
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		list []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(c.list); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.list, got, c.want)
		}
	}
}

// Guarantee: results look as people were shown them before.
func TestGolden(t *testing.T) {
	t.Parallel()
	var terminal bytes.Buffer
	sample().print(&terminal)
	for name, got := range map[string][]byte{
		"terminal.txt": terminal.Bytes(), "document.md": []byte(sample().markdown()), "picture.svg": sample().picture(),
	} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs (go test -update writes it anew):\n%s", name, got)
		}
	}
}

// Guarantee: what is written into the document leaves everything that people wrote as it is.
func TestDocumentKeepsItsWords(t *testing.T) {
	t.Parallel()
	document := "# Before\n\n" + beginMark + "\nold\n" + endMark + "\n\nafter\n"
	got, err := between([]byte(document), "new\n")
	if want := strings.Replace(document, "\nold\n", "\n\nnew\n\n", 1); err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if again, err := between(got, "new\n"); err != nil || !bytes.Equal(again, got) {
		t.Errorf("written twice: %q, %v", again, err)
	}
	for _, broken := range []string{"", beginMark, endMark + beginMark} {
		if _, err := between([]byte(broken), "new"); err == nil {
			t.Errorf("%q was taken", broken)
		}
	}
	real, err := os.ReadFile(filepath.Join("..", "..", documentFile))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := between(real, "new"); err != nil {
		t.Errorf("%s: %v", documentFile, err)
	}
}
