package rpc_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv/pki"
)

func public(perMinute, burst int64) *controlv1.Access {
	return &controlv1.Access{Kind: &controlv1.Access_Public_{Public: &controlv1.Access_Public{RequestsPerMinute: perMinute, Burst: burst}}}
}

func byKey() *controlv1.Access {
	return &controlv1.Access{Kind: &controlv1.Access_Keys_{Keys: &controlv1.Access_Keys{}}}
}

func seconds(n int) *durationpb.Duration { return durationpb.New(time.Duration(n) * time.Second) }

// everySetting are endpoints that together have every setting, none of them with its default value where
// it has another, and in the form in which a server answers with them.
func everySetting(t *testing.T) []*controlv1.Endpoint {
	t.Helper()
	authority := pki.New(t)
	client := authority.Issue(t, []string{"client.example.com"})
	all := &controlv1.Endpoint{
		Name: "all", Description: "All that there is.", Disabled: true, Path: "/all", Match: controlv1.MatchKind_MATCH_KIND_EXACT, Methods: []string{"GET", "POST"},
		Access: public(60, 5),
		Targets: []*controlv1.Target{
			{
				Url: "https://a.example.com/v1?x=1", Weight: 3, Priority: 1, HttpVersion: controlv1.HttpVersion_HTTP_VERSION_2,
				Tls: &controlv1.TargetTLS{
					CaPem: string(authority.PEM), ClientCertPem: string(client.Cert), ClientKey: "${secret:client}",
					ServerName: "b.example.com", MinVersion: controlv1.TlsVersion_TLS_VERSION_1_3, SkipVerify: true,
				},
			},
			{Url: "http://b.example.com", Weight: 1, HttpVersion: controlv1.HttpVersion_HTTP_VERSION_1_1},
		},
		Balance: controlv1.Balance_BALANCE_WEIGHTED,
		Headers: []*controlv1.Header{
			{Name: "x-set", Value: "${secret:bria}", Mode: controlv1.Mode_MODE_SET},
			{Name: "x-default", Value: "1", Mode: controlv1.Mode_MODE_DEFAULT},
			{Name: "x-remove", Mode: controlv1.Mode_MODE_REMOVE},
		},
		Query: []*controlv1.QueryParameter{
			{Name: "a b", Value: "${env:A}", Mode: controlv1.Mode_MODE_SET},
			{Name: "tag", Value: "1", Mode: controlv1.Mode_MODE_DEFAULT},
			{Name: "tag", Value: "2", Mode: controlv1.Mode_MODE_DEFAULT},
			{Name: "gone", Mode: controlv1.Mode_MODE_REMOVE},
		},
		HostHeader: &controlv1.HostHeader{Kind: &controlv1.HostHeader_Text{Text: "virtual.example.com:8443"}},
		Credentials: []*controlv1.Credential{
			{
				Name: "first", Weight: 2, Priority: 1,
				Headers: []*controlv1.Header{{Name: "authorization", Value: "Bearer ${secret:bria}", Mode: controlv1.Mode_MODE_SET}},
				Query:   []*controlv1.QueryParameter{{Name: "key", Value: "${secret:bria}", Mode: controlv1.Mode_MODE_SET}},
			},
			{Name: "second", Headers: []*controlv1.Header{{Name: "authorization", Value: "Bearer ${env:B}", Mode: controlv1.Mode_MODE_SET}}},
		},
		CredentialBalance: controlv1.Balance_BALANCE_LEAST_IN_FLIGHT,
		ForwardHeaders:    controlv1.ForwardHeaders_FORWARD_HEADERS_ALL, PassHeaders: true, KeyHeader: "x-my-key",
		Price: byUsage(), Abandoned: controlv1.Abandoned_ABANDONED_METERED,
		Timeout: seconds(30), Timeouts: &controlv1.Timeouts{Connect: durationpb.New(1500 * time.Millisecond), Idle: seconds(60), Total: seconds(300)},
		MaxBodyBytes: 1 << 20, ForwardTraceContext: true,
		Retry: &controlv1.Retry{
			Attempts: 2, Statuses: []uint32{503, 502}, AnyMethod: true, MaxBodyBytes: 4096, BudgetPercent: 10, Backoff: durationpb.New(50 * time.Millisecond),
		},
		Hedge:   &controlv1.Hedge{After: seconds(2), AnyMethod: true},
		Breaker: &controlv1.Breaker{MinAttempts: 7, FailPercent: 60, Window: seconds(20), OpenFor: seconds(3)},
		HealthCheck: &controlv1.HealthCheck{
			Path: "/healthz?deep=1", Interval: seconds(5), Timeout: seconds(2), Statuses: []uint32{204}, UnhealthyAfter: 4, HealthyAfter: 3,
		},
		OutlierEjection: &controlv1.OutlierEjection{Failures: 6, EjectFor: seconds(40), MaxPercent: 30},
	}
	caller := plain("caller")
	caller.Price = fixed(usd(1, 5))
	caller.HostHeader = &controlv1.HostHeader{Kind: &controlv1.HostHeader_Caller_{Caller: &controlv1.HostHeader_Caller{}}}
	// Messages that are there without a setting in them stay there.
	caller.Breaker = &controlv1.Breaker{}
	meters, reported := plain("meters"), plain("reported")
	meters.Price, meters.AwsSigning = byMeters(), signing()
	reported.Price = byTarget()
	caller.Price.GetFixed().Charge = charge()
	models, adapted := plain("models"), plain("adapted")
	models.Targets, models.Price, models.Models = nil, nil, &controlv1.Models{
		Schemas:      []controlv1.Schema{controlv1.Schema_SCHEMA_OPENAI_CHAT, controlv1.Schema_SCHEMA_ANTHROPIC_MESSAGES},
		DefaultModel: "gpt",
	}
	adapted.Targets, adapted.Price, adapted.Models = nil, nil, &controlv1.Models{Adapter: "mine"}
	return []*controlv1.Endpoint{all, caller, plain("free"), meters, reported, models, adapted}
}

// plain is an endpoint with nothing but defaults, written out.
func plain(name string) *controlv1.Endpoint {
	return &controlv1.Endpoint{
		Name: name, Path: "/" + name, Match: controlv1.MatchKind_MATCH_KIND_PREFIX, Targets: []*controlv1.Target{{Url: "https://x.example.com"}},
		Access: byKey(), Balance: controlv1.Balance_BALANCE_FAILOVER, CredentialBalance: controlv1.Balance_BALANCE_FAILOVER,
		HostHeader:     &controlv1.HostHeader{Kind: &controlv1.HostHeader_Target_{Target: &controlv1.HostHeader_Target{}}},
		ForwardHeaders: controlv1.ForwardHeaders_FORWARD_HEADERS_SAFE_LIST, Timeout: seconds(600), Abandoned: controlv1.Abandoned_ABANDONED_RESERVED,
		Price: &controlv1.Price{Kind: &controlv1.Price_Free_{Free: &controlv1.Price_Free{}}},
	}
}

// kept says whether a message is stored and answered as it came, so that nothing of it can be forgotten.
func kept(m protoreflect.MessageDescriptor) bool {
	return m == (&controlv1.Metered{}).ProtoReflect().Descriptor() || m == (&controlv1.Charge{}).ProtoReflect().Descriptor()
}

// unset lists the fields, at any depth, that none of the messages has.
func unset[M proto.Message](all []M) []string {
	var missing []string
	type place struct {
		of   protoreflect.MessageDescriptor
		path string
	}
	have := map[string]bool{}
	var see func(m protoreflect.Message, path string)
	see = func(m protoreflect.Message, path string) {
		m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			at := path + "." + string(f.Name())
			have[at] = true
			switch {
			case f.Message() == nil:
			case f.IsList():
				for i := range v.List().Len() {
					see(v.List().Get(i).Message(), at)
				}
			default:
				see(v.Message(), at)
			}
			return true
		})
	}
	for _, m := range all {
		see(m.ProtoReflect(), "")
	}
	todo := []place{{all[0].ProtoReflect().Descriptor(), ""}}
	for len(todo) > 0 {
		p := todo[0]
		todo = todo[1:]
		for i := range p.of.Fields().Len() {
			f := p.of.Fields().Get(i)
			at := p.path + "." + string(f.Name())
			if at == ".managed_by" { // no call sets it
				continue
			}
			if !have[at] {
				missing = append(missing, at)
			} else if f.Message() != nil && strings.HasPrefix(string(f.Message().FullName()), "tollgate.") && !kept(f.Message()) {
				todo = append(todo, place{f.Message(), at})
			}
		}
	}
	return missing
}

func (b *bundle) secretsOf(names ...string) {
	b.t.Helper()
	for _, name := range names {
		must[*controlv1.CreateSecretResponse](b.t)(b.secrets.CreateSecret(b.t.Context(), &controlv1.CreateSecretRequest{Name: name, Value: vendorSecret}))
	}
}

func (b *bundle) create(m *controlv1.Endpoint) *controlv1.Endpoint {
	b.t.Helper()
	return must[*controlv1.CreateEndpointResponse](b.t)(b.endpoints.CreateEndpoint(b.t.Context(), &controlv1.CreateEndpointRequest{Endpoint: m})).GetEndpoint()
}

func (b *bundle) update(m *controlv1.Endpoint) *controlv1.Endpoint {
	b.t.Helper()
	return must[*controlv1.UpdateEndpointResponse](b.t)(b.endpoints.UpdateEndpoint(b.t.Context(), &controlv1.UpdateEndpointRequest{Endpoint: m})).GetEndpoint()
}

// Guarantee: every field of an endpoint survives being stored, read, written back as it was read, and
// given to another endpoint; a new field that is forgotten anywhere on the way fails this test.
func TestEveryFieldSurvives(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.secretsOf("bria", "client")
	b.adapter("mine")
	answers := make([]*controlv1.Endpoint, 0, 7)
	for _, want := range everySetting(t) {
		got := b.create(want)
		answers = append(answers, got)
		compare := func(what string, got *controlv1.Endpoint) {
			t.Helper()
			if diff := cmp.Diff(want, got, protocmp.Transform(),
				protocmp.IgnoreFields(want, "id", "etag", "revision", "create_time", "update_time", "warnings")); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", want.GetName(), what, diff)
			}
		}
		compare("created", got)
		read := must[*controlv1.GetEndpointResponse](t)(b.endpoints.GetEndpoint(ctx, &controlv1.GetEndpointRequest{Endpoint: want.GetName()})).GetEndpoint()
		if diff := cmp.Diff(got, read, protocmp.Transform()); diff != "" {
			t.Errorf("%s, read (-created +read):\n%s", want.GetName(), diff)
		}
		compare("written back", b.update(read))
	}
	// Settings of one endpoint replace all of another's, whatever those were.
	second := answers[2]
	for _, to := range append(slices.Concat(answers[:2], answers[3:]), second) {
		next := proto.CloneOf(to)
		next.Id, next.Etag, next.Name, next.Path = second.GetId(), "", "free", "/free"
		got := b.update(next)
		if diff := cmp.Diff(next, got, protocmp.Transform(), protocmp.IgnoreFields(next, "etag", "revision", "create_time", "update_time", "disabled")); diff != "" {
			t.Errorf("settings of %s (-want +got):\n%s", to.GetName(), diff)
		}
	}
	if missing := unset(answers); len(missing) > 0 {
		t.Errorf("no endpoint of the test has %s: add them to everySetting", strings.Join(missing, ", "))
	}
}

// Guarantee: what an operator should know is said on every answer, and follows what is configured.
func TestWarningsAreAnswered(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.secretsOf("bria", "client")
	m := everySetting(t)[0]
	want := []string{
		"access.public: public", "targets[0].tls.skip_verify: tls_not_verified", "targets[1].url: target_plain",
	}
	check := func(what string, e *controlv1.Endpoint, want []string) {
		t.Helper()
		var got []string
		for _, w := range e.GetWarnings() {
			got = append(got, fmt.Sprintf("%s: %s", w.GetField(), w.GetCode()))
			if len(w.GetText()) < 20 {
				t.Errorf("%s: %q", w.GetCode(), w.GetText())
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: warnings %q, want %q", what, got, want)
		}
	}
	m.Warnings = []*controlv1.Warning{{Code: "mine"}} // a caller's are passed over
	e := b.create(m)
	check("created", e, want)
	check("read", must[*controlv1.GetEndpointResponse](t)(b.endpoints.GetEndpoint(ctx, &controlv1.GetEndpointRequest{Endpoint: "all"})).GetEndpoint(), want)
	list := must[*controlv1.ListEndpointsResponse](t)(b.endpoints.ListEndpoints(ctx, &controlv1.ListEndpointsRequest{})).GetEndpoints()
	check("listed", list[0], want)
	e.Access, e.Targets[0].Tls.SkipVerify, e.Targets[1].Url = byKey(), false, "http://10.0.0.7"
	check("updated", b.update(e), []string{"targets[1].url: target_private"})
}

// Guarantee: references in the form of LiteLLM, and its pair of headers for Langfuse, are stored in ours.
func TestForeignForms(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := plain("langfuse")
	m.Headers = []*controlv1.Header{
		{Name: "langfuse_public_key", Value: "os.environ/PK"},
		{Name: "x-url", Value: "https://os.environ/HOST/v1"},
		{Name: "LANGFUSE_SECRET_KEY", Value: "os.environ/SK"},
	}
	m.Query = []*controlv1.QueryParameter{{Name: "k", Value: "os.environ/A:os.environ/B"}}
	want := proto.CloneOf(m)
	want.Headers = []*controlv1.Header{
		{Name: "Authorization", Value: "Basic ${base64:${env:PK}:${env:SK}}", Mode: controlv1.Mode_MODE_SET},
		{Name: "x-url", Value: "https://${env:HOST}/v1", Mode: controlv1.Mode_MODE_SET},
	}
	want.Query = []*controlv1.QueryParameter{{Name: "k", Value: "${env:A}:${env:B}", Mode: controlv1.Mode_MODE_DEFAULT}}
	if diff := cmp.Diff(want, b.create(m), protocmp.Transform(),
		protocmp.IgnoreFields(want, "id", "etag", "revision", "create_time", "update_time")); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}
