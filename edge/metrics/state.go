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

// State is where an edge stands, asked for at each scrape.
type State struct {
	Ready       bool
	Epoch       int64
	Revision    int64
	Keys        int
	SpoolEvents int64
	SpoolAge    time.Duration
	Breakers    []Breaker
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
)

// Describe is part of prometheus.Collector.
func (w *watcher) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descReady, descEpoch, descRevision, descKeys, descEvents, descAge, descValues, descBreaker} {
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
}
