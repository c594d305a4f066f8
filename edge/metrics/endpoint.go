package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Endpoint is what the requests of one endpoint count.
type Endpoint struct {
	classes  [6]prometheus.Counter // by first digit of the status; 0 for none
	duration prometheus.Observer
	spend    prometheus.Counter // nano-dollars
	overrun  prometheus.Counter // nano-dollars
	cut      prometheus.Counter
	unpriced prometheus.Counter
	hedges   prometheus.Counter
}

// Endpoint is what an endpoint's requests count. It costs a lookup by name.
func (m *Metrics) Endpoint(name string) *Endpoint {
	if e, ok := m.endpoints.Load(name); ok {
		return e.(*Endpoint) //nolint:forcetypeassert // nothing else is stored
	}
	e := &Endpoint{
		duration: m.duration.WithLabelValues(name), spend: m.spend.WithLabelValues(name),
		overrun: m.overrun.WithLabelValues(name), cut: m.cut.WithLabelValues(name), unpriced: m.unpriced.WithLabelValues(name),
		hedges: m.hedges.WithLabelValues(name),
	}
	for i := range e.classes {
		class := "none" // the caller was gone before there was an answer
		if i > 0 {
			class = strconv.Itoa(i) + "xx"
		}
		e.classes[i] = m.requests.WithLabelValues(name, class)
	}
	kept, _ := m.endpoints.LoadOrStore(name, e)
	return kept.(*Endpoint) //nolint:forcetypeassert // nothing else is stored
}

// Forget drops the series of endpoints that keep refuses, when the configuration has changed.
func (m *Metrics) Forget(keep func(name string) bool) {
	m.endpoints.Range(func(k, _ any) bool {
		name := k.(string) //nolint:forcetypeassert // nothing else is stored
		if name == "" || keep(name) {
			return true
		}
		m.endpoints.Delete(name)
		labels := prometheus.Labels{"endpoint": name}
		for _, v := range []interface{ DeletePartialMatch(prometheus.Labels) int }{
			m.requests, m.duration, m.spend, m.overrun, m.cut, m.unpriced, m.hedges,
		} {
			v.DeletePartialMatch(labels)
		}
		return true
	})
}

// Done counts a request that is over.
func (e *Endpoint) Done(status int, took time.Duration) {
	class := status / 100
	if class < 0 || class >= len(e.classes) {
		class = 0
	}
	e.classes[class].Inc()
	e.duration.Observe(took.Seconds())
}

// Settled counts what an attempt was charged and how much of that was not held, in nano-dollars.
func (e *Endpoint) Settled(nanos, overrun int64) {
	e.spend.Add(float64(nanos))
	if overrun > 0 {
		e.overrun.Add(float64(overrun))
	}
}

// Cut counts an answer that was cut off for want of money.
func (e *Endpoint) Cut() { e.cut.Inc() }

// Unpriced counts a request whose target did not tell what its price counts.
func (e *Endpoint) Unpriced() { e.unpriced.Inc() }

// Hedged counts a second attempt that was made beside a slow one.
func (e *Endpoint) Hedged() { e.hedges.Inc() }
