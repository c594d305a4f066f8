package metrics

import "github.com/prometheus/client_golang/prometheus"

// Lanes count over which lane requests came from callers, and over which ones attempts went to targets.
type Lanes struct {
	CallerFast, CallerGeneral prometheus.Counter
	TargetFast, TargetGeneral prometheus.Counter
}

func newLanes(registry *prometheus.Registry) Lanes {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tollgate_edge_lane_requests_total",
		Help: "Requests of callers and attempts at targets, by lane: fast for plain HTTP/1.1, general for everything else.",
	}, []string{"side", "lane"})
	registry.MustRegister(requests)
	const caller, target, fast, general = "caller", "target", "fast", "general"
	return Lanes{
		CallerFast: requests.WithLabelValues(caller, fast), CallerGeneral: requests.WithLabelValues(caller, general),
		TargetFast: requests.WithLabelValues(target, fast), TargetGeneral: requests.WithLabelValues(target, general),
	}
}
