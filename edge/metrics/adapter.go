package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// AdapterResult says what became of a call to an adapter that users run.
type AdapterResult uint8

// The results.
const (
	AdapterOK          AdapterResult = iota
	AdapterRefused                   // it said that a request cannot be translated
	AdapterFailed                    // it answered with an error, with nonsense, too much or too late
	AdapterUnreachable               // it could not be reached, or was left alone because it could not be before
	AdapterAbandoned                 // the caller was gone first
)

// adapterResults are their names, by number.
var adapterResults = [...]string{"ok", "refused", "failed", "unreachable", "abandoned"}

// Adapter is what the calls to one adapter count.
type Adapter struct {
	results  [len(adapterResults)]prometheus.Counter
	duration prometheus.Observer
}

// adapters are the instruments of all adapters.
type adapters struct {
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// adapterBuckets begin where an adapter beside the edge answers.
var adapterBuckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

func newAdapters(r prometheus.Registerer) adapters {
	a := adapters{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tollgate_adapter_calls_total", Help: "Requests, answers and events that adapters were asked to translate, by what became of it.",
		}, []string{"adapter", "result"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tollgate_adapter_call_duration_seconds", Help: "How long adapters took for a request, an answer or an event.", Buckets: adapterBuckets,
		}, []string{"adapter"}),
	}
	r.MustRegister(a.calls, a.duration)
	return a
}

// Adapter is what calls to an adapter count. It costs lookups by name, once for an exchange.
func (m *Metrics) Adapter(name string) *Adapter {
	a := &Adapter{duration: m.adapters.duration.WithLabelValues(name)}
	for i, result := range adapterResults {
		a.results[i] = m.adapters.calls.WithLabelValues(name, result)
	}
	return a
}

// ForgetAdapter drops the series of an adapter that is no longer configured.
func (m *Metrics) ForgetAdapter(name string) {
	labels := prometheus.Labels{"adapter": name}
	m.adapters.calls.DeletePartialMatch(labels)
	m.adapters.duration.DeletePartialMatch(labels)
}

// Done counts a call that is over.
func (a *Adapter) Done(result AdapterResult, took time.Duration) {
	a.results[result].Inc()
	a.duration.Observe(took.Seconds())
}
