package rpc_test

import (
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (b *bundle) limit(name string) (*controlv1.Limit, error) {
	res, err := b.limits.GetLimit(b.t.Context(), &controlv1.GetLimitRequest{Limit: name})
	return res.GetLimit(), err
}

// Guarantee: the limit of a public endpoint comes with it, follows what the endpoint says and what it is
// called, and goes with it; the ledger and the edges are told each time.
func TestPublicLimitFollowsItsEndpoint(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	m := plain("open")
	m.Access = public(60, 5)
	e := b.create(m)
	l, err := b.limit("public-open")
	if err != nil || l.GetEndpoint() != "open" || l.GetAmount() != 60 || l.GetBurst() != 5 || l.GetKind() != controlv1.LimitKind_LIMIT_KIND_REQUESTS {
		t.Fatalf("limit %v, %v", l, err)
	}
	shard := "accounts.1"
	if got := b.dirty(); !slices.Equal(got, []string{shard, "head", "routes"}) {
		t.Errorf("created: dirty %v", got)
	}
	was := l.GetRevision()
	e.KeyHeader = "x-mine"
	e = b.update(e)
	if l, _ = b.limit("public-open"); l.GetRevision() != was {
		t.Error("a change of something else writes the limit anew")
	}
	if got := b.dirty(); !slices.Equal(got, []string{"head", "routes"}) {
		t.Errorf("something else changed: dirty %v", got)
	}
	e.Access = public(120, 0)
	e = b.update(e)
	if l, _ = b.limit("public-open"); l.GetAmount() != 120 || l.GetBurst() != 0 || l.GetRevision() != e.GetRevision() {
		t.Errorf("raised: %v", l)
	}
	if got := b.dirty(); !slices.Equal(got, []string{shard, "head", "routes"}) {
		t.Errorf("raised: dirty %v", got)
	}
	id := l.GetId()
	e.Name = strings.Repeat("n", 63)
	e = b.update(e)
	if l, err = b.limit("public-" + e.GetName()); err != nil || l.GetId() != id || l.GetEndpoint() != e.GetName() {
		t.Errorf("renamed: %v, %v", l, err)
	}
	e.Access = nil // which asks for keys
	e = b.update(e)
	if _, err := b.limit(id); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("keys again: %v", err)
	}
	if got := b.dirty(); !slices.Equal(got, []string{shard, "head", "routes"}) {
		t.Errorf("keys again: dirty %v", got)
	}
	e.Access = public(1, 0)
	e = b.update(e)
	must[*controlv1.DeleteEndpointResponse](t)(b.endpoints.DeleteEndpoint(ctx, &controlv1.DeleteEndpointRequest{Endpoint: e.GetId()}))
	if all := must[*controlv1.ListLimitsResponse](t)(b.limits.ListLimits(ctx, &controlv1.ListLimitsRequest{})).GetLimits(); len(all) != 0 {
		t.Errorf("deleted: %v are left", all)
	}
}

// Guarantee: the limit of a public endpoint cannot be changed, removed or doubled by itself, stands in
// nobody's way but that of its name, and a refusal changes nothing.
func TestPublicLimitIsItsEndpoints(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	m := plain("open")
	m.Access = public(60, 5)
	e := b.create(m)
	taken := plain("taken")
	b.create(taken)
	limit := func(name, endpoint string, kind controlv1.LimitKind) error {
		_, err := b.limits.CreateLimit(ctx, &controlv1.CreateLimitRequest{Limit: &controlv1.Limit{
			Name: name, Scope: &controlv1.Limit_Endpoint{Endpoint: endpoint}, Kind: kind, Amount: 1,
		}})
		return err
	}
	for _, err := range []error{
		limit("public-new", "taken", controlv1.LimitKind_LIMIT_KIND_UNITS),
		limit("own", "taken", controlv1.LimitKind_LIMIT_KIND_REQUESTS),
		limit("many", "open", controlv1.LimitKind_LIMIT_KIND_CONCURRENT),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	change := func(m *controlv1.Endpoint, edit func(*controlv1.Endpoint)) func() error {
		return func() error {
			m := proto.CloneOf(m)
			edit(m)
			_, err := b.endpoints.UpdateEndpoint(ctx, &controlv1.UpdateEndpointRequest{Endpoint: m})
			return err
		}
	}
	cases := []struct {
		name string
		call func() error
		code connect.Code
		text string
	}{
		{"update", func() error {
			_, err := b.limits.UpdateLimit(ctx, &controlv1.UpdateLimitRequest{Limit: "public-open", Amount: proto.Int64(1)})
			return err
		}, connect.CodeFailedPrecondition, "belongs to public endpoint open: change it there"},
		{"delete", func() error {
			_, err := b.limits.DeleteLimit(ctx, &controlv1.DeleteLimitRequest{Limit: "public-open"})
			return err
		}, connect.CodeFailedPrecondition, "belongs to public endpoint open: change it there"},
		{"another of the kind", func() error { return limit("x", "open", controlv1.LimitKind_LIMIT_KIND_REQUESTS) }, connect.CodeAlreadyExists, "public-open"},
		{"renamed to a name that is taken", change(e, func(m *controlv1.Endpoint) { m.Name = "new" }), connect.CodeAlreadyExists, "public-new exists"},
		{"public where requests are limited", change(taken, func(m *controlv1.Endpoint) { m.Access = public(1, 0) }), connect.CodeAlreadyExists, "Limit own already"},
		{"deleted with another limit", func() error {
			_, err := b.endpoints.DeleteEndpoint(ctx, &controlv1.DeleteEndpointRequest{Endpoint: "open"})
			return err
		}, connect.CodeFailedPrecondition, "limits: many"},
	}
	for _, c := range cases {
		before := b.dump()
		err := c.call()
		if connect.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", c.name, err)
		}
		if strings.Contains(c.name, "deleted") && strings.Contains(err.Error(), "public-open") {
			t.Errorf("the endpoint is held by its own limit: %v", err)
		}
		if b.dump() != before {
			t.Errorf("%s: something changed", c.name)
		}
	}
}

// Guarantee: settings that cannot be are refused by field, and a refusal changes nothing and shows no
// credential.
func TestRefusedSettingsChangeNothing(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.secretsOf("bria", "client")
	e := b.create(everySetting(t)[0])
	const key = "-----BEGIN PRIVATE KEY-----\nMIIhunter2\n-----END PRIVATE KEY-----"
	cases := []struct {
		field string
		edit  func(*controlv1.Endpoint)
	}{
		{"endpoint.access.public.requests_per_minute", func(m *controlv1.Endpoint) { m.Access = public(0, 0) }},
		{"endpoint.access", func(m *controlv1.Endpoint) { m.Access = &controlv1.Access{} }},
		{"endpoint.targets[0].tls.client_key:forbidden", func(m *controlv1.Endpoint) { m.Targets[0].Tls.ClientKey = key }},
		{"endpoint.targets[0].tls.client_key:secret_missing", func(m *controlv1.Endpoint) { m.Targets[0].Tls.ClientKey = "${secret:nope}" }},
		{"endpoint.targets[0].tls.ca_pem:forbidden", func(m *controlv1.Endpoint) { m.Targets[0].Tls.CaPem = key }},
		{"endpoint.targets[1].tls:forbidden", func(m *controlv1.Endpoint) { m.Targets[1].Tls = &controlv1.TargetTLS{} }},
		{"endpoint.targets[0].weight:forbidden", func(m *controlv1.Endpoint) { m.Balance = controlv1.Balance_BALANCE_FAILOVER }},
		{"endpoint.query[0].value:secret_missing", func(m *controlv1.Endpoint) { m.Query[0].Value = "${secret:nope}" }},
		{"endpoint.credentials[0].headers[0].value:secret_missing", func(m *controlv1.Endpoint) { m.Credentials[0].Headers[0].Value = "${secret:nope}" }},
		{"endpoint.credentials[1].name:duplicate", func(m *controlv1.Endpoint) { m.Credentials[1].Name = "first" }},
		{"endpoint.host_header.text:invalid", func(m *controlv1.Endpoint) { m.HostHeader.Kind = &controlv1.HostHeader_Text{Text: "a b"} }},
		{"endpoint.timeouts.total:out_of_range", func(m *controlv1.Endpoint) { m.Timeouts.Connect = seconds(299); m.Timeouts.Total = seconds(298) }},
		{"endpoint.timeouts.idle:", func(m *controlv1.Endpoint) { m.Timeouts.Idle = seconds(0) }},
		{"endpoint.retry.attempts:", func(m *controlv1.Endpoint) { m.Retry.Attempts = 6 }},
		{"endpoint.hedge.after:out_of_range", func(m *controlv1.Endpoint) { m.Hedge.After = seconds(30) }},
		{"endpoint.health_check.path:invalid", func(m *controlv1.Endpoint) { m.HealthCheck.Path = "/../admin" }},
		{"endpoint.outlier_ejection:forbidden", func(m *controlv1.Endpoint) { m.Targets = m.Targets[:1] }},
	}
	for _, c := range cases {
		m := proto.CloneOf(e)
		c.edit(m)
		before := b.dump()
		_, err := b.endpoints.UpdateEndpoint(ctx, &controlv1.UpdateEndpointRequest{Endpoint: m})
		got := failureOf(err)
		if got.Code != connect.CodeInvalidArgument || !slices.ContainsFunc(got.Violations, func(v string) bool { return strings.HasPrefix(v, c.field) }) {
			t.Errorf("%s: %v %v", c.field, err, got.Violations)
		}
		if b.dump() != before {
			t.Errorf("%s: something changed", c.field)
		}
	}
	if strings.Contains(b.logs.String(), "hunter2") {
		t.Error("a key was answered or logged")
	}
}
