package rpc_test

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

// files is a configuration that names one file, and the value of its secret.
func files(text string, more ...func(*controlv1.ConfigInput)) *controlv1.ConfigInput {
	in := &controlv1.ConfigInput{
		Files: []*controlv1.ConfigFile{{Name: "tollgate.yaml", Text: []byte(text)}}, Secrets: map[string]string{"bria-token": vendorSecret},
	}
	for _, f := range more {
		f(in)
	}
	return in
}

func prune(in *controlv1.ConfigInput) { in.Prune = true }

const wholeFile = `version: 1
owner: platform/gateway
secrets:
  - { name: bria-token, from: env/BRIA_TOKEN }
  - { name: cohere, from: "env:COHERE", description: For rerank }
endpoints:
  - name: bria
    path: /bria/
    target: https://engine.example.com
    headers: { api_token: "${secret:bria-token}" }
    price: { per_request: 12.00 }
    limits: { requests: 600 }
  - name: rerank
    path: /v1/rerank
    match: exact
    methods: [POST]
    target: https://api.example.com/v1/rerank
    headers: { Authorization: "Bearer ${secret:cohere}" }
    price: { meters: [{ name: search_units, from: response.meta.billed_units.search_units, unit: 0.002, hold: 0.01 }] }
models:
  - name: small
    deployments:
      - target: https://models.example.com
        schemas: [openai_chat]
        price: free
teams:
  - { name: marketing, budget: { limit: 500, every: month, when_reached: warn } }
customers:
  - { name: acme, display_name: Acme Inc., metadata: { plan: gold, seats: 12 } }
tags:
  - { name: batch, description: Over night }
keys:
  - { name: ci-bot, team: marketing, tags: [batch], endpoints: [bria], budget: { limit: 60, every: day } }
budgets:
  - { name: all, everything: true, limit: 1000.50, rolling_days: 30, warn_percents: [80, 50] }
limits:
  - { name: all, everything: true, kind: concurrent, amount: 100 }
prices:
  - { list: openai, model: gpt-tiny, rates: [{ unit: input, price: "0.10", per: 1000000 }] }
settings:
  name: Test
  new_keys: { expire_days: 30 }
`

// config calls as the command line does: each call is made once, however often it is sent.
func (b *bundle) config() controlv1connect.ConfigServiceClient {
	return controlv1connect.NewConfigServiceClient(b.http, b.url, connect.WithInterceptors(withToken{}, withHeader{"Idempotency-Key", rand.Text()}))
}

func (b *bundle) apply(in *controlv1.ConfigInput) *controlv1.ApplyResponse {
	b.t.Helper()
	return must[*controlv1.ApplyResponse](b.t)(b.config().Apply(b.t.Context(), &controlv1.ApplyRequest{What: &controlv1.ApplyRequest_Input{Input: in}}))
}

func (b *bundle) plan(in *controlv1.ConfigInput) *controlv1.PlanResponse {
	b.t.Helper()
	return must[*controlv1.PlanResponse](b.t)(b.config().Plan(b.t.Context(), &controlv1.PlanRequest{Input: in}))
}

func summary(all []*controlv1.ConfigChange) (out []string) {
	signs := map[controlv1.ChangeKind]string{1: "+", 2: "~", 3: "-", 4: "="}
	for _, c := range all {
		line := signs[c.GetChange()] + " " + c.GetKind() + " " + c.GetName()
		if c.GetChange() == controlv1.ChangeKind_CHANGE_KIND_UPDATE {
			for _, f := range c.GetFields() {
				line += " " + f.GetPath() + ":" + f.GetBefore() + ">" + f.GetAfter()
			}
		}
		if c.GetDrift() {
			line += " drift"
		}
		out = append(out, line)
	}
	return out
}

// Guarantee: files are applied in one revision; a plan changes nothing and says the same; applied again they change nothing; and
// what is exported plans to nothing.
func TestFilesAreAppliedOnce(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	before := b.dump()
	planned := b.plan(files(wholeFile))
	if b.dump() != before {
		t.Error("a plan has changed something")
	}
	applied := b.apply(files(wholeFile))
	if got, want := summary(applied.GetChanges()), summary(planned.GetChanges()); !slices.Equal(got, want) || len(got) != 16 {
		t.Errorf("applied %d %q, planned %q", len(got), got, want)
	}
	if applied.GetRevision() != planned.GetRevision()+1 || len(applied.GetKeySecrets()["ci-bot"]) < 40 {
		t.Errorf("revision %d after %d, keys %d", applied.GetRevision(), planned.GetRevision(), len(applied.GetKeySecrets()))
	}
	after := b.dump()
	if strings.Contains(after, vendorSecret) {
		t.Error("the secret is stored in the clear")
	}
	again := b.apply(files(wholeFile))
	if len(again.GetChanges()) != 0 || again.GetRevision() != applied.GetRevision() || b.dump() != after {
		t.Errorf("applied again it does %q", summary(again.GetChanges()))
	}
	exported := must[*controlv1.ExportResponse](t)(b.config().Export(ctx, &controlv1.ExportRequest{}))
	if p := b.plan(files(string(exported.GetText()))); len(p.GetChanges()) != 0 || p.GetPlanId() != "" {
		t.Errorf("what is exported would do %q:\n%s", summary(p.GetChanges()), exported.GetText())
	}
	onto := must[*controlv1.ExportResponse](t)(b.config().Export(ctx, &controlv1.ExportRequest{Onto: []byte(wholeFile)}))
	if string(onto.GetText()) != wholeFile {
		t.Errorf("exported onto itself it is\n%s", onto.GetText())
	}
	if strings.Contains(string(exported.GetText())+b.logs.String(), vendorSecret) {
		t.Error("the secret is told")
	}
}

// Guarantee: a plan tells each field that changes as the file writes it, values of secrets never; what was changed by other means
// is drift, and is undone; what is not named any more stays, unless pruned.
func TestPlansTellFields(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.apply(files(wholeFile))
	changed := strings.NewReplacer("12.00", "10.5", "match: exact", "match: prefix", "limit: 60,", "limit: 70,", "seats: 12", "seats: 13").Replace(wholeFile)
	want := []string{
		"~ secret bria-token value:(changed)>(changed)",
		"~ endpoint bria price.per_request:12.00>10.50",
		"~ endpoint rerank match:exact>prefix",
		"~ customer acme metadata.seats:12>13",
		"~ budget key-ci-bot limit:60.00>70.00",
	}
	in := files(changed)
	in.Secrets["bria-token"] = "another-value"
	if got := summary(b.plan(in).GetChanges()); !slices.Equal(got, want) {
		t.Errorf("plan is %q", got)
	}
	budget := must[*controlv1.GetBudgetResponse](t)(b.budgets.GetBudget(ctx, &controlv1.GetBudgetRequest{Budget: "key-ci-bot"})).GetBudget()
	override := connect.WithInterceptors(withToken{}, withHeader{"x-tollgate-override", "managed"})
	_, err := controlv1connect.NewBudgetServiceClient(b.http, b.url, override).UpdateBudget(ctx, &controlv1.UpdateBudgetRequest{Budget: budget.GetId(), Amount: usd(99, 0)})
	if err != nil {
		t.Fatal(err)
	}
	drift := must[*controlv1.ListDriftResponse](t)(b.config().ListDrift(ctx, &controlv1.ListDriftRequest{})).GetDrift()
	if len(drift) != 1 || drift[0].GetName() != "key-ci-bot" || drift[0].GetFields()[0].GetAfter() != "99.00" {
		t.Errorf("drift is %v", drift)
	}
	if got := summary(b.plan(files(wholeFile)).GetChanges()); !slices.Equal(got, []string{"~ budget key-ci-bot limit:99.00>60.00 drift"}) {
		t.Errorf("plan is %q", got)
	}
}

// withHeader sends a header with every call.
type withHeader struct{ name, value string }

func (h withHeader) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		req.Header().Set(h.name, h.value)
		return next(ctx, req)
	}
}

func (withHeader) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (withHeader) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// Guarantee: without prune nothing is deleted; with it, what this owner had and no other's, keys by being revoked.
func TestPruneDeletesWhatTheOwnerHad(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	must[*controlv1.CreateTeamResponse](t)(b.teams.CreateTeam(ctx, &controlv1.CreateTeamRequest{Name: "by-hand"}))
	b.apply(files("version: 1\nowner: other\nteams: [{name: theirs}]\n"))
	b.apply(files(wholeFile))
	const small = "version: 1\nowner: platform/gateway\nteams: [{name: marketing}]\n"
	if got := b.apply(files(small)).GetChanges(); len(got) != 0 {
		t.Errorf("without prune it does %q", summary(got))
	}
	got := summary(b.apply(files(small, prune)).GetChanges())
	want := []string{
		"- model_price openai/gpt-tiny", "- limit all", "- limit endpoint-bria-requests", "- budget all", "- budget key-ci-bot", "- budget team-marketing",
		"- endpoint bria", "- endpoint rerank", "- key ci-bot", "- tag batch", "- customer acme", "- model small", "- secret bria-token", "- secret cohere",
	}
	if !slices.Equal(got, want) {
		t.Errorf("pruned %q", got)
	}
	teams := must[*controlv1.ListTeamsResponse](t)(b.teams.ListTeams(ctx, &controlv1.ListTeamsRequest{})).GetTeams()
	if len(teams) != 3 {
		t.Errorf("teams are %v", teams)
	}
	if got := b.apply(files(small, prune)).GetChanges(); len(got) != 0 {
		t.Errorf("pruned again it does %q", summary(got))
	}
}

// Guarantee: everything that is wrong with all objects is said at once, with line and column, and nothing is done.
func TestWrongFilesDoNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := b.dump()
	const text = `version: 1
endpoints:
  - name: Bad Name
    path: /a
    target: https://example.com
    price: free
  - name: b
    path: /b
    target: "ftp://example.com"
    price: { per_request: 1 }
    headers: { x-key: "${secret:nobody}" }
teams: [{ name: fine }]
secrets: [{ name: unknown }]
`
	_, err := b.config().Apply(t.Context(), &controlv1.ApplyRequest{What: &controlv1.ApplyRequest_Input{Input: files(text)}})
	if connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Fatalf("err is %v", err)
	}
	got := strings.Join(violations(err), "\n")
	for _, want := range []string{
		"tollgate.yaml:3:11 endpoints[0].name", "tollgate.yaml:9:13 endpoints[1].target", "tollgate.yaml:11:23 endpoints[1].headers[0].value", "tollgate.yaml:13:11 secrets[0]",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if b.dump() != before {
		t.Error("something was done")
	}
}

// Guarantee: what one file owns another may not change, nor anybody by hand, until it is taken over or released.
func TestOwnersKeepTheirs(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.apply(files("version: 1\nowner: one\nlimits: [{name: a, everything: true, kind: requests, amount: 1}]\n"))
	const two = "version: 1\nowner: two\nlimits: [{name: a, everything: true, kind: requests, amount: 2}]\n"
	_, err := b.config().Apply(ctx, &controlv1.ApplyRequest{What: &controlv1.ApplyRequest_Input{Input: files(two)}})
	if err == nil || !strings.Contains(err.Error(), "managed by one") {
		t.Errorf("err is %v", err)
	}
	if _, err := b.limits.DeleteLimit(ctx, &controlv1.DeleteLimitRequest{Limit: "a"}); err == nil || !strings.Contains(err.Error(), "managed by the file one") {
		t.Errorf("err is %v", err)
	}
	b.apply(files(two, func(in *controlv1.ConfigInput) { in.TakeOver = true }))
	if n := must[*controlv1.ReleaseResponse](t)(b.config().Release(ctx, &controlv1.ReleaseRequest{Owner: "two"})).GetObjects(); n != 1 {
		t.Errorf("released %d", n)
	}
	must[*controlv1.DeleteLimitResponse](t)(b.limits.DeleteLimit(ctx, &controlv1.DeleteLimitRequest{Limit: "a"}))
}

// Guarantee: a plan is applied as it was shown or not at all, once, by whoever made it.
func TestPlansAreAppliedAsShown(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	apply := func(id string) error {
		_, err := b.config().Apply(ctx, &controlv1.ApplyRequest{What: &controlv1.ApplyRequest_PlanId{PlanId: id}})
		return err
	}
	const text = "version: 1\nteams: [{name: a}, {name: b}]\n"
	stale := b.plan(files(text)).GetPlanId()
	must[*controlv1.CreateTeamResponse](t)(b.teams.CreateTeam(ctx, &controlv1.CreateTeamRequest{Name: "a"}))
	if err := apply(stale); connect.CodeOf(err) != connect.CodeAborted {
		t.Errorf("a plan that would do something else: %v", err)
	}
	same := b.plan(files(text)).GetPlanId()
	must[*controlv1.CreateTeamResponse](t)(b.teams.CreateTeam(ctx, &controlv1.CreateTeamRequest{Name: "c"}))
	if err := apply(same); err != nil {
		t.Errorf("a plan that still does the same: %v", err)
	}
	if err := apply(same); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a plan again: %v", err)
	}
}
