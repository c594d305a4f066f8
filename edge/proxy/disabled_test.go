package proxy

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// Guarantee: a request to an endpoint that is switched off is refused with 503, whoever sends it, and neither held for, recorded nor
// sent; the endpoint matches as if it were on, and whoever asks is told which one it is.
func TestEndpointSwitchedOff(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *options) {
		o.endpoints[0].Disabled = true
		below := o.endpoints[1]
		below.Path = "/" // what is off is not served by what is further up
	})
	hash := contract.KeyHash([]byte(testKey))
	for _, path := range []string{"/x", "/x/v1"} {
		for _, key := range []string{testKey, "tgk_stranger"} {
			c := b.dial()
			c.send("POST %s HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\n\r\n", path, key)
			if m := c.answer("POST"); m.status() != 503 || !strings.Contains(m.body, `"endpoint_disabled"`) || !strings.Contains(m.body, "Endpoint x is switched off.") {
				t.Errorf("%s: %v", path, m)
			}
		}
		got := b.gateway.Explain(t.Context(), &eventv1.ExplainCall{Method: "POST", Path: path, KeySha256: hash[:]})
		if got.GetAdmitted() || got.GetRefusal().GetCode() != "endpoint_disabled" || got.GetRefusal().GetStatus() != 503 || got.GetEndpoint() != "x" || got.GetPattern() != "/x/*" {
			t.Errorf("%s: %s", path, prototext.Format(got))
		}
	}
	b.vendor.mu.Lock()
	defer b.vendor.mu.Unlock()
	if len(b.spool.intents) != 0 || b.money.spent != 0 || b.vendor.conns != 0 {
		t.Errorf("%d intents, %s spent, %d sent", len(b.spool.intents), b.money.spent, b.vendor.conns)
	}
}

// Guarantee: callers of an endpoint that serves models are told in the schema that they speak.
func TestEndpointOfModelsSwitchedOff(t *testing.T) {
	t.Parallel()
	b := newModels(t, nil, nil, func(o *options) { o.endpoints[0].Disabled = true })
	for path, typ := range map[string]string{"/messages": "anthropic-error", "/chat/completions": "openai-error"} {
		out := b.ask(t.Context(), &got{}, "POST", path, hi)
		checkSchema(t, typ, out.body.String())
		if out.status != 503 && out.status != 529 || get(out.headers, HeaderError) != "endpoint_disabled" {
			t.Errorf("%s: %d %v %s", path, out.status, out.headers, out.body.String())
		}
	}
}
