package metrics_test

import (
	"io"
	"log/slog"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
	"tollgate/ledger/metrics"
	"tollgate/ledger/store"
)

func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	body, err := io.ReadAll(w.Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("%d %v", w.Code, err)
	}
	return string(body)
}

// Guarantee: every decision and every flush is counted by what came of it, and where the partitions stand
// is told as it is at the scrape; of a partition that another ledger leads, only that.
func TestCounting(t *testing.T) {
	t.Parallel()
	m := metrics.New()
	m.Watch(func() []metrics.Part {
		return []metrics.Part{{Part: 0, Leading: true, Epoch: 4, History: 2, Accounts: 9, Lag: 3}, {Part: 1, Lag: -1}}
	})
	w := contract.Window{Account: 1}
	m.Leased(3, escrow.Outcome{
		Answers: []escrow.Answer{{State: escrow.Granted}, {State: escrow.Pending}, {State: escrow.Exhausted}},
		Recalls: []escrow.Recall{{Window: w, Inc: 1}, {Window: w, Inc: 2}},
		Healed:  []escrow.Healed{{Window: w, Inc: 1, Nanos: 70}}, Forced: 5,
		Grants: map[contract.Window]money.Nanos{w: 40},
	})
	m.Booked(2, store.Booked{Events: 700, Forced: 6}, 1)
	m.Warned(3)
	text := scrape(t, m)
	for _, line := range []string{
		"lease_lines_total 3", "grants_total 1", "granted_nanos_total 40", `refusals_total{state="pending"} 1`,
		`refusals_total{state="exhausted"} 1`, `refusals_total{state="unknown"} 0`, "recalls_total 2", "healed_nanos_total 70",
		"forced_nanos_total 11", "booked_batches_total 2", "booked_events_total 700", "anomalies_total 2", "warnings_total 3",
		`leading{part="0"} 1`, `leading{part="1"} 0`, `epoch{part="0"} 4`, `history{part="0"} 2`, `accounts{part="0"} 9`,
		`stream_lag_messages{part="0"} 3`,
	} {
		if !strings.Contains(text, "tollgate_ledger_"+line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if strings.Contains(text, `epoch{part="1"}`) {
		t.Error("something is told of a partition that is not led")
	}
}

// Guarantee: names, units and helps follow the conventions of Prometheus, and a label takes values of
// a closed set only.
func TestConventions(t *testing.T) {
	t.Parallel()
	m := metrics.New()
	m.Watch(func() []metrics.Part { return []metrics.Part{{Leading: true}} })
	text := scrape(t, m)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, found := range regexp.MustCompile(`[{,](\w+)="`).FindAllStringSubmatch(text, -1) {
		if l := found[1]; l != "part" && l != "state" && l != "quantile" && l != "version" {
			t.Errorf("label %s", l)
		}
	}
}
