package litellm

import (
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/money"
)

// lasts is how often a budget starts anew.
type lasts struct {
	period controlv1.Period
	days   uint32 // of a rolling period
	differ string // how that differs from LiteLLM's; empty if it does not
}

var durationForm = regexp.MustCompile(`^([0-9]{1,6})(s|m|h|d|w|mo|y)$`)

const maxRolling = 366

// lasting reads LiteLLM's budget_duration. LiteLLM starts budgets of a day, a week and a month anew by the calendar, as Tollgate does;
// others become the next longer period that there is, so that never more is spent than before.
func lasting(text string) (lasts, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	switch text {
	case "":
		return lasts{period: controlv1.Period_PERIOD_TOTAL}, nil
	case "hourly":
		text = "1h"
	case "daily":
		text = "1d"
	case "weekly":
		text = "7d"
	case "monthly":
		text = "1mo"
	}
	m := durationForm.FindStringSubmatch(text)
	if m == nil {
		return lasts{}, fmt.Errorf("%s is no duration of a budget", quote(text))
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil || n == 0 {
		return lasts{}, fmt.Errorf("%s is no duration of a budget", quote(text))
	}
	const hour, dayOf = 3600, 86400
	seconds := n * map[string]int64{"s": 1, "m": 60, "h": hour, "d": dayOf, "w": 7 * dayOf, "mo": 31 * dayOf, "y": maxRolling * dayOf}[m[2]]
	longer := func(p controlv1.Period, what string) lasts {
		return lasts{period: p, differ: fmt.Sprintf("LiteLLM starts it anew every %s; here it lasts %s, the next longer one, so that never more is spent.", text, what)}
	}
	switch {
	case seconds == hour:
		return lasts{period: controlv1.Period_PERIOD_HOUR}, nil
	case seconds == dayOf:
		return lasts{period: controlv1.Period_PERIOD_DAY}, nil
	case seconds == 7*dayOf:
		return lasts{period: controlv1.Period_PERIOD_WEEK}, nil
	case text == "1mo", seconds == 30*dayOf:
		return lasts{period: controlv1.Period_PERIOD_MONTH}, nil
	case seconds < hour:
		return longer(controlv1.Period_PERIOD_HOUR, "an hour"), nil
	case seconds < dayOf:
		return longer(controlv1.Period_PERIOD_DAY, "a day"), nil
	case seconds > maxRolling*dayOf:
		return longer(controlv1.Period_PERIOD_TOTAL, "for good"), nil
	}
	days := uint32((seconds + dayOf - 1) / dayOf)
	return lasts{
		period: controlv1.Period_PERIOD_ROLLING, days: days,
		differ: fmt.Sprintf("LiteLLM starts it anew every %s; here it covers the last %d days, today included.", text, days),
	}, nil
}

// validity reads how long a key is valid, in whole days, of which there is at least one.
func validity(text string) (int32, error) {
	m := durationForm.FindStringSubmatch(strings.ToLower(strings.TrimSpace(text)))
	if m == nil {
		return 0, fmt.Errorf("%s is no duration", quote(text))
	}
	n, err := strconv.ParseInt(m[1], 10, 32)
	if err != nil {
		return 0, err
	}
	days := n * map[string]int64{"d": 1, "w": 7, "mo": 31, "y": 366}[m[2]]
	switch m[2] {
	case "s":
		days = (n + 86399) / 86400
	case "m":
		days = (n + 1439) / 1440
	case "h":
		days = (n + 23) / 24
	}
	return int32(min(days, 3650)), nil
}

// dollars reads an amount from its text, which is how a float of LiteLLM is written. What it has beyond nine decimals is rounded up
// or down.
func dollars(text string, up bool) (money.Nanos, error) {
	m := number.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil || m[2]+m[3] == "" || len(text) > 400 {
		return 0, fmt.Errorf("%s is no amount in dollars", quote(text))
	}
	digits, _ := new(big.Int).SetString(m[2]+m[3], 10)
	exponent := 9 - len(m[3])
	if m[4] != "" {
		e, err := strconv.Atoi(m[4])
		if err != nil {
			return 0, fmt.Errorf("%s is no amount in dollars", quote(text))
		}
		exponent += e
	}
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(exponent, -exponent))), nil)
	if exponent >= 0 {
		digits.Mul(digits, scale)
	} else if _, rest := digits.QuoRem(digits, scale, new(big.Int)); up && rest.Sign() != 0 {
		digits.Add(digits, big.NewInt(1))
	}
	if !digits.IsInt64() {
		return 0, fmt.Errorf("%s is too large: %w", quote(text), money.ErrOverflow)
	}
	if m[1] == "-" {
		return money.Nanos(-digits.Int64()), nil
	}
	return money.Nanos(digits.Int64()), nil
}
