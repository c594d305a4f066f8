package rpc_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (b *bundle) preview(e *controlv1.Endpoint) *controlv1.PreviewEndpointResponse {
	b.t.Helper()
	return must[*controlv1.PreviewEndpointResponse](b.t)(b.endpoints.PreviewEndpoint(b.t.Context(), &controlv1.PreviewEndpointRequest{Endpoint: e}))
}

func found(all []*controlv1.PreviewViolation) (out []string) {
	for _, v := range all {
		out = append(out, strings.Trim(fmt.Sprintf("%s:%s %s", v.GetField(), v.GetCode(), v.GetObject()), " "))
	}
	return out
}

// Guarantee: a preview names all that is wrong with a draft at once, the other objects that it is about, and what may be meant otherwise,
// and stores nothing.
func TestPreviewFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.seed()
	b.create(plain("deep"))
	inside := plain("inside")
	inside.Path = "/deep/er/est"
	b.create(inside)
	before := b.dump()
	draft := plain("new")
	draft.Path, draft.Methods = "/bria", []string{"POST"}
	draft.Headers = []*controlv1.Header{{Name: "a b", Value: "x"}, {Name: "x-k", Value: "${secret:none}"}}
	draft.Targets = []*controlv1.Target{{Url: "ftp://x.example.com"}}
	got := b.preview(draft)
	for _, want := range []string{"endpoint.path:path_taken bria", "endpoint.targets[0].url:target_scheme", "endpoint.headers[0].name:header_name", "endpoint.headers[1].value:secret_missing"} {
		if !slices.Contains(found(got.GetViolations()), want) {
			t.Errorf("%q has no %s", found(got.GetViolations()), want)
		}
	}
	draft = plain("middle")
	draft.Path, draft.Targets[0].Url = "/deep/er", "https://api.example.com/v1/rerank"
	got = b.preview(draft)
	if want := []string{"endpoint.targets[0].url:target_has_path", "endpoint.path:path_inside deep", "endpoint.path:path_inside inside"}; len(got.GetViolations()) != 0 || !slices.Equal(found(got.GetWarnings()), want) {
		t.Errorf("%q %q", found(got.GetViolations()), found(got.GetWarnings()))
	}
	again := plain("bria")
	again.Path = "/bria"
	if got := b.preview(again); len(got.GetViolations()) != 0 {
		t.Errorf("a change of itself: %q", found(got.GetViolations()))
	}
	anew := must[*controlv1.PreviewEndpointResponse](t)(b.endpoints.PreviewEndpoint(t.Context(), &controlv1.PreviewEndpointRequest{Endpoint: again, Create: true}))
	for _, want := range []string{"endpoint.path:path_taken bria", "endpoint.name:name_taken"} {
		if !slices.ContainsFunc(found(anew.GetViolations()), func(v string) bool { return strings.HasPrefix(v, want) }) {
			t.Errorf("%q has no %s", found(anew.GetViolations()), want)
		}
	}
	if empty := b.preview(&controlv1.Endpoint{}); len(empty.GetViolations()) < 3 || len(empty.GetWarnings()) != 0 || len(empty.GetRoutes()) != 0 {
		t.Errorf("%v", empty)
	}
	if b.dump() != before {
		t.Error("something was stored")
	}
}

// Guarantee: a draft with the name or the id of an endpoint is a change of it, which is not in its own way, and shows where requests would go,
// with the paths that its vendor has, the headers, the price and a request with curl.
func TestPreviewShowsWhatItWouldDo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e, _, _ := b.seed()
	change := bria()
	change.Price = fixed(usd(13, 0))
	got := b.preview(change)
	if len(got.GetViolations()) != 0 || got.GetEndpoint().GetId() != e.GetId() || got.GetEndpoint().GetEtag() != e.GetEtag() {
		t.Errorf("%v", got)
	}
	var rows []string
	for _, r := range got.GetRoutes() {
		rows = append(rows, r.GetPath()+" "+r.GetUrl())
	}
	if len(rows) < 3 || rows[0] != "/bria https://target/bria" || rows[len(rows)-1] != "/bria/<any-sub-path> https://target/bria/<any-sub-path>" {
		t.Errorf("%q", rows)
	}
	if got.GetPrice() == "" || !strings.Contains(got.GetAccess(), "key") || got.GetCurl() != `curl -X POST "$TOLLGATE_GATEWAY"/bria -H "Authorization: Bearer $TOLLGATE_KEY" -H "Content-Type: application/json" -d '{}'` {
		t.Errorf("%q %q %q", got.GetPrice(), got.GetAccess(), got.GetCurl())
	}
	open := plain("open")
	open.Path, open.Methods, open.Access = "/a$b'c", []string{"GET"}, public(60, 0)
	if got := b.preview(open); got.GetCurl() != `curl "$TOLLGATE_GATEWAY"'/a$b'\''c'` || !strings.Contains(got.GetAccess(), "60") {
		t.Errorf("%s %s", got.GetCurl(), got.GetAccess())
	}
}

// Guarantee: a draft of which one request costs more than a hard budget has is told with the budget, if the budget's key may call it;
// soft budgets, larger ones and those of other keys are not.
func TestPreviewFindsBudgetsThatAreTooSmall(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.seed()
	for name, soft := range map[string]controlv1.Enforcement{"warns-only": controlv1.Enforcement_ENFORCEMENT_SOFT, "large": controlv1.Enforcement_ENFORCEMENT_HARD} {
		amount := usd(1, 0)
		if name == "large" {
			amount = usd(500, 0)
		}
		g := &controlv1.Budget{
			Name: name, Scope: &controlv1.Budget_Everything{Everything: true}, Amount: amount, Enforcement: soft,
			Period: controlv1.Period_PERIOD_DAY,
		}
		if name == "large" {
			g.Period = controlv1.Period_PERIOD_MONTH
		}
		must[*controlv1.CreateBudgetResponse](t)(b.budgets.CreateBudget(t.Context(), &controlv1.CreateBudgetRequest{Budget: g}))
	}
	draft := func(name string, dollars int64) []string {
		e := bria()
		if name != "bria" {
			e = plain(name)
		}
		e.Price = fixed(usd(dollars, 0))
		return slices.DeleteFunc(found(b.preview(e).GetWarnings()), func(w string) bool { return !strings.Contains(w, "price_over_budget") })
	}
	if got := draft("bria", 100); len(got) != 0 {
		t.Errorf("what the budget just pays for: %q", got)
	}
	if got, want := draft("bria", 101), []string{"endpoint.price.fixed.per_request:price_over_budget ci-month"}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	if got := draft("other", 101); len(got) != 0 {
		t.Errorf("what the key may not call: %q", got)
	}
	if got := draft("other", 501); !slices.Equal(got, []string{"endpoint.price.fixed.per_request:price_over_budget large"}) {
		t.Errorf("everybody's budget: %q", got)
	}
}
