// Package mapping is what the names, periods and amounts of LiteLLM become in Tollgate. The importer and the
// LiteLLM-compatible API both use it, so that what one makes the other finds. It is pure: it reads no file and asks no server.
package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Kept is the field of an object's metadata that holds what LiteLLM says of it and Tollgate has no place for.
const Kept = "litellm"

// Prefixes of tags that stand for objects which Tollgate does not have.
const (
	UserTag         = "user:"         // a LiteLLM user, with a personal budget on the tag
	OrganizationTag = "org:"          // a LiteLLM organization
	BudgetTag       = "litellm-plan:" // a row of LiteLLM's budget table: amounts that others refer to
)

// longest is how long names of keys, teams and budgets may be, and longestTag how long tags and customers may be.
const (
	longest    = 63
	longestTag = 128
)

var (
	plainName = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)
	plainTag  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._@:-]{0,126}[A-Za-z0-9])?$`)
)

// Name makes the name of a key, a team or a budget of any text: the text itself where it can be one, else its letters, digits
// and . _ - in lower case with single hyphens for the rest. It is empty where nothing is left.
func Name(text string) string {
	if plainName.MatchString(text) {
		return text
	}
	return trim(clean(strings.ToLower(text), func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '_'
	}), longest)
}

// Tag makes a tag or the name of a customer of any text in the same way. A text that cannot be one as it is gets part of its
// hash, so that two never share a budget.
func Tag(prefix, text string) string {
	if whole := prefix + text; plainTag.MatchString(whole) {
		return whole
	}
	sum := sha256.Sum256([]byte(text))
	suffix := "-" + hex.EncodeToString(sum[:4])
	kept := clean(text, func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._@:", r)
	})
	return trim(prefix+kept, longestTag-len(suffix)) + suffix
}

// clean keeps the characters that may stay, with a hyphen for each run of others.
func clean(text string, keep func(rune) bool) string {
	var b strings.Builder
	gap := false
	for _, r := range text {
		if !keep(r) {
			gap = true
			continue
		}
		if gap && b.Len() > 0 {
			b.WriteByte('-')
		}
		gap = false
		b.WriteRune(r)
	}
	return b.String()
}

func trim(s string, most int) string {
	return strings.Trim(s[:min(len(s), most)], "-._:@")
}

// Numbered is a name with a number behind it, for one that is taken. The first is the name itself.
func Numbered(name string, n int) string {
	if n < 2 {
		return name
	}
	suffix := "-" + strconv.Itoa(n)
	return trim(name, longest-len(suffix)) + suffix
}

// Budget is the name of the budget that max_budget of an object becomes: kind is "key", "team", "customer" or "tag".
func Budget(kind, object string) string { return named(kind, object, "") }

// Window is the name of the budget that one of budget_limits becomes, and Soft of one that only warns.
func Window(kind, object, duration string) string { return named(kind, object, "-"+Name(duration)) }

// Soft is the name of the budget that soft_budget without max_budget becomes.
func Soft(kind, object string) string { return named(kind, object, "-soft") }

// Limit is the name of the limit that a setting such as rpm_limit becomes.
func Limit(kind, object string, of controlv1.LimitKind) string {
	suffix := map[controlv1.LimitKind]string{
		controlv1.LimitKind_LIMIT_KIND_REQUESTS: "-rpm", controlv1.LimitKind_LIMIT_KIND_UNITS: "-tpm",
		controlv1.LimitKind_LIMIT_KIND_CONCURRENT: "-parallel",
	}[of]
	return named(kind, object, suffix)
}

// named is a name for something of one object. One that is too long, or not the object's own text, ends in part of a hash.
func named(kind, object, suffix string) string {
	text := kind + "-" + object
	name := Name(text)
	if name != text || len(name)+len(suffix) > longest {
		sum := sha256.Sum256([]byte(text))
		suffix = "-" + hex.EncodeToString(sum[:4]) + suffix
	}
	return trim(name, longest-len(suffix)) + suffix
}

// Period is what budget_duration becomes.
type Period struct {
	Period controlv1.Period
	Days   uint32 // of a rolling one
}

var duration = regexp.MustCompile(`^([0-9]{1,9})(s|m|h|d|w|mo)$`)

// PeriodOf reads a budget_duration. A day, a week and a month are those of the calendar, as LiteLLM has them, too; other numbers
// of days roll. What is neither an hour nor a number of days has no counterpart. Empty is a total, which never starts anew.
func PeriodOf(text string) (Period, bool) {
	if text == "" {
		return Period{Period: controlv1.Period_PERIOD_TOTAL}, true
	}
	m := duration.FindStringSubmatch(text)
	if m == nil {
		return Period{}, false
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil || n == 0 {
		return Period{}, false
	}
	if m[2] == "mo" {
		if n == 1 {
			return Period{Period: controlv1.Period_PERIOD_MONTH}, true
		}
		return rolling(n * 30)
	}
	seconds := n * map[string]int64{"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}[m[2]]
	switch {
	case seconds == 3600:
		return Period{Period: controlv1.Period_PERIOD_HOUR}, true
	case seconds == 86400:
		return Period{Period: controlv1.Period_PERIOD_DAY}, true
	case seconds == 7*86400:
		return Period{Period: controlv1.Period_PERIOD_WEEK}, true
	case seconds == 30*86400:
		return Period{Period: controlv1.Period_PERIOD_MONTH}, true
	case seconds%86400 == 0:
		return rolling(seconds / 86400)
	default:
		return Period{}, false
	}
}

func rolling(days int64) (Period, bool) {
	if days < 2 || days > 366 {
		return Period{}, false
	}
	return Period{Period: controlv1.Period_PERIOD_ROLLING, Days: uint32(days)}, true
}

// Duration is the budget_duration that a period is shown as; empty for a total.
func (p Period) Duration() string {
	switch p.Period {
	case controlv1.Period_PERIOD_HOUR:
		return "1h"
	case controlv1.Period_PERIOD_DAY:
		return "1d"
	case controlv1.Period_PERIOD_WEEK:
		return "7d"
	case controlv1.Period_PERIOD_MONTH:
		return "30d"
	case controlv1.Period_PERIOD_ROLLING:
		return strconv.FormatUint(uint64(p.Days), 10) + "d"
	case controlv1.Period_PERIOD_TOTAL, controlv1.Period_PERIOD_UNSPECIFIED:
	}
	return ""
}

// Lifetime reads a duration such as "30s", "30m", "30h", "30d", "2w" or "1mo", counted from a time.
func Lifetime(text string, from time.Time) (time.Time, bool) {
	m := duration.FindStringSubmatch(text)
	if m == nil {
		return time.Time{}, false
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return time.Time{}, false
	}
	const most = 100 * 366 // days
	switch m[2] {
	case "mo":
		if n > most/30 {
			return time.Time{}, false
		}
		return from.AddDate(0, n, 0), true
	case "w":
		n *= 7
		fallthrough
	case "d":
		if n > most {
			return time.Time{}, false
		}
		return from.AddDate(0, 0, n), true
	}
	return from.Add(time.Duration(n) * map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[m[2]]), n < most*24
}

// Models reads a list of models. What LiteLLM has as words for all of them is the empty list.
func Models(names []string) []string {
	var out []string
	for _, n := range names {
		switch n {
		case "all-proxy-models", "all-team-models", "*":
			return nil
		}
		out = append(out, n)
	}
	return out
}
