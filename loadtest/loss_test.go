package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/internal/gobuild"
	"tollgate/internal/money"
	"tollgate/internal/program"
	"tollgate/internal/testenv"
	"tollgate/loadtest/deployment"
)

// enoughVariable names the file whose presence ends the traffic of fakeLoss.
const enoughVariable = "LOADTEST_TEST_ENOUGH"

// Guarantee: an edge that is killed with -9 under traffic takes only what it had with it, every other request is served by another edge, and
// when it has been started again the ledger has what the vendor has counted.
func TestLoss(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	tollgate, enough := filepath.Join(dir, "tollgate"), filepath.Join(dir, "enough")
	if err := gobuild.Build(t.Context(), tollgate, gobuild.Tollgate); err != nil {
		t.Fatal(err)
	}
	t.Setenv(faultVariable, "")
	t.Setenv(enoughVariable, enough)
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	out := &trigger{word: "answers again", fire: func() {
		if err := os.WriteFile(enough, nil, 0o600); err != nil {
			t.Error(err)
		}
	}}
	o, err := parseOptions([]string{"--scenario", "loss", "--duration", "2s", "--rate", "40"}, env(map[string]string{"K6": self, "TOLLGATE": tollgate}), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	o.database = testenv.PostgresURL(t, nil)
	if err := playLoss(t.Context(), o, o.scenarios[0], dir, out); err != nil {
		t.Errorf("%v\n%s", err, out.buf.String())
	}
}

// fakeLoss sends slow and quick requests until it is told that they are enough.
func fakeLoss(gateway, summary string) error {
	var mu sync.Mutex
	counts := map[string]int{}
	count := func(name string) {
		mu.Lock()
		defer mu.Unlock()
		counts[name]++
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var all sync.WaitGroup
	for n := 0; ; n++ {
		if _, err := os.Stat(os.Getenv(enoughVariable)); err == nil {
			break
		}
		path := map[bool]string{true: "/load/v1/slow", false: "/load/v1/echo"}[n%5 == 0]
		all.Go(func() { count(outcome(gateway+path, os.Getenv("KEY"))) })
		<-tick.C
	}
	all.Wait()
	if counts["failed"] > 0 {
		return fmt.Errorf("%v", counts)
	}
	raw, err := json.Marshal(map[string]any{"metrics": map[string]any{
		"http_reqs":     map[string]any{"count": counts["paid"] + counts["lost"]},
		"paid_requests": map[string]any{"count": counts["paid"]},
		"lost_requests": map[string]any{"count": counts["lost"]},
	}})
	return errors.Join(err, os.WriteFile(summary, raw, 0o600))
}

func outcome(url, key string) string {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		return "failed"
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "failed"
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	switch {
	case err == nil && resp.StatusCode == http.StatusOK && string(text) == "{}":
		return "paid"
	case resp.StatusCode == http.StatusBadGateway && resp.Header.Get(lostHeader) != "":
		return "lost"
	default:
		return "failed"
	}
}

// Guarantee: the balancer excuses the failure of a request only if its edge was killed while it had the request, and tells callers so.
func TestFrontExcuses(t *testing.T) {
	t.Parallel()
	came, gone := make(chan struct{}, 9), make(chan struct{})
	breaks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/-/readyz" {
			came <- struct{}{}
			<-gone
			panic(http.ErrAbortHandler)
		}
	}))
	defer breaks.Close()
	addr := strings.TrimPrefix(breaks.URL, "http://")
	b := deployment.NewBalancer(t.Context(), []*deployment.Edge{{Addr: addr, Admin: addr, Process: &deployment.Process{Program: program.Program{Name: "edge-1"}}}})
	defer b.Stop()
	if err := b.AwaitAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	f, err := startFront(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	defer f.stop()
	first := make(chan string)
	go func() { first <- outcome(f.url()+"/load/v1/echo", "") }()
	<-came
	if had := f.kill(breaks.URL, func() { close(gone) }); had != 1 {
		t.Errorf("it had %d requests; want 1", had)
	}
	if got := <-first; got != "lost" || len(f.lost) != 1 || len(f.wrong) != 0 {
		t.Errorf("%s, lost %v, wrong %v", got, f.lost, f.wrong)
	}
	if got := outcome(f.url()+"/load/v1/echo", ""); got != "failed" || len(f.lost) != 1 || len(f.wrong) != 1 {
		t.Errorf("after it was dead: %s, lost %v, wrong %v", got, f.lost, f.wrong)
	}
}

// Guarantee: a run in which an edge was lost passes only if nothing else failed, and only what it may have sent can be booked beyond what the
// vendor has counted.
func TestLossVerdict(t *testing.T) {
	t.Parallel()
	lossy := func() report {
		r := right()
		r.limit, r.load.refused = 0, 0
		r.load.paid, r.load.lost, r.vendor = 497, 5, 500
		r.loss = &loss{edge: "edge-1", had: 5, lost: 5, served: 3, after: 9}
		return r
	}
	for _, spare := range []int64{0, 1, 2} {
		r := lossy()
		r.ledger.cost += money.Nanos(spare) * price
		if err := r.verdict(); err != nil {
			t.Errorf("%d more booked: %v", spare, err)
		}
		var out bytes.Buffer
		if r.print(&out); !strings.Contains(out.String(), "5 lost (3 of them served)") {
			t.Errorf("it printed\n%s", out.String())
		}
	}
	for name, c := range map[string]struct {
		spoil func(*report)
		want  string
	}{
		"another failure":   {func(r *report) { r.loss.wrong = []string{"POST: EOF"} }, "another edge could have served: POST: EOF"},
		"a complaint":       {func(r *report) { r.loss.logged = []string{"level=ERROR"} }, "level=ERROR"},
		"more than lost":    {func(r *report) { r.load.lost = 6 }, "callers saw 6"},
		"twice":             {func(r *report) { r.loss.twice = 1 }, "more than once"},
		"an idle edge":      {func(r *report) { r.loss.had = 0 }, "had no request"},
		"never back":        {func(r *report) { r.loss.after = 0 }, "answered nothing"},
		"too much booked":   {func(r *report) { r.ledger.cost += 3 * price }, "the ledger has booked"},
		"too little":        {func(r *report) { r.ledger.cost-- }, "the ledger has booked"},
		"an answer gone":    {func(r *report) { r.load.paid-- }, "496 paid answers"},
		"a spool not empty": {func(r *report) { r.ledger.whole = false }, "had not confirmed"},
	} {
		r := lossy()
		c.spoil(&r)
		if err := r.verdict(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}
