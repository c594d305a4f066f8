package registry

import (
	"strings"
	"time"

	"tollgate/internal/id"
	"tollgate/internal/money"
	"tollgate/internal/period"
)

// Scope is what a budget limits.
type Scope string

// The scopes.
const (
	ScopeKey        Scope = "key"
	ScopeEndpoint   Scope = "endpoint"
	ScopeEverything Scope = "everything"
)

// Budget is an amount per period on a key, an endpoint or everything.
type Budget struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Scope     Scope         `json:"scope"`
	ScopeID   string        `json:"scope_id"`   // id of the key or endpoint
	ScopeName string        `json:"scope_name"` // its name
	Amount    money.Nanos   `json:"amount_nanos"`
	Period    period.Period `json:"period"`
	Zone      string        `json:"time_zone"`
	AccountID int64         `json:"account_id"`
	Gen       uint32        `json:"gen"` // generation of its windows
	Revision  int64         `json:"revision"`
	Created   time.Time     `json:"create_time"`
	Updated   time.Time     `json:"update_time"`
}

// ETag changes with every write.
func (b *Budget) ETag() string { return ETag(b.ID, b.Revision, b.Updated) }

// Subject says what the budget limits, for refusals: "key ci-bot", "everything".
func (b *Budget) Subject() string {
	if b.Scope == ScopeEverything {
		return string(ScopeEverything)
	}
	return string(b.Scope) + " " + b.ScopeName
}

// BudgetFacts is what the rules of new budgets need to know of the world.
type BudgetFacts struct {
	NameTaken  bool
	ScopeFound bool
	SamePeriod string // name of the budget with the same scope and period
}

// Normalize fills in what was left out.
func (b *Budget) Normalize() {
	if b.Zone == "" {
		b.Zone = "UTC"
	}
}

// Check adds everything that is wrong with a new, normalized budget to p.
func (b *Budget) Check(p *Problems, facts BudgetFacts) {
	checkName(p, objectName, id.Budget, b.Name)
	if facts.NameTaken {
		p.Add("name", Taken, "A budget with the name %s exists.", b.Name)
	}
	switch b.Scope {
	case ScopeKey, ScopeEndpoint:
		if !facts.ScopeFound {
			p.Add(string(b.Scope), Unknown, "There is no %s %q.", b.Scope, clip(b.ScopeName))
		}
	case ScopeEverything:
	default:
		p.Add("scope", Required, "Say what the budget limits: a key, an endpoint or everything.")
	}
	CheckAmount(p, "amount", b.Amount)
	if !b.Period.Valid() {
		p.Add("period", Required, "Say how often the budget starts anew: total, hour, day, week or month.")
	}
	if facts.SamePeriod != "" {
		p.Add("period", Taken, "Budget %s already limits %s with the period %s: change its amount, or choose another period.",
			facts.SamePeriod, b.Subject(), b.Period)
	}
	checkZone(p, b.Zone)
}

// CheckAmount adds what is wrong with an amount per period.
func CheckAmount(p *Problems, field string, amount money.Nanos) {
	if amount < 0 && !p.Has(field) {
		p.Add(field, Range, "The amount %s is negative: use 0 or more.", amount.Dollars())
	}
}

// checkZone refuses names that load but mean different things on different machines.
func checkZone(p *Problems, zone string) {
	_, err := time.LoadLocation(zone)
	local := zone == "" || zone == "Local" || zone == "localtime" || strings.HasPrefix(zone, "right/") || strings.HasPrefix(zone, "posix")
	if err != nil || local || len(zone) > 64 {
		p.Add("time_zone", Malformed, "%q is not a time zone: use a name such as Europe/Berlin or UTC.", clip(zone))
	}
}
