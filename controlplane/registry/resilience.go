package registry

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Resilience says what happens when targets fail or are slow. What is nil is not done, but for the
// breaker, which then has defaults; what is 0 in one of them takes the edge's default.
type Resilience struct {
	Retry   *Retry   `json:"retry,omitempty"`
	Hedge   *Hedge   `json:"hedge,omitempty"`
	Breaker *Breaker `json:"breaker,omitempty"`
	Health  *Health  `json:"health_check,omitempty"`
	Outlier *Outlier `json:"outlier_ejection,omitempty"`
}

// Retry says which requests are sent again.
type Retry struct {
	Attempts      uint32        `json:"attempts"`
	Statuses      []uint32      `json:"statuses,omitempty"`
	AnyMethod     bool          `json:"any_method,omitempty"`
	MaxBodyBytes  int64         `json:"max_body_bytes,omitempty"`
	BudgetPercent uint32        `json:"budget_percent,omitempty"`
	Backoff       time.Duration `json:"backoff_ns,omitempty"`
}

// Hedge says when a second attempt is made beside a slow one.
type Hedge struct {
	After     time.Duration `json:"after_ns"`
	AnyMethod bool          `json:"any_method,omitempty"`
}

// Breaker says when a target that fails is left alone.
type Breaker struct {
	MinAttempts uint32        `json:"min_attempts,omitempty"`
	FailPercent uint32        `json:"fail_percent,omitempty"`
	Window      time.Duration `json:"window_ns,omitempty"`
	OpenFor     time.Duration `json:"open_for_ns,omitempty"`
}

// Health is how each edge finds out whether a target works.
type Health struct {
	Path           string        `json:"path"`
	Interval       time.Duration `json:"interval_ns,omitempty"`
	Timeout        time.Duration `json:"timeout_ns,omitempty"`
	Statuses       []uint32      `json:"statuses,omitempty"`
	UnhealthyAfter uint32        `json:"unhealthy_after,omitempty"`
	HealthyAfter   uint32        `json:"healthy_after,omitempty"`
}

// Outlier says when a target that does worse than the others gets no requests for a while.
type Outlier struct {
	Failures   uint32        `json:"failures,omitempty"`
	EjectFor   time.Duration `json:"eject_for_ns,omitempty"`
	MaxPercent uint32        `json:"max_percent,omitempty"`
}

// Bounds of resilience.
const (
	maxRetries       = 5
	maxRetryBody     = 64 << 20
	maxBackoff       = 30 * time.Second
	maxHedge         = 10 * time.Minute
	maxAttempts      = 100_000
	maxFailures      = 1000
	maxStatuses      = 16
	maxChecksInARow  = 100
	maxHealthTimeout = time.Minute
	maxHealthPath    = 1024
)

func (r *Resilience) normalize() {
	if r.Retry != nil {
		r.Retry.Backoff = wholeMillis(r.Retry.Backoff)
	}
	if r.Hedge != nil {
		r.Hedge.After = wholeMillis(r.Hedge.After)
	}
	if b := r.Breaker; b != nil {
		b.Window, b.OpenFor = wholeMillis(b.Window), wholeMillis(b.OpenFor)
	}
	if h := r.Health; h != nil {
		h.Interval, h.Timeout = wholeMillis(h.Interval), wholeMillis(h.Timeout)
	}
	if r.Outlier != nil {
		r.Outlier.EjectFor = wholeMillis(r.Outlier.EjectFor)
	}
}

// check adds what is wrong with it, of so many targets or deployments that get so much time for an answer.
func (r *Resilience) check(p *Problems, targets int, what string, timeout time.Duration) {
	if r.Retry != nil {
		r.Retry.check(p)
	}
	if h := r.Hedge; h != nil {
		switch {
		case h.After < time.Millisecond || h.After > maxHedge:
			p.Add("hedge.after", Range, "The wait before a second attempt is %s, which is not between 1ms and %s.", h.After, maxHedge)
		case h.After >= timeout:
			p.Add("hedge.after", Range, "The second attempt would come after %s, when the first has been given up: its timeout is %s.", h.After, timeout)
		}
	}
	if b := r.Breaker; b != nil {
		checkNumber(p, "breaker.min_attempts", "The number of attempts", b.MinAttempts, maxAttempts)
		checkNumber(p, "breaker.fail_percent", "The share of failures in percent", b.FailPercent, 100)
		checkDuration(p, "breaker.window", "The time for which attempts count", b.Window, time.Second, time.Hour)
		checkDuration(p, "breaker.open_for", "The time for which it is open", b.OpenFor, time.Millisecond, time.Hour)
	}
	if r.Health != nil {
		r.Health.check(p)
	}
	if o := r.Outlier; o != nil {
		if targets < 2 && !p.Has(what+"s") {
			p.Add("outlier_ejection", Forbidden, "There is one %s, which nothing can take the place of: add another, or leave ejection out.", what)
		}
		checkNumber(p, "outlier_ejection.failures", "The number of failures", o.Failures, maxFailures)
		checkDuration(p, "outlier_ejection.eject_for", "The time for which a target is ejected", o.EjectFor, time.Second, time.Hour)
		checkNumber(p, "outlier_ejection.max_percent", "The share of targets in percent", o.MaxPercent, 100)
	}
}

func (r *Retry) check(p *Problems) {
	if r.Attempts < 1 || r.Attempts > maxRetries {
		p.Add("retry.attempts", Range, "%d retries is not between 1 and %d: leave retry out for none.", r.Attempts, maxRetries)
	}
	checkStatuses(p, "retry.statuses", r.Statuses, 400)
	if r.MaxBodyBytes < 0 || r.MaxBodyBytes > maxRetryBody {
		p.Add("retry.max_body_bytes", Range, "The largest body that is kept is %d bytes, which is not between 0 and %d.", r.MaxBodyBytes, maxRetryBody)
	}
	checkNumber(p, "retry.budget_percent", "The share of retries in percent", r.BudgetPercent, 100)
	checkDuration(p, "retry.backoff", "The wait before a retry", r.Backoff, time.Millisecond, maxBackoff)
}

func (h *Health) check(p *Problems) {
	if reason := healthPathProblem(h.Path); reason != "" {
		p.Add("health_check.path", Malformed, "%s", reason)
	}
	checkDuration(p, "health_check.interval", "The time between two checks", h.Interval, time.Second, time.Hour)
	checkDuration(p, "health_check.timeout", "The time for an answer", h.Timeout, time.Millisecond, maxHealthTimeout)
	checkStatuses(p, "health_check.statuses", h.Statuses, 200)
	checkNumber(p, "health_check.unhealthy_after", "The number of failures in a row", h.UnhealthyAfter, maxChecksInARow)
	checkNumber(p, "health_check.healthy_after", "The number of successes in a row", h.HealthyAfter, maxChecksInARow)
}

// healthPathProblem: the path is put behind the target's own, and must stay below it however a server
// reads it.
func healthPathProblem(path string) string {
	switch {
	case path == "":
		return "Name the path of a health check, for example /healthz."
	case len(path) > maxHealthPath:
		return fmt.Sprintf("The path of a health check is longer than %d bytes.", maxHealthPath)
	case path[0] != '/':
		return fmt.Sprintf("The path of a health check, %q, does not begin with /.", clip(path))
	case strings.Contains(path, "#"):
		return "The path of a health check has a fragment (#…), which is never sent: leave it out."
	}
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == '"' || c == '<' || c == '>' {
			return fmt.Sprintf("The path of a health check cannot contain %q: percent-encode it.", []rune(path[i:])[0])
		}
	}
	raw, _, _ := strings.Cut(path, "?")
	plain, err := url.PathUnescape(raw)
	if err != nil {
		return "The path of a health check has a % in it that begins no escape: write it as %25."
	}
	for s := range strings.FieldsFuncSeq(plain, func(r rune) bool { return r == '/' || r == '\\' }) {
		if s == "." || s == ".." || strings.HasPrefix(s, "..;") {
			return fmt.Sprintf("The path of a health check contains the segment %q: write the path that is meant.", clip(s))
		}
	}
	return ""
}

// checkNumber: 0 stands for a default.
func checkNumber(p *Problems, field, what string, n, most uint32) {
	if n > most {
		p.Add(field, Range, "%s is %d: at most %d is allowed.", what, n, most)
	}
}

func checkStatuses(p *Problems, field string, statuses []uint32, least uint32) {
	if len(statuses) > maxStatuses {
		p.Add(field, Range, "There are %d statuses: at most %d are allowed.", len(statuses), maxStatuses)
	}
	for i, s := range statuses {
		switch {
		case s < least || s > 599:
			p.Add(field, Range, "The status %d is not between %d and 599.", s, least)
		case slices.Contains(statuses[:i], s):
			p.Add(field, Duplicate, "The status %d is listed twice.", s)
		}
	}
}
