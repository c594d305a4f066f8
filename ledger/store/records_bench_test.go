package store_test

import (
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"tollgate/internal/money"
	"tollgate/ledger/store/fill"
	"tollgate/ledger/usage"
)

// recordsEnv says how many records BenchmarkRecords reads: 10000000 is what answers are promised for.
const recordsEnv = "TOLLGATE_RECORDS"

// BenchmarkRecords asks what a console asks of very many records that were made over 30 days. One operation is one question.
func BenchmarkRecords(b *testing.B) {
	records := 200_000
	if text := os.Getenv(recordsEnv); text != "" {
		var err error
		if records, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	s := setup(b)
	until := time.Now().UTC().Truncate(time.Second)
	began := time.Now()
	if err := fill.Fill(b.Context(), s.pool, fill.Options{
		Records: records, Days: 30, Until: until, Keys: fill.Names("key_filled", 500), Endpoints: fill.Names("ep_filled", 20), Teams: fill.Names("team-", 20),
		Customers: append(fill.Names("customer-", 50), ""), Models: []string{"", "small", "large"}, Edges: fill.Names("edge-", 4),
	}); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d records were filled in %s", records, time.Since(began).Round(time.Second))
	hour := until.Truncate(time.Hour).Add(time.Hour)
	ago := func(hours int) time.Time { return hour.Add(-time.Duration(hours) * time.Hour) }
	ask := func(q usage.Query) func() (int, error) {
		if q.Begin.IsZero() {
			q.From, q.To = until.AddDate(0, 0, -29).Format(time.DateOnly), until.Format(time.DateOnly)
		}
		return func() (int, error) {
			rows, err := usage.Ask(b.Context(), s.db, q)
			return len(rows), err
		}
	}
	list := func(f usage.Filter) func() (int, error) {
		return func() (int, error) {
			page, _, err := usage.List(b.Context(), s.db, f, false, 100, "")
			return len(page), err
		}
	}
	latency := func(q usage.LatencyQuery) func() (int, error) {
		return func() (int, error) {
			got, err := usage.AskLatency(b.Context(), s.db, q)
			return len(got.Buckets), err
		}
	}
	by := func(d ...usage.Dimension) []usage.Dimension { return d }
	one, err := s.db.Requests(b.Context(), usage.Listing{Limit: 1, Filter: usage.Filter{To: until.AddDate(0, 0, -3)}})
	if err != nil {
		b.Fatal(err)
	}
	id := one.Records[0].Event.GetRequestId()
	for _, c := range []struct {
		name string
		ask  func() (int, error)
	}{
		{"usage-7d-by-team", ask(usage.Query{Begin: ago(7 * 24), End: hour, GroupBy: by(usage.ByTeam)})},
		{"usage-30d-by-day-top-8-endpoints", ask(usage.Query{GroupBy: by(usage.ByDay, usage.ByEndpoint), Top: 8})},
		{"usage-30d-by-day-of-Berlin-top-8-endpoints", ask(usage.Query{GroupBy: by(usage.ByDay, usage.ByEndpoint), Top: 8, Zone: "Europe/Berlin"})},
		{"usage-30d-by-day-of-Los-Angeles-top-8-endpoints", ask(usage.Query{GroupBy: by(usage.ByDay, usage.ByEndpoint), Top: 8, Zone: "America/Los_Angeles"})},
		{"usage-30d-by-day-top-8-keys", ask(usage.Query{GroupBy: by(usage.ByDay, usage.ByKey), Top: 8})},
		{"usage-30d-total", ask(usage.Query{})},
		{"usage-30d-by-status-class", ask(usage.Query{GroupBy: by(usage.ByDay, usage.ByStatusClass)})},
		{"usage-30d-one-endpoint-by-key", ask(usage.Query{GroupBy: by(usage.ByKey), EndpointID: "ep_filled003"})},
		{"usage-24h-by-hour-top-8-endpoints", ask(usage.Query{Begin: ago(24), End: hour, GroupBy: by(usage.ByHour, usage.ByEndpoint), Top: 8})},
		{"usage-7d-by-hour-top-8-endpoints", ask(usage.Query{Begin: ago(7 * 24), End: hour, GroupBy: by(usage.ByHour, usage.ByEndpoint), Top: 8})},
		{"list-first-page", list(usage.Filter{})},
		{"list-errors-of-two-endpoints", list(usage.Filter{Where: []usage.Match{
			{Of: usage.ByEndpoint, Values: []string{"ep_filled002", "ep_filled003"}}, {Of: usage.ByStatus, Values: []string{"4xx", "5xx"}},
		}})},
		{"list-rare-key", list(usage.Filter{KeyID: "key_filled498"})},
		{"list-slow", list(usage.Filter{MinDuration: 900 * time.Millisecond})},
		{"list-nothing-in-24h", list(usage.Filter{From: until.Add(-24 * time.Hour), MinCost: money.Max >> 1})},
		{"list-nothing-in-30d", list(usage.Filter{KeyID: "nobody"})},
		{"get-request", list(usage.Filter{RequestID: id})},
		{"latency-24h-one-endpoint", latency(usage.LatencyQuery{From: until.Add(-24 * time.Hour), To: until, Bucket: usage.PerHour, Where: []usage.Match{{Of: usage.ByEndpoint, Values: []string{"ep_filled003"}}}})},
		{"latency-30d-one-endpoint", latency(usage.LatencyQuery{From: until.AddDate(0, 0, -30), To: until, Bucket: usage.PerDay, Where: []usage.Match{{Of: usage.ByEndpoint, Values: []string{"ep_filled003"}}}})},
	} {
		b.Run(c.name, func(b *testing.B) {
			var took []time.Duration
			rows := 0
			for b.Loop() {
				began := time.Now()
				n, err := c.ask()
				if err != nil {
					b.Fatal(err)
				}
				took, rows = append(took, time.Since(began)), n
			}
			slices.Sort(took)
			b.ReportMetric(float64(rows), "rows")
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[(len(took)*95+99)/100-1].Microseconds())/1000, "p95-ms")
		})
	}
}
