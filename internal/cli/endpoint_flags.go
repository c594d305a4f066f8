package cli

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/headervalue"
	"tollgate/internal/money"
)

// endpointFlags are the settings of an endpoint as flags.
type endpointFlags struct {
	path, forward, keyHeader string
	method                   []string
	exact, prefix, trace     bool
	price                    priceFlags
	targets                  targetFlags
	request                  forwardFlags
	resilience               resilienceFlags
	usage                    usageFlags
	from                     templateFlags
	signing                  signingFlag
	serving                  servingFlags
	abandoned                string
	maxBody                  int64
	timeout                  time.Duration
}

func (f *endpointFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.path, "path", "", "path on the gateway, such as /bria")
	f.targets.register(cmd)
	f.request.register(cmd)
	f.resilience.register(cmd)
	f.price.register(cmd)
	f.signing.register(cmd)
	f.serving.register(cmd)
	flags.BoolVar(&f.exact, "exact", false, "answer the path only, nothing below it")
	flags.BoolVar(&f.prefix, "prefix", false, "answer the path and everything below it (the default)")
	flags.StringArrayVar(&f.method, "method", nil, "method to answer; may be repeated; any if none is given")
	flags.StringVar(&f.forward, "forward", "safe", "which of the caller's headers go along: safe, all (but credentials) or none")
	flags.StringVar(&f.keyHeader, "key-header", "", "one more header in which callers may present their key")
	flags.DurationVar(&f.timeout, "timeout", 0, "how long the target may take until it begins to answer (10m0s if not given)")
	flags.Int64Var(&f.maxBody, "max-body-bytes", 0, "largest request body; 0 for the edge's own limit")
	f.usage.register(cmd)
	flags.StringVar(&f.abandoned, "abandoned", "", "what a request costs that was in flight when its edge died: reserved (the default, and the only one that keeps budgets exact), metered or nothing")
	flags.BoolVar(&f.trace, "forward-trace-context", false, "send the caller's traceparent, tracestate and baggage along")
}

// change puts what was given into e and leaves the rest alone.
func (f *endpointFlags) change(cmd *cobra.Command, e *controlv1.Endpoint) error {
	if err := errors.Join(exclusive(cmd, kindFlags...), exclusive(cmd, "exact", "prefix")); err != nil {
		return err
	}
	given := cmd.Flags().Changed
	if given("path") {
		e.Path = f.path
	}
	if f.exact {
		e.Match = controlv1.MatchKind_MATCH_KIND_EXACT
	}
	if f.prefix {
		e.Match = controlv1.MatchKind_MATCH_KIND_PREFIX
	}
	if given("method") {
		e.Methods = nil
		for _, m := range f.method {
			if m = strings.ToUpper(m); m != "" && m != "ANY" {
				e.Methods = append(e.Methods, m)
			}
		}
	}
	if given("forward") {
		forward, ok := forwards[f.forward]
		if !ok {
			return usage(cmd, "--forward is safe, all or none, not %q.", f.forward)
		}
		e.ForwardHeaders = forward
	}
	if given("key-header") {
		e.KeyHeader = f.keyHeader
	}
	if given("timeout") {
		if e.Timeout = nil; f.timeout != 0 {
			e.Timeout = durationpb.New(f.timeout)
		}
	}
	if given("max-body-bytes") {
		if f.maxBody < 0 {
			return usage(cmd, "--max-body-bytes cannot be negative; 0 stands for the edge's own limit.")
		}
		e.MaxBodyBytes = f.maxBody
	}
	if given("abandoned") {
		policy, ok := abandonedPolicies[f.abandoned]
		if !ok {
			return usage(cmd, "--abandoned is reserved, metered or nothing, not %q.", f.abandoned)
		}
		e.Abandoned = policy
	}
	if given("forward-trace-context") {
		e.ForwardTraceContext = f.trace
	}
	if err := f.changePrice(cmd, e); err != nil {
		return err
	}
	if err := f.targets.change(cmd, e); err != nil {
		return err
	}
	if err := f.signing.change(cmd, e); err != nil {
		return err
	}
	if err := f.resilience.change(cmd, e); err != nil {
		return err
	}
	if err := f.serving.change(cmd, e); err != nil {
		return err
	}
	return f.request.change(cmd, e)
}

func (f *endpointFlags) changePrice(cmd *cobra.Command, e *controlv1.Endpoint) error {
	if price, err := f.usage.price(cmd); err != nil {
		return err
	} else if price != nil {
		e.Price = price
	}
	return f.price.change(cmd, e)
}

// dollarsFlag reads an amount exactly. It is forgiving about a dollar sign only.
func dollarsFlag(cmd *cobra.Command, name, text string) (money.Nanos, error) {
	if text == "" {
		return 0, usage(cmd, "--%s is missing.", name)
	}
	amount, err := money.Parse(strings.TrimPrefix(text, "$"))
	if err != nil {
		return 0, usage(cmd, "--%s: %s.", name, strings.TrimPrefix(err.Error(), "money: "))
	}
	if amount < 0 {
		return 0, usage(cmd, "--%s cannot be negative.", name)
	}
	return amount, nil
}

var forwards = map[string]controlv1.ForwardHeaders{
	"safe": controlv1.ForwardHeaders_FORWARD_HEADERS_SAFE_LIST,
	"all":  controlv1.ForwardHeaders_FORWARD_HEADERS_ALL,
	"none": controlv1.ForwardHeaders_FORWARD_HEADERS_NONE,
}

func forwardName(f controlv1.ForwardHeaders) string {
	for name, value := range forwards {
		if value == f {
			return name
		}
	}
	return "safe"
}

// warnLiterals points at credentials that everybody who may read endpoints could read.
func (a *app) warnLiterals(e *controlv1.Endpoint) {
	for _, h := range e.GetHeaders() {
		name := strings.ToLower(h.GetName())
		credential := slices.ContainsFunc([]string{"authorization", "key", "token", "secret", "cookie", "password"},
			func(part string) bool { return strings.Contains(name, part) })
		value, err := headervalue.Parse(h.GetValue())
		if credential && err == nil && len(value.Refs()) == 0 && h.GetValue() != "" {
			a.say("! The header %s looks like a credential and is written out. Store it with `tollgate secret create`, and set the header to ${secret:NAME}.", h.GetName())
		}
	}
}
