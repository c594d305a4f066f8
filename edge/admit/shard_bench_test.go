package admit

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// BenchmarkShard packs a shard of a thousand keys, each with two budgets and a limit, as a change of one of them does.
func BenchmarkShard(b *testing.B) {
	m := &eventv1.KeyShard{}
	for n := 0; len(m.GetKeys()) < 1000; n++ {
		name := fmt.Sprintf("service-%d", n)
		hash := contract.KeyHash([]byte(name))
		hash[0], hash[1] = 0, 0
		if contract.KeyShardOf(hash) != 0 {
			b.Fatal("a shard is named by other bits")
		}
		account := func(scope eventv1.AccountScope, subject string) *eventv1.Account {
			return &eventv1.Account{
				Id: int64(n) + 1, Part: uint32(n % 64), Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_MONTH, TimeZone: "Europe/Berlin", LimitNanos: 5e11, Version: 9,
				BudgetId: fmt.Sprintf("bud_%026d", n), BudgetName: "monthly", Subject: subject, Scope: scope, WarnPercents: []uint32{80, 95},
			}
		}
		m.Keys = append(m.Keys, &eventv1.ShardKey{
			Sha256: hash[:], Id: fmt.Sprintf("key_%026d", n), Name: name, Team: "team",
			Accounts: []*eventv1.Account{account(eventv1.AccountScope_ACCOUNT_SCOPE_KEY, "key "+name), account(eventv1.AccountScope_ACCOUNT_SCOPE_TEAM, "team team")},
			Limits: []*eventv1.Limit{{
				Id: int64(n) + 1, Kind: eventv1.LimitKind_LIMIT_KIND_REQUESTS, Amount: 600, Burst: 60, Version: 3, Name: "pace", Subject: "key " + name,
				Scope: eventv1.AccountScope_ACCOUNT_SCOPE_KEY,
			}},
		})
	}
	wire, err := proto.Marshal(m)
	if err != nil {
		b.Fatal(err)
	}
	var keys Keys
	b.ReportAllocs()
	b.SetBytes(int64(len(wire)))
	for b.Loop() {
		if err := keys.SetEncoded(0, wire); err != nil {
			b.Fatal(err)
		}
	}
}
