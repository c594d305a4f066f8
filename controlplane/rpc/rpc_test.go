package rpc_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
)

func keyShard(hash []byte) string {
	return strings.TrimPrefix(contract.ConfigKeys(contract.KeyShardOf([32]byte(hash))), "tollgate.v1.config.")
}

func accountShard(account int64) string {
	return strings.TrimPrefix(contract.ConfigAccounts(contract.AccountShardOf(account)), "tollgate.v1.config.")
}

// Guarantee: an endpoint is stored as it was sent, with what was left out filled in; each write has
// its own etag and revision; and exactly the values that changed are published again.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	must[*controlv1.CreateSecretResponse](t)(b.secrets.CreateSecret(ctx, &controlv1.CreateSecretRequest{Name: "bria", Value: vendorSecret}))
	if got := b.dirty(); !slices.Equal(got, []string{"head"}) {
		t.Errorf("an unused secret: dirty %v", got)
	}
	e := must[*controlv1.CreateEndpointResponse](t)(b.endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: bria()})).GetEndpoint()
	if got := b.dirty(); !slices.Equal(got, []string{"head", "routes"}) {
		t.Errorf("a new endpoint: dirty %v", got)
	}
	want := bria()
	want.Match, want.ForwardHeaders = controlv1.MatchKind_MATCH_KIND_PREFIX, controlv1.ForwardHeaders_FORWARD_HEADERS_SAFE_LIST
	want.Timeout, want.Revision, want.Abandoned = durationpb.New(10*time.Minute), 2, controlv1.Abandoned_ABANDONED_RESERVED
	want.Access = &controlv1.Access{Kind: &controlv1.Access_Keys_{Keys: &controlv1.Access_Keys{}}}
	want.HostHeader = &controlv1.HostHeader{Kind: &controlv1.HostHeader_Target_{Target: &controlv1.HostHeader_Target{}}}
	want.Balance, want.CredentialBalance, want.Headers[0].Mode = controlv1.Balance_BALANCE_FAILOVER, controlv1.Balance_BALANCE_FAILOVER, controlv1.Mode_MODE_SET
	want.Id, want.Etag, want.CreateTime, want.UpdateTime = e.GetId(), e.GetEtag(), e.GetCreateTime(), e.GetCreateTime()
	if diff := cmp.Diff(want, e, protocmp.Transform()); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(e.GetId(), "ep_") || e.GetEtag() == "" {
		t.Errorf("id %q, etag %q", e.GetId(), e.GetEtag())
	}
	for _, ref := range []string{e.GetId(), "bria"} {
		got := must[*controlv1.GetEndpointResponse](t)(b.endpoints.GetEndpoint(ctx, &controlv1.GetEndpointRequest{Endpoint: ref})).GetEndpoint()
		if diff := cmp.Diff(e, got, protocmp.Transform()); diff != "" {
			t.Errorf("read by %s (-want +got):\n%s", ref, diff)
		}
	}

	change := proto.CloneOf(e)
	change.Name, change.Price, change.Path, change.Match = "bria-2", fixed(usd(0, 1)), "/bria/2", controlv1.MatchKind_MATCH_KIND_EXACT
	u := must[*controlv1.UpdateEndpointResponse](t)(b.endpoints.UpdateEndpoint(ctx, &controlv1.UpdateEndpointRequest{Endpoint: change})).GetEndpoint()
	if u.GetEtag() == e.GetEtag() || u.GetRevision() != 3 || u.GetId() != e.GetId() || !proto.Equal(u.GetCreateTime(), e.GetCreateTime()) {
		t.Errorf("updated: %v", u)
	}
	change.Etag, change.Revision, change.UpdateTime = u.GetEtag(), u.GetRevision(), u.GetUpdateTime()
	if diff := cmp.Diff(change, u, protocmp.Transform()); diff != "" {
		t.Errorf("updated (-want +got):\n%s", diff)
	}
	change.Etag = ""
	must[*controlv1.UpdateEndpointResponse](t)(b.endpoints.UpdateEndpoint(ctx, &controlv1.UpdateEndpointRequest{Endpoint: change}))
	must[*controlv1.DeleteEndpointResponse](t)(b.endpoints.DeleteEndpoint(ctx, &controlv1.DeleteEndpointRequest{Endpoint: "bria-2"}))
	if _, err := b.endpoints.GetEndpoint(ctx, &controlv1.GetEndpointRequest{Endpoint: e.GetId()}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("deleted: %v", err)
	}
	must[*controlv1.DeleteSecretResponse](t)(b.secrets.DeleteSecret(ctx, &controlv1.DeleteSecretRequest{Secret: "bria"}))
}

// Guarantee: a price's version is the revision at which it last changed, and no other change moves
// it.
func TestPriceVersion(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	e, _, _ := b.seed()
	version := func() (n int64) {
		if err := b.pool.QueryRow(ctx, `SELECT price_version FROM control.endpoint`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := version()
	e.KeyHeader, e.Etag = "x-my-key", ""
	must[*controlv1.UpdateEndpointResponse](t)(b.endpoints.UpdateEndpoint(ctx, &controlv1.UpdateEndpointRequest{Endpoint: e}))
	if version() != first {
		t.Error("moved without a change of price")
	}
	charged, dearer := fixed(usd(13, 0)), byMeters()
	charged.GetFixed().Charge = &controlv1.Charge{Statuses: []string{"any"}}
	dearer.GetMetered().Meters[0].Prices[0].Rates[0].Price = "2.51"
	for i, price := range []*controlv1.Price{fixed(usd(13, 0)), charged, byTarget(), byMeters(), dearer} {
		e.Price = price
		u := b.update(e)
		if version() != u.GetRevision() {
			t.Errorf("price %d: version %d, revision %d", i, version(), u.GetRevision())
		}
		if again := b.update(e); again.GetRevision() != u.GetRevision() {
			t.Errorf("price %d: the same makes revision %d after %d", i, again.GetRevision(), u.GetRevision())
		}
	}
}

// Guarantee: a key's secret is shown once, is stored only as its hash, and can be found again by its
// first characters; revoking it again changes nothing.
func TestKeys(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.seed()
	b.dirty()
	expires := timestamppb.New(time.Now().Add(time.Hour).Truncate(time.Microsecond))
	res := must[*controlv1.CreateKeyResponse](t)(b.keys.CreateKey(ctx, &controlv1.CreateKeyRequest{Name: "web", ExpireTime: expires}))
	if !regexp.MustCompile(`^tgk_[A-Za-z0-9_-]{43}$`).MatchString(res.GetSecret()) {
		t.Errorf("secret %q", res.GetSecret())
	}
	k := res.GetKey()
	if k.GetPrefix() != res.GetSecret()[:8] || len(k.GetEndpoints()) != 0 || !proto.Equal(k.GetExpireTime(), expires) {
		t.Errorf("key %v", k)
	}
	shard := keyShard(digest(res.GetSecret()))
	if got := b.dirty(); !slices.Equal(got, []string{"head", shard}) {
		t.Errorf("a new key: dirty %v, want %s", got, shard)
	}
	if strings.Contains(b.dump(), res.GetSecret()) {
		t.Error("the secret is stored")
	}
	got := must[*controlv1.GetKeyResponse](t)(b.keys.GetKey(ctx, &controlv1.GetKeyRequest{Key: "web"})).GetKey()
	if diff := cmp.Diff(k, got, protocmp.Transform()); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	r := must[*controlv1.RevokeKeyResponse](t)(b.keys.RevokeKey(ctx, &controlv1.RevokeKeyRequest{Key: k.GetId()})).GetKey()
	if r.GetRevokeTime() == nil || r.GetRevision() <= k.GetRevision() {
		t.Errorf("revoked %v", r)
	}
	if got := b.dirty(); !slices.Equal(got, []string{"head", shard}) {
		t.Errorf("a revoked key: dirty %v", got)
	}
	before := b.dump()
	again := must[*controlv1.RevokeKeyResponse](t)(b.keys.RevokeKey(ctx, &controlv1.RevokeKeyRequest{Key: "web"})).GetKey()
	if diff := cmp.Diff(r, again, protocmp.Transform()); diff != "" || b.dump() != before {
		t.Errorf("revoked again:\n%s", diff)
	}

	imported := must[*controlv1.CreateKeyResponse](t)(b.keys.CreateKey(ctx, &controlv1.CreateKeyRequest{Name: "old", SecretSha256: digest("sk-old"), Endpoints: []string{"bria"}}))
	if imported.GetSecret() != "" || imported.GetKey().GetPrefix() != "" || !slices.Equal(imported.GetKey().GetEndpoints(), []string{"bria"}) {
		t.Errorf("imported %v", imported)
	}
	if got := b.dirty(); !slices.Equal(got, []string{"head", keyShard(digest("sk-old"))}) {
		t.Errorf("an imported key: dirty %v", got)
	}
}

// Guarantee: a budget reaches the ledger's shard and whatever tells edges of it, on creation, change
// and removal alike.
func TestBudgets(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	_, k, g := b.seed()
	var hash []byte
	if err := b.pool.QueryRow(ctx, `SELECT sha256 FROM control.key WHERE id = $1`, k.GetId()).Scan(&hash); err != nil {
		t.Fatal(err)
	}
	b.dirty()
	if g.GetKey() != "ci-bot" || g.GetAccountId() == 0 || g.GetTimeZone() != "Europe/Berlin" || g.GetAmount().GetUnits() != 100 {
		t.Errorf("created %v", g)
	}
	all := must[*controlv1.CreateBudgetResponse](t)(b.budgets.CreateBudget(ctx, &controlv1.CreateBudgetRequest{Budget: &controlv1.Budget{
		Name: "all", Scope: &controlv1.Budget_Everything{Everything: true}, Amount: usd(0, 0), Period: controlv1.Period_PERIOD_MONTH,
	}})).GetBudget()
	if got := b.dirty(); !slices.Equal(got, []string{accountShard(all.GetAccountId()), "head", "routes"}) || all.GetTimeZone() != "UTC" {
		t.Errorf("budget of everything %v: dirty %v", all, got)
	}
	u := must[*controlv1.UpdateBudgetResponse](t)(b.budgets.UpdateBudget(ctx, &controlv1.UpdateBudgetRequest{Budget: g.GetId(), Amount: usd(50, 0), Etag: g.GetEtag()})).GetBudget()
	if u.GetAmount().GetUnits() != 50 || u.GetEtag() == g.GetEtag() || u.GetAccountId() != g.GetAccountId() {
		t.Errorf("updated %v", u)
	}
	touched := []string{accountShard(g.GetAccountId()), "head", keyShard(hash)}
	if got := b.dirty(); !slices.Equal(got, touched) {
		t.Errorf("a changed budget of a key: dirty %v, want %v", got, touched)
	}
	got := must[*controlv1.GetBudgetResponse](t)(b.budgets.GetBudget(ctx, &controlv1.GetBudgetRequest{Budget: "ci-month"})).GetBudget()
	if diff := cmp.Diff(u, got, protocmp.Transform()); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	must[*controlv1.DeleteBudgetResponse](t)(b.budgets.DeleteBudget(ctx, &controlv1.DeleteBudgetRequest{Budget: "ci-month", Etag: u.GetEtag()}))
	if got := b.dirty(); !slices.Equal(got, touched) {
		t.Errorf("a deleted budget of a key: dirty %v", got)
	}
}

// Guarantee: an endpoint's budgets hold it; restricted keys lose it, stay restricted, and are
// published again; renaming it renames it to the ledger.
func TestDeletingAndRenamingReferredEndpoints(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	e, k, _ := b.seed()
	g := must[*controlv1.CreateBudgetResponse](t)(b.budgets.CreateBudget(ctx, &controlv1.CreateBudgetRequest{Budget: &controlv1.Budget{
		Name: "bria-day", Scope: &controlv1.Budget_Endpoint{Endpoint: e.GetId()}, Amount: usd(5, 0), Period: controlv1.Period_PERIOD_DAY,
	}})).GetBudget()
	if g.GetEndpoint() != "bria" {
		t.Errorf("budget %v", g)
	}
	before := b.dump()
	_, err := b.endpoints.DeleteEndpoint(ctx, &controlv1.DeleteEndpointRequest{Endpoint: "bria"})
	if got := failureOf(err); got.Code != connect.CodeFailedPrecondition || !strings.Contains(err.Error(), "bria-day") || b.dump() != before {
		t.Errorf("%v: %v", got, err)
	}
	b.dirty()
	e.Name, e.Etag = "bria-2", ""
	must[*controlv1.UpdateEndpointResponse](t)(b.endpoints.UpdateEndpoint(ctx, &controlv1.UpdateEndpointRequest{Endpoint: e}))
	if got := b.dirty(); !slices.Equal(got, []string{accountShard(g.GetAccountId()), "head", "routes"}) {
		t.Errorf("renamed: dirty %v", got)
	}
	must[*controlv1.DeleteBudgetResponse](t)(b.budgets.DeleteBudget(ctx, &controlv1.DeleteBudgetRequest{Budget: "bria-day"}))
	b.dirty()
	must[*controlv1.DeleteEndpointResponse](t)(b.endpoints.DeleteEndpoint(ctx, &controlv1.DeleteEndpointRequest{Endpoint: "bria-2"}))
	var hash []byte
	var restricted bool
	if err := b.pool.QueryRow(ctx, `SELECT sha256, restricted FROM control.key WHERE id = $1`, k.GetId()).Scan(&hash, &restricted); err != nil {
		t.Fatal(err)
	}
	if got := b.dirty(); !slices.Equal(got, []string{"head", keyShard(hash), "routes"}) || !restricted {
		t.Errorf("deleted: dirty %v, key restricted: %v", got, restricted)
	}
}

// Guarantee: pages hold everything once, in order of name, whatever their size.
func TestPages(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	var want []string
	for _, name := range []string{"b", "a", "c.1", "c-2", "c", "z", "a0"} {
		must[*controlv1.CreateKeyResponse](t)(b.keys.CreateKey(ctx, &controlv1.CreateKeyRequest{Name: name}))
		must[*controlv1.CreateSecretResponse](t)(b.secrets.CreateSecret(ctx, &controlv1.CreateSecretRequest{Name: name, Value: "x"}))
		want = append(want, name)
	}
	slices.Sort(want)
	for size := range int32(9) {
		var got []string
		token := ""
		for {
			page := must[*controlv1.ListKeysResponse](t)(b.keys.ListKeys(ctx, &controlv1.ListKeysRequest{PageSize: size, PageToken: token}))
			for _, k := range page.GetKeys() {
				got = append(got, k.GetName())
			}
			if token = page.GetNextPageToken(); token == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d: %v", size, got)
		}
	}
	_, err := b.keys.ListKeys(ctx, &controlv1.ListKeysRequest{PageToken: "b"})
	if diff := cmp.Diff(failure{connect.CodeInvalidArgument, "invalid_argument", []string{"page_token:invalid"}}, failureOf(err)); diff != "" {
		t.Error(diff)
	}
	all := must[*controlv1.ListSecretsResponse](t)(b.secrets.ListSecrets(ctx, &controlv1.ListSecretsRequest{}))
	if len(all.GetSecrets()) != len(want) {
		t.Errorf("%d secrets", len(all.GetSecrets()))
	}
	if n := len(must[*controlv1.ListEndpointsResponse](t)(b.endpoints.ListEndpoints(ctx, &controlv1.ListEndpointsRequest{})).GetEndpoints()); n != 0 {
		t.Errorf("%d endpoints", n)
	}
	if n := len(must[*controlv1.ListBudgetsResponse](t)(b.budgets.ListBudgets(ctx, &controlv1.ListBudgetsRequest{})).GetBudgets()); n != 0 {
		t.Errorf("%d budgets", n)
	}
}

// Guarantee: a secret's value is in no answer, no log line and no row, in no encoding that a search
// would miss, and a secret in use cannot be removed.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]connect.ClientOption{
		"binary": nil, "json": {connect.WithProtoJSON()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, ctx := setup(t, append(options, connect.WithAcceptCompression("gzip", nil, nil))...), t.Context()
			e, _, _ := b.seed()
			b.dirty()
			rotated := must[*controlv1.RotateSecretResponse](t)(b.secrets.RotateSecret(ctx, &controlv1.RotateSecretRequest{Secret: "bria", Value: vendorSecret + "-2"})).GetSecret()
			if !slices.Equal(rotated.GetEndpoints(), []string{"bria"}) || !slices.Equal(b.dirty(), []string{"head", "routes"}) {
				t.Errorf("rotated %v", rotated)
			}
			must[*controlv1.ListSecretsResponse](t)(b.secrets.ListSecrets(ctx, &controlv1.ListSecretsRequest{}))
			must[*controlv1.GetEndpointResponse](t)(b.endpoints.GetEndpoint(ctx, &controlv1.GetEndpointRequest{Endpoint: e.GetId()}))
			for _, value := range []string{vendorSecret + "\n", strings.Repeat(vendorSecret, 5000)} {
				if _, err := b.secrets.CreateSecret(ctx, &controlv1.CreateSecretRequest{Name: "x", Value: value}); connect.CodeOf(err) != connect.CodeInvalidArgument {
					t.Errorf("bad value: %v", err)
				}
			}
			_, err := b.secrets.CreateSecret(ctx, &controlv1.CreateSecretRequest{Name: "bria", Value: vendorSecret})
			if connect.CodeOf(err) != connect.CodeAlreadyExists {
				t.Errorf("taken: %v", err)
			}
			_, err = b.secrets.DeleteSecret(ctx, &controlv1.DeleteSecretRequest{Secret: "bria"})
			if connect.CodeOf(err) != connect.CodeFailedPrecondition || !strings.Contains(err.Error(), "bria") {
				t.Errorf("in use: %v", err)
			}
			for where, text := range map[string]string{"rows": b.dump(), "answers and logs": b.logs.String()} {
				if len(text) < 1000 {
					t.Errorf("%s: only %d bytes were searched", where, len(text))
				}
				for _, needle := range []string{vendorSecret, wire([]byte(vendorSecret))[:24]} {
					if strings.Contains(text, needle) {
						t.Errorf("found in %s", where)
					}
				}
			}
		})
	}
}

// Guarantee: every change has an audit row with its actor and revision.
func TestAudit(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.seed()
	must[*controlv1.RevokeKeyResponse](t)(b.keys.RevokeKey(ctx, &controlv1.RevokeKeyRequest{Key: "ci-bot"}))
	b.team("search")
	must[*controlv1.CreateKeyResponse](t)(b.keys.CreateKey(ctx, &controlv1.CreateKeyRequest{Name: "web"}))
	must[*controlv1.UpdateKeyResponse](t)(b.keys.UpdateKey(ctx, &controlv1.UpdateKeyRequest{Key: "web", Team: "search"}))
	must[*controlv1.UpdateKeyResponse](t)(b.keys.UpdateKey(ctx, &controlv1.UpdateKeyRequest{Key: "web"}))
	must[*controlv1.UpdateBudgetResponse](t)(b.budgets.UpdateBudget(ctx, &controlv1.UpdateBudgetRequest{Budget: "ci-month", Amount: usd(1, 0)}))
	must[*controlv1.RaiseBudgetResponse](t)(b.budgets.RaiseBudget(ctx, &controlv1.RaiseBudgetRequest{
		Budget: "ci-month", By: usd(1, 0), End: &controlv1.RaiseBudgetRequest_UntilReset{UntilReset: true},
	}))
	must[*controlv1.ResetBudgetResponse](t)(b.budgets.ResetBudget(ctx, &controlv1.ResetBudgetRequest{Budget: "ci-month"}))
	must[*controlv1.CreateLimitResponse](t)(b.limits.CreateLimit(ctx, &controlv1.CreateLimitRequest{Limit: &controlv1.Limit{
		Name: "all", Scope: &controlv1.Limit_Everything{Everything: true}, Kind: controlv1.LimitKind_LIMIT_KIND_CONCURRENT, Amount: 5,
	}}))
	must[*controlv1.UpdateLimitResponse](t)(b.limits.UpdateLimit(ctx, &controlv1.UpdateLimitRequest{Limit: "all", Amount: new(int64(6))}))
	must[*controlv1.DeleteLimitResponse](t)(b.limits.DeleteLimit(ctx, &controlv1.DeleteLimitRequest{Limit: "all"}))
	must[*controlv1.DeleteTeamResponse](t)(b.teams.DeleteTeam(ctx, &controlv1.DeleteTeamRequest{Team: "search"}))
	rows, err := b.pool.Query(ctx, `SELECT revision || ' ' || actor || ' ' || action || ' ' || kind || ' ' || (before IS NULL) || ' ' || (coalesce(after, before) ->> 'name') FROM control.audit ORDER BY revision`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		got = append(got, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"1 admin create secret true bria", "2 admin create endpoint true bria", "3 admin create key true ci-bot",
		"4 admin create budget true ci-month", "5 admin revoke key false ci-bot",
		"6 admin create team true search", "7 admin create key true web", "8 admin update key false web", "9 admin update key false web",
		"10 admin update budget false ci-month", "11 admin raise budget false ci-month", "12 admin reset budget false ci-month",
		"13 admin create limit true all", "14 admin update limit false all", "15 admin delete limit false all", "16 admin delete team false search",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
}

// Guarantee: the same API answers gRPC and gRPC-Web clients, errors with their details included.
func TestProtocols(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]connect.ClientOption{
		"connect": nil, "connect json": {connect.WithProtoJSON()}, "connect get": {connect.WithHTTPGet()},
		"grpc": {connect.WithGRPC()}, "grpc-web": {connect.WithGRPCWeb()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, ctx := setup(t, options...), t.Context()
			b.seed()
			info := must[*controlv1.GetInfoResponse](t)(b.system.GetInfo(ctx, &controlv1.GetInfoRequest{}))
			if info.GetVersion() != "v1.2.3" || info.GetRevision() != 4 || info.GetEpoch() != 1 {
				t.Errorf("info %v", info)
			}
			if info.GetTime() == nil || info.GetOldestClient() == "" || info.Ledger != nil || info.GetNats() {
				t.Errorf("info without a ledger and NATS: %v", info)
			}
			_, err := b.endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: bria()})
			want := failure{connect.CodeAlreadyExists, "already_exists", []string{"endpoint.name:name_taken", "endpoint.path:path_taken"}}
			if diff := cmp.Diff(want, failureOf(err)); diff != "" {
				t.Errorf("failure (-want +got):\n%s", diff)
			}
			for _, d := range details(err) {
				if info, ok := d.(*errdetails.ErrorInfo); ok {
					if info.GetDomain() != "tollgate" || info.GetMetadata()["hint"] == "" || !strings.HasPrefix(info.GetMetadata()["request_id"], "req_") {
						t.Errorf("info %v", info)
					}
				}
			}
		})
	}
}

// Guarantee: plain JSON over HTTP/1.1 works, as `curl` sends it.
func TestCurl(t *testing.T) {
	t.Parallel()
	b := setup(t)
	status, body, header := b.post("/tollgate.control.v1.SystemService/GetInfo", "{}")
	if status != http.StatusOK || !strings.Contains(body, `"version":"v1.2.3"`) {
		t.Errorf("%d %s", status, body)
	}
	if !strings.HasPrefix(header.Get("x-tollgate-request-id"), "req_") {
		t.Errorf("headers %v", header)
	}
	status, body, _ = b.post("/tollgate.control.v1.EndpointService/CreateEndpoint", `{"endpoint":{"name":"x","path":"/x","targets":[{"url":"https://x.example.com"}],"price":{"fixed":{"perRequest":{"currencyCode":"USD","units":"12"}}}}}`)
	if status != http.StatusOK || !strings.Contains(body, `"units":"12"`) {
		t.Errorf("%d %s", status, body)
	}
}
