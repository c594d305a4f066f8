// Package metrics holds the counters of an edge and answers a scrape of them. What every request
// counts is bound to its labels once, so that counting costs no lookup; labels come from closed sets:
// endpoints, status classes and codes of the catalogue, never keys or paths.
package metrics

import (
	"log/slog"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the instruments of one edge.
type Metrics struct {
	InFlight prometheus.Gauge
	Panics   prometheus.Counter
	Nowhere  *Endpoint // requests that matched no endpoint
	Load     *Load     // what there is to do at present
	Lanes    Lanes

	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	spend    *prometheus.CounterVec
	overrun  *prometheus.CounterVec
	cut      *prometheus.CounterVec
	unpriced *prometheus.CounterVec
	refused  *prometheus.CounterVec
	hedges   *prometheus.CounterVec
	adapters adapters

	endpoints sync.Map // of name to *Endpoint
	codes     sync.Map // of fault code to prometheus.Counter
}

// buckets reach from what the gateway itself takes to the longest streams.
var buckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}

// New makes the instruments.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(), Load: newLoad(),
		InFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tollgate_edge_in_flight", Help: "Requests being served.",
		}),
		Panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tollgate_edge_panics_total", Help: "Requests that failed by a bug of the edge.",
		}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tollgate_edge_requests_total", Help: "Requests by endpoint and class of the status sent.",
		}, []string{"endpoint", "class"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tollgate_edge_request_duration_seconds", Help: "From the request's headers to the end of its answer.", Buckets: buckets,
		}, []string{"endpoint"}),
		spend: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tollgate_edge_spend_nanos_total", Help: "Charged, in billionths of a US dollar.",
		}, []string{"endpoint"}),
		overrun: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tollgate_edge_overrun_nanos_total", Help: "Of what was charged, what was not held before, in billionths of a US dollar.",
		}, []string{"endpoint"}),
		cut: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tollgate_edge_cut_total", Help: "Answers that were cut off because their cost reached what could be held.",
		}, []string{"endpoint"}),
		unpriced: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tollgate_edge_unpriced_total", Help: "Requests whose target did not tell what their price counts.",
		}, []string{"endpoint"}),
		hedges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tollgate_edge_hedges_total", Help: "Second attempts that were made beside a slow one.",
		}, []string{"endpoint"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tollgate_edge_refused_total", Help: "Requests that the edge answered with an error of its own, by code.",
		}, []string{"code"}),
	}
	m.registry.MustRegister(m.InFlight, m.Panics, m.requests, m.duration, m.spend, m.overrun, m.cut, m.unpriced, m.refused, m.hedges,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.adapters, m.Lanes = newAdapters(m.registry), newLanes(m.registry)
	m.Nowhere = m.Endpoint("")
	return m
}

// Refused counts an error of the edge's own.
func (m *Metrics) Refused(code string) {
	c, ok := m.codes.Load(code)
	if !ok {
		c, _ = m.codes.LoadOrStore(code, m.refused.WithLabelValues(code))
	}
	c.(prometheus.Counter).Inc() //nolint:forcetypeassert // nothing else is stored
}

// Handler answers scrapes.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorLog: errorLog{log}})
}

type errorLog struct{ log *slog.Logger }

func (l errorLog) Println(v ...any) { l.log.Error("metrics could not be written", "err", v) }
