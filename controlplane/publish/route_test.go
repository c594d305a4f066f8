package publish_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/testenv/pki"
)

// Guarantee: every setting of an endpoint reaches edges as it was stored, in their units, with the limit of a
// public endpoint beside it; a field of the snapshot that nothing fills fails this test.
func TestRoutesHaveEverySetting(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	b.secret()
	authority := pki.New(t)
	pair := authority.Issue(t, []string{"client.example.com"})
	set := func(name, value string) []registry.Header { return []registry.Header{{Name: name, Value: value}} }
	settings := registry.Endpoint{
		Name: "all", Path: "/all", Exact: true, Methods: []string{"GET"}, Public: &registry.Public{RequestsPerMinute: 60, Burst: 7},
		Targets: []registry.Target{
			{URL: "https://a.example.com", Weight: 3, Priority: 1, HTTP: registry.HTTP2, TLS: &registry.TLS{
				CAPEM: string(authority.PEM), ClientCertPEM: string(pair.Cert), ClientKey: "${env:KEY}", ServerName: "b.example.com",
				MinVersion: registry.TLS13, SkipVerify: true,
			}},
			{URL: "https://b.example.com", TLS: &registry.TLS{ServerName: "c.example.com"}},
		},
		Balance: registry.BalanceWeighted, CredentialBalance: registry.BalanceLeastInFlight,
		Headers: []registry.Header{{Name: "a", Value: "1"}, {Name: "b", Value: "2", Mode: registry.ModeDefault}, {Name: "c", Mode: registry.ModeRemove}},
		Query:   []registry.Query{{Name: "a", Value: "1"}, {Name: "b", Value: "2", Mode: registry.ModeSet}, {Name: "c", Mode: registry.ModeRemove}},
		Host:    registry.Host{Kind: registry.HostText, Text: "v.example.com"},
		Credentials: []registry.Credential{
			{Name: "one", Weight: 2, Priority: 3, Headers: set("authorization", "${secret:vendor}")},
			{Name: "two", Query: []registry.Query{{Name: "key", Value: "${env:K}"}}},
		},
		Forward: registry.ForwardAll, PassHeaders: true, KeyHeader: "x-k", Abandoned: registry.AbandonedNothing,
		Timeout: time.Minute, Timeouts: registry.Timeouts{Connect: time.Second, Idle: 2 * time.Second, Total: 3 * time.Minute},
		Price:        registry.Price{PerRequest: 5, Charge: &registry.Charge{Message: &controlv1.Charge{Statuses: []string{"any"}}}},
		MaxBodyBytes: 9, ForwardTraceContext: true,
		Resilience: registry.Resilience{
			Retry:   &registry.Retry{Attempts: 1, Statuses: []uint32{503}, AnyMethod: true, MaxBodyBytes: 2, BudgetPercent: 3, Backoff: 4 * time.Millisecond},
			Hedge:   &registry.Hedge{After: 5 * time.Millisecond, AnyMethod: true},
			Breaker: &registry.Breaker{MinAttempts: 6, FailPercent: 7, Window: 8 * time.Second, OpenFor: 9 * time.Second},
			Health:  &registry.Health{Path: "/h", Interval: 10 * time.Second, Timeout: 11 * time.Second, Statuses: []uint32{204}, UnhealthyAfter: 12, HealthyAfter: 13},
			Outlier: &registry.Outlier{Failures: 14, EjectFor: 15 * time.Second, MaxPercent: 16},
		},
	}
	e, err := b.store.CreateEndpoint(t.Context(), "test", settings, nil)
	if err != nil {
		t.Fatal(err)
	}
	caller, err := b.store.CreateEndpoint(t.Context(), "test", registry.Endpoint{
		Name: "caller", Path: "/caller", Targets: settings.Targets[1:], Host: registry.Host{Kind: registry.HostCaller}, Price: registry.Price{Free: true},
		Resilience: registry.Resilience{Breaker: &registry.Breaker{}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	meters := &controlv1.Metered{
		Meters: []*controlv1.Meter{{
			Name: "m", Units: []*controlv1.Unit{{Name: "calls"}}, Hold: &controlv1.MeterHold{Amount: "1"},
			Counters: []*controlv1.Counter{{Name: "calls", Sources: []*controlv1.Source{{Place: &controlv1.Source_Constant{Constant: "1"}}}}},
			Prices:   []*controlv1.ModelPrice{{Model: "*", Rates: []*controlv1.UnitPrice{{Unit: "calls", Price: "1"}}}},
		}},
		Unmatched: "free", Fallback: "held",
	}
	secret := registry.AWSSigning{
		Service: "bedrock", Region: "eu-central-1", AccessKeyID: "AKIA", SecretAccessKey: "${secret:vendor}", SessionToken: "${env:T}",
		RoleARN: "arn:aws:iam::123456789012:role/r", ExternalID: "x", STSURL: "https://sts.example.com",
	}
	metered, err := b.store.CreateEndpoint(t.Context(), "test", registry.Endpoint{
		Name: "metered", Path: "/metered", Targets: settings.Targets[1:], Price: registry.Price{Metered: &registry.Metered{Message: meters}}, AWS: &secret,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	reported, err := b.store.CreateEndpoint(t.Context(), "test", registry.Endpoint{
		Name: "reported", Path: "/reported", Targets: settings.Targets[1:], Disabled: true, Description: "for people",
		Price: registry.Price{Reported: &registry.Reported{Ceiling: 7, Fallback: 6, Charge: &registry.Charge{Message: &controlv1.Charge{Methods: []string{"PUT"}}}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.current()
	routes, _ := read(b, "routes", &eventv1.RouteSnapshot{})
	second := &eventv1.RouteTarget{Url: "https://b.example.com", ServerName: "c.example.com", MinTls: 12}
	want := []*eventv1.RouteEndpoint{
		{
			Id: e.ID, Name: "all", Path: "/all", Exact: true, Methods: []string{"GET"}, Public: true,
			Targets: []string{"https://a.example.com", "https://b.example.com"},
			RouteTargets: []*eventv1.RouteTarget{{
				Url: "https://a.example.com", Weight: 3, Priority: 1, Http: eventv1.TargetHttp_TARGET_HTTP_2, CaPem: string(authority.PEM),
				ClientCertPem: string(pair.Cert), ClientKey: "${env:KEY}", ServerName: "b.example.com", MinTls: 13, SkipVerify: true,
			}, second},
			Balance: eventv1.BalancePolicy_BALANCE_POLICY_WEIGHTED, CredentialBalance: eventv1.BalancePolicy_BALANCE_POLICY_LEAST_IN_FLIGHT,
			Headers: []*eventv1.RouteHeader{
				{Name: "a", Value: "1"}, {Name: "b", Value: "2", Mode: eventv1.RouteMode_ROUTE_MODE_DEFAULT}, {Name: "c", Mode: eventv1.RouteMode_ROUTE_MODE_REMOVE},
			},
			Query: []*eventv1.RouteQuery{
				{Name: "a", Value: "1"}, {Name: "b", Value: "2", Mode: eventv1.RouteMode_ROUTE_MODE_SET}, {Name: "c", Mode: eventv1.RouteMode_ROUTE_MODE_REMOVE},
			},
			HostPolicy: eventv1.HostPolicy_HOST_POLICY_TEXT, HostText: "v.example.com",
			Credentials: []*eventv1.RouteCredential{
				{Name: "one", Weight: 2, Priority: 3, Headers: []*eventv1.RouteHeader{{Name: "authorization", Value: "${secret:vendor}"}}},
				{Name: "two", Query: []*eventv1.RouteQuery{{Name: "key", Value: "${env:K}", Mode: eventv1.RouteMode_ROUTE_MODE_SET}}},
			},
			Forward: eventv1.ForwardMode_FORWARD_MODE_ALL, PassHeaders: true, KeyHeader: "x-k", PriceNanos: 5, Charge: &controlv1.Charge{Statuses: []string{"any"}}, PriceVersion: e.Revision,
			Abandoned: eventv1.AbandonedPolicy_ABANDONED_POLICY_NOTHING, TimeoutMs: 60_000, ConnectTimeoutMs: 1000, IdleTimeoutMs: 2000, TotalTimeoutMs: 180_000,
			MaxBodyBytes: 9, ForwardTraceContext: true,
			Retry:   &eventv1.RetryPolicy{Attempts: 1, Statuses: []uint32{503}, AnyMethod: true, MaxBodyBytes: 2, BudgetPercent: 3, BackoffMs: 4},
			Hedge:   &eventv1.HedgePolicy{AfterMs: 5, AnyMethod: true},
			Breaker: &eventv1.BreakerPolicy{MinAttempts: 6, FailPercent: 7, WindowMs: 8000, OpenMs: 9000},
			Health:  &eventv1.HealthPolicy{Path: "/h", IntervalMs: 10_000, TimeoutMs: 11_000, Statuses: []uint32{204}, UnhealthyAfter: 12, HealthyAfter: 13},
			Outlier: &eventv1.OutlierPolicy{Failures: 14, EjectMs: 15_000, MaxPercent: 16},
		},
		{
			Id: caller.ID, Name: "caller", Path: "/caller", Targets: []string{"https://b.example.com"}, RouteTargets: []*eventv1.RouteTarget{second},
			HostPolicy: eventv1.HostPolicy_HOST_POLICY_CALLER, Forward: eventv1.ForwardMode_FORWARD_MODE_SAFE_LIST, Free: true, PriceVersion: caller.Revision,
			Abandoned: eventv1.AbandonedPolicy_ABANDONED_POLICY_RESERVED, TimeoutMs: 600_000, Breaker: &eventv1.BreakerPolicy{},
		},
	}
	with := func(e *registry.Endpoint, edit func(*eventv1.RouteEndpoint)) {
		m := &eventv1.RouteEndpoint{
			Id: e.ID, Name: e.Name, Path: e.Path, Targets: []string{"https://b.example.com"}, RouteTargets: []*eventv1.RouteTarget{second},
			Forward: eventv1.ForwardMode_FORWARD_MODE_SAFE_LIST, PriceVersion: e.Revision,
			Abandoned: eventv1.AbandonedPolicy_ABANDONED_POLICY_RESERVED, TimeoutMs: 600_000,
		}
		edit(m)
		want = append(want, m)
	}
	with(&metered, func(m *eventv1.RouteEndpoint) {
		m.Metered, m.AwsSigning = meters, &controlv1.AwsSigning{
			Service: "bedrock", Region: "eu-central-1", AccessKeyId: "AKIA", SecretAccessKey: "${secret:vendor}", SessionToken: "${env:T}",
			RoleArn: "arn:aws:iam::123456789012:role/r", ExternalId: "x", StsUrl: "https://sts.example.com",
		}
	})
	with(&reported, func(m *eventv1.RouteEndpoint) {
		m.Reported = &eventv1.ReportedPrice{Header: "x-tollgate-cost", CeilingNanos: 7, FallbackNanos: 6}
		m.Charge = &controlv1.Charge{Methods: []string{"PUT"}}
		m.Disabled = true
	})
	if diff := cmp.Diff(want, routes.GetEndpoints(), protocmp.Transform()); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	if l := routes.GetLimits(); len(l) != 1 || l[0].GetEndpointId() != e.ID || l[0].GetAmount() != 60 || l[0].GetBurst() != 7 || l[0].GetName() != "public-all" {
		t.Errorf("limits %v", l)
	}
	if len(routes.GetSecrets()) != 1 {
		t.Errorf("%d secrets", len(routes.GetSecrets()))
	}
	fields := want[0].ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		// A price by use and models have tests of their own.
		if f := fields.Get(i); f.Name() != "usage" && f.Name() != "models" && !has(routes.GetEndpoints(), f) {
			t.Errorf("nothing fills %s", f.Name())
		}
	}
}

func has[M proto.Message](all []M, f protoreflect.FieldDescriptor) bool {
	for _, e := range all {
		if e.ProtoReflect().Has(f) {
			return true
		}
	}
	return false
}
