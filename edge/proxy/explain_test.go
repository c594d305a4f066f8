package proxy

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"

	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

func explained(headers []*controlv1.ExplainedHeader, name string) *controlv1.ExplainedHeader {
	for _, h := range headers {
		if strings.EqualFold(h.GetName(), name) {
			return h
		}
	}
	return nil
}

// Guarantee: what would be sent is told as the stages make it, with references in place of secrets; the
// request leaves no trace in budgets, limits, spool or counters.
func TestExplain(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *options) {
		x := o.endpoints[0]
		x.Query = []*eventv1.RouteQuery{{Name: "key", Value: "${env:VENDOR}", Mode: eventv1.RouteMode_ROUTE_MODE_SET}}
		x.Headers = append(x.Headers, &eventv1.RouteHeader{Name: "X-Env", Value: "a-${env:VENDOR}"})
		x.RouteTargets = []*eventv1.RouteTarget{{Url: "https://vendor.example/base", SkipVerify: true}}
	})
	hash := contract.KeyHash([]byte(testKey))
	got := b.gateway.Explain(t.Context(), &eventv1.ExplainCall{
		Method: "POST", Path: "/x/v1?a=1", KeySha256: hash[:], BodyBytes: 3,
		Headers: []*controlv1.ExplainHeader{{Name: "Accept", Value: "*/*"}, {Name: "Connection", Value: "close"}, {Name: "Authorization", Value: "Bearer theirs"}},
	})
	text := prototext.Format(got)
	if !got.GetAdmitted() || got.GetEndpoint() != "x" || got.GetPattern() != "/x/*" || got.GetRevision() != 1 || len(got.GetSteps()) != 8 {
		t.Errorf("%s", text)
	}
	if want := "POST https://vendor.example/base/v1?a=1&key=${env:VENDOR}"; got.GetUrl() != want || got.GetHost() != "vendor.example" {
		t.Errorf("%s to %s, want %s", got.GetUrl(), got.GetHost(), want)
	}
	if strings.Contains(text, "from-env") {
		t.Errorf("a secret is shown: %s", text)
	}
	for name, want := range map[string]string{"X-Env": "endpoint", "Authorization": "endpoint", "Accept": "caller"} {
		if h := explained(got.GetHeaders(), name); h == nil || h.GetOrigin() != want || h.GetRemoved() != "" {
			t.Errorf("%s: %v", name, h)
		}
	}
	if h := explained(got.GetHeaders(), "Connection"); h.GetRemoved() == "" {
		t.Errorf("Connection: %v", h)
	}
	if len(got.GetTargets()) != 1 || len(got.GetTargets()[0].GetNotes()) != 1 || contract.MoneyToProto(price).String() != got.GetHold().String() {
		t.Errorf("%s", text)
	}
	if len(b.spool.intents) != 0 || b.money.spent != 0 {
		t.Errorf("%d intents, %s spent", len(b.spool.intents), b.money.spent)
	}
}

// Guarantee: the stage that would refuse says so, with the answer that a caller would get.
func TestExplainRefusals(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	hash, stranger := contract.KeyHash([]byte(testKey)), contract.KeyHash([]byte("tgk_stranger"))
	for name, tc := range map[string]struct {
		call  *eventv1.ExplainCall
		code  string
		stage string
	}{
		"no endpoint":  {&eventv1.ExplainCall{Method: "GET", Path: "/nowhere", KeySha256: hash[:]}, "endpoint_not_found", "match"},
		"tunnel":       {&eventv1.ExplainCall{Method: "CONNECT", Path: "/x", KeySha256: hash[:]}, "method_not_allowed", "match"},
		"no key":       {&eventv1.ExplainCall{Method: "GET", Path: "/x"}, "key_missing", "authenticate"},
		"unknown key":  {&eventv1.ExplainCall{Method: "GET", Path: "/x", KeySha256: stranger[:]}, "key_unknown", "authenticate"},
		"no such hash": {&eventv1.ExplainCall{Method: "GET", Path: "/x", KeySha256: []byte{1}}, "key_unknown", "authenticate"},
		"large body":   {&eventv1.ExplainCall{Method: "POST", Path: "/small", KeySha256: hash[:], BodyBytes: 11}, "body_too_large", "body"},
		"unset":        {&eventv1.ExplainCall{Method: "GET", Path: "/unset", KeySha256: hash[:]}, "secret_unresolved", "body"},
	} {
		got := b.gateway.Explain(t.Context(), tc.call)
		steps := got.GetSteps()
		last := steps[len(steps)-1]
		if got.GetAdmitted() || got.GetRefusal().GetCode() != tc.code || last.GetStage() != tc.stage || last.GetPassed() || got.GetRefusal().GetHint() == "" || got.GetRevision() != 1 {
			t.Errorf("%s: %s", name, prototext.Format(got))
		}
	}
	b.money.mu.Lock()
	b.money.left = 1
	b.money.mu.Unlock()
	if got := b.gateway.Explain(context.Background(), &eventv1.ExplainCall{Method: "GET", Path: "/x", KeySha256: hash[:]}); got.GetRefusal().GetStatus() != 402 {
		t.Errorf("without money: %s", prototext.Format(got))
	}
}
