package admit

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// Guarantee: a key may be used with exactly its methods and from exactly its networks, also over IPv6 sockets for IPv4 addresses;
// whose address is not known may not use a key that is bound to networks.
func TestMethodsAndNetworks(t *testing.T) {
	t.Parallel()
	methods := rapid.SampledFrom([]string{"GET", "POST", "PUT", "OPTIONS", "POS"})
	networks := rapid.SampledFrom([]string{"10.0.0.0/8", "10.1.2.3/32", "0.0.0.0/0", "2001:db8::/32", "::/0", "10.1.2.0/31"})
	addresses := rapid.SampledFrom([]string{"10.1.2.3", "10.1.2.1", "192.0.2.1", "2001:db8::1", "::1", "::ffff:10.1.2.3", ""})
	rapid.Check(t, func(t *rapid.T) {
		in := keyOf(1, func(k *eventv1.ShardKey) {
			k.Methods = rapid.SliceOfN(methods, 0, 3).Draw(t, "methods")
			k.Networks = rapid.SliceOfN(networks, 0, 3).Draw(t, "networks")
		})
		var keys Keys
		if err := keys.SetShard(shardOf(in)); err != nil {
			t.Fatal(err)
		}
		ask := askAt(time.Unix(0, 0))
		ask.Method = methods.Draw(t, "method")
		ask.From, _ = netip.ParseAddr(addresses.Draw(t, "from"))
		may := len(in.GetMethods()) == 0 || slices.Contains(in.GetMethods(), ask.Method)
		from := len(in.GetNetworks()) == 0
		for _, n := range in.GetNetworks() {
			from = from || netip.MustParsePrefix(n).Contains(ask.From.Unmap())
		}
		if _, err := keys.Authenticate(secretOf(1), ask); (err == nil) != (may && from) {
			t.Fatalf("%v, %s from %s: %v", in, ask.Method, ask.From, err)
		}
		ask.FromAnywhere = true
		if _, err := keys.Authenticate(secretOf(1), ask); (err == nil) != may {
			t.Fatalf("%v, %s from anywhere: %v", in, ask.Method, err)
		}
	})
	var keys Keys
	for _, change := range []func(*eventv1.ShardKey){
		func(k *eventv1.ShardKey) { k.Networks = []string{"10.0.0.0"} },
		func(k *eventv1.ShardKey) { k.Methods = []string{"GET\nPUT"} },
		func(k *eventv1.ShardKey) { k.TeamModels = []string{"a\nb"} },
	} {
		if err := keys.SetShard(shardOf(keyOf(1, change))); err == nil {
			t.Error("a shard that is wrong was taken")
		}
	}
}

// Guarantee: a model has to be among those of the key and among those of its team.
func TestModelsOfATeam(t *testing.T) {
	t.Parallel()
	var keys Keys
	if err := keys.SetShard(shardOf(keyOf(1, func(k *eventv1.ShardKey) { k.Models, k.TeamModels = []string{"gpt-*"}, []string{"*-mini", "claude"} }))); err != nil {
		t.Fatal(err)
	}
	k, _ := keys.Lookup(contract.KeyHash(secretOf(1)))
	for model, want := range map[string]bool{"gpt-5-mini": true, "gpt-5": false, "claude": false, "x-mini": false} {
		if k.MayAsk(model) != want {
			t.Errorf("it may ask for %s: %v", model, !want)
		}
	}
}

// Guarantee: the secret of a key that was given another one says when it stops and that it is counted; others say neither.
func TestSunset(t *testing.T) {
	t.Parallel()
	var keys Keys
	end := time.Date(2026, 11, 23, 12, 3, 0, 0, time.UTC)
	if err := keys.SetShard(shardOf(keyOf(1, func(k *eventv1.ShardKey) { k.SunsetUnixMs, k.Counted = end.UnixMilli(), true }))); err != nil {
		t.Fatal(err)
	}
	if err := keys.SetShard(shardOf(keyOf(2))); err != nil {
		t.Fatal(err)
	}
	old, _ := keys.Lookup(contract.KeyHash(secretOf(1)))
	plain, _ := keys.Lookup(contract.KeyHash(secretOf(2)))
	if !old.Sunset().Equal(end) || !old.Counted() || old.Hash() != contract.KeyHash(secretOf(1)) {
		t.Errorf("the old secret ends %s, counted %v", old.Sunset(), old.Counted())
	}
	if !plain.Sunset().IsZero() || plain.Counted() || plain.Networks() != "" || (&Key{Labels: &Labels{}}).Counted() {
		t.Errorf("another one ends %s, counted %v", plain.Sunset(), plain.Counted())
	}
}

// Guarantee: letting a request pass allocates nothing, whatever its key is bound to.
func TestPassingAllocatesNothing(t *testing.T) {
	for name, change := range map[string]func(*eventv1.ShardKey){
		"plain": func(*eventv1.ShardKey) {},
		"bound": func(k *eventv1.ShardKey) {
			k.Restricted, k.EndpointIds, k.Methods, k.Counted = true, []string{"ep_1"}, []string{"GET", "POST"}, true
			for i := range 64 {
				k.Networks = append(k.Networks, fmt.Sprintf("10.1.%d.0/24", 63-i))
			}
		},
	} {
		var keys Keys
		if err := keys.SetShard(shardOf(keyOf(1, change))); err != nil {
			t.Fatal(err)
		}
		secret, ask := secretOf(1), askAt(time.Unix(0, 0))
		if n := testing.AllocsPerRun(100, func() {
			if _, err := keys.Authenticate(secret, ask); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
