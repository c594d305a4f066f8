package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gobuild"
	"tollgate/internal/testenv"
	"tollgate/loadtest/deployment"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// Guarantee: while the configuration changes and an edge restarts, no request fails that the vendor did
// not fail, no byte differs, the books are the vendor's and the edges keep nothing of the traffic.
func TestSoak(t *testing.T) {
	t.Parallel()
	o, err := parseOptions([]string{
		"--duration", "5s", "--streams", "60", "--silent", "40", "--edges", "2", "--restart", "1s", "--change", "300ms", "--shortest", "1s", "--longest", "3s",
	}, func(string) string { return "" }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	o.dir, o.databaseURL = t.TempDir(), testenv.PostgresURL(t, nil)
	o.tollgate = filepath.Join(o.dir, "tollgate")
	if err := gobuild.Build(t.Context(), o.tollgate, gobuild.Tollgate); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := soak(t.Context(), o, &out); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// Guarantee: a run cannot be asked for that would show nothing.
func TestOptions(t *testing.T) {
	t.Parallel()
	none := func(string) string { return "" }
	o, err := parseOptions([]string{"--longest", "7s", "--shortest", "2s"}, none, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.drain <= o.longest {
		t.Errorf("edges that drain for %s cut off streams of %s", o.drain, o.longest)
	}
	for want, args := range map[string][]string{
		"--edges":    {"--edges", "1"},
		"--streams":  {"--streams", "0"},
		"--silent":   {"--silent", "0"},
		"times":      {"--longest", "1s"},
		"duration":   {"--duration", "1ms"},
		"unexpected": {"short"},
	} {
		if _, err := parseOptions(args, none, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v; want %s", args, err, want)
		}
	}
}

// ran is a report of a run in which everything was right.
func ran() *report {
	r := &report{
		took:    time.Minute,
		vendors: &vendors{},
		changes: &changes{},
		watch:   &watch{lives: 2, rest: sample{rss: 40 << 20, goroutines: 40, files: 15}},
		traffic: &traffic{o: options{streams: 100}, b: &deployment.Balancer{}, done: map[string]int64{}, left: 1, mostOpen: 90, failures: map[string]int64{}},
	}
	for kind := range prices {
		r.traffic.done[kind] = 1
	}
	for range 2 * fewSamples {
		r.watch.samples = append(r.watch.samples, sample{rss: 200 << 20, goroutines: 4000, files: 2000, inFlight: 1000})
	}
	return r
}

// Guarantee: a run passes when everything was right, and fails when anything was not.
func TestVerdict(t *testing.T) {
	t.Parallel()
	if err := ran().verdict(); err != nil {
		t.Error(err)
	}
	grow := func(r *report, by sample) {
		list := r.watch.samples
		for i := range list[len(list)*3/4:] {
			s := &list[len(list)*3/4+i]
			s.rss, s.goroutines, s.files = s.rss+by.rss, s.goroutines+by.goroutines, s.files+by.files
		}
	}
	for name, c := range map[string]struct {
		spoil func(*report)
		want  string
	}{
		"a failure":         {func(r *report) { r.traffic.failures["post"] = 1 }, "1 requests of kind post failed"},
		"nothing of a kind": {func(r *report) { delete(r.traffic.done, "socket") }, "no request of kind socket"},
		"nobody left":       {func(r *report) { r.traffic.left = 0 }, "no caller left"},
		"few streams":       {func(r *report) { r.traffic.mostOpen = 70 }, "only 70 of 100 streams"},
		"no restart":        {func(r *report) { r.watch.lives = 0 }, "no edge was restarted"},
		"a leaked key":      {func(r *report) { r.vendors.wrong = []string{"it came with a key"} }, "it came with a key"},
		"a logged error":    {func(r *report) { r.logged = []string{"level=ERROR"} }, "level=ERROR"},
		"a change":          {func(r *report) { r.failed = io.ErrUnexpectedEOF }, "while it ran"},
		"goroutines left":   {func(r *report) { r.settled = io.ErrUnexpectedEOF }, "left behind"},
		"the books":         {func(r *report) { r.books = io.ErrUnexpectedEOF }, "the books"},
		"an exit code":      {func(r *report) { r.stopped = io.ErrUnexpectedEOF }, "at the end"},
		"a revocation":      {func(r *report) { r.changes.errs = []error{io.ErrUnexpectedEOF} }, "last use"},
		"more memory":       {func(r *report) { grow(r, sample{rss: 40 << 20}) }, "bytes of memory"},
		"more goroutines":   {func(r *report) { grow(r, sample{goroutines: 900}) }, "goroutines"},
		"more files":        {func(r *report) { grow(r, sample{files: 500}) }, "files"},
	} {
		r := ran()
		c.spoil(r)
		if err := r.verdict(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}
