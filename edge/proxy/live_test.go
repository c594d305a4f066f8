package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"

	"tollgate/edge/routing"
	controlv1 "tollgate/gen/tollgate/control/v1"
	metering "tollgate/internal/meter"
	"tollgate/internal/money"
)

// live is a price of a WebSocket: 1,000 nano-dollars a token, of which each answer in it says how many it has.
const live = `
unmatched: refuse
fallback: "0.05"
meters:
- name: live
  match: {websocket: true}
  model: [{request: session.model}]
  counters: [{name: tokens, sources: [{frame: response.usage.total_tokens, event: response.done}], aggregate: sum, default: "0"}]
  units: [{name: tokens}]
  prices: [{model: "gpt-*", rates: [{unit: tokens, price: "1", per: 1000000}]}]
  hold: {amount: "0.00001"}
`

// text is a message of a WebSocket with a mask of zeros, or with none.
func text(payload string, masked bool) string {
	n := byte(len(payload)) // shorter than 126
	if masked {
		return "\x81" + string([]byte{0x80 | n}) + "\x00\x00\x00\x00" + payload
	}
	return "\x81" + string([]byte{n}) + payload
}

const (
	hello = `{"type":"session.update","session":{"model":"gpt-realtime"}}`
	done  = `{"type":"response.done","response":{"usage":{"total_tokens":7}}}`
)

func livePlan(t *testing.T) func(e *routing.Endpoint) {
	t.Helper()
	plan, err := metering.Compile(metered(t, live).GetMetered(), func(string) []*controlv1.ModelPrice { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return func(e *routing.Endpoint) { e.Price, e.Plan = 0, plan }
}

// Guarantee: what goes over a WebSocket goes on as it is and is charged by what its messages count, of which more is held as it
// grows; one that cannot be paid any more is cut, and what was counted by then is charged.
func TestMeteredWebSocket(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		left    money.Nanos
		passed  int // answers that the caller gets
		cost    money.Nanos
		unknown bool
	}{
		"all is paid": {money.Dollar, 5, 35_000, false},
		"cut":         {11_000, 3, 21_000, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, caller, target, over := serveTunnel(t, context.Background(), livePlan(t))
			caller.say(t, text(hello, true))
			if got := heard(t, target, len(text(hello, true))); got != text(hello, true) {
				t.Errorf("the target got %q", got)
			}
			s.money.mu.Lock()
			s.money.left = tc.left // beside what is held by now
			s.money.mu.Unlock()
			for range tc.passed {
				target.say(t, text(done, false))
				if got := heard(t, caller, len(text(done, false))); got != text(done, false) {
					t.Errorf("the caller got %q", got)
				}
			}
			if tc.unknown {
				target.say(t, text(done, false))
				if rest, err := io.ReadAll(caller); len(rest) > 0 || err != nil && !errors.Is(err, io.ErrClosedPipe) && !strings.Contains(err.Error(), "closed") {
					t.Errorf("then the caller got %q, %v", rest, err)
				}
			} else {
				_ = target.CloseWrite()
				_ = caller.CloseWrite()
			}
			<-over
			s.checkMoney()
			_, _, end := s.lastIntent()
			if end.Cost != tc.cost || end.Unpriced != tc.unknown || end.Model != "gpt-realtime" || end.Meter != "live" || end.Status != 101 {
				t.Errorf("settled %+v, want %s", end, tc.cost)
			}
			if tc.unknown != (end.Outcome == outcomeCut) {
				t.Errorf("it ended %s", end.Outcome)
			}
		})
	}
}

// deflated are messages of a WebSocket as permessage-deflate sends them, each referring to those before it.
func deflated(t *testing.T, masked bool, payloads ...string) (messages []string) {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	for _, payload := range payloads {
		_, _ = w.Write([]byte(payload)) // into memory
		_ = w.Flush()
		m := text(strings.TrimSuffix(b.String(), "\x00\x00\xff\xff"), masked)
		messages = append(messages, "\xc1"+m[1:])
		b.Reset()
	}
	return messages
}

// Guarantee: what a WebSocket compresses goes on as it is and is counted as if it were not compressed, if the target's answer
// agrees to that; if it does not, the cost is not known.
func TestMeteredCompressedWebSocket(t *testing.T) {
	t.Parallel()
	for _, agreed := range []string{"permessage-deflate; server_max_window_bits=15; client_no_context_takeover", ""} {
		t.Run("agreed "+agreed, func(t *testing.T) {
			t.Parallel()
			var more []Header
			if agreed != "" {
				more = []Header{{"Sec-Websocket-Extensions", agreed}}
			}
			s, out, caller, target, over := serveTunnel(t, t.Context(), livePlan(t), more...)
			up := deflated(t, true, hello)[0]
			caller.say(t, up)
			target.hear(t, up)
			for _, m := range deflated(t, false, done, done, done) {
				target.say(t, m)
				caller.hear(t, m)
			}
			_ = target.CloseWrite()
			_ = caller.CloseWrite()
			<-over
			s.checkMoney()
			_, _, end := s.lastIntent()
			if agreed == "" {
				if !end.Unpriced || end.Cost != 10_000 { // all that was held
					t.Errorf("settled %+v", end)
				}
				return
			}
			if end.Cost != 21_000 || end.Unpriced || end.Model != "gpt-realtime" || end.Counts != "tokens=21" {
				t.Errorf("settled %+v", end)
			}
			if get(out.headers, "Sec-Websocket-Extensions") != agreed {
				t.Errorf("the caller was told %q", out.headers)
			}
		})
	}
}

// heard is the next bytes of one end.
func heard(t *testing.T, w wire, n int) string {
	t.Helper()
	buf := make([]byte, n)
	if _, err := io.ReadFull(w, buf); err != nil {
		t.Errorf("after %q: %v", buf, err)
	}
	return string(buf)
}
