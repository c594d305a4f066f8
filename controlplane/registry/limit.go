package registry

import (
	"fmt"
	"time"

	"tollgate/internal/id"
)

// MaxLimit is the largest amount and the largest burst of a limit.
const MaxLimit = 1_000_000_000_000

// LimitKind is what a limit bounds. The numbers are those of both protobuf enumerations.
type LimitKind uint8

// The kinds.
const (
	LimitRequests   LimitKind = iota + 1 // requests per minute
	LimitUnits                           // units per minute
	LimitConcurrent                      // requests at a time
)

func (k LimitKind) String() string {
	switch k {
	case LimitRequests:
		return "requests"
	case LimitUnits:
		return "units"
	case LimitConcurrent:
		return "concurrent"
	default:
		return fmt.Sprintf("limit(%d)", uint8(k))
	}
}

// bounds is what a limit of the kind counts, as it stands in a sentence.
func (k LimitKind) bounds() string {
	if k == LimitConcurrent {
		return "requests at a time"
	}
	return k.String() + " a minute"
}

// Fallback is what edges do about a limit when the ledger cannot be reached. The numbers are those of
// both protobuf enumerations.
type Fallback uint8

// The fallbacks.
const (
	FallbackShare Fallback = iota + 1
	FallbackOpen
	FallbackClosed
)

// Limit bounds how fast requests come or how many run.
type Limit struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Scoped
	Kind     LimitKind `json:"kind"`
	Amount   int64     `json:"amount"`          // per minute, or at a time
	Burst    int64     `json:"burst,omitempty"` // 0: what Passes says
	Fallback Fallback  `json:"fallback"`
	Number   int64     `json:"number"` // by which the ledger and edges know it
	// Owner is the id of the public endpoint that the limit belongs to; empty for a limit that somebody made.
	Owner    string    `json:"owner,omitempty"`
	Revision int64     `json:"revision"`
	Created  time.Time `json:"create_time"`
	Updated  time.Time `json:"update_time"`

	ManagedBy string `json:"-"` // owner of the file that manages it; empty for none
}

// ETag changes with every write.
func (l *Limit) ETag() string { return ETag(l.ID, l.Revision, l.Updated) }

// Passes is how much may pass at once after a pause: the burst, or what a second brings. It is 0 where
// nothing may pass at all, and for requests at a time, which have no burst.
func (l *Limit) Passes() int64 {
	switch {
	case l.Kind == LimitConcurrent || l.Amount == 0:
		return 0
	case l.Burst != 0:
		return l.Burst
	default:
		return max(1, l.Amount/60)
	}
}

// LimitFacts is what the rules of new limits need to know of the world.
type LimitFacts struct {
	NameTaken  bool
	ScopeFound bool
	SameKind   string // name of the limit with the same scope and kind
}

// Normalize fills in what was left out.
func (l *Limit) Normalize() {
	if l.Fallback == 0 {
		l.Fallback = FallbackShare
	}
}

// Check adds everything that is wrong with a new, normalized limit to p.
func (l *Limit) Check(p *Problems, facts LimitFacts) {
	checkName(p, objectName, id.Limit, l.Name)
	if facts.NameTaken {
		p.Add("name", Taken, "A limit with the name %s exists.", l.Name)
	}
	l.check(p, "limit", facts.ScopeFound)
	if l.Kind < LimitRequests || l.Kind > LimitConcurrent {
		p.Add("kind", Required, "Say what the limit bounds: requests a minute, units a minute, or requests at a time.")
	}
	if facts.SameKind != "" {
		p.Add("kind", Taken, "Limit %s already bounds the %s of %s: change its amount.", facts.SameKind, l.Kind.bounds(), l.Subject())
	}
	l.CheckSettings(p)
}

// CheckSettings adds what is wrong with what can be changed later.
func (l *Limit) CheckSettings(p *Problems) {
	if l.Amount < 0 || l.Amount > MaxLimit {
		p.Add("amount", Range, "The amount %d is not between 0 and %d.", l.Amount, int64(MaxLimit))
	}
	switch {
	case l.Burst < 0 || l.Burst > MaxLimit:
		p.Add("burst", Range, "The burst %d is not between 0 and %d.", l.Burst, int64(MaxLimit))
	case l.Burst != 0 && l.Kind == LimitConcurrent:
		p.Add("burst", Forbidden, "A limit of requests at a time has no burst: leave it out.")
	}
	if l.Fallback > FallbackClosed {
		p.Add("fallback", Malformed, "This fallback is not known: use share, open or closed.")
	}
}

// LimitPatch changes a limit's settings; what is nil or 0 stays.
type LimitPatch struct {
	Amount   *int64
	Burst    *int64
	Fallback Fallback
}

// Apply makes the changes.
func (l *Limit) Apply(patch LimitPatch) {
	if patch.Amount != nil {
		l.Amount = *patch.Amount
	}
	if patch.Burst != nil {
		l.Burst = *patch.Burst
	}
	if patch.Fallback != 0 {
		l.Fallback = patch.Fallback
	}
}
