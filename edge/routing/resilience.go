package routing

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"tollgate/edge/breaker"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// What holds where the configuration says 0.
const (
	retryAttempts = 1
	retryMaxBody  = 1 << 20
	retryPercent  = 20
	retryBackoff  = 25 * time.Millisecond

	healthInterval  = 10 * time.Second
	healthTimeout   = 5 * time.Second
	healthUnhealthy = 3
	healthHealthy   = 2

	outlierFailures = 5
	outlierEject    = 30 * time.Second
	outlierPercent  = 50
)

// retryStatuses are answers that say that another try may go better.
func retryStatuses() []int { return []int{429, 502, 503, 504} }

// resilience is what an endpoint does about targets that fail.
func resilience(e *Endpoint, from *eventv1.RouteEndpoint) (err error) {
	if e.Balance, err = balance(from.GetBalance()); err != nil {
		return err
	}
	if e.Retry, err = newRetry(from.GetRetry()); err != nil {
		return fmt.Errorf("retry: %w", err)
	}
	if e.Hedge, err = newHedge(from.GetHedge()); err != nil {
		return fmt.Errorf("hedge: %w", err)
	}
	if e.Health, err = newHealth(from.GetHealth()); err != nil {
		return fmt.Errorf("health check: %w", err)
	}
	if e.Outlier, err = newOutlier(from.GetOutlier()); err != nil {
		return fmt.Errorf("outlier ejection: %w", err)
	}
	return nil
}

func balance(b eventv1.BalancePolicy) (eventv1.BalancePolicy, error) {
	switch b {
	case eventv1.BalancePolicy_BALANCE_POLICY_UNSPECIFIED:
		return eventv1.BalancePolicy_BALANCE_POLICY_FAILOVER, nil
	case eventv1.BalancePolicy_BALANCE_POLICY_FAILOVER, eventv1.BalancePolicy_BALANCE_POLICY_WEIGHTED, eventv1.BalancePolicy_BALANCE_POLICY_LEAST_IN_FLIGHT:
		return b, nil
	default:
		return 0, fmt.Errorf("balance %s is not known", b)
	}
}

func newRetry(from *eventv1.RetryPolicy) (*Retry, error) {
	if from == nil {
		return nil, nil
	}
	statuses, err := statusList(from.GetStatuses())
	if err != nil {
		return nil, err
	}
	if len(statuses) == 0 {
		statuses = retryStatuses()
	}
	backoff, err := orMillis(from.GetBackoffMs(), "backoff", retryBackoff)
	switch {
	case err != nil:
		return nil, err
	case from.GetMaxBodyBytes() < 0:
		return nil, errors.New("its largest body is negative")
	case from.GetBudgetPercent() > 100:
		return nil, fmt.Errorf("its budget of %d percent is more than 100", from.GetBudgetPercent())
	}
	return &Retry{
		Attempts: number(from.GetAttempts(), retryAttempts), Statuses: statuses, AnyMethod: from.GetAnyMethod(),
		MaxBody:       cmp.Or(from.GetMaxBodyBytes(), retryMaxBody),
		BudgetPercent: cmp.Or(from.GetBudgetPercent(), retryPercent),
		Backoff:       backoff,
	}, nil
}

func newHedge(from *eventv1.HedgePolicy) (*Hedge, error) {
	if from == nil {
		return nil, nil
	}
	after, err := millis(from.GetAfterMs(), "delay")
	if err == nil && after == 0 {
		err = errors.New("it does not say after how long")
	}
	if err != nil {
		return nil, err
	}
	return &Hedge{After: after, AnyMethod: from.GetAnyMethod()}, nil
}

func newHealth(from *eventv1.HealthPolicy) (*Health, error) {
	if from == nil {
		return nil, nil
	}
	path, _, _ := strings.Cut(from.GetPath(), "?")
	if !validPath(path) || strings.ContainsFunc(from.GetPath(), func(r rune) bool { return r <= ' ' || r == 0x7f || r == '#' }) {
		return nil, fmt.Errorf("%q cannot be the path of a request", from.GetPath())
	}
	statuses, err := statusList(from.GetStatuses())
	if err != nil {
		return nil, err
	}
	interval, err := orMillis(from.GetIntervalMs(), "interval", healthInterval)
	if err != nil {
		return nil, err
	}
	timeout, err := orMillis(from.GetTimeoutMs(), "timeout", healthTimeout)
	if err != nil {
		return nil, err
	}
	return &Health{
		Path: from.GetPath(), Interval: interval, Timeout: timeout, Statuses: statuses,
		UnhealthyAfter: number(from.GetUnhealthyAfter(), healthUnhealthy), HealthyAfter: number(from.GetHealthyAfter(), healthHealthy),
	}, nil
}

func newOutlier(from *eventv1.OutlierPolicy) (*Outlier, error) {
	if from == nil {
		return nil, nil
	}
	eject, err := orMillis(from.GetEjectMs(), "time", outlierEject)
	if err == nil && from.GetMaxPercent() > 100 {
		err = fmt.Errorf("its share of %d percent is more than 100", from.GetMaxPercent())
	}
	if err != nil {
		return nil, err
	}
	return &Outlier{
		Failures: number(from.GetFailures(), outlierFailures), EjectFor: eject, MaxPercent: number(from.GetMaxPercent(), outlierPercent),
	}, nil
}

func newBreaker(from *eventv1.BreakerPolicy) (breaker.Settings, error) {
	s := breaker.DefaultSettings()
	if from == nil {
		return s, nil
	}
	window, err := orMillis(from.GetWindowMs(), "window", s.Window)
	if err != nil {
		return s, err
	}
	open, err := orMillis(from.GetOpenMs(), "time", s.OpenFor)
	if err == nil && from.GetFailPercent() > 100 {
		err = fmt.Errorf("its share of %d percent is more than 100", from.GetFailPercent())
	}
	if err != nil {
		return s, err
	}
	s.MinEnded, s.FailPercent = cmp.Or(from.GetMinAttempts(), s.MinEnded), cmp.Or(from.GetFailPercent(), s.FailPercent)
	s.Window, s.OpenFor = window, open
	return s, nil
}

// number is a configured number, with a default for 0.
func number(n uint32, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return int(min(n, math.MaxInt32))
}

func statusList(list []uint32) ([]int, error) {
	var out []int
	for _, s := range list {
		if s < 200 || s > 599 {
			return nil, fmt.Errorf("%d is not the status of an answer", s)
		}
		out = append(out, int(s))
	}
	return out, nil
}
