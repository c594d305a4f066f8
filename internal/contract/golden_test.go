package contract_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

var update = flag.Bool("update", false, "write the golden bytes anew")

// wire is one message of each kind that crosses NATS, with every field set that the first version had.
func wire() map[string]proto.Message {
	window := &eventv1.AccountWindow{Account: 42, Gen: 1, Start: 1763769600}
	account := &eventv1.Account{
		Id: 42, Part: 1, Gen: 1, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_MONTH, TimeZone: "Europe/Berlin",
		LimitNanos: 50_000_000_000, Version: 7, BudgetId: "bud_1", BudgetName: "fifty", Subject: "key ci-bot", EndpointId: "ep_1",
	}
	grant := &eventv1.GrantLine{
		Window: window, GrantedTotal: 5, State: eventv1.LeaseState_LEASE_STATE_PENDING, Limit: 6, LimitVersion: 7, SpentElsewhere: 8, RetryAfterMs: 20,
	}
	return map[string]proto.Message{
		"config_head": &eventv1.ConfigHead{PublishedUnixMs: 1, SealingKeyId: []byte{1, 2}},
		"route_snapshot": &eventv1.RouteSnapshot{
			Endpoints: []*eventv1.RouteEndpoint{{
				Id: "ep_1", Name: "bria", Path: "/bria", Exact: true, Methods: []string{"POST"}, Targets: []string{"https://t.example"},
				Headers: []*eventv1.RouteHeader{{Name: "api_token", Value: "${secret:bria}"}}, Forward: eventv1.ForwardMode_FORWARD_MODE_ALL,
				KeyHeader: "x-key", PriceNanos: 12_000_000_000, Free: true, PriceVersion: 3, TimeoutMs: 600_000, MaxBodyBytes: 1 << 20, ForwardTraceContext: true,
			}},
			Accounts: []*eventv1.Account{account},
			Secrets:  []*eventv1.SealedSecret{{Name: "bria", Sealed: []byte{3}}},
		},
		"key_shard": &eventv1.KeyShard{Shard: 7, Keys: []*eventv1.ShardKey{{
			Sha256: bytes.Repeat([]byte{9}, 32), Id: "key_1", Name: "ci-bot", ExpireUnixMs: 1, RevokeUnixMs: 2, Restricted: true,
			EndpointIds: []string{"ep_1"}, Accounts: []*eventv1.Account{account},
		}}},
		"account_shard": &eventv1.AccountShard{Shard: 42, Accounts: []*eventv1.Account{account}},
		"lease_request": &eventv1.LeaseRequest{Inc: 1, Edge: "edge-1", Part: 2, EdgeUnixMs: 3, Lines: []*eventv1.LeaseLine{{
			Window: window, GrantedSeen: 1, Returned: 2, Used: 3, Consumed: 4, Need: 5, Want: 6,
		}}},
		"lease_reply":    &eventv1.LeaseReply{Inc: 1, LedgerUnixMs: 2, Lines: []*eventv1.GrantLine{grant}, Error: "later"},
		"edge_control":   &eventv1.EdgeControl{Inc: 1, Recalls: []*eventv1.AccountWindow{window}, Grants: []*eventv1.GrantLine{grant}, Marks: []*eventv1.Mark{{Inc: 1, Part: 2, Hwm: 3, Gap: true, Epoch: 4}}},
		"budget_changed": &eventv1.BudgetChanged{Accounts: []int64{42}},
		"spend_batch": &eventv1.SpendBatch{Inc: 1, Edge: "edge-1", Part: 2, FirstSeq: 3, Schema: contract.Schema, Events: []*eventv1.SpendEvent{{
			RequestId: bytes.Repeat([]byte{1}, 16), Attempt: 1, UnixMs: 2, KeyId: "key_1", EndpointId: "ep_1", Status: 200,
			Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_OK, PriceVersion: 3, CostNanos: 12_000_000_000, DurationUs: 5,
			Draws: []*eventv1.SpendDraw{{Window: window, Nanos: 12_000_000_000}},
		}}},
		"heartbeat": &eventv1.Heartbeat{
			Edge: "edge-1", Inc: 1, Epoch: 2, Revision: 3, Version: "v1", StartUnixMs: 4, SentUnixMs: 5, SpoolEvents: 6, SpoolAgeMs: 7,
			Breakers: []*eventv1.BreakerState{{Target: "https://t.example", State: "open"}}, MissingEnv: []string{"X"}, Address: ":4000",
		},
	}
}

// wireSince are the fields that were added since, each in a message of its own kind.
func wireSince() map[string]proto.Message {
	window := &eventv1.AccountWindow{Account: 42, Gen: 1, Start: 1763769600}
	account := &eventv1.Account{
		Id: 42, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_ROLLING, Scope: eventv1.AccountScope_ACCOUNT_SCOPE_CUSTOMER, ScopeName: "acme", Days: 30,
		Soft: true, OverdraftNanos: 1, WarnPercents: []uint32{80, 100}, RaiseNanos: 2, RaiseUntilUnix: 1763769600,
	}
	limit := &eventv1.Limit{
		Id: 7, Part: 1, Kind: eventv1.LimitKind_LIMIT_KIND_UNITS, Amount: 600, Burst: 10, Fallback: eventv1.LimitFallback_LIMIT_FALLBACK_CLOSED, Version: 9,
		Name: "fast", Subject: "tag beta", Scope: eventv1.AccountScope_ACCOUNT_SCOPE_TAG, ScopeName: "beta", EndpointId: "ep_1",
	}
	return map[string]proto.Message{
		"route_snapshot_usage": &eventv1.RouteSnapshot{
			Endpoints: []*eventv1.RouteEndpoint{{Id: "ep_1", Abandoned: eventv1.AbandonedPolicy_ABANDONED_POLICY_METERED, Usage: &eventv1.UsagePrice{
				BaseNanos: 1, HoldNanos: 2, Ceiling: true, FallbackNanos: 3,
				Rates: []*eventv1.UsageRate{{Unit: eventv1.UsageUnit_USAGE_UNIT_RESPONSE_HEADER, Header: "x-tokens", NanosPerMillion: 4}},
			}}},
			Accounts: []*eventv1.Account{account}, Limits: []*eventv1.Limit{limit},
		},
		"key_shard_scopes": &eventv1.KeyShard{Keys: []*eventv1.ShardKey{{
			Id: "key_1", Team: "search", Customer: "acme", Tags: []string{"beta", "prod"}, Accounts: []*eventv1.Account{account}, Limits: []*eventv1.Limit{limit},
		}}},
		"account_shard_limits": &eventv1.AccountShard{Shard: 42, Accounts: []*eventv1.Account{account}, Limits: []*eventv1.Limit{limit}},
		"lease_request_limits": &eventv1.LeaseRequest{
			Inc: 1, Lines: []*eventv1.LeaseLine{{Window: window, Least: 1}},
			Spools:  []*eventv1.SpoolState{{Inc: 1, Hwm: 2, History: 3, LastSeq: 4}},
			Rates:   []*eventv1.RateLine{{Limit: 7, Need: 1, Want: 2}},
			Permits: []*eventv1.PermitLine{{Limit: 7, Held: 1, Want: 2, Seq: 3}},
		},
		"lease_reply_limits": &eventv1.LeaseReply{
			Inc: 1, Marks: []*eventv1.Mark{{Inc: 1, Hwm: 2}}, LeaderEpoch: 3,
			Rates:   []*eventv1.RateGrant{{Limit: 7, Tokens: 1, TtlMs: 2, RetryAfterMs: 3, Sharers: 4, Unknown: true}},
			Permits: []*eventv1.PermitGrant{{Limit: 7, Permits: 1, Seq: 2, SessionTtlMs: 3, RetryAfterMs: 4, Sharers: 5, Unknown: true}},
		},
		"edge_control_limits": &eventv1.EdgeControl{Inc: 1, PermitRecalls: []int64{7}},
		"spend_batch_jobs": &eventv1.SpendBatch{Inc: 1, Events: []*eventv1.SpendEvent{{
			Meter: "tokens", Counts: "input=10,output=2.5", Job: &eventv1.SpendJob{
				Id: "job-7", State: eventv1.SpendJobState_SPEND_JOB_STATE_DONE, CostNanos: 1, AsBegun: true, TtlSeconds: 2, ExpiresFree: true,
				Unpriced: true, Begins: true, Units: 3, Counts: "seconds=1.5", Model: "m-1",
			},
		}}},
		"spend_batch_labels": &eventv1.SpendBatch{Inc: 1, Events: []*eventv1.SpendEvent{{
			Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_CUT, DrawsOnly: true, Team: "search", Customer: "acme", Tags: []string{"beta", "prod"},
			Model: "m-1", ReservedNanos: 1, Units: 2, Unpriced: true, Draws: []*eventv1.SpendDraw{{Window: window, Nanos: 3, Part: 4}},
		}}},
	}
}

// Guarantee: what crosses NATS keeps its bytes, so that old and new processes understand one another
// while they are replaced: each message encodes to the golden bytes and decodes from them.
func TestWireGolden(t *testing.T) {
	t.Parallel()
	all := wire()
	maps.Copy(all, wireSince())
	for name, m := range all {
		got, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, got, m)
	}
}

// Guarantee: the envelope of a configuration value that an earlier version has published opens.
func TestEnvelopeGolden(t *testing.T) {
	t.Parallel()
	at := contract.Version{Epoch: 2, Revision: 9}
	m := wire()["key_shard"]
	fresh, err := contract.Encode(at, m)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "envelope.hex")
	if *update {
		write(t, path, fresh)
	}
	// Compression may change its output from version to version, so only opening is compared.
	var back eventv1.KeyShard
	v, err := contract.Decode(read(t, path), &back)
	if err != nil || v != at || !proto.Equal(&back, m) {
		t.Errorf("Decode = %v, %v, %v", v, &back, err)
	}
	if p, err := contract.Peek(fresh); err != nil || p != at {
		t.Errorf("Peek = %v, %v", p, err)
	}
}

func golden(t *testing.T, name string, got []byte, m proto.Message) {
	t.Helper()
	path := filepath.Join("testdata", name+".hex")
	if *update {
		write(t, path, got)
	}
	want := read(t, path)
	if !bytes.Equal(got, want) {
		t.Errorf("%s encodes to\n%x\nand did to\n%x", name, got, want)
	}
	back := m.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(want, back); err != nil || !proto.Equal(back, m) {
		t.Errorf("%s decodes to %v, %v", name, back, err)
	}
}

func write(t *testing.T, path string, raw []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(hex.EncodeToString(raw)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
