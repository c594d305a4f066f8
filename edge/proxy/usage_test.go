package proxy

import (
	"context"
	"math/big"
	"strings"
	"testing"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
)

// term is so many units at a price for a million.
type term struct{ units, perMillion int64 }

// exact is what terms come to beside a fixed part, rounded up once, by arithmetic without a bound.
func exact(fixed int64, terms ...term) money.Nanos {
	sum := new(big.Int).Mul(big.NewInt(fixed), big.NewInt(1_000_000))
	for _, t := range terms {
		sum.Add(sum, new(big.Int).Mul(big.NewInt(t.units), big.NewInt(t.perMillion)))
	}
	sum.Add(sum, big.NewInt(999_999)).Div(sum, big.NewInt(1_000_000))
	return money.Nanos(sum.Int64())
}

var sse = Header{"Content-Type", "text/event-stream; charset=utf-8"}

// Guarantee: a request of a usage price is charged what it used to the nano-dollar, rounded once; what
// the target did not tell is charged at the fallback and marked; the cost is told where it is known
// before the answer begins, and nowhere else.
func TestUsageIsExact(t *testing.T) {
	t.Parallel()
	const inRate, outRate, eventRate, tokenRate, base = 3_333_333, 7_777_777, 1_000_000_001, 15_000_000_007, 11
	body := strings.Repeat("q", 1001)
	everything := &eventv1.UsagePrice{BaseNanos: base, HoldNanos: 1 << 50, FallbackNanos: 5_000, Rates: []*eventv1.UsageRate{
		rate(requestBytes, inRate), rate(responseBytes, outRate), rate(responseEvents, eventRate),
		headerRate("X-In", tokenRate), headerRate("X-Out", tokenRate),
	}}
	tokens := &eventv1.UsagePrice{BaseNanos: base, HoldNanos: 1 << 50, FallbackNanos: 5_000, Rates: []*eventv1.UsageRate{
		rate(requestBytes, inRate), headerRate("X-In", tokenRate),
	}}
	bytesOut := &eventv1.UsagePrice{HoldNanos: 1 << 50, Rates: []*eventv1.UsageRate{rate(responseBytes, outRate)}}
	nothing := &eventv1.UsagePrice{HoldNanos: 1, Rates: []*eventv1.UsageRate{rate(responseBytes, 0), rate(requestBytes, 0)}}
	counts := []Header{{"X-In", " 12"}, {"X-Out", "0034"}}
	events := []string{"data: 1\n", "\ndata: 2\r\n\r", "\n: ping\n\nda", "ta\n\n"}
	eventBytes := int64(len(strings.Join(events, "")))
	sent := term{1001, inRate}
	for name, tc := range map[string]struct {
		price    *eventv1.UsagePrice
		method   string
		script   script
		cost     money.Nanos
		units    int64
		unpriced bool
		told     bool
	}{
		"all of it": {
			everything, "POST",
			script{status: 200, headers: append(counts, sse), pieces: events, length: -1},
			exact(base, sent, term{eventBytes, outRate}, term{3, eventRate}, term{46, tokenRate}), 1001 + eventBytes + 3 + 46, false, false,
		},
		"no event stream": {
			everything, "POST",
			script{status: 206, headers: counts, pieces: events},
			exact(base, sent, term{eventBytes, outRate}, term{46, tokenRate}), 1001 + eventBytes + 46, false, false,
		},
		"events that are compressed": {
			everything, "POST",
			script{status: 200, headers: append(counts, sse, Header{"Content-Encoding", "gzip"}), pieces: events, length: -1},
			exact(base+5_000, sent, term{eventBytes, outRate}, term{46, tokenRate}), 1001 + eventBytes + 46, true, false,
		},
		"no headers": {
			everything, "POST",
			script{status: 200, headers: []Header{sse}, pieces: events[:1]},
			exact(base+10_000, sent, term{8, outRate}), 1001 + 8, true, false,
		},
		"no body": {
			everything, "POST",
			script{status: 200, headers: append(counts, sse)},
			exact(base, sent, term{46, tokenRate}), 1001 + 46, false, true,
		},
		"204":  {everything, "POST", script{status: 204, headers: counts, length: -1}, exact(base, sent, term{46, tokenRate}), 1001 + 46, false, true},
		"HEAD": {everything, "HEAD", script{status: 200, headers: counts, length: 500}, exact(base, sent, term{46, tokenRate}), 1001 + 46, false, true},
		"known before the answer": {
			tokens, "POST", script{status: 200, headers: counts, pieces: events}, exact(base, sent, term{12, tokenRate}), 1001 + 12, false, true,
		},
		"a list": {tokens, "POST", script{status: 200, headers: []Header{{"X-In", "1, 2"}}}, exact(base+5_000, sent), 1001, true, true},
		"the first of several": {
			tokens, "POST", script{status: 200, headers: []Header{{"x-in", "9"}, {"X-In", "1"}}}, exact(base, sent, term{9, tokenRate}), 1010, false, true,
		},
		"empty":      {tokens, "POST", script{status: 200, headers: []Header{{"X-In", ""}}}, exact(base+5_000, sent), 1001, true, true},
		"negative":   {tokens, "POST", script{status: 200, headers: []Header{{"X-In", "-1"}}}, exact(base+5_000, sent), 1001, true, true},
		"signed":     {tokens, "POST", script{status: 200, headers: []Header{{"X-In", "+1"}}}, exact(base+5_000, sent), 1001, true, true},
		"a fraction": {tokens, "POST", script{status: 200, headers: []Header{{"X-In", "1.0"}}}, exact(base+5_000, sent), 1001, true, true},
		"too many":   {tokens, "POST", script{status: 200, headers: []Header{{"X-In", "99999999999999999999"}}}, exact(base+5_000, sent), 1001, true, true},
		"none":       {tokens, "POST", script{status: 200, headers: []Header{{"X-In", "0"}}}, exact(base, sent), 1001, false, true},
		"4xx":        {everything, "POST", script{status: 429, headers: counts, pieces: events}, 0, 0, false, true},
		"5xx":        {everything, "POST", script{status: 500, headers: append(counts, sse), pieces: events, length: -1}, 0, 0, false, true},
		"3xx":        {everything, "POST", script{status: 302}, 0, 0, false, true},
		"one byte":   {bytesOut, "POST", script{status: 200, pieces: []string{"x"}}, 8, 1, false, false},
		"broken off": {bytesOut, "POST", script{status: 200, pieces: []string{"abc", "def"}, length: 100, breaks: errBroken}, exact(0, term{6, outRate}), 6, false, false},
		"for nothing": {
			nothing, "POST", script{status: 200, pieces: events}, 0, 1001 + eventBytes, false, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStages(t, &eventv1.RouteEndpoint{Usage: tc.price, PriceVersion: 5}, &tc.script)
			want := strings.Join(tc.script.pieces, "")
			out := s.call(context.Background(), tc.method, body, int64(len(body)))
			in, parts, end := s.lastIntent()
			if end.Cost != tc.cost || end.Units != tc.units || end.Unpriced != tc.unpriced {
				t.Errorf("charged %s for %d units (unpriced %v), want %s, %d, %v", end.Cost, end.Units, end.Unpriced, tc.cost, tc.units, tc.unpriced)
			}
			told := ""
			if tc.told {
				told = tc.cost.String()
			}
			if have := get(out.headers, HeaderCost); have != told {
				t.Errorf("the caller is told that it costs %q, not %q", have, told)
			}
			if tc.method != "HEAD" && tc.script.status != 204 && out.body.String() != want {
				t.Errorf("the caller got %q", out.body.String())
			}
			reserved := exact(tc.price.GetBaseNanos()+tc.price.GetHoldNanos(), term{1001, rateOf(tc.price)})
			if in.Amount != reserved || len(parts) != 0 || in.PriceVersion != 5 {
				t.Errorf("held %s with %d more, not %s", in.Amount, len(parts), reserved)
			}
			if tc.script.body != body {
				t.Errorf("the target got %d bytes", len(tc.script.body))
			}
		})
	}
}

func rateOf(p *eventv1.UsagePrice) (perMillion int64) {
	for _, r := range p.GetRates() {
		if r.GetUnit() == requestBytes {
			perMillion += r.GetNanosPerMillion()
		}
	}
	return perMillion
}

// Guarantee: who leaves in the middle is charged for what came until then, with all that headers told;
// who leaves before there is an answer, for what was sent.
func TestUsageOfThoseWhoLeave(t *testing.T) {
	t.Parallel()
	price := &eventv1.UsagePrice{BaseNanos: 7, HoldNanos: 1 << 40, Rates: []*eventv1.UsageRate{
		rate(requestBytes, 3_000_000), rate(responseBytes, 5_000_000), headerRate("X-N", 2_000_000),
	}}
	ctx, leave := context.WithCancelCause(context.Background())
	defer leave(nil)
	to := &script{status: 200, headers: []Header{{"X-N", "10"}}, pieces: []string{"abc", "def", "ghi"}, length: -1}
	to.between = func(n int) {
		if n == 2 {
			leave(ErrCallerGone)
			to.breaks, to.pieces = context.Canceled, to.pieces[:2]
		}
	}
	s := newStages(t, &eventv1.RouteEndpoint{Usage: price}, to)
	s.call(ctx, "POST", "12345", 5)
	if _, _, end := s.lastIntent(); end.Cost != 7+15+30+20 || end.Outcome != outcomeCallerGone || end.Units != 5+6+10 {
		t.Errorf("settled %+v", end)
	}

	gone, leave := context.WithCancelCause(context.Background())
	s = newStages(t, &eventv1.RouteEndpoint{Usage: price}, &script{})
	s.gateway.d.Upstream = upstreamFunc(func(_ context.Context, a *Attempt) (*Answer, error) {
		buf := make([]byte, 3)
		_, _ = a.Body.Read(buf)
		leave(ErrCallerGone)
		return nil, &AttemptError{Failure: FailCanceled, Sent: true, Whole: true, Err: context.Canceled}
	})
	s.call(gone, "POST", "12345", 5)
	if _, _, end := s.lastIntent(); end.Cost != 7+9 || end.Outcome != outcomeCallerGone || end.Status != 0 || end.Units != 3 {
		t.Errorf("settled %+v", end)
	}
}

type upstreamFunc func(context.Context, *Attempt) (*Answer, error)

func (f upstreamFunc) RoundTrip(ctx context.Context, a *Attempt) (*Answer, error) { return f(ctx, a) }

// Guarantee: what a request holds grows with what it costs, in steps, and each step is on disk before
// the first byte goes on that needs it.
func TestHoldGrows(t *testing.T) {
	t.Parallel()
	price := &eventv1.UsagePrice{BaseNanos: 100, HoldNanos: 1000, Rates: []*eventv1.UsageRate{rate(responseBytes, 1_000_000)}} // a nano a byte
	to := &script{status: 200, length: -1, headers: []Header{sse}}
	for range 500 {
		to.pieces = append(to.pieces, strings.Repeat("x", 100))
	}
	s := newStages(t, &eventv1.RouteEndpoint{Usage: price}, to)
	out := &got{}
	out.check = func() {
		s.spool.mu.Lock()
		defer s.spool.mu.Unlock()
		ticket := s.spool.order[0]
		reserved := s.spool.intents[ticket].Amount
		if parts := s.spool.parts[ticket]; len(parts) > 0 {
			reserved = parts[len(parts)-1].reserved
		}
		if cost := money.Nanos(100 + out.body.Len()); cost > reserved {
			t.Errorf("%s went on with %s on disk", cost, reserved)
		}
	}
	s.callInto(context.Background(), out, "GET", "", 0)
	in, parts, end := s.lastIntent()
	if in.Amount != 1100 || end.Cost != 50_100 || end.Outcome != outcomeOK {
		t.Errorf("held %d, settled %+v", in.Amount, end)
	}
	if len(parts) < 5 || len(parts) > 40 || s.money.extended != len(parts) {
		t.Errorf("it grew in %d steps, %d recorded", s.money.extended, len(parts))
	}
	for i, p := range parts {
		if p.metered > p.reserved || p.reserved > end.Cost*5/4 || i > 0 && (p.reserved <= parts[i-1].reserved || p.metered < parts[i-1].metered) {
			t.Errorf("step %d: %+v", i, p)
		}
	}
}

// Guarantee: where what was recorded last is charged if the edge dies, that is never far behind what it
// has cost; elsewhere nothing is written that changes nothing.
func TestCostIsRecorded(t *testing.T) {
	t.Parallel()
	pieces := strings.Split(strings.Repeat("0123456789,", 100), ",")
	for policy, most := range map[eventv1.AbandonedPolicy]int{
		eventv1.AbandonedPolicy_ABANDONED_POLICY_METERED: 20, eventv1.AbandonedPolicy_ABANDONED_POLICY_RESERVED: 0, eventv1.AbandonedPolicy_ABANDONED_POLICY_NOTHING: 0,
	} {
		for name, endpoint := range map[string]*eventv1.RouteEndpoint{
			"usage": {Abandoned: policy, Usage: &eventv1.UsagePrice{HoldNanos: 2000, Ceiling: true, Rates: []*eventv1.UsageRate{rate(responseBytes, 1_000_000)}}},
			"fixed": {Abandoned: policy, PriceNanos: 5},
		} {
			s := newStages(t, endpoint, &script{status: 200, length: -1, pieces: append([]string(nil), pieces...)})
			s.call(context.Background(), "GET", "", 0)
			in, parts, end := s.lastIntent()
			if in.Abandoned != policy || len(parts) > most || (len(parts) == 0) != (most == 0) {
				t.Errorf("%s, %s: %d records, %+v", policy, name, len(parts), end)
			}
			for _, p := range parts {
				if p.reserved != in.Amount || p.metered > end.Cost {
					t.Errorf("%s, %s: %+v of %+v", policy, name, p, end)
				}
			}
			if most > 0 && end.Cost-parts[len(parts)-1].metered > in.Amount/8+10 {
				t.Errorf("%s, %s: %s was recorded of %s", policy, name, parts[len(parts)-1].metered, end.Cost)
			}
		}
	}
}

// Guarantee: a fixed or free price counts one unit and records what it always did.
func TestFixedPriceIsOneUnit(t *testing.T) {
	t.Parallel()
	for name, endpoint := range map[string]*eventv1.RouteEndpoint{"fixed": {PriceNanos: 12}, "free": {Free: true}} {
		s := newStages(t, endpoint, &script{status: 200, pieces: []string{"ok"}})
		out := s.call(context.Background(), "POST", "{}", 2)
		in, parts, end := s.lastIntent()
		want := spool.Settlement{At: end.At, Duration: end.Duration, Status: 200, Outcome: outcomeOK, Cost: money.Nanos(endpoint.GetPriceNanos()), Units: 1}
		if end != want || len(parts) != 0 || in.Amount != want.Cost || get(out.headers, HeaderCost) != want.Cost.String() {
			t.Errorf("%s: %+v of %+v", name, end, in)
		}
	}
}

// Guarantee: a header counts as a whole number exactly if it is one of digits alone, and not too large.
func FuzzCount(f *testing.F) {
	for _, v := range []string{"", "0", " 7\t", "007", "+1", "-1", "1.0", "1e3", "1,2", "1152921504606846976", "9223372036854775808", "\u0661"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, value string) {
		n, ok := count(value)
		digits := strings.Trim(value, " \t")
		want, isNumber := new(big.Int).SetString(digits, 10)
		isNumber = isNumber && !strings.ContainsAny(digits, "+-_")
		switch {
		case ok && (!isNumber || !want.IsInt64() || want.Int64() != n || n < 0):
			t.Errorf("%q counts as %d", value, n)
		case !ok && isNumber && want.Cmp(big.NewInt(maxUnits/10)) <= 0:
			t.Errorf("%q counts as nothing", value)
		}
	})
}
