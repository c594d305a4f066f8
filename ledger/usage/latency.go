package usage

import (
	"context"
	"time"

	"tollgate/internal/fault"
	"tollgate/internal/period"
)

// Bucket lengths of latency.
const (
	PerMinute LatencyBucket = iota + 1
	PerHour
	PerDay
)

// LatencyBucket is how long the times are that latency is told for.
type LatencyBucket uint8

// maxLatency and maxMinutely bound a question to what a chart can show.
const (
	maxLatency  = 31 * 24 * time.Hour
	maxMinutely = 24 * time.Hour
)

// LatencyQuery asks how long the attempts took that ended at From or later and before To.
type LatencyQuery struct {
	From, To time.Time
	Bucket   LatencyBucket
	Zone     string // of days; empty is UTC
	Where    []Match
}

// Latency is how long the attempts of one time took, in microseconds: of 100, so many took no longer.
type Latency struct {
	Start         time.Time // zero for all of them
	Attempts      int64     // that were looked at
	P50, P95, P99 int64
}

// All is the share of everything.
const All = 10_000

// Latencies is what there is to say. Share is how many of 10,000 attempts were looked at.
type Latencies struct {
	Buckets []Latency
	Total   Latency
	Share   int32
}

// Durations knows how long attempts took.
type Durations interface {
	Latency(ctx context.Context, q LatencyQuery) (Latencies, error)
}

// AskLatency checks a question and answers it.
func AskLatency(ctx context.Context, src Durations, q LatencyQuery) (Latencies, error) {
	violations := checkAll("", q.Where, false)
	bad := func(field, reason string) {
		violations = append(violations, fault.Violation{Field: field, Code: "invalid", Reason: reason})
	}
	if _, err := time.LoadLocation(q.Zone); err != nil || q.Zone == "Local" {
		bad("time_zone", "it is not a time zone")
	}
	switch took := q.To.Sub(q.From); {
	case q.From.UnixMilli() < firstMilli || q.To.UnixMilli() > lastMilli:
		bad("from_unix_ms", "it is not in the years in which there are records")
	case took <= 0:
		bad("to_unix_ms", "it is not after from_unix_ms")
	case took > maxLatency:
		bad("from_unix_ms", "the time is longer than 31 days")
	case took > maxMinutely && q.Bucket == PerMinute:
		bad("bucket", "the time is longer than a day, too long for minutes")
	}
	if len(violations) > 0 {
		return Latencies{}, fault.New(fault.InvalidArgument, "This is no time to tell the latency of.").WithViolations(violations...)
	}
	return src.Latency(ctx, q)
}

// Starts is when each of the times begins, the first at From or before.
func (q LatencyQuery) Starts() ([]time.Time, error) {
	zone, err := time.LoadLocation(q.Zone)
	if err != nil {
		return nil, err
	}
	var starts []time.Time
	for at := q.From; at.Before(q.To); {
		var next time.Time
		switch q.Bucket {
		case PerMinute:
			at = at.Truncate(time.Minute)
			next = at.Add(time.Minute)
		case PerHour:
			at = at.Truncate(time.Hour)
			next = at.Add(time.Hour)
		default:
			day := period.Day.At(at, zone)
			at, next = time.Unix(day.Start, 0), time.Unix(day.End, 0)
		}
		starts = append(starts, at.UTC())
		at = next
	}
	return starts, nil
}
