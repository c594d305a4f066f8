// Package usage adds up settled attempts by hour and day in every dimension, and answers questions about
// the sums and the attempts. The sums are advanced in the transaction that books the money, so they agree
// with it to the nano-dollar.
package usage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
)

// Series is what sums are kept by besides time. An attempt counts in the series without a tag, and once
// more in that of each of its tags.
type Series struct {
	KeyID, EndpointID, Team, Customer, Model string
	// Tag is empty in the series that attempts of every tag count in.
	Tag string
	// Status is what the target answered; 0 if it did not.
	Status uint32
}

// Slot is a series in one hour, counted from 1970.
type Slot struct {
	Hour   int64
	Series Series
}

// Bucket is what a row of an answer adds up. Day is a UTC day, "2026-11-01", and Hour one of its hours,
// "2026-11-01T13". What was not asked for is empty.
type Bucket struct {
	Day, Hour, Edge string
	Series
}

// Counts are the sums.
type Counts struct {
	Requests  int64       // attempts settled
	Failed    int64       // of these, those that cost nothing because they failed
	Abandoned int64       // of these, those that were in flight when an edge died
	Unpriced  int64       // of these, those that were charged a fallback and not priced since
	Units     int64       // what they used
	Cost      money.Nanos // what they cost
}

// Add is the sum. It stops at the largest number, which no sum of bounded numbers reaches.
func (c Counts) Add(d Counts) Counts {
	return Counts{
		Requests: c.Requests + d.Requests, Failed: c.Failed + d.Failed, Abandoned: c.Abandoned + d.Abandoned,
		Unpriced: c.Unpriced + d.Unpriced,
		Units:    int64(sum(money.Nanos(c.Units), money.Nanos(d.Units))),
		Cost:     sum(c.Cost, d.Cost),
	}
}

func sum(a, b money.Nanos) money.Nanos {
	s, err := a.Add(b)
	if err != nil {
		return money.Max
	}
	return s
}

// Sums are the counts of attempts by slot.
type Sums map[Slot]Counts

// Add counts an attempt that Check has passed. One whose record another partition keeps counts there.
func (s Sums) Add(e *eventv1.SpendEvent) {
	at := Slot{Hour: e.GetUnixMs() / time.Hour.Milliseconds(), Series: SeriesOf(e)}
	c := CountsOf(e)
	s[at] = s[at].Add(c)
	for _, tag := range e.GetTags() {
		at.Series.Tag = tag
		s[at] = s[at].Add(c)
	}
}

// SeriesOf is the series without a tag that an attempt counts in.
func SeriesOf(e *eventv1.SpendEvent) Series {
	return Series{
		KeyID: e.GetKeyId(), EndpointID: e.GetEndpointId(), Team: e.GetTeam(), Customer: e.GetCustomer(), Model: e.GetModel(), Status: e.GetStatus(),
	}
}

// CountsOf is what an attempt adds.
func CountsOf(e *eventv1.SpendEvent) Counts {
	c := Counts{Requests: 1, Units: e.GetUnits(), Cost: money.Nanos(e.GetCostNanos())}
	switch e.GetOutcome() {
	case eventv1.SpendOutcome_SPEND_OUTCOME_TARGET_ERROR,
		eventv1.SpendOutcome_SPEND_OUTCOME_UNREACHABLE,
		eventv1.SpendOutcome_SPEND_OUTCOME_INTERRUPTED,
		eventv1.SpendOutcome_SPEND_OUTCOME_REFUSED:
		// One that broke off after it had begun to answer is charged, and so did not fail.
		if e.GetCostNanos() == 0 {
			c.Failed = 1
		}
	case eventv1.SpendOutcome_SPEND_OUTCOME_ABANDONED:
		c.Abandoned = 1
	default:
	}
	if e.GetUnpriced() {
		c.Unpriced = 1
	}
	return c
}

// Bounds of what an attempt may say of itself. They are generous: an edge whose events are refused
// cannot get past them.
const (
	maxText   = 256
	maxMeter  = 64
	maxCounts = 1 << 10
	maxPlace  = 1 << 9 // a model and a deployment
	maxTags   = 64
	maxTTL    = 366 * 24 * 60 * 60 // seconds
	maxStatus = 1 << 16
	maxTries  = 1 << 20
)

// Settlements come from the years in which there can be some.
var (
	firstMilli = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	lastMilli  = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC).UnixMilli()
)

// Check refuses what no correct edge sends. What a clock or a vendor may have got wrong is no reason to
// lose an attempt, and is brought into its bounds.
func Check(e *eventv1.SpendEvent) error {
	switch {
	case e.GetCostNanos() < 0:
		return fmt.Errorf("cost %d is out of range", e.GetCostNanos())
	case e.GetReservedNanos() < 0:
		return fmt.Errorf("reserved amount %d is out of range", e.GetReservedNanos())
	case e.GetUnits() < 0:
		return fmt.Errorf("%d units are out of range", e.GetUnits())
	case e.GetStatus() > maxStatus:
		return fmt.Errorf("status %d is out of range", e.GetStatus())
	case e.GetAttempt() > maxTries:
		return fmt.Errorf("attempt %d is out of range", e.GetAttempt())
	case e.GetOutcome() < 0 || e.GetOutcome() > 1<<15-1:
		return fmt.Errorf("outcome %d is out of range", e.GetOutcome())
	case len(e.GetRequestId()) != 0 && len(e.GetRequestId()) != 16:
		return fmt.Errorf("request id of %d bytes", len(e.GetRequestId()))
	case len(e.GetTags()) > maxTags:
		return fmt.Errorf("%d tags", len(e.GetTags()))
	case e.GetJob().GetCostNanos() < 0:
		return fmt.Errorf("cost %d of a job is out of range", e.GetJob().GetCostNanos())
	case e.GetJob().GetUnits() < 0:
		return fmt.Errorf("%d units of a job are out of range", e.GetJob().GetUnits())
	}
	for _, text := range [...]struct{ what, is string }{
		{"key id", e.GetKeyId()}, {"endpoint id", e.GetEndpointId()}, {"team", e.GetTeam()}, {"customer", e.GetCustomer()},
	} {
		if !storable(text.is) {
			return fmt.Errorf("%s %q is malformed", text.what, text.is)
		}
	}
	for i, tag := range e.GetTags() {
		if tag == "" || !storable(tag) {
			return fmt.Errorf("tag %q is malformed", tag)
		}
		if i > 0 && tag <= e.GetTags()[i-1] { // it must not count twice
			slices.Sort(e.Tags)
			e.Tags = slices.Compact(e.Tags)
			break
		}
	}
	e.Model = cleanUpTo(e.GetModel(), maxText)
	e.Deployment = cleanUpTo(e.GetDeployment(), maxPlace)
	e.Meter, e.Counts = cleanUpTo(e.GetMeter(), maxMeter), cleanUpTo(e.GetCounts(), maxCounts)
	if j := e.GetJob(); j.GetId() == "" {
		e.Job = nil
	} else {
		j.Id, j.Model, j.Counts = cleanUpTo(j.GetId(), maxText), cleanUpTo(j.GetModel(), maxText), cleanUpTo(j.GetCounts(), maxCounts)
		j.TtlSeconds = min(max(j.GetTtlSeconds(), 0), maxTTL)
		if j.GetState() < 0 || j.GetState() > 1<<15-1 {
			j.State = eventv1.SpendJobState_SPEND_JOB_STATE_UNSPECIFIED
		}
	}
	e.UnixMs = min(max(e.GetUnixMs(), firstMilli), lastMilli)
	e.DurationUs = max(0, e.GetDurationUs())
	return nil
}

// storable: protobuf lets a string hold a zero byte, and PostgreSQL does not.
func storable(text string) bool { return storableUpTo(text, maxText) }

func storableUpTo(text string, most int) bool {
	if len(text) > most {
		return false
	}
	for i := range len(text) {
		if text[i] < ' ' {
			return false
		}
	}
	return true
}

// cleanUpTo makes a text storable.
func cleanUpTo(text string, most int) string {
	if storableUpTo(text, most) {
		return text
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text[:min(len(text), most)], "?"))
}
