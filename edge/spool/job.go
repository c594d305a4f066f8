package spool

import (
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
)

// Job is what a request says of work that goes on after its answer; see eventv1.SpendJob.
type Job struct {
	ID          string // as the target names it
	State       eventv1.SpendJobState
	Cost        money.Nanos   // of a job that is done
	AsBegun     bool          // it costs what the request that began it was charged
	TTL         time.Duration // in whole seconds
	ExpiresFree bool          // whether it costs nothing if nobody tells of it within TTL
	Unpriced    bool          // a fallback is in Cost
	Begins      bool          // the request began it
	Units       int64
	Counts      string // as of a settlement
	Model       string // that did it
}
