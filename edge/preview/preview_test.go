package preview_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/prototext"

	"tollgate/edge/preview"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func endpoint(id, path string) *eventv1.RouteEndpoint {
	return &eventv1.RouteEndpoint{
		Id: "ep_" + id, Name: id, Path: path, PriceNanos: 12_000_000_000, Charge: &controlv1.Charge{Methods: []string{"POST"}},
		RouteTargets: []*eventv1.RouteTarget{{
			Url: "https://" + id + ".example/base", CaPem: "no certificate", ClientCertPem: "${secret:cert}", ClientKey: "${secret:key}",
		}},
		Headers: []*eventv1.RouteHeader{{Name: "api_token", Value: "${secret:vendor}"}, {Name: "x-env", Value: "a${env:E}"}},
	}
}

// published is a configuration that counts how often it is read.
type published struct {
	mu    sync.Mutex
	reads int
	at    contract.Version
	all   []*eventv1.RouteEndpoint
	err   error
}

func (p *published) load(context.Context) (*eventv1.RouteSnapshot, contract.Version, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reads++
	return &eventv1.RouteSnapshot{
		Endpoints: p.all,
		Accounts:  []*eventv1.Account{{Id: 7, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_TOTAL, TimeZone: "UTC", LimitNanos: 1, Scope: eventv1.AccountScope_ACCOUNT_SCOPE_EVERYTHING, Subject: "all"}},
	}, p.at, p.err
}

func at(revision int64) contract.Version { return contract.Version{Epoch: 1, Revision: revision} }

// Guarantee: a request goes through a draft as through an edge that serves it: it is matched among all endpoints, held for, and shown as
// it would be sent, with references in place of secrets. Nothing of the draft stays.
func TestDraftAmongOthers(t *testing.T) {
	t.Parallel()
	p := preview.New(slog.New(slog.DiscardHandler))
	from := &published{at: at(3), all: []*eventv1.RouteEndpoint{endpoint("root", "/"), endpoint("bria", "/bria")}}
	draft := endpoint("draft", "/bria/v2")
	explain, route, err := p.Open(t.Context(), at(3), from.load, draft, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := explain(t.Context(), &eventv1.ExplainCall{Method: "POST", Path: "/bria/v2/x?y=1", Headers: []*controlv1.ExplainHeader{{Name: "Accept", Value: "*/*"}}})
	text := prototext.Format(got)
	if !got.GetAdmitted() || got.GetEndpoint() != "draft" || got.GetUrl() != "POST https://draft.example/base/x?y=1" || got.GetHold().GetUnits() != 12 || got.GetRevision() != 3 {
		t.Error(text)
	}
	if !strings.Contains(text, "${secret:vendor}") || !strings.Contains(text, "a${env:E}") || !strings.Contains(text, "in 1 budget") {
		t.Error(text)
	}
	for path, want := range map[string]string{"/bria/v1": "bria", "/x": "root"} {
		if got := explain(t.Context(), &eventv1.ExplainCall{Method: "POST", Path: path}); got.GetEndpoint() != want || !got.GetAdmitted() {
			t.Errorf("%s: %s", path, prototext.Format(got))
		}
	}
	told := route(t.Context(), &eventv1.ExplainCall{Method: "GET", Path: "/bria/v2/a", Headers: []*controlv1.ExplainHeader{{Name: "authorization", Value: "Bearer k-e-y-1"}}})
	if told.GetUrl() != "GET https://draft.example/base/a" || told.GetPrice() == "" || told.GetHost() != "draft.example" {
		t.Error(prototext.Format(told))
	}
	for _, h := range told.GetHeaders() {
		if strings.EqualFold(h.GetName(), "authorization") && h.GetRemoved() == "" {
			t.Errorf("the key would be sent: %v", h)
		}
	}
	if draft.GetRouteTargets()[0].GetCaPem() == "" {
		t.Error("the draft was changed")
	}
	if _, route, err = p.Open(t.Context(), at(3), from.load, endpoint("other", "/other"), nil); err != nil {
		t.Fatal(err)
	}
	if got := route(t.Context(), &eventv1.ExplainCall{Method: "POST", Path: "/bria/v2"}); got.GetEndpoint() != "bria" {
		t.Errorf("an earlier draft is still there: %s", prototext.Format(got))
	}
}

// Guarantee: a draft of an endpoint that there is takes its place; one that is off is told so and still shows where its requests would go.
func TestDraftOfWhatThereIs(t *testing.T) {
	t.Parallel()
	p := preview.New(slog.New(slog.DiscardHandler))
	from := &published{at: at(1), all: []*eventv1.RouteEndpoint{endpoint("bria", "/bria")}}
	draft := endpoint("bria", "/moved")
	draft.Disabled = true
	explain, route, err := p.Open(t.Context(), at(1), from.load, draft, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := explain(t.Context(), &eventv1.ExplainCall{Method: "POST", Path: "/bria"}); got.GetRefusal().GetCode() != "endpoint_not_found" {
		t.Error(prototext.Format(got))
	}
	call := &eventv1.ExplainCall{Method: "POST", Path: "/moved/x"}
	if got := explain(t.Context(), call); got.GetRefusal().GetCode() != "endpoint_disabled" {
		t.Error(prototext.Format(got))
	}
	if got := route(t.Context(), call); got.GetUrl() != "POST https://bria.example/base/x" {
		t.Error(prototext.Format(got))
	}
	if got := route(t.Context(), &eventv1.ExplainCall{Method: "POST", Path: "/bria"}); got.GetRefusal().GetCode() != "endpoint_not_found" {
		t.Error(prototext.Format(got))
	}
}

// Guarantee: what there is is read once for each version, and again for a newer one or another epoch; a failure to read it is kept from nobody
// and not kept.
func TestVersionsAreReadOnce(t *testing.T) {
	t.Parallel()
	p := preview.New(slog.New(slog.DiscardHandler))
	from := &published{at: at(1), err: errors.New("database away")}
	draft := endpoint("draft", "/draft")
	if _, _, err := p.Open(t.Context(), at(1), from.load, draft, nil); !errors.Is(err, from.err) {
		t.Errorf("%v", err)
	}
	from.err = nil
	for i, v := range []struct {
		asked contract.Version
		reads int
	}{{at(1), 2}, {at(1), 2}, {at(2), 3}, {at(1), 3}, {contract.Version{Epoch: 2, Revision: 1}, 4}} {
		from.at = v.asked
		if _, _, err := p.Open(t.Context(), v.asked, from.load, draft, nil); err != nil || from.reads != v.reads {
			t.Errorf("%d: read %d times, want %d: %v", i, from.reads, v.reads, err)
		}
	}
}

// Guarantee: a draft that no edge could serve is told apart from a failure.
func TestDraftThatCannotBeServed(t *testing.T) {
	t.Parallel()
	p := preview.New(slog.New(slog.DiscardHandler))
	from := &published{at: at(1), all: []*eventv1.RouteEndpoint{endpoint("bria", "/bria")}}
	for name, draft := range map[string]*eventv1.RouteEndpoint{"in the way": endpoint("x", "/bria"), "no path": endpoint("x", ""), "no target": {Id: "x", Path: "/x"}} {
		if _, _, err := p.Open(t.Context(), at(1), from.load, draft, nil); !errors.Is(err, preview.ErrDraft) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// BenchmarkOpen is a draft among 1,000 endpoints, with one request that is explained.
func BenchmarkOpen(b *testing.B) {
	p := preview.New(slog.New(slog.DiscardHandler))
	from := &published{at: at(1)}
	for i := range 1000 {
		from.all = append(from.all, endpoint(fmt.Sprintf("e%d", i), fmt.Sprintf("/team-%d/endpoint", i)))
	}
	draft := endpoint("draft", "/draft")
	for b.Loop() {
		explain, _, err := p.Open(b.Context(), at(1), from.load, draft, nil)
		if err != nil {
			b.Fatal(err)
		}
		if got := explain(b.Context(), &eventv1.ExplainCall{Method: "POST", Path: "/draft/x"}); !got.GetAdmitted() {
			b.Fatal(prototext.Format(got))
		}
	}
}
