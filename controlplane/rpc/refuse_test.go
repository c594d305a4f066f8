package rpc_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	typemoney "google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/id"
)

// Guarantee: a change that is refused changes nothing: no row, no revision, no audit entry, nothing
// to publish. Its error names the field, and says whether it could succeed at another time.
func TestRefusedChangesNothing(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	e, k, g := b.seed()

	create := func(edit func(*controlv1.Endpoint)) func() error {
		return func() error {
			m := bria()
			m.Name, m.Path = "new", "/new"
			edit(m)
			_, err := b.endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: m})
			return err
		}
	}
	update := func(edit func(*controlv1.Endpoint)) func() error {
		return func() error {
			m := proto.CloneOf(e)
			edit(m)
			_, err := b.endpoints.UpdateEndpoint(ctx, &controlv1.UpdateEndpointRequest{Endpoint: m})
			return err
		}
	}
	target := func(url string) func(*controlv1.Endpoint) {
		return func(m *controlv1.Endpoint) { m.Targets[0].Url = url }
	}
	key := func(req *controlv1.CreateKeyRequest) func() error {
		return func() error { _, err := b.keys.CreateKey(ctx, req); return err }
	}
	budget := func(edit func(*controlv1.Budget)) func() error {
		return func() error {
			m := &controlv1.Budget{Name: "new", Scope: &controlv1.Budget_Key{Key: k.GetId()}, Amount: usd(1, 0), Period: controlv1.Period_PERIOD_DAY}
			edit(m)
			_, err := b.budgets.CreateBudget(ctx, &controlv1.CreateBudgetRequest{Budget: m})
			return err
		}
	}
	limit := func(edit func(*controlv1.Limit)) func() error {
		return func() error {
			m := &controlv1.Limit{Name: "new", Scope: &controlv1.Limit_Key{Key: k.GetId()}, Kind: controlv1.LimitKind_LIMIT_KIND_REQUESTS, Amount: 60}
			edit(m)
			_, err := b.limits.CreateLimit(ctx, &controlv1.CreateLimitRequest{Limit: m})
			return err
		}
	}
	usage := func(edit func(*controlv1.Price_Usage)) func() error {
		return create(func(m *controlv1.Endpoint) {
			m.Price = byUsage()
			edit(m.Price.GetUsage())
		})
	}
	change := func(req *controlv1.UpdateBudgetRequest) func() error {
		req.Budget = g.GetId()
		return func() error { _, err := b.budgets.UpdateBudget(ctx, req); return err }
	}
	raise := func(req *controlv1.RaiseBudgetRequest) func() error {
		req.Budget = g.GetId()
		return func() error { _, err := b.budgets.RaiseBudget(ctx, req); return err }
	}
	charge := func(req *controlv1.UpdateKeyRequest) func() error {
		return func() error { _, err := b.keys.UpdateKey(ctx, req); return err }
	}
	in := timestamppb.New(time.Now().Add(time.Hour))
	tomorrow := &controlv1.RaiseBudgetRequest_Until{Until: in}
	must[*controlv1.CreateTeamResponse](t)(b.teams.CreateTeam(ctx, &controlv1.CreateTeamRequest{Name: "search"}))
	must[*controlv1.CreateLimitResponse](t)(b.limits.CreateLimit(ctx, &controlv1.CreateLimitRequest{Limit: &controlv1.Limit{
		Name: "one", Scope: &controlv1.Limit_Team{Team: "search"}, Kind: controlv1.LimitKind_LIMIT_KIND_UNITS, Amount: 60,
	}}))
	must[*controlv1.CreateKeyResponse](t)(b.keys.CreateKey(ctx, &controlv1.CreateKeyRequest{Name: "gone"}))
	must[*controlv1.RevokeKeyResponse](t)(b.keys.RevokeKey(ctx, &controlv1.RevokeKeyRequest{Key: "gone"}))
	must[*controlv1.CreateBudgetResponse](t)(b.budgets.CreateBudget(ctx, &controlv1.CreateBudgetRequest{Budget: &controlv1.Budget{
		Name: "rolls", Scope: &controlv1.Budget_Everything{Everything: true}, Amount: usd(1, 0), Period: controlv1.Period_PERIOD_ROLLING, RollingDays: 7,
	}}))
	const (
		needed  = connect.CodeFailedPrecondition
		invalid = connect.CodeInvalidArgument
		exists  = connect.CodeAlreadyExists
		missing = connect.CodeNotFound
		stale   = connect.CodeAborted
	)
	cases := []struct {
		name  string
		call  func() error
		code  connect.Code
		field string
	}{
		{"path and method of another", create(func(m *controlv1.Endpoint) { m.Path = "/bria" }), exists, "endpoint.path:path_taken"},
		{"path and every method", create(func(m *controlv1.Endpoint) { m.Path, m.Methods = "/bria/", nil }), exists, "endpoint.path:path_taken"},
		{"name of another", create(func(m *controlv1.Endpoint) { m.Name = "bria" }), exists, "endpoint.name:name_taken"},
		{"ftp target", create(target("ftp://x.example.com")), invalid, "endpoint.targets[0].url:target_scheme"},
		{"metadata target", create(target("http://169.254.169.254/latest")), invalid, "endpoint.targets[0].url:target_metadata"},
		{"reserved path", create(func(m *controlv1.Endpoint) { m.Path = "/-/health" }), invalid, "endpoint.path:path_reserved"},
		{"NUL in the path", create(func(m *controlv1.Endpoint) { m.Path = "/a\x00b" }), invalid, "endpoint.path:path_chars"},
		{"negative price", create(func(m *controlv1.Endpoint) { m.Price = fixed(usd(-1, 0)) }), invalid, "endpoint.price.fixed.per_request:price_negative"},
		{"price beyond a million", create(func(m *controlv1.Endpoint) { m.Price = fixed(usd(1_000_001, 0)) }), invalid, "endpoint.price.fixed.per_request:out_of_range"},
		{"status that is none", create(func(m *controlv1.Endpoint) {
			m.Price.GetFixed().Charge = &controlv1.Charge{Statuses: []string{"20x"}}
		}), invalid, "endpoint.price.fixed.charge.statuses[0]:invalid"},
		{"charged method that is not answered", create(func(m *controlv1.Endpoint) {
			m.Price.GetFixed().Charge = &controlv1.Charge{Methods: []string{"PUT"}}
		}), invalid, "endpoint.price.fixed.charge.methods:forbidden"},
		{"said without a ceiling", update(func(m *controlv1.Endpoint) {
			m.Price = byTarget()
			m.Price.GetReported().Ceiling, m.Price.GetReported().Fallback = usd(0, 0), nil
		}), invalid, "endpoint.price.reported.ceiling:required"},
		{"fallback beyond the ceiling", create(func(m *controlv1.Endpoint) {
			m.Price = byTarget()
			m.Price.GetReported().Fallback = usd(3, 0)
		}), invalid, "endpoint.price.reported.fallback:out_of_range"},
		{"no meters", create(func(m *controlv1.Endpoint) {
			m.Price = byMeters()
			m.Price.GetMetered().Meters = nil
		}), invalid, "endpoint.price.metered.meters:required"},
		{"meter of an unknown counter", update(func(m *controlv1.Endpoint) {
			m.Price = byMeters()
			m.Price.GetMetered().Meters[0].Units[0].Add[0] = "tokens"
		}), invalid, "endpoint.price.metered.meters[0].units[0].add[0]:invalid"},
		{"secret of AWS that is written out", create(func(m *controlv1.Endpoint) {
			m.AwsSigning = signing()
			m.AwsSigning.SecretAccessKey, m.AwsSigning.ExternalId = "wJalrXUtnFEMI", ""
		}), invalid, "endpoint.aws_signing.secret_access_key:forbidden"},
		{"price with two signs", create(func(m *controlv1.Endpoint) { m.Price = fixed(usd(1, -1)) }), invalid, "endpoint.price.fixed.per_request:invalid"},
		{"price too large", create(func(m *controlv1.Endpoint) { m.Price = fixed(usd(1<<62, 0)) }), invalid, "endpoint.price.fixed.per_request:invalid"},
		{"price in euro", create(func(m *controlv1.Endpoint) { m.Price.GetFixed().PerRequest.CurrencyCode = "EUR" }), invalid, "endpoint.price.fixed.per_request:invalid"},
		{"no price", create(func(m *controlv1.Endpoint) { m.Price = nil }), invalid, "endpoint.price:required"},
		{"unknown secret", create(func(m *controlv1.Endpoint) { m.Headers[0].Value = "${secret:nope}" }), invalid, "endpoint.headers[0].value:secret_missing"},
		{"header with line end", create(func(m *controlv1.Endpoint) { m.Headers[0].Value = "a\r\nb: c" }), invalid, "endpoint.headers[0].value:header_value_nl"},
		{"zero timeout", create(func(m *controlv1.Endpoint) { m.Timeout = durationpb.New(0) }), invalid, "endpoint.timeout:"},
		{"no targets", create(func(m *controlv1.Endpoint) { m.Targets = nil }), invalid, "endpoint.targets:required"},
		{"no endpoint", func() error {
			_, err := b.endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{})
			return err
		}, invalid, "endpoint:required"},
		{"upper-case name", create(func(m *controlv1.Endpoint) { m.Name = "Bria" }), invalid, "endpoint.name:name_slug"},

		{"stale etag", update(func(m *controlv1.Endpoint) { m.Etag = "old" }), stale, ""},
		{"update of an unknown endpoint", update(func(m *controlv1.Endpoint) { m.Id = id.New(id.Endpoint) }), missing, ""},
		{"update with an unknown secret", update(func(m *controlv1.Endpoint) { m.Headers[0].Value = "${secret:nope}" }), invalid, "endpoint.headers[0].value:secret_missing"},
		{"delete with a stale etag", func() error {
			_, err := b.endpoints.DeleteEndpoint(ctx, &controlv1.DeleteEndpointRequest{Endpoint: "bria", Etag: "old"})
			return err
		}, stale, ""},
		{"delete of an unknown endpoint", func() error {
			_, err := b.endpoints.DeleteEndpoint(ctx, &controlv1.DeleteEndpointRequest{Endpoint: "nope"})
			return err
		}, missing, ""},
		{"NUL in a reference", func() error {
			_, err := b.endpoints.DeleteEndpoint(ctx, &controlv1.DeleteEndpointRequest{Endpoint: "a\x00"})
			return err
		}, missing, ""},

		{"key name of another", key(&controlv1.CreateKeyRequest{Name: "ci-bot"}), exists, "name:taken"},
		{"key for an unknown endpoint", key(&controlv1.CreateKeyRequest{Name: "x", Endpoints: []string{"bria", "nope"}}), invalid, "endpoints[1]:unknown"},
		{"expired key", key(&controlv1.CreateKeyRequest{Name: "x", ExpireTime: timestamppb.New(time.Unix(1, 0))}), invalid, "expire_time:out_of_range"},
		{"expiry out of range", key(&controlv1.CreateKeyRequest{Name: "x", ExpireTime: &timestamppb.Timestamp{Seconds: 1 << 60}}), invalid, "expire_time:invalid"},
		{"short hash", key(&controlv1.CreateKeyRequest{Name: "x", SecretSha256: []byte("short")}), invalid, "secret_sha256:invalid"},
		{"key named like an id", key(&controlv1.CreateKeyRequest{Name: id.New(id.Key)}), invalid, "name:reserved"},
		{"revoking an unknown key", func() error {
			_, err := b.keys.RevokeKey(ctx, &controlv1.RevokeKeyRequest{Key: "nope"})
			return err
		}, missing, ""},

		{"budget for an unknown key", budget(func(m *controlv1.Budget) { m.Scope = &controlv1.Budget_Key{Key: "nope"} }), invalid, "budget.key:unknown"},
		{"budget for an unknown endpoint", budget(func(m *controlv1.Budget) { m.Scope = &controlv1.Budget_Endpoint{Endpoint: "nope"} }), invalid, "budget.endpoint:unknown"},
		{"budget with the period of another", budget(func(m *controlv1.Budget) { m.Period = controlv1.Period_PERIOD_MONTH }), exists, "budget.period:taken"},
		{"budget name of another", budget(func(m *controlv1.Budget) { m.Name = "ci-month" }), exists, "budget.name:taken"},
		{"negative budget", budget(func(m *controlv1.Budget) { m.Amount = usd(0, -1) }), invalid, "budget.amount:out_of_range"},
		{"budget zone", budget(func(m *controlv1.Budget) { m.TimeZone = "Mars/Base" }), invalid, "budget.time_zone:invalid"},
		{"budget without scope", budget(func(m *controlv1.Budget) { m.Scope = nil }), invalid, "budget.scope:required"},
		{"negative amount", func() error {
			_, err := b.budgets.UpdateBudget(ctx, &controlv1.UpdateBudgetRequest{Budget: "ci-month", Amount: usd(-1, 0)})
			return err
		}, invalid, "amount:out_of_range"},
		{"amount with a stale etag", func() error {
			_, err := b.budgets.UpdateBudget(ctx, &controlv1.UpdateBudgetRequest{Budget: g.GetId(), Amount: usd(1, 0), Etag: "old"})
			return err
		}, stale, ""},
		{"overdraft of a hard budget", change(&controlv1.UpdateBudgetRequest{Overdraft: &controlv1.UpdateBudgetRequest_Overdraft{Amount: usd(1, 0)}}), invalid, "overdraft:forbidden"},
		{"overdraft of nothing", change(&controlv1.UpdateBudgetRequest{Enforcement: controlv1.Enforcement_ENFORCEMENT_SOFT, Overdraft: &controlv1.UpdateBudgetRequest_Overdraft{Amount: usd(0, 0)}}), invalid, "overdraft:out_of_range"},
		{"overdraft in euro", change(&controlv1.UpdateBudgetRequest{Enforcement: controlv1.Enforcement_ENFORCEMENT_SOFT, Overdraft: &controlv1.UpdateBudgetRequest_Overdraft{Amount: &typemoney.Money{CurrencyCode: "EUR"}}}), invalid, "overdraft:invalid"},
		{"warning at nothing", change(&controlv1.UpdateBudgetRequest{WarnPercents: &controlv1.UpdateBudgetRequest_WarnPercents{Percents: []uint32{0}}}), invalid, "warn_percents.percents[0]:invalid"},
		{"new hard budget with an overdraft", budget(func(m *controlv1.Budget) { m.Overdraft = usd(1, 0) }), invalid, "budget.overdraft:forbidden"},
		{"new budget with a raise", budget(func(m *controlv1.Budget) { m.Raise = &controlv1.BudgetRaise{By: usd(1, 0), Until: in} }), invalid, "budget.raise:forbidden"},
		{"rolling budget without days", budget(func(m *controlv1.Budget) { m.Period = controlv1.Period_PERIOD_ROLLING }), invalid, "budget.rolling_days:out_of_range"},
		{"daily budget with days", budget(func(m *controlv1.Budget) { m.RollingDays = 7 }), invalid, "budget.rolling_days:forbidden"},
		{"rolling budget of the same days", budget(func(m *controlv1.Budget) {
			m.Scope, m.Period, m.RollingDays = &controlv1.Budget_Everything{Everything: true}, controlv1.Period_PERIOD_ROLLING, 7
		}), exists, "budget.period:taken"},
		{"budget for an unknown team", budget(func(m *controlv1.Budget) { m.Scope = &controlv1.Budget_Team{Team: "nope"} }), invalid, "budget.team:unknown"},
		{"budget for no customer", budget(func(m *controlv1.Budget) { m.Scope = &controlv1.Budget_Customer{Customer: "a b"} }), invalid, "budget.customer:invalid"},
		{"raise without an end", raise(&controlv1.RaiseBudgetRequest{By: usd(1, 0)}), invalid, "until:required"},
		{"raise until the past", raise(&controlv1.RaiseBudgetRequest{By: usd(1, 0), End: &controlv1.RaiseBudgetRequest_Until{Until: timestamppb.New(time.Unix(1, 0))}}), invalid, "until:out_of_range"},
		{"raise until no time", raise(&controlv1.RaiseBudgetRequest{By: usd(1, 0), End: &controlv1.RaiseBudgetRequest_Until{Until: &timestamppb.Timestamp{Seconds: 1 << 60}}}), invalid, "until:invalid"},
		{"negative raise", raise(&controlv1.RaiseBudgetRequest{By: usd(-1, 0), End: tomorrow}), invalid, "by:out_of_range"},
		{"raise of nothing said", raise(&controlv1.RaiseBudgetRequest{End: tomorrow}), invalid, "by:required"},
		{"raise with a stale etag", raise(&controlv1.RaiseBudgetRequest{By: usd(1, 0), End: tomorrow, Etag: "old"}), stale, ""},
		{"end of no raise", raise(&controlv1.RaiseBudgetRequest{By: usd(0, 0)}), 0, ""},
		{"raise until a reset that never comes", func() error {
			_, err := b.budgets.RaiseBudget(ctx, &controlv1.RaiseBudgetRequest{Budget: "rolls", By: usd(1, 0), End: &controlv1.RaiseBudgetRequest_UntilReset{UntilReset: true}})
			return err
		}, invalid, "until_reset:forbidden"},
		{"reset with a stale etag", func() error {
			_, err := b.budgets.ResetBudget(ctx, &controlv1.ResetBudgetRequest{Budget: g.GetId(), Etag: "old"})
			return err
		}, stale, ""},
		{"reset of an unknown budget", func() error {
			_, err := b.budgets.ResetBudget(ctx, &controlv1.ResetBudgetRequest{Budget: "nope"})
			return err
		}, missing, ""},
		{"deleting an unknown budget", func() error {
			_, err := b.budgets.DeleteBudget(ctx, &controlv1.DeleteBudgetRequest{Budget: "nope"})
			return err
		}, missing, ""},

		{"ceiling on what the target tells", usage(func(u *controlv1.Price_Usage) { u.Bound = controlv1.Price_BOUND_CEILING }), invalid, "endpoint.price.usage.bound:forbidden"},
		{"price of nothing that is used", usage(func(u *controlv1.Price_Usage) { u.Rates = nil }), invalid, "endpoint.price.usage.rates:required"},
		{"header of bytes", usage(func(u *controlv1.Price_Usage) { u.Rates[1].Header = "x" }), invalid, "endpoint.price.usage.rates[1].header:forbidden"},
		{"negative rate", usage(func(u *controlv1.Price_Usage) { u.Rates[0].PerMillion = usd(0, -1) }), invalid, "endpoint.price.usage.rates[0].per_million:price_negative"},
		{"no hold", usage(func(u *controlv1.Price_Usage) { u.Hold = nil }), invalid, "endpoint.price.usage.hold:required"},
		{"unknown policy", create(func(m *controlv1.Endpoint) { m.Abandoned = 9 }), invalid, "endpoint.abandoned:invalid"},

		{"key of an unknown team", key(&controlv1.CreateKeyRequest{Name: "x", Team: "nope"}), invalid, "team:unknown"},
		{"key with a tag twice", key(&controlv1.CreateKeyRequest{Name: "x", Tags: []string{"a", "a"}}), invalid, "tags:invalid"},
		{"charging an unknown key", charge(&controlv1.UpdateKeyRequest{Key: "nope"}), missing, ""},
		{"charging an unknown team", charge(&controlv1.UpdateKeyRequest{Key: "ci-bot", Team: "nope"}), invalid, "team:unknown"},
		{"charging with a NUL", charge(&controlv1.UpdateKeyRequest{Key: "ci-bot", Team: "a\x00"}), invalid, "team:unknown"},
		{"charging no customer", charge(&controlv1.UpdateKeyRequest{Key: "ci-bot", Customer: "-"}), invalid, "customer:invalid"},
		{"charging a revoked key", charge(&controlv1.UpdateKeyRequest{Key: "gone"}), needed, ""},

		{"team name of another", func() error {
			_, err := b.teams.CreateTeam(ctx, &controlv1.CreateTeamRequest{Name: "search"})
			return err
		}, exists, "name:taken"},
		{"team named like an id", func() error {
			_, err := b.teams.CreateTeam(ctx, &controlv1.CreateTeamRequest{Name: id.New(id.Team)})
			return err
		}, invalid, "name:reserved"},
		{"deleting an unknown team", func() error {
			_, err := b.teams.DeleteTeam(ctx, &controlv1.DeleteTeamRequest{Team: "nope"})
			return err
		}, missing, ""},
		{"deleting a team with a limit", func() error {
			_, err := b.teams.DeleteTeam(ctx, &controlv1.DeleteTeamRequest{Team: "search"})
			return err
		}, needed, ""},

		{"limit name of another", limit(func(m *controlv1.Limit) { m.Name = "one" }), exists, "limit.name:taken"},
		{"limit with the kind of another", limit(func(m *controlv1.Limit) {
			m.Scope, m.Kind = &controlv1.Limit_Team{Team: "search"}, controlv1.LimitKind_LIMIT_KIND_UNITS
		}), exists, "limit.kind:taken"},
		{"limit for an unknown key", limit(func(m *controlv1.Limit) { m.Scope = &controlv1.Limit_Key{Key: "nope"} }), invalid, "limit.key:unknown"},
		{"limit without scope", limit(func(m *controlv1.Limit) { m.Scope = nil }), invalid, "limit.scope:required"},
		{"negative limit", limit(func(m *controlv1.Limit) { m.Amount = -1 }), invalid, "limit.amount:invalid"},
		{"burst of requests at a time", limit(func(m *controlv1.Limit) { m.Kind, m.Burst = controlv1.LimitKind_LIMIT_KIND_CONCURRENT, 1 }), invalid, "limit.burst:forbidden"},
		{"limit with a stale etag", func() error {
			_, err := b.limits.UpdateLimit(ctx, &controlv1.UpdateLimitRequest{Limit: "one", Etag: "old"})
			return err
		}, stale, ""},
		{"deleting a limit with a stale etag", func() error {
			_, err := b.limits.DeleteLimit(ctx, &controlv1.DeleteLimitRequest{Limit: "one", Etag: "old"})
			return err
		}, stale, ""},
		{"changing an unknown limit", func() error {
			_, err := b.limits.UpdateLimit(ctx, &controlv1.UpdateLimitRequest{Limit: "nope"})
			return err
		}, missing, ""},

		{"pricing without a price", func() error {
			_, err := b.usage.RepriceRequests(ctx, &controlv1.RepriceRequestsRequest{Filter: &controlv1.RequestFilter{}})
			return err
		}, invalid, "per_request:required"},
		{"pricing without a ledger", func() error {
			_, err := b.usage.RepriceRequests(ctx, &controlv1.RepriceRequestsRequest{Filter: &controlv1.RequestFilter{}, PerRequest: usd(1, 0)})
			return err
		}, connect.CodeUnavailable, ""},

		{"secret without value", func() error {
			_, err := b.secrets.CreateSecret(ctx, &controlv1.CreateSecretRequest{Name: "x"})
			return err
		}, invalid, "value:required"},
		{"rotating an unknown secret", func() error {
			_, err := b.secrets.RotateSecret(ctx, &controlv1.RotateSecretRequest{Secret: "nope", Value: "x"})
			return err
		}, missing, ""},
		{"deleting an unknown secret", func() error {
			_, err := b.secrets.DeleteSecret(ctx, &controlv1.DeleteSecretRequest{Secret: "nope"})
			return err
		}, missing, ""},
		{"oversized", create(func(m *controlv1.Endpoint) { m.Targets[0].Url = strings.Repeat("x", 5<<20) }), invalid, ""},
	}
	before := b.dump()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := c.call()
			got := failureOf(err)
			if (err != nil || c.code != 0) && got.Code != c.code {
				t.Fatalf("%v: %v", got, err)
			}
			if c.field != "" && !slices.ContainsFunc(got.Violations, func(v string) bool { return strings.HasPrefix(v, c.field) }) {
				t.Errorf("violations %v, want %s", got.Violations, c.field)
			}
			if c.field != "" && len(got.Violations) != 1 && c.name != "zero timeout" {
				t.Errorf("violations %v beside %s", got.Violations, c.field)
			}
			if after := b.dump(); after != before {
				t.Errorf("changed:\n%s\nto:\n%s", before, after)
			}
		})
	}
}

// Guarantee: what is no message at all is refused before anything looks at it.
func TestMalformedBodies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := b.dump()
	for name, c := range map[string]struct {
		body   string
		header []string
		status int
	}{
		"half":          {`{"endpoint":`, nil, http.StatusBadRequest},
		"unknown field": {`{"endpont":{}}`, nil, http.StatusBadRequest},
		"wrong type":    {`{"endpoint":{"name":1}}`, nil, http.StatusBadRequest},
		"array":         {`[]`, nil, http.StatusBadRequest},
		"no protobuf":   {"\xff\xff\xff", []string{"Content-Type", "application/proto"}, http.StatusBadRequest},
		"text":          {`{}`, []string{"Content-Type", "text/plain"}, http.StatusUnsupportedMediaType},
		"oversized":     {`{"endpoint":{"name":"` + strings.Repeat("a", 5<<20) + `"}}`, nil, http.StatusBadRequest},
		"huge":          {`{"endpoint":{"name":"` + strings.Repeat("a", 20<<20) + `"}}`, nil, http.StatusBadRequest},
		"deep":          {strings.Repeat("[", 100_000), nil, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			status, body, header := b.post("/tollgate.control.v1.EndpointService/CreateEndpoint", c.body, c.header...)
			if status != c.status {
				t.Errorf("%d %.200s", status, body)
			}
			if header.Get("x-tollgate-request-id") == "" {
				t.Error("no request id")
			}
			if b.dump() != before {
				t.Error("something changed")
			}
		})
	}
}

// Guarantee: nothing but health is answered without the admin token, in no protocol.
func TestAuthentication(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const procedure = "/tollgate.control.v1.SystemService/GetInfo"
	for name, value := range map[string]string{
		"none": "", "wrong": "Bearer tga_other", "prefix": "Bearer " + token[:8], "longer": "Bearer " + token + "x",
		"basic": "Basic " + token, "bare": token, "empty": "Bearer ",
	} {
		for _, content := range []string{"application/json", "application/grpc", "application/grpc-web+proto", "text/html"} {
			status, body, header := b.post(procedure, "{}", "Authorization", value, "Content-Type", content)
			refused := status == http.StatusUnauthorized || header.Get("Grpc-Status") == "16" || strings.Contains(body, "grpc-status: 16")
			if !refused || header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s, %s: %d %q %v", name, content, status, body, header)
			}
			if content == "application/json" && (!strings.Contains(body, `"code":"unauthenticated"`) || !strings.Contains(body, "details")) {
				t.Errorf("%s: %s", name, body)
			}
		}
	}
	if status, body, _ := b.post(procedure, "{}", "Authorization", "bearer  "+token); status != http.StatusOK {
		t.Errorf("scheme in lower case: %d %s", status, body)
	}
	for path, want := range map[string]int{
		"/healthz": 200, "/readyz": 200, "/": 401, "/x": 401,
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": 401,
	} {
		res, err := b.http.Get(b.url + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
	}
	if status, body, _ := b.post("/grpc.health.v1.Health/Check", `{"service":"tollgate.control.v1.KeyService"}`, "Authorization", ""); status != http.StatusOK || !strings.Contains(body, "SERVING") {
		t.Errorf("health: %d %s", status, body)
	}
	if status, _, _ := b.post("/grpc.health.v1.Health/Check", `{"service":"nope"}`); status != http.StatusNotFound {
		t.Errorf("health of an unknown service: %d", status)
	}
}

// Guarantee: tools that hold the token can discover the API.
func TestReflection(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stream := grpcreflect.NewClient(b.http, b.url, connect.WithGRPC()).NewStream(t.Context(), grpcreflect.WithRequestHeaders(http.Header{"Authorization": {"Bearer " + token}}))
	defer func() { _, _ = stream.Close() }()
	names, err := stream.ListServices()
	if err != nil || !slices.Contains(names, "tollgate.control.v1.EndpointService") {
		t.Errorf("%v %v", names, err)
	}
	files, err := stream.FileContainingSymbol("tollgate.control.v1.KeyService")
	if err != nil || len(files) == 0 {
		t.Errorf("%d files, %v", len(files), err)
	}
}

// Guarantee: with the database away the API says so, as something that will pass, and never as an
// internal error; health says it too.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.seed()
	cfg := b.pool.Config().Copy()
	cfg.ConnConfig.Port = 1 // nobody listens there
	away := setupWith(t, mustPool(t, cfg), nil)
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"read":   func() error { _, err := away.system.GetInfo(ctx, &controlv1.GetInfoRequest{}); return err },
		"list":   func() error { _, err := away.keys.ListKeys(ctx, &controlv1.ListKeysRequest{}); return err },
		"change": func() error { _, err := away.keys.CreateKey(ctx, &controlv1.CreateKeyRequest{Name: "x"}); return err },
	} {
		if got := failureOf(call()); got.Code != connect.CodeUnavailable || got.Reason != "unavailable" {
			t.Errorf("%s: %v", name, got)
		}
	}
	res, err := away.http.Get(away.url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusServiceUnavailable || !bytes.Contains(text, []byte("database")) {
		t.Errorf("readyz: %d %s", res.StatusCode, text)
	}
	if res, err := away.http.Get(away.url + "/healthz"); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("healthz: %v %v", res, err)
	} else {
		res.Body.Close()
	}
}

// Guarantee: a call that its caller gives up on, or that takes too long, is no internal error.
func TestCallersDeadline(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// Another change holds the lock for as long as this test wants.
	tx, err := b.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), `SELECT n FROM control.revision FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := b.keys.CreateKey(ctx, &controlv1.CreateKeyRequest{Name: "x"}); connect.CodeOf(err) != connect.CodeDeadlineExceeded {
		t.Errorf("%v", err)
	}
	if strings.Contains(b.logs.String(), "level=ERROR") {
		t.Error(b.logs.String())
	}
}

// Guarantee: revisions have no gaps and no doubles, however many change at once, and two that want
// the same path do not both get it.
func TestConcurrentChanges(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	const n = 24
	results := make(chan error, n)
	for i := range n {
		go func() {
			m := bria()
			m.Headers, m.Name, m.Path = nil, fmt.Sprintf("e%d", i), fmt.Sprintf("/p%d", i%(n/2))
			_, err := b.endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: m})
			results <- err
		}()
	}
	ok := 0
	for range n {
		err := <-results
		switch {
		case err == nil:
			ok++
		case connect.CodeOf(err) != connect.CodeAlreadyExists:
			t.Error(err)
		}
	}
	var revision, rows, distinct, last int
	err := b.pool.QueryRow(ctx, `SELECT (SELECT n FROM control.revision), count(*), count(DISTINCT revision), max(revision) FROM control.audit`).Scan(&revision, &rows, &distinct, &last)
	if err != nil || ok != n/2 || revision != ok || rows != ok || distinct != ok || last != ok {
		t.Errorf("%d created, revision %d, %d audit rows, %d revisions up to %d, %v", ok, revision, rows, distinct, last, err)
	}
}
