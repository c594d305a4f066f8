// Package attention knows what needs somebody: budgets that are used up, edges that are not heard, targets that fail, requests without
// a price, keys that expire. It looks at the configuration, the fleet and the ledger together, at most once in a few seconds however
// many people ask, and holds the rules by which something is worth a line. The console's list, its counts and the alerts are all of
// it. It decides nothing for anybody, and stores nothing.
package attention

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"tollgate/controlplane/access"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Kind is what an item is about.
type Kind = controlv1.AttentionKind

// The kinds, by short names.
const (
	BudgetExhausted  = controlv1.AttentionKind_ATTENTION_KIND_BUDGET_EXHAUSTED
	BudgetAtRisk     = controlv1.AttentionKind_ATTENTION_KIND_BUDGET_AT_RISK
	BudgetWarned     = controlv1.AttentionKind_ATTENTION_KIND_BUDGET_WARNED
	EdgeSilent       = controlv1.AttentionKind_ATTENTION_KIND_EDGE_SILENT
	EdgeBehind       = controlv1.AttentionKind_ATTENTION_KIND_EDGE_BEHIND
	SpoolOld         = controlv1.AttentionKind_ATTENTION_KIND_SPOOL_OLD
	BreakerOpen      = controlv1.AttentionKind_ATTENTION_KIND_BREAKER_OPEN
	SecretUnresolved = controlv1.AttentionKind_ATTENTION_KIND_SECRET_UNRESOLVED
	Unpriced         = controlv1.AttentionKind_ATTENTION_KIND_UNPRICED
	NoPrice          = controlv1.AttentionKind_ATTENTION_KIND_NO_PRICE
	KeyExpiring      = controlv1.AttentionKind_ATTENTION_KIND_KEY_EXPIRING
	Drift            = controlv1.AttentionKind_ATTENTION_KIND_DRIFT
	AlertFailing     = controlv1.AttentionKind_ATTENTION_KIND_ALERT_FAILING
	LedgerAway       = controlv1.AttentionKind_ATTENTION_KIND_LEDGER_AWAY
	BusAway          = controlv1.AttentionKind_ATTENTION_KIND_BUS_AWAY
)

// The severities, by short names.
const (
	Critical = controlv1.AttentionSeverity_ATTENTION_SEVERITY_CRITICAL
	Warning  = controlv1.AttentionSeverity_ATTENTION_SEVERITY_WARNING
	Info     = controlv1.AttentionSeverity_ATTENTION_SEVERITY_INFO
)

// Item is something that needs somebody.
type Item struct {
	Kind       Kind
	Severity   controlv1.AttentionSeverity
	ObjectKind string // as searches have it; empty for the deployment itself
	ObjectID   string
	ObjectName string
	Part       string // tells it from others about the same object; empty for the only one
	TeamID     string // whose people may see it, beside those who may see all
	Team       string // its name
	Sentence   string
	Verb       string
	Figure     string
	Since      time.Time // zero: nothing tells, so that it is when it was noticed
}

// ID tells an item from all others, and is the same as long as it lasts.
func (i *Item) ID() string {
	id := Name(i.Kind) + "/" + i.ObjectID
	if i.Part != "" {
		id += "/" + i.Part
	}
	return id
}

// Listed says whether it is in the list that people see.
func (i *Item) Listed() bool { return i.Kind != BudgetWarned }

// Name is what a kind is called outside of the API: "budget_exhausted".
func Name(k Kind) string {
	return strings.ToLower(strings.TrimPrefix(k.String(), "ATTENTION_KIND_"))
}

// KindOf is the kind of a name; unspecified for none.
func KindOf(name string) Kind {
	return Kind(controlv1.AttentionKind_value["ATTENTION_KIND_"+strings.ToUpper(name)])
}

// needs is what somebody must be permitted to see items of a kind.
var needs = map[Kind]controlv1.Permission{
	BudgetExhausted: access.MoneyRead, BudgetAtRisk: access.MoneyRead, BudgetWarned: access.MoneyRead,
	Unpriced: access.MoneyRead, LedgerAway: access.MoneyRead,
	EdgeSilent: access.EdgesRead, EdgeBehind: access.EdgesRead, SpoolOld: access.EdgesRead, BreakerOpen: access.EdgesRead,
	SecretUnresolved: access.EdgesRead, BusAway: access.EdgesRead,
	NoPrice: access.ConfigRead, Drift: access.ConfigRead,
	KeyExpiring: access.KeysRead, AlertFailing: access.SettingsWrite,
}

// Visible says whether a caller may see what is about an object of a team, or of none.
func Visible(c *access.Caller, k Kind, teamID string) bool {
	need, ok := needs[k]
	return ok && c.Scope(need).Covers(teamID)
}

// sorted puts the most severe first, and of those that are alike what began last.
func sorted(all []Item) {
	slices.SortStableFunc(all, func(a, b Item) int {
		return cmp.Or(cmp.Compare(a.Severity, b.Severity), b.Since.Compare(a.Since), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ObjectName, b.ObjectName))
	})
}

// SeverityName is what a severity is called outside of the API: "critical".
func SeverityName(n int16) string {
	return strings.ToLower(strings.TrimPrefix(controlv1.AttentionSeverity(n).String(), "ATTENTION_SEVERITY_"))
}
