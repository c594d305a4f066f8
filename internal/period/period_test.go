package period_test

import (
	"testing"
	"time"
	_ "time/tzdata" // the zones under test, wherever the test runs

	"pgregory.net/rapid"

	"tollgate/internal/period"
)

var zones = []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Africa/Cairo", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia"}

// Guarantee: windows are a partition of time: each instant lies in its own window, and the instants
// of a window agree on what it is.
func TestWindowsPartitionTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		p := rapid.SampledFrom([]period.Period{period.Hour, period.Day, period.Week, period.Month}).Draw(t, "period")
		at := time.Unix(rapid.Int64Range(1_000_000_000, 2_000_000_000).Draw(t, "at"), 0)
		w := p.At(at, zone)
		if at.Unix() < w.Start || at.Unix() >= w.End {
			t.Fatalf("%s is outside its %s [%s, %s)", at.In(zone), p, time.Unix(w.Start, 0).In(zone), time.Unix(w.End, 0).In(zone))
		}
		for _, edge := range []int64{w.Start, w.End - 1} {
			if got := p.At(time.Unix(edge, 0), zone); got != w {
				t.Fatalf("%s window of %s is %v at %d but %v at %d", p, zone, w, at.Unix(), got, edge)
			}
		}
		if next := p.At(time.Unix(w.End, 0), zone); next.Start != w.End {
			t.Fatalf("%s after %v starts at %d", p, w, next.Start)
		}
	})
}

func TestKnownBoundaries(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ p, zone, at, start, end string }{
		{"day", "Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"}, // 23 hours
		{"day", "Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"}, // 25 hours
		{"week", "UTC", "2026-11-22T23:59:59Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"},
		{"month", "America/New_York", "2026-12-01T04:59:59Z", "2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z"},
		{"hour", "Asia/Kathmandu", "2026-11-22T10:20:00Z", "2026-11-22T10:15:00Z", "2026-11-22T11:15:00Z"},
		{"day", "Africa/Cairo", "2026-04-24T12:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"}, // midnight does not exist
	} {
		p, err := period.Parse(c.p)
		if err != nil {
			t.Fatal(err)
		}
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		at, _ := time.Parse(time.RFC3339, c.at)
		w := p.At(at, zone)
		start, end := time.Unix(w.Start, 0).UTC().Format(time.RFC3339), time.Unix(w.End, 0).UTC().Format(time.RFC3339)
		if start != c.start || end != c.end {
			t.Errorf("%s of %s in %s = [%s, %s); want [%s, %s)", c.p, c.at, c.zone, start, end, c.start, c.end)
		}
	}
	if w := period.Total.At(time.Now(), time.UTC); w != (period.Window{}) {
		t.Errorf("total window = %v; want zero", w)
	}
}
