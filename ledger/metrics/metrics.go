// Package metrics holds the counters of a ledger and answers a scrape of them. What was counted is
// counted once it is committed; labels are partitions and states, never accounts or edges.
package metrics

import (
	"log/slog"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
)

// Metrics are the instruments of one ledger. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	lines    prometheus.Counter
	grants   prometheus.Counter
	granted  prometheus.Counter
	refusals *prometheus.CounterVec
	recalls  prometheus.Counter
	healed   prometheus.Counter
	forced   prometheus.Counter

	batches   prometheus.Counter
	events    prometheus.Counter
	anomalies prometheus.Counter
	warnings  prometheus.Counter
}

// New makes the instruments.
func New() *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "tollgate_ledger_" + name, Help: help})
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		lines:    counter("lease_lines_total", "Lease lines of edges that were decided."),
		grants:   counter("grants_total", "Account-windows of which something was granted, once for each transaction."),
		granted:  counter("granted_nanos_total", "Granted, in billionths of a US dollar."),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tollgate_ledger_refusals_total", Help: "Lease lines of which the need was not covered, by why.",
		}, []string{"state"}),
		recalls:   counter("recalls_total", "Leases whose holders had to be asked to give back; several within 50 ms are asked for once."),
		healed:    counter("healed_nanos_total", "Grants that edges knew of and the database had lost, in billionths of a US dollar."),
		forced:    counter("forced_nanos_total", "Spent beyond what had been granted, in billionths of a US dollar."),
		batches:   counter("booked_batches_total", "Batches of events that were read and booked or found booked."),
		events:    counter("booked_events_total", "Events that were booked."),
		anomalies: counter("anomalies_total", "What should not have happened and was recorded."),
		warnings:  counter("warnings_total", "Shares of budgets that were reached and are to be warned of."),
	}
	m.registry.MustRegister(m.lines, m.grants, m.granted, m.refusals, m.recalls, m.healed, m.forced, m.batches, m.events, m.anomalies, m.warnings,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, name := range refused {
		m.refusals.WithLabelValues(name)
	}
	return m
}

var refused = map[escrow.State]string{
	escrow.Dropped: "ended", escrow.Pending: "pending", escrow.Exhausted: "exhausted", escrow.Unknown: "unknown",
}

// Leased counts a decision on lease lines. It implements grants.Counter.
func (m *Metrics) Leased(lines int, out escrow.Outcome) {
	add(m.lines, lines)
	add(m.grants, len(out.Grants))
	for _, nanos := range out.Grants {
		add(m.granted, nanos)
	}
	for _, a := range out.Answers {
		if name, ok := refused[a.State]; ok {
			m.refusals.WithLabelValues(name).Inc()
		}
	}
	add(m.recalls, len(out.Recalls))
	for _, h := range out.Healed {
		add(m.healed, h.Nanos)
	}
	add(m.forced, out.Forced)
	add(m.anomalies, len(out.Healed))
}

// Booked counts a flush.
func (m *Metrics) Booked(batches int, out store.Booked, anomalies int) {
	add(m.batches, batches)
	add(m.events, out.Events)
	add(m.forced, out.Forced)
	add(m.anomalies, anomalies)
}

// Warned counts shares of budgets that were reached.
func (m *Metrics) Warned(n int) { add(m.warnings, n) }

func add[N ~int | ~int64](c prometheus.Counter, n N) { c.Add(number(int64(n))) }

// number is how Prometheus counts. What it is told of money is to be looked at, not to be reckoned with.
func number(n int64) float64 { return float64(n) } //nolint:forbidigo // nothing else is taken

// Handler answers scrapes.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorLog: errorLog{log}})
}

type errorLog struct{ log *slog.Logger }

func (l errorLog) Println(v ...any) { l.log.Error("metrics could not be written", "err", v) }

// Part is where a partition stands as this ledger sees it.
type Part struct {
	Part    uint32
	Leading bool
	// What follows is known of a partition that is led.
	Epoch, History int64
	Accounts       int
	// Lag is how many messages of its stream are not booked yet; negative if that is not known.
	Lag int64
}

// Watch adds what read tells to every scrape. It is called once.
func (m *Metrics) Watch(read func() []Part) { m.registry.MustRegister(&watcher{read}) }

type watcher struct{ read func() []Part }

var (
	byPart       = []string{"part"}
	descLeading  = prometheus.NewDesc("tollgate_ledger_leading", "1 if this ledger leads the partition.", byPart, nil)
	descEpoch    = prometheus.NewDesc("tollgate_ledger_epoch", "Epoch of its leadership.", byPart, nil)
	descHistory  = prometheus.NewDesc("tollgate_ledger_history", "Number of the database's history; it grows when the database was restored.", byPart, nil)
	descAccounts = prometheus.NewDesc("tollgate_ledger_accounts", "Accounts of the partition that are open.", byPart, nil)
	descLag      = prometheus.NewDesc("tollgate_ledger_stream_lag_messages", "Messages of the partition's stream that are not booked yet.", byPart, nil)
)

// Describe is part of prometheus.Collector.
func (w *watcher) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descLeading, descEpoch, descHistory, descAccounts, descLag} {
		ch <- d
	}
}

// Collect is part of prometheus.Collector.
func (w *watcher) Collect(ch chan<- prometheus.Metric) {
	for _, p := range w.read() {
		part := strconv.FormatUint(uint64(p.Part), 10)
		gauge := func(d *prometheus.Desc, v int64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, number(v), part)
		}
		if !p.Leading {
			gauge(descLeading, 0)
			continue
		}
		gauge(descLeading, 1)
		gauge(descEpoch, p.Epoch)
		gauge(descHistory, p.History)
		gauge(descAccounts, int64(p.Accounts))
		if p.Lag >= 0 {
			gauge(descLag, p.Lag)
		}
	}
}
