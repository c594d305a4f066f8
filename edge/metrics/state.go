package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Breaker is a target whose breaker is not closed.
type Breaker struct {
	Target   string
	HalfOpen bool
}

// Target is one target of one endpoint.
type Target struct {
	Endpoint, Target            string
	State                       string // one of TargetStates
	SkipVerify                  bool   // its certificates are not verified
	Attempts, Failures, Retries int64
	InFlight                    int64
}

// TargetStates are the states that a target can be in.
var TargetStates = []string{"ok", "open", "half-open", "ejected", "unhealthy"}

// Credential is one of the vendor credentials of an endpoint.
type Credential struct {
	Endpoint, Credential string
	Paused               bool // the vendor has asked to wait
	Refused              int64
}

// State is where an edge stands, asked for at each scrape.
type State struct {
	Ready       bool
	Epoch       int64
	Revision    int64
	Keys        int
	SpoolEvents int64
	SpoolAge    time.Duration
	Breakers    []Breaker
	Targets     []Target     // all that are configured
	Credentials []Credential // all that are configured
	// What came of the configuration, in values: taken into use, not newer than what was in use, and
	// refused as unusable.
	ConfigApplied, ConfigStale, ConfigRefused uint64
}

// Watch adds what read tells to every scrape. It is called once.
func (m *Metrics) Watch(read func() State) { m.registry.MustRegister(&watcher{read}) }

type watcher struct{ read func() State }

var (
	descReady    = prometheus.NewDesc("tollgate_edge_ready", "1 if the edge should get traffic.", nil, nil)
	descEpoch    = prometheus.NewDesc("tollgate_edge_config_epoch", "Epoch of the configuration in use.", nil, nil)
	descRevision = prometheus.NewDesc("tollgate_edge_config_revision", "Revision of the configuration in use.", nil, nil)
	descKeys     = prometheus.NewDesc("tollgate_edge_keys", "Keys known.", nil, nil)
	descEvents   = prometheus.NewDesc("tollgate_edge_spool_events", "Events on disk that the ledger has not confirmed.", nil, nil)
	descAge      = prometheus.NewDesc("tollgate_edge_spool_age_seconds", "Age of the oldest of them.", nil, nil)
	descValues   = prometheus.NewDesc("tollgate_edge_config_values_total", "Values of the configuration that came, by what became of them.", []string{"result"}, nil)
	descBreaker  = prometheus.NewDesc("tollgate_edge_breaker_state", "Breakers that are not closed: 1 half-open, 2 open.", []string{"target"}, nil)

	ofTarget     = []string{"endpoint", "target"}
	descAttempts = prometheus.NewDesc("tollgate_target_attempts_total", "Requests that were sent to a target, or for which it could not be reached.", ofTarget, nil)
	descFailures = prometheus.NewDesc("tollgate_target_failures_total", "Those of them that got no answer, or one of 5xx.", ofTarget, nil)
	descRetries  = prometheus.NewDesc("tollgate_target_retries_total", "Those of them that were made because an earlier one of the same request failed.", ofTarget, nil)
	descFlying   = prometheus.NewDesc("tollgate_target_in_flight", "Requests to a target whose answer has not ended.", ofTarget, nil)
	descState    = prometheus.NewDesc("tollgate_target_state", "1 for the state that a target is in, 0 for the others.", []string{"endpoint", "target", "state"}, nil)
	descTLS      = prometheus.NewDesc("tollgate_target_tls_not_verified", "1 for each target whose certificates are not verified.", ofTarget, nil)

	ofCredential = []string{"endpoint", "credential"}
	descPaused   = prometheus.NewDesc("tollgate_credential_paused", "1 while a credential waits because the vendor has asked to.", ofCredential, nil)
	descRejected = prometheus.NewDesc("tollgate_credential_refused_total", "Answers 401 and 403 to requests with a credential.", ofCredential, nil)
)

// Describe is part of prometheus.Collector.
func (w *watcher) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descReady, descEpoch, descRevision, descKeys, descEvents, descAge, descValues, descBreaker,
		descAttempts, descFailures, descRetries, descFlying, descState, descTLS, descPaused, descRejected} {
		ch <- d
	}
}

// Collect is part of prometheus.Collector.
func (w *watcher) Collect(ch chan<- prometheus.Metric) {
	s := w.read()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	ready := 0.0
	if s.Ready {
		ready = 1
	}
	gauge(descReady, ready)
	gauge(descEpoch, float64(s.Epoch))
	gauge(descRevision, float64(s.Revision))
	gauge(descKeys, float64(s.Keys))
	gauge(descEvents, float64(s.SpoolEvents))
	gauge(descAge, s.SpoolAge.Seconds())
	for result, n := range map[string]uint64{"applied": s.ConfigApplied, "stale": s.ConfigStale, "refused": s.ConfigRefused} {
		ch <- prometheus.MustNewConstMetric(descValues, prometheus.CounterValue, float64(n), result)
	}
	for _, b := range s.Breakers {
		state := 2.0
		if b.HalfOpen {
			state = 1
		}
		gauge(descBreaker, state, b.Target)
	}
	w.targets(ch, s)
}

// targets has one series of each kind for each target that is configured, so that a dashboard sees
// what is in trouble and what was never tried alike.
func (w *watcher) targets(ch chan<- prometheus.Metric, s State) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, float64(v), labels...)
	}
	oneIf := map[bool]int64{true: 1}
	for _, t := range s.Targets {
		send(descAttempts, prometheus.CounterValue, t.Attempts, t.Endpoint, t.Target)
		send(descFailures, prometheus.CounterValue, t.Failures, t.Endpoint, t.Target)
		send(descRetries, prometheus.CounterValue, t.Retries, t.Endpoint, t.Target)
		send(descFlying, prometheus.GaugeValue, t.InFlight, t.Endpoint, t.Target)
		for _, state := range TargetStates {
			send(descState, prometheus.GaugeValue, oneIf[t.State == state], t.Endpoint, t.Target, state)
		}
		if t.SkipVerify {
			send(descTLS, prometheus.GaugeValue, 1, t.Endpoint, t.Target)
		}
	}
	for _, c := range s.Credentials {
		send(descPaused, prometheus.GaugeValue, oneIf[c.Paused], c.Endpoint, c.Credential)
		send(descRejected, prometheus.CounterValue, c.Refused, c.Endpoint, c.Credential)
	}
}
