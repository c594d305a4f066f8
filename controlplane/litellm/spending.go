package litellm

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/declare"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/plan"
)

// subject is what a budget or a limit is for.
type subject struct {
	kind declare.Kind // key, team, customer, tag; empty for everything
	name string
	what string // for notes: "key", "user"
	row  string // how LiteLLM calls it
}

// name of a budget or a limit that is for it, which stays the same from one import to the next.
func (s subject) inline(suffix string) string {
	if s.kind == "" {
		return "litellm-everything" + suffix
	}
	return declare.InlineName(s.kind, s.name, strings.TrimPrefix(suffix, "-"))
}

// spent is what is spent of a budget already, and when LiteLLM begins it anew.
type spent struct {
	text  string // dollars
	reset time.Time
}

// budget makes a budget. Every is LiteLLM's budget_duration. A subject has one budget of each period at most: where LiteLLM has
// several, the smallest counts.
func (v *conversion) budget(s subject, amount, every, suffix string, soft bool, was spent) *controlv1.Budget {
	limit, err := dollars(amount, false)
	if err == nil && limit < 0 {
		limit = 0
	}
	last, lerr := lasting(every)
	if err == nil {
		err = lerr
	}
	if err != nil {
		v.about(plan.Refused, s.what, s.row, "Its budget is not imported: %v.", err)
		return nil
	}
	if last.differ != "" {
		v.about(plan.Warning, s.what, s.row, "%s", last.differ)
	}
	b := &controlv1.Budget{
		Amount: contract.MoneyToProto(limit), Period: last.period, RollingDays: last.days, TimeZone: v.zone,
		Enforcement: controlv1.Enforcement_ENFORCEMENT_HARD, Name: s.inline(suffix),
	}
	if soft {
		b.Enforcement = controlv1.Enforcement_ENFORCEMENT_SOFT
		b.WarnPercents = []uint32{100}
	}
	s.scopeBudget(b)
	for i, other := range v.plan.Budgets {
		if s.same(other) && other.GetPeriod() == b.GetPeriod() && other.GetRollingDays() == b.GetRollingDays() {
			return v.smaller(s, i, b, limit)
		}
	}
	b.Opening = v.opening(s, was)
	v.plan.Budgets = append(v.plan.Budgets, b)
	return b
}

// smaller keeps the smaller one of two budgets of the same period, with the place and the opening of the first.
func (v *conversion) smaller(s subject, i int, b *controlv1.Budget, limit money.Nanos) *controlv1.Budget {
	first := v.plan.Budgets[i]
	before, err := contract.MoneyFromProto(first.GetAmount())
	v.about(plan.Warning, s.what, s.row, "It has two budgets of the same period; the smaller one counts, as it does in LiteLLM.")
	if err == nil && limit < before && b.GetEnforcement() == first.GetEnforcement() {
		first.Amount = b.GetAmount()
	}
	return nil
}

// opening is what is spent of a budget in the period that goes on.
func (v *conversion) opening(s subject, was spent) *controlv1.BudgetOpening {
	if was.text == "" || !was.reset.IsZero() && !was.reset.After(v.at) {
		return nil // LiteLLM would have begun it anew by now
	}
	nanos, err := dollars(was.text, true)
	if err != nil {
		v.about(plan.Refused, s.what, s.row, "What is spent of its budget is not imported: %v.", err)
		return nil
	}
	if nanos <= 0 {
		return nil
	}
	v.opened++
	return &controlv1.BudgetOpening{Spent: contract.MoneyToProto(nanos), Time: timestamppb.New(v.at.Truncate(time.Second))}
}

func (s subject) scopeBudget(b *controlv1.Budget) {
	switch s.kind {
	case declare.Key:
		b.Scope = &controlv1.Budget_Key{Key: s.name}
	case declare.Team:
		b.Scope = &controlv1.Budget_Team{Team: s.name}
	case declare.Customer:
		b.Scope = &controlv1.Budget_Customer{Customer: s.name}
	case declare.Tag:
		b.Scope = &controlv1.Budget_Tag{Tag: s.name}
	default:
		b.Scope = &controlv1.Budget_Everything{Everything: true}
	}
}

func (s subject) same(b *controlv1.Budget) bool {
	other := &controlv1.Budget{}
	s.scopeBudget(other)
	return other.GetKey() == b.GetKey() && other.GetTeam() == b.GetTeam() && other.GetCustomer() == b.GetCustomer() &&
		other.GetTag() == b.GetTag() && other.GetEverything() == b.GetEverything()
}

// limit makes a limit of a whole number.
func (v *conversion) limit(s subject, text string, kind controlv1.LimitKind, word string) {
	if text == "" {
		return
	}
	nanos, err := dollars(text, false)
	amount := int64(nanos) / 1e9
	if err != nil || nanos < 0 || amount > 1_000_000_000_000 {
		v.about(plan.Refused, s.what, s.row, "%s is no limit of %s.", quote(text), word)
		return
	}
	l := &controlv1.Limit{Kind: kind, Amount: amount, Name: s.inline("-" + word)}
	switch s.kind {
	case declare.Key:
		l.Scope = &controlv1.Limit_Key{Key: s.name}
	case declare.Team:
		l.Scope = &controlv1.Limit_Team{Team: s.name}
	case declare.Customer:
		l.Scope = &controlv1.Limit_Customer{Customer: s.name}
	case declare.Tag:
		l.Scope = &controlv1.Limit_Tag{Tag: s.name}
	default:
		l.Scope = &controlv1.Limit_Everything{Everything: true}
	}
	v.plan.Limits = append(v.plan.Limits, l)
}

// limits makes the limits of a row: requests and tokens a minute, and requests at a time.
func (v *conversion) limits(s subject, r Row) {
	v.limit(s, r.Text("rpm_limit"), controlv1.LimitKind_LIMIT_KIND_REQUESTS, "requests")
	v.limit(s, r.Text("tpm_limit"), controlv1.LimitKind_LIMIT_KIND_UNITS, "units")
	v.limit(s, r.Text("max_parallel_requests"), controlv1.LimitKind_LIMIT_KIND_CONCURRENT, "concurrent")
}

// allowance is what a row may spend: its own settings, or those of the budget that it names.
type allowance struct{ own, shared Row }

func (v *conversion) allowance(r Row) allowance {
	shared := r.Object("litellm_budget_table")
	if shared == nil {
		shared = v.budgets[r.Text("budget_id")]
	}
	return allowance{r, shared}
}

func (a allowance) text(name string) string {
	if t := a.own.Text(name); t != "" {
		return t
	}
	return a.shared.Text(name)
}

func (a allowance) reset() time.Time {
	if t := a.own.Time("budget_reset_at"); !t.IsZero() {
		return t
	}
	return a.shared.Time("budget_reset_at")
}

// spending makes the budgets and the limits of a row.
func (v *conversion) spending(s subject, r Row) {
	a := v.allowance(r)
	was := spent{a.own.Text("spend"), a.reset()}
	every := a.text("budget_duration")
	amount, soft := a.text("max_budget"), a.text("soft_budget")
	switch {
	case amount != "":
		if b := v.budget(s, amount, every, "", false, was); b != nil && soft != "" {
			if percent := share(soft, amount); percent > 0 {
				b.WarnPercents = []uint32{percent}
			}
		}
	case soft != "":
		v.budget(s, soft, every, "", true, was)
	}
	v.windows(s, a)
	merged := Row{}
	for _, name := range []string{"rpm_limit", "tpm_limit", "max_parallel_requests"} {
		merged[name] = a.text(name)
	}
	v.limits(s, merged)
	if a.own.has("model_max_budget") || a.shared.has("model_max_budget") {
		v.about(plan.Refused, s.what, s.row, "Its budgets of single models (model_max_budget) are not imported: a Tollgate budget is for all that is spent. Give it a key for each such model.")
	}
	for _, name := range []string{"model_rpm_limit", "model_tpm_limit", "tag_rpm_limit", "mcp_rpm_limit"} {
		if r.Object("metadata").has(name) || r.has(name) {
			v.about(plan.Refused, s.what, s.row, "%s is not imported: a Tollgate limit is for all requests. More may pass than before.", name)
		}
	}
}

// windows makes the budgets of budget_limits: several periods at once.
func (v *conversion) windows(s subject, a allowance) {
	list := a.own.Rows("budget_limits")
	if list == nil {
		list = a.shared.Rows("budget_limits")
	}
	for i, w := range list {
		was := spent{w.Text("spend"), w.Time("reset_at")}
		if was.text == "" {
			v.about(plan.Warning, s.what, s.row, "LiteLLM keeps what is spent of its budget for every %s in memory only: here it begins with nothing spent.", w.Text("budget_duration"))
		}
		v.budget(s, w.Text("max_budget"), w.Text("budget_duration"), "-"+strconv.Itoa(i+1), false, was)
	}
}

// share is one amount in percent of another, if that can be said.
func share(part, whole string) uint32 {
	p, err := dollars(part, false)
	w, werr := dollars(whole, false)
	if err != nil || werr != nil || w <= 0 || p <= 0 || p > w {
		return 0
	}
	return uint32(min(100, max(1, int64(p)/max(1, int64(w)/100))))
}

var labelForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._@:-]{0,126}[A-Za-z0-9])?$`)

// label makes the name of a tag or a customer, which may be that of LiteLLM in most cases. One that had to be changed ends with
// letters of the original's hash, so that no two become the same.
func label(text string) (out string, same bool) {
	if labelForm.MatchString(text) {
		return text, true
	}
	out = strings.Map(func(r rune) rune {
		if r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._@:-", r)) {
			return r
		}
		return '-'
	}, text)
	out = strings.Trim(out, "._@:-")
	return strings.Trim(out[:min(len(out), 100)]+"-"+shortHash(text), "-"), false
}

// objectName makes the name of a key or a team in the same way.
func objectName(text, fallback string) (out string, same bool) {
	out = strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r):
			return r
		default:
			return '-'
		}
	}, strings.ToLower(text)), "._-")
	for strings.Contains(out, "--") && out != text {
		out = strings.ReplaceAll(out, "--", "-")
	}
	if out == text && len(out) <= maxName && out != "" {
		return out, true
	}
	if text == "" {
		return fallback, false
	}
	return strings.Trim(strings.TrimRight(out[:min(len(out), maxName-7)], "._-")+"-"+shortHash(text), "-"), false
}

func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:3])
}

// dedupe keeps the order.
func dedupe(all []string) (out []string) {
	for _, s := range all {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
