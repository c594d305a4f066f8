package admit

import (
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// full is a key with all that a key can have.
func full() *eventv1.ShardKey {
	return keyOf(1, func(k *eventv1.ShardKey) {
		k.ExpireUnixMs, k.RevokeUnixMs, k.SunsetUnixMs, k.Restricted, k.Blocked, k.Counted = 1, 2, 3, true, true, true
		k.EndpointIds, k.Tags, k.Models, k.TeamModels, k.Methods = []string{"ep_1", "ep_2"}, []string{"batch", ""}, []string{"gpt-*"}, []string{"*"}, []string{"GET"}
		k.Team, k.Customer, k.Networks = "infra", "acme", []string{"10.0.0.0/8", "2001:db8::/32"}
		for _, subject := range []string{"key k1", "team infra", "\x00", "\x00key k1", ""} {
			k.Accounts = append(k.Accounts, &eventv1.Account{
				Id: 7, Part: 3, Gen: 2, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_ROLLING, TimeZone: "Asia/Tokyo", LimitNanos: -1, Version: 9,
				BudgetId: "bud_1", BudgetName: "b", Subject: subject, EndpointId: "ep_1", Scope: eventv1.AccountScope_ACCOUNT_SCOPE_TEAM, ScopeName: "infra",
				Days: 30, Soft: true, OverdraftNanos: 5, WarnPercents: []uint32{80, 90}, RaiseNanos: 1, RaiseUntilUnix: 2, OpeningNanos: 3, OpeningUnix: 4,
			})
			k.Limits = append(k.Limits, &eventv1.Limit{
				Id: 8, Part: 1, Kind: eventv1.LimitKind_LIMIT_KIND_UNITS, Amount: 60, Burst: 6, Fallback: eventv1.LimitFallback_LIMIT_FALLBACK_OPEN, Version: 4,
				Name: "l", Subject: subject, Scope: eventv1.AccountScope_ACCOUNT_SCOPE_TAG, ScopeName: "batch", EndpointId: "ep_1",
			})
		}
	})
}

// Guarantee: keys as the control plane writes them are vouched for, with whatever a key can have, and nothing of them is lost.
func TestPackVouches(t *testing.T) {
	t.Parallel()
	for _, m := range []*eventv1.ShardKey{full(), keyOf(2)} {
		if m.GetTeam() != "" {
			everyFieldIsSet(t, m.ProtoReflect())
		}
		wire, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var p packer
		if _, ok := p.vouch(wire); !ok {
			t.Errorf("not vouched for: %v", m)
		}
		var keys Keys
		want, err := newKey(m, &keys.labels)
		if err != nil {
			t.Fatal(err)
		}
		if err := keys.SetShard(shardOf(m)); err != nil {
			t.Fatal(err)
		}
		if got, ok := keys.Lookup(want.hash); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v became %+v", want, got)
		}
	}
}

// everyFieldIsSet fails for a field that the test has forgotten.
func everyFieldIsSet(t *testing.T, m protoreflect.Message) {
	t.Helper()
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		if !m.Has(f) {
			t.Errorf("%s is not set", f.FullName())
		}
		if f.IsList() && f.Message() != nil {
			everyFieldIsSet(t, m.Get(f).List().Get(0).Message())
		}
	}
}

// Guarantee: whatever the bytes, a key that is vouched for is one that the library of messages reads and newKey takes, and it
// becomes the same key.
func FuzzPack(f *testing.F) {
	for _, m := range []*eventv1.ShardKey{full(), keyOf(2), {Id: "x"}, keyOf(3, func(k *eventv1.ShardKey) { k.Networks = []string{"x"} })} {
		wire, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
		f.Add(append(wire, wire...))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		var p packer
		hash, ok := p.vouch(wire)
		if !ok {
			return
		}
		m := &eventv1.ShardKey{}
		if err := proto.Unmarshal(wire, m); err != nil {
			t.Fatal(err)
		}
		var labels sharing
		want, err := newKey(m, &labels)
		if err != nil {
			t.Fatal(err)
		}
		s := &shard{hashes: [][32]byte{hash}, ends: []uint32{uint32(len(p.data))}, data: p.data, shared: &labels}
		if got, err := s.unpack(0); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v: %+v became %+v", err, want, got)
		}
	})
}
