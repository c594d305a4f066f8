package metrics_test

import (
	"io"
	"log/slog"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"tollgate/edge/metrics"
)

func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest("GET", "/-/metrics", nil))
	body, err := io.ReadAll(w.Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("%d %v", w.Code, err)
	}
	return string(body)
}

// Guarantee: every request is counted once, by endpoint and class, from any number of goroutines.
func TestCounting(t *testing.T) {
	t.Parallel()
	m := metrics.New()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				e := m.Endpoint("bria")
				e.Done(204, time.Millisecond)
				e.Settled(5, 0)
				m.Refused("key_unknown")
			}
			m.Nowhere.Done(404, time.Millisecond)
			m.Endpoint("bria").Done(0, time.Second)
			m.Endpoint("bria").Done(999, time.Second)
		})
	}
	wg.Wait()
	text := scrape(t, m)
	for _, line := range []string{
		`tollgate_edge_requests_total{class="2xx",endpoint="bria"} 400`,
		`tollgate_edge_requests_total{class="none",endpoint="bria"} 8`,
		`tollgate_edge_requests_total{class="4xx",endpoint=""} 4`,
		`tollgate_edge_request_duration_seconds_count{endpoint="bria"} 408`,
		`tollgate_edge_spend_nanos_total{endpoint="bria"} 2000`,
		`tollgate_edge_refused_total{code="key_unknown"} 400`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
}

// Guarantee: endpoints that no longer exist leave no series behind, and come back at 0.
func TestForget(t *testing.T) {
	t.Parallel()
	m := metrics.New()
	m.Endpoint("old").Done(200, time.Second)
	m.Endpoint("new").Done(200, time.Second)
	m.Endpoint("old").Hedged()
	m.Adapter("old").Done(metrics.AdapterOK, time.Second)
	m.ForgetAdapter("old")
	m.Forget(func(name string) bool { return name == "new" })
	if text := scrape(t, m); strings.Contains(text, `"old"`) || !strings.Contains(text, `"new"`) || !strings.Contains(text, `endpoint=""`) {
		t.Error("the wrong series are left")
	}
	m.Endpoint("old").Done(200, time.Second)
	if text := scrape(t, m); !strings.Contains(text, `{class="2xx",endpoint="old"} 1`) {
		t.Error("the endpoint did not come back")
	}
}

// Guarantee: what is asked for at a scrape is what holds then.
func TestWatch(t *testing.T) {
	t.Parallel()
	m := metrics.New()
	s := metrics.State{
		Ready: true, Epoch: 2, Revision: 41, Keys: 7, SpoolEvents: 3, SpoolAge: 1500 * time.Millisecond,
		Breakers: []metrics.Breaker{{Target: "https://a"}, {Target: "https://b", HalfOpen: true}},
	}
	m.Watch(func() metrics.State { return s })
	text := scrape(t, m)
	for _, line := range []string{
		"tollgate_edge_ready 1", "tollgate_edge_config_epoch 2", "tollgate_edge_config_revision 41", "tollgate_edge_keys 7",
		"tollgate_edge_spool_events 3", "tollgate_edge_spool_age_seconds 1.5",
		`tollgate_edge_breaker_state{target="https://a"} 2`, `tollgate_edge_breaker_state{target="https://b"} 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	s.Ready, s.Breakers = false, nil
	if text := scrape(t, m); !strings.Contains(text, "tollgate_edge_ready 0\n") || strings.Contains(text, "breaker_state{") {
		t.Error("the scrape is of before")
	}
}

// Guarantee: names, units and helps follow the conventions of Prometheus, and a label takes values of
// a closed set only.
func TestConventions(t *testing.T) {
	t.Parallel()
	m := metrics.New()
	m.Watch(func() metrics.State {
		return metrics.State{
			Ready: true, Breakers: []metrics.Breaker{{Target: "https://a.example", HalfOpen: true}, {Target: "https://b.example"}},
			Targets: []metrics.Target{
				{Endpoint: "bria", Target: "https://a.example", State: "half-open", SkipVerify: true, Attempts: 9, Failures: 5, Retries: 2, InFlight: 3},
				{Endpoint: "bria", Target: "https://b.example", State: "ok"},
			},
			Credentials: []metrics.Credential{{Endpoint: "bria", Credential: "k", Paused: true, Refused: 4}},
		}
	})
	m.Endpoint("bria").Done(200, time.Second)
	m.Refused("key_unknown")
	m.Endpoint("bria").Hedged()
	m.Lanes.CallerFast.Inc()
	m.Adapter("cohere").Done(metrics.AdapterFailed, time.Millisecond)
	text := scrape(t, m)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	labels := map[string]bool{"endpoint": true, "class": true, "code": true, "target": true, "result": true, "le": true, "quantile": true, "version": true, "state": true, "credential": true, "adapter": true, "side": true, "lane": true}
	for _, found := range regexp.MustCompile(`[{,](\w+)="`).FindAllStringSubmatch(text, -1) {
		if !labels[found[1]] {
			t.Errorf("label %s", found[1])
		}
	}
	for _, line := range []string{
		`tollgate_edge_breaker_state{target="https://a.example"} 1`, `tollgate_edge_breaker_state{target="https://b.example"} 2`,
		`tollgate_edge_config_values_total{result="refused"} 0`, `tollgate_edge_ready 1`,
		`tollgate_edge_hedges_total{endpoint="bria"} 1`,
		`tollgate_edge_lane_requests_total{lane="fast",side="caller"} 1`, `tollgate_edge_lane_requests_total{lane="general",side="target"} 0`,
		`tollgate_adapter_calls_total{adapter="cohere",result="failed"} 1`,
		`tollgate_adapter_call_duration_seconds_count{adapter="cohere"} 1`,
		`tollgate_target_attempts_total{endpoint="bria",target="https://a.example"} 9`,
		`tollgate_target_failures_total{endpoint="bria",target="https://a.example"} 5`,
		`tollgate_target_retries_total{endpoint="bria",target="https://a.example"} 2`,
		`tollgate_target_in_flight{endpoint="bria",target="https://a.example"} 3`,
		`tollgate_target_state{endpoint="bria",state="half-open",target="https://a.example"} 1`,
		`tollgate_target_state{endpoint="bria",state="ok",target="https://a.example"} 0`,
		`tollgate_target_state{endpoint="bria",state="ok",target="https://b.example"} 1`,
		`tollgate_target_tls_not_verified{endpoint="bria",target="https://a.example"} 1`,
		`tollgate_credential_paused{credential="k",endpoint="bria"} 1`,
		`tollgate_credential_refused_total{credential="k",endpoint="bria"} 4`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if strings.Contains(text, `tls_not_verified{endpoint="bria",target="https://b.example"}`) {
		t.Error("a target whose certificates are verified is listed as one whose are not")
	}
}
