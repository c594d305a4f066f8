package registry

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/internal/id"
	"tollgate/internal/money"
	"tollgate/internal/period"
)

// Bounds of budgets.
const (
	MinDays        = 2
	MaxDays        = 366
	MaxWarnings    = 8
	MaxWarnPercent = 1000
)

// Budget is an amount per period on a key, a team, a customer, a tag, an endpoint or everything.
type Budget struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Scoped
	Amount    money.Nanos   `json:"amount_nanos"`
	Period    period.Period `json:"period"`
	Days      uint32        `json:"days,omitempty"` // of a rolling period
	Zone      string        `json:"time_zone"`
	Soft      bool          `json:"soft"`                      // it only warns
	Overdraft money.Nanos   `json:"overdraft_nanos,omitempty"` // of each edge, if soft; 0: without bound
	Warn      []uint32      `json:"warn_percents,omitempty"`   // sorted
	Raise     Raise         `json:"raise,omitzero"`
	Opening   Opening       `json:"opening,omitzero"`
	AccountID int64         `json:"account_id"`
	Gen       uint32        `json:"gen"` // generation of its windows
	Revision  int64         `json:"revision"`
	Created   time.Time     `json:"create_time"`
	Updated   time.Time     `json:"update_time"`
	ManagedBy string        `json:"-"` // owner of the file that manages it; empty for none
}

// Raise adds to a budget's amount until a time.
type Raise struct {
	By    money.Nanos `json:"by_nanos"`
	Until time.Time   `json:"until"` // in whole seconds
}

// Opening is what was spent of a budget elsewhere before it was created.
type Opening struct {
	Spent money.Nanos `json:"spent_nanos"`
	Time  time.Time   `json:"time"` // in whole seconds
}

// ETag changes with every write.
func (b *Budget) ETag() string { return ETag(b.ID, b.Revision, b.Updated) }

// LimitAt is the amount at a time, raise included.
func (b *Budget) LimitAt(t time.Time) money.Nanos {
	if b.Raised(t) {
		return b.Amount + b.Raise.By // was checked to fit when either was set
	}
	return b.Amount
}

// Raised says whether a raise counts at a time.
func (b *Budget) Raised(t time.Time) bool { return t.Before(b.Raise.Until) }

// Begins is when the period began of which a window starts at start: a rolling budget has windows of a
// day, of which it covers several. All are in Unix seconds.
func (b *Budget) Begins(start int64) int64 {
	zone, err := time.LoadLocation(b.Zone)
	if b.Period != period.Rolling || err != nil {
		return start
	}
	y, m, d := time.Unix(start, 0).In(zone).Date()
	return b.Period.At(time.Date(y, m, d-int(b.Days)+1, 12, 0, 0, 0, zone), zone).Start
}

// Lasts says how often the budget starts anew: "month", "rolling 30 days".
func (b *Budget) Lasts() string {
	if b.Period == period.Rolling {
		return fmt.Sprintf("%s %d days", b.Period, b.Days)
	}
	return b.Period.String()
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
	b.Warn = slices.Sorted(slices.Values(b.Warn))
}

// Check adds everything that is wrong with a new, normalized budget to p.
func (b *Budget) Check(p *Problems, facts BudgetFacts) {
	checkName(p, objectName, id.Budget, b.Name)
	if facts.NameTaken {
		p.Add("name", Taken, "A budget with the name %s exists.", b.Name)
	}
	b.check(p, "budget", facts.ScopeFound)
	checkPeriod(p, b.Period, b.Days)
	if facts.SamePeriod != "" {
		p.Add("period", Taken, "Budget %s already limits %s with the period %s: change its amount, or choose another period.",
			facts.SamePeriod, b.Subject(), b.Lasts())
	}
	CheckZone(p, b.Zone)
	if b.Opening.Spent < 0 && !p.Has("opening.spent") {
		p.Add("opening.spent", Range, "What was spent, %s, is negative: use 0 or more.", b.Opening.Spent.Dollars())
	}
	b.CheckSettings(p)
}

// checkPeriod adds what is wrong with how often a budget starts anew.
func checkPeriod(p *Problems, every period.Period, days uint32) {
	switch rolling := every == period.Rolling; {
	case !every.Valid():
		p.Add("period", Required, "Say how often the budget starts anew: total, hour, day, week, month or rolling.")
	case rolling && (days < MinDays || days > MaxDays):
		p.Add("rolling_days", Range, "A rolling budget covers %d to %d days, not %d.", MinDays, MaxDays, days)
	case !rolling && days != 0:
		p.Add("rolling_days", Forbidden, "Only rolling budgets cover a number of days: leave it out with the period %s.", every)
	}
}

// CheckSettings adds what is wrong with what can be changed later.
func (b *Budget) CheckSettings(p *Problems) {
	if b.Amount < 0 && !p.Has("amount") {
		p.Add("amount", Range, "The amount %s is negative: use 0 or more.", b.Amount.Dollars())
	}
	if _, err := b.Amount.Add(b.Raise.By); err != nil {
		p.Add("amount", Range, "The amount %s is too large together with the raise of %s.", b.Amount.Dollars(), b.Raise.By.Dollars())
	}
	switch {
	case b.Overdraft < 0 && !p.Has("overdraft"):
		p.Add("overdraft", Range, "The overdraft %s is negative: use more than 0, or leave it out for no bound.", b.Overdraft.Dollars())
	case b.Overdraft > 0 && !b.Soft:
		p.Add("overdraft", Forbidden, "A hard budget cannot be overspent, so it has no overdraft: leave it out, or make the budget soft.")
	}
	checkWarnings(p, b.Warn)
}

// NoOverdraft adds that an overdraft of nothing was asked for, which would be neither soft nor hard.
func NoOverdraft(p *Problems) {
	p.Add("overdraft", Range, "A soft budget with an overdraft of $0.00 would be a hard one: make it hard, or leave the overdraft out for no bound.")
}

func checkWarnings(p *Problems, sorted []uint32) {
	if len(sorted) > MaxWarnings {
		p.Add("warn_percents", Range, "There are %d shares to warn at: at most %d are allowed.", len(sorted), MaxWarnings)
	}
	for i, percent := range sorted {
		switch {
		case percent < 1 || percent > MaxWarnPercent:
			p.Add("warn_percents", Range, "%d percent is not between 1 and %d.", percent, MaxWarnPercent)
		case i > 0 && percent == sorted[i-1]:
			p.Add("warn_percents", Duplicate, "%d percent is listed twice.", percent)
		}
	}
}

// BudgetPatch changes a budget's settings; what is nil stays.
type BudgetPatch struct {
	Amount    *money.Nanos
	Soft      *bool
	Overdraft *money.Nanos // 0 takes the bound away
	Warn      *[]uint32
}

// Apply makes the changes. A budget that becomes hard loses the overdraft that it had, but not one that
// the same change gives it: that is a mistake, which CheckSettings finds.
func (b *Budget) Apply(patch BudgetPatch) {
	if patch.Amount != nil {
		b.Amount = *patch.Amount
	}
	if patch.Soft != nil {
		if b.Soft = *patch.Soft; !b.Soft {
			b.Overdraft = 0
		}
	}
	if patch.Overdraft != nil {
		b.Overdraft = *patch.Overdraft
	}
	if patch.Warn != nil {
		b.Warn = slices.Sorted(slices.Values(*patch.Warn))
	}
}

// End says when a raise ends: at a time, or when the budget starts anew.
type End struct {
	At    time.Time
	Reset bool
}

// SetRaise puts a raise in the place of the one that is there, none if by is 0, and adds what is wrong
// with it to p.
func (b *Budget) SetRaise(by money.Nanos, end End, now time.Time, p *Problems) {
	if by < 0 && !p.Has("by") {
		p.Add("by", Range, "The raise %s is negative: to lower a budget, change its amount.", by.Dollars())
	}
	if by <= 0 {
		b.Raise = Raise{}
		return
	}
	if _, err := b.Amount.Add(by); err != nil {
		p.Add("by", Range, "The raise %s is too large together with the amount of %s.", by.Dollars(), b.Amount.Dollars())
	}
	switch {
	case end.Reset && (b.Period == period.Total || b.Period == period.Rolling):
		p.Add("until_reset", Forbidden, "A budget with the period %s never starts anew: say until when it is raised.", b.Lasts())
	case end.Reset:
		zone, err := time.LoadLocation(b.Zone)
		if err != nil {
			p.Add("until_reset", Malformed, "The budget's time zone %s is not known here: say until when it is raised.", b.Zone)
			return
		}
		end.At = time.Unix(b.Period.At(now, zone).End, 0)
	case p.Has("until"):
	case end.At.IsZero():
		p.Add("until", Required, "Say until when the budget is raised.")
	case !end.At.Truncate(time.Second).After(now):
		p.Add("until", Range, "The raise would end at %s, which is past.", end.At.UTC().Format(time.RFC3339))
	}
	b.Raise = Raise{by, end.At.UTC().Truncate(time.Second)}
}

// CheckZone refuses names that load but mean different things on different machines.
func CheckZone(p *Problems, zone string) {
	_, err := time.LoadLocation(zone)
	local := zone == "" || zone == "Local" || zone == "localtime" || strings.HasPrefix(zone, "right/") || strings.HasPrefix(zone, "posix")
	if err != nil || local || len(zone) > 64 {
		p.Add("time_zone", Malformed, "%q is not a time zone: use a name such as Europe/Berlin or UTC.", clip(zone))
	}
}
