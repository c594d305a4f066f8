package meter

import "time"

// standardTTL is how long a job may take that says nothing of it.
const standardTTL = 24 * time.Hour

// job says how work is charged that goes on after the answer.
type job struct {
	begins, tells bool
	ids           []int // texts
	done, failed  []int // conditions
	ttl           time.Duration
	free          bool
}

// told is what an exchange says of a job; nil if it names none.
func (r *Reading) told() *Told {
	j := r.m.job
	t := &Told{Begins: j.begins, TTL: j.ttl, Free: j.free, State: Running, ID: r.text(j.ids)}
	if t.ID == "" {
		return nil
	}
	if j.tells {
		switch {
		case r.any(j.failed):
			t.State = Failed
		case r.any(j.done):
			t.State = Done
			t.AsBegun = len(r.m.units) == 0 && !j.begins
		}
	}
	return t
}

// Told is what an exchange says of a job.
type Told struct {
	ID      string
	State   JobState
	Begins  bool
	AsBegun bool // done, at what was charged when it began
	TTL     time.Duration
	Free    bool // it costs nothing if nobody tells of it in time
}

// JobState is what is said of a job.
type JobState uint8

// The states.
const (
	Running JobState = iota + 1
	Done
	Failed
)
