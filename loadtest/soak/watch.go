package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tollgate/loadtest/deployment"
)

// sample is what an edge keeps at a time.
type sample struct {
	at         time.Duration
	rss        int64 // bytes
	live       int64 // bytes of the heap and of stacks
	files      int
	goroutines int
	inFlight   int
}

// watch looks at the edges from outside, once a second. The last edge is the one that never restarts.
type watch struct {
	edges  []*deployment.Edge
	client *http.Client
	rest   sample // of the last edge before there was any traffic
	after  sample // and when it was over

	mu      sync.Mutex
	samples []sample // of the last edge
	lives   int      // of edges that have ended as they should
}

func newWatch(edges []*deployment.Edge) *watch {
	return &watch{edges: edges, client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}}
}

// steady is the edge that never restarts.
func (w *watch) steady() *deployment.Edge { return w.edges[len(w.edges)-1] }

func (w *watch) baseline(ctx context.Context) (err error) {
	w.rest, err = w.rested(ctx, w.steady())
	return err
}

// rested is how an edge is without what its configuration of the moment has it do at all times: each target that is checked has a
// goroutine, and changes take checks away and bring others.
func (w *watch) rested(ctx context.Context, e *deployment.Edge) (sample, error) {
	s, err := w.look(ctx, e)
	if err != nil {
		return s, err
	}
	stacks, err := w.ask(ctx, e, "debug/pprof/goroutine?debug=1")
	for group := range strings.SplitSeq(stacks, "\n\n") {
		if number, frames, _ := strings.Cut(group, " @"); strings.Contains(frames, "/edge/health.(*check).run") {
			n, err := strconv.Atoi(number[strings.LastIndexByte(number, '\n')+1:]) // the first one stands below a heading
			if err != nil {
				return s, err
			}
			s.goroutines -= n
		}
	}
	return s, err
}

// ended counts a life.
func (w *watch) ended() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lives++
}

// run samples until over ends.
func (w *watch) run(over context.Context) error {
	began := time.Now()
	for deployment.Pause(over, time.Second) {
		s, err := w.look(context.WithoutCancel(over), w.steady())
		if err != nil {
			return err
		}
		s.at = time.Since(began)
		w.mu.Lock()
		w.samples = append(w.samples, s)
		w.mu.Unlock()
	}
	return nil
}

// look asks the system and the edge itself.
func (w *watch) look(ctx context.Context, e *deployment.Edge) (s sample, err error) {
	proc := fmt.Sprintf("/proc/%d/", e.PID())
	status, err := os.ReadFile(proc + "status")
	if err != nil {
		return s, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				return s, err
			}
			s.rss = kb << 10
		}
	}
	files, err := os.ReadDir(proc + "fd")
	if err != nil {
		return s, err
	}
	s.files = len(files)
	metrics, err := w.ask(ctx, e, "metrics")
	if err != nil {
		return s, err
	}
	for line := range strings.Lines(metrics) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		n, _ := strconv.ParseFloat(value, 64) // what is no number is not asked for
		switch name {
		case "go_memstats_heap_inuse_bytes", "go_memstats_stack_inuse_bytes":
			s.live += int64(n)
		case "go_goroutines":
			s.goroutines = int(n)
		case "tollgate_edge_in_flight":
			s.inFlight = int(n)
		}
	}
	if s.goroutines == 0 {
		return s, fmt.Errorf("%s does not tell its goroutines", e.Name)
	}
	return s, nil
}

// collect has an edge collect its garbage: without that, most of what few streams take is what has been thrown away since the last time.
func (w *watch) collect(ctx context.Context, e *deployment.Edge) error {
	_, err := w.ask(ctx, e, "debug/pprof/heap?gc=1")
	return err
}

// ask is what an edge tells of itself at a path of its admin listener.
func (w *watch) ask(ctx context.Context, e *deployment.Edge, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.Admin+"/-/"+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// What may remain beyond what there was before the first request, and for how long: connections end
// one after the other.
const (
	settleWithin    = 30 * time.Second
	spareGoroutines = 6
	spareFiles      = 4
)

// awaitSettled returns when no edge has anything left of the traffic, or says what.
func (w *watch) awaitSettled(ctx context.Context) error {
	var left []string
	var last *deployment.Edge // of those that have something left
	for deadline := time.Now().Add(settleWithin); ; {
		left = left[:0]
		for _, e := range w.edges {
			s, err := w.rested(ctx, e)
			if err != nil {
				return err
			}
			if e == w.steady() {
				w.after = s
			}
			if s.inFlight > 0 || s.goroutines > w.rest.goroutines+spareGoroutines || s.files > w.rest.files+spareFiles {
				left = append(left, fmt.Sprintf("%s still has %d requests, %d goroutines (%d before) and %d files (%d before)",
					e.Name, s.inFlight, s.goroutines, w.rest.goroutines, s.files, w.rest.files))
				last = e
			}
		}
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) || !deployment.Pause(ctx, 200*time.Millisecond) {
			stacks, err := w.ask(ctx, last, "debug/pprof/goroutine?debug=1")
			return errors.Join(fmt.Errorf("after %s: %s\n%s", settleWithin, strings.Join(left, "; "), stacks), err)
		}
	}
}

// median of what of tells of samples.
func median(list []sample, of func(sample) int64) int64 {
	values := make([]int64, len(list))
	for i, s := range list {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// peak is the most of what of tells.
func peak(list []sample, of func(sample) int64) (most int64) {
	for _, s := range list {
		most = max(most, of(s))
	}
	return most
}

func rssOf(s sample) int64        { return s.rss }
func liveOf(s sample) int64       { return s.live }
func goroutinesOf(s sample) int64 { return int64(s.goroutines) }
func filesOf(s sample) int64      { return int64(s.files) }
