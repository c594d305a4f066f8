package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const summary = `{"metrics": {
	"http_reqs": {"count": 1500, "rate": 99.97},
	"http_req_duration": {"p(50)": 1.5, "p(95)": 4.25, "p(99)": 12.5, "thresholds": {"p(95)<500": false}},
	"checks": {"passes": 6, "fails": 1, "value": 0.8, "thresholds": {"rate==1.0": true}},
	"dropped_iterations": {"count": 2, "rate": 0.1, "thresholds": {"count==0": true}},
	"paid_requests": {"count": 1499, "rate": 99.9},
	"refused_requests": {"count": 1, "rate": 0.1}
}}`

func TestParseSummary(t *testing.T) {
	t.Parallel()
	got, err := parseSummary([]byte(summary))
	if err != nil {
		t.Fatal(err)
	}
	want := load{
		requests: 1500, perSecond: 99.97,
		p50: 1500 * time.Microsecond, p95: 4250 * time.Microsecond, p99: 12500 * time.Microsecond,
		paid: 1499, refused: 1, failed: []string{"checks rate==1.0", "dropped_iterations count==0"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(load{})); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{"", "[]", `{"metrics": {}}`, `{"metrics": {"checks": {"value": 1}}}`} {
		if got, err := parseSummary([]byte(text)); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func right() report {
	return report{
		load:   load{requests: 1500, perSecond: 99.97, p50: 1500 * time.Microsecond, p95: 4 * time.Millisecond, p99: time.Second, paid: 500, refused: 1000},
		limit:  500,
		vendor: 500,
		ledger: booked{requests: 500, cost: 500 * price, whole: true},
	}
}

// Guarantee: a run passes only if callers, vendor and ledger agree to the last request and the last
// nano-dollar, and the budget was spent whole and not exceeded.
func TestVerdict(t *testing.T) {
	t.Parallel()
	if err := right().verdict(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(*report)
		want  string
	}{
		"a nano-dollar too little":  {func(r *report) { r.ledger.cost-- }, "the ledger has booked $1.249999999, but the vendor's 500 requests cost $1.25"},
		"a nano-dollar too much":    {func(r *report) { r.ledger.cost++ }, "the ledger has booked $1.250000001"},
		"a request lost on the way": {func(r *report) { r.load.paid-- }, "callers got 499 paid answers, but the vendor served 500 requests"},
		"budget exceeded": {func(r *report) {
			r.load.paid, r.vendor, r.ledger.cost = 501, 501, 501*price
		}, "the budget was for 500 requests, but the vendor served 501"},
		"budget not spent": {func(r *report) {
			r.load.paid, r.vendor, r.ledger.cost = 499, 499, 499*price
		}, "the budget was for 500 requests, but the vendor served 499"},
		"nothing happened":   {func(r *report) { *r = report{ledger: booked{whole: true}} }, "no request was answered"},
		"spools not drained": {func(r *report) { r.ledger.whole = false }, "had not confirmed"},
		"threshold missed":   {func(r *report) { r.load.failed = []string{"checks rate==1.0"} }, "k6: checks rate==1.0 was missed"},
		"key leaked":         {func(r *report) { r.leaked = 1 }, "1 requests brought the caller's key"},
	} {
		r := right()
		c.spoil(&r)
		if err := r.verdict(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	right().print(&out)
	const want = `  requests  1500, 100.0 a second: 500 paid, 1000 refused for the budget
  latency   p50 1.50 ms, p95 4.00 ms, p99 1000.00 ms
  vendor    500 requests, $1.25 at $0.0025 each
  ledger    500 requests, $1.25
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
