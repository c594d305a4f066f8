package rpc

import (
	"math/big"
	"net/http"
	"strconv"
	"strings"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/meter/frame"
	"tollgate/internal/money"
)

// usage charges the exchange by what it uses of bytes, events and counts in headers.
func (t *trial) usage(u *registry.Usage) error {
	held := money.Rated{}.PlusNanos(u.PerRequest).PlusNanos(u.Hold)
	for _, r := range u.Rates {
		if r.Unit == registry.UnitRequestBytes {
			held = held.Plus(int64(len(t.sent)), r.PerMillion)
		}
	}
	hold, err := held.Nanos()
	if err != nil {
		return fault.New(fault.InvalidArgument, "What is held does not fit: no request costs so much.")
	}
	t.out.Hold, t.out.HoldReason = contract.MoneyToProto(hold), "the price of a request and of its body, and what the price holds beside them"
	if t.status/100 != 2 && t.status != http.StatusSwitchingProtocols {
		t.total(0)
		t.note("Answers of status %d are not charged.", t.status)
		return nil
	}
	t.out.Charged = true
	sum := money.Rated{}.PlusNanos(u.PerRequest)
	if u.PerRequest > 0 {
		t.line("base", 1, u.PerRequest, 1)
	}
	for _, r := range u.Rates {
		name, n, ok := t.used(&r)
		if !ok {
			t.out.Unpriced = append(t.out.Unpriced, "the answer has no whole number in "+r.Header)
			sum = sum.PlusNanos(u.Fallback)
			t.line("fallback", 1, u.Fallback, 1)
			continue
		}
		sum = sum.Plus(n, r.PerMillion)
		t.out.Counters = append(t.out.Counters, &controlv1.TestedCounter{Name: name, Value: strconv.FormatInt(n, 10), Source: r.Header})
		t.line(name, n, r.PerMillion, 1_000_000)
	}
	total, err := sum.Nanos()
	if err != nil {
		return fault.New(fault.InvalidArgument, "The cost does not fit: no request costs so much.")
	}
	t.total(total)
	return nil
}

// line adds a line to the bill, with its exact amount: only the sum is rounded.
func (t *trial) line(unit string, n int64, price money.Nanos, per int64) {
	const decimals = 15 // of a nano-dollar for a million units
	amount := new(big.Rat).Mul(big.NewRat(n, per), big.NewRat(int64(price), int64(money.Dollar))).FloatString(decimals)
	point := strings.IndexByte(amount, '.') + 3
	t.out.Lines = append(t.out.Lines, &controlv1.TestedLine{
		Unit: unit, Quantity: strconv.FormatInt(n, 10), Price: price.String(), Per: per,
		Amount: amount[:point] + strings.TrimRight(amount[point:], "0"),
	})
}

// used counts what a rate is for; false if the target did not tell.
func (t *trial) used(r *registry.Rate) (name string, n int64, ok bool) {
	switch r.Unit {
	case registry.UnitRequestBytes:
		return "request_bytes", int64(len(t.sent)), true
	case registry.UnitResponseBytes:
		return "response_bytes", int64(len(t.received)), true
	case registry.UnitResponseEvents:
		return "response_events", t.events(), true
	default:
		n, err := strconv.ParseInt(strings.TrimSpace(t.answer.Get(r.Header)), 10, 64)
		return strings.ToLower(r.Header), n, err == nil && n >= 0
	}
}

// events counts the events of a stream of server-sent events.
func (t *trial) events() int64 {
	if frame.KindOf(t.answer.Get("Content-Type")) != frame.Events {
		return 0
	}
	paths, err := frame.NewPaths()
	if err != nil {
		return 0
	}
	s := frame.New(frame.Events, "", paths, func(*frame.Frame) {})
	s.Write(t.received)
	s.End(t.whole)
	return s.Frames()
}
