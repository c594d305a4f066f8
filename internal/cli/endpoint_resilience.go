package cli

import (
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// resilienceFlags say what happens when targets fail. Each is one text, and off takes it away.
type resilienceFlags struct{ retry, hedge, breaker, health, outlier string }

const off = "off"

func (f *resilienceFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.retry, "retry", "", "'N [status=429,503] [any-method] [max-body=1MiB] [budget=PERCENT] [backoff=25ms]': send a request again up to N times; or off")
	flags.StringVar(&f.hedge, "hedge", "", "'TIME [any-method]': make a second attempt beside one that took this long; or off")
	flags.StringVar(&f.breaker, "breaker", "", "'[min=5] [fail=50] [window=10s] [open=10s]': leave a target alone when FAIL percent of at least MIN attempts failed; or off for these defaults")
	flags.StringVar(&f.health, "health-check", "", "'PATH [interval=10s] [timeout=5s] [status=200,204] [unhealthy=3] [healthy=2]': request by which edges find out whether a target works; or off")
	flags.StringVar(&f.outlier, "outlier", "", "'[failures=5] [for=30s] [max=50]': give a target of several no requests for a while when it fails; or off")
}

// registerModel registers those that models have.
func (f *resilienceFlags) registerModel(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.retry, "retry", "", "'N [status=429,503] [any-method] [max-body=1MiB] [budget=PERCENT] [backoff=25ms]': send a request again up to N times; or off")
	flags.StringVar(&f.hedge, "hedge", "", "'TIME [any-method]': make a second attempt beside one that took this long; or off")
	flags.StringVar(&f.breaker, "breaker", "", "'[min=5] [fail=50] [window=10s] [open=10s]': leave a deployment alone when FAIL percent of at least MIN attempts failed; or off for these defaults")
	flags.StringVar(&f.outlier, "outlier", "", "'[failures=5] [for=30s] [max=50]': give a deployment of several no requests for a while when it fails; or off")
}

func (f *resilienceFlags) change(cmd *cobra.Command, e *controlv1.Endpoint) error {
	given := cmd.Flags().Changed
	read := func(flag, text string, first bool, known ...string) *words {
		return readWords(cmd, flag, text, first, known...)
	}
	if given("retry") {
		if e.Retry = nil; f.retry != off {
			w := read("retry", f.retry, true, "status=", "any-method", "max-body=", "budget=", "backoff=")
			w.given["N"] = w.first
			e.Retry = &controlv1.Retry{
				Attempts: w.number("N"), Statuses: w.numbers("status"), AnyMethod: w.has("any-method"),
				MaxBodyBytes: w.size("max-body"), BudgetPercent: w.number("budget"), Backoff: w.duration("backoff"),
			}
			if w.err != nil {
				return w.err
			}
		}
	}
	if given("hedge") {
		if e.Hedge = nil; f.hedge != off {
			w := read("hedge", f.hedge, true, "any-method")
			e.Hedge = &controlv1.Hedge{After: w.time(w.first), AnyMethod: w.has("any-method")}
			if w.err != nil {
				return w.err
			}
		}
	}
	if given("breaker") {
		if e.Breaker = nil; f.breaker != off {
			w := read("breaker", f.breaker, false, "min=", "fail=", "window=", "open=")
			e.Breaker = &controlv1.Breaker{
				MinAttempts: w.number("min"), FailPercent: w.number("fail"), Window: w.duration("window"), OpenFor: w.duration("open"),
			}
			if w.err != nil {
				return w.err
			}
		}
	}
	if given("health-check") {
		if e.HealthCheck = nil; f.health != off {
			w := read("health-check", f.health, true, "interval=", "timeout=", "status=", "unhealthy=", "healthy=")
			e.HealthCheck = &controlv1.HealthCheck{
				Path: w.first, Interval: w.duration("interval"), Timeout: w.duration("timeout"), Statuses: w.numbers("status"),
				UnhealthyAfter: w.number("unhealthy"), HealthyAfter: w.number("healthy"),
			}
			if w.err != nil {
				return w.err
			}
		}
	}
	if given("outlier") {
		if e.OutlierEjection = nil; f.outlier != off {
			w := read("outlier", f.outlier, false, "failures=", "for=", "max=")
			e.OutlierEjection = &controlv1.OutlierEjection{
				Failures: w.number("failures"), EjectFor: w.duration("for"), MaxPercent: w.number("max"),
			}
			if w.err != nil {
				return w.err
			}
		}
	}
	return nil
}

// describeResilience shows what is set, in the words of the flags.
func describeResilience(t *table, e *controlv1.Endpoint) {
	if r := e.GetRetry(); r != nil {
		var s phrase
		s.add("", word(r.GetAttempts()), true)
		s.numbers("status", r.GetStatuses())
		s.add("any-method", "", r.GetAnyMethod())
		s.size("max-body", r.GetMaxBodyBytes())
		s.number("budget", r.GetBudgetPercent())
		s.duration("backoff", r.GetBackoff())
		t.add("retry", s.String())
	}
	if h := e.GetHedge(); h != nil {
		s := phrase{h.GetAfter().AsDuration().String()}
		s.add("any-method", "", h.GetAnyMethod())
		t.add("hedge", s.String())
	}
	if b := e.GetBreaker(); b != nil {
		var s phrase
		s.number("min", b.GetMinAttempts())
		s.number("fail", b.GetFailPercent())
		s.duration("window", b.GetWindow())
		s.duration("open", b.GetOpenFor())
		t.add("breaker", s.String())
	}
	if h := e.GetHealthCheck(); h != nil {
		s := phrase{h.GetPath()}
		s.duration("interval", h.GetInterval())
		s.duration("timeout", h.GetTimeout())
		s.numbers("status", h.GetStatuses())
		s.number("unhealthy", h.GetUnhealthyAfter())
		s.number("healthy", h.GetHealthyAfter())
		t.add("health check", s.String())
	}
	if o := e.GetOutlierEjection(); o != nil {
		var s phrase
		s.number("failures", o.GetFailures())
		s.duration("for", o.GetEjectFor())
		s.number("max", o.GetMaxPercent())
		t.add("outlier", s.String())
	}
	for _, d := range []struct {
		name string
		of   *durationpb.Duration
	}{{"connect timeout", e.GetTimeouts().GetConnect()}, {"idle timeout", e.GetTimeouts().GetIdle()}, {"total timeout", e.GetTimeouts().GetTotal()}} {
		if d.of != nil {
			t.add(d.name, d.of.AsDuration().String())
		}
	}
}
