package routing

import (
	"fmt"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// drawn is a snapshot of a few endpoints, where each part may be one of few.
func drawn(t *rapid.T) *eventv1.RouteSnapshot {
	s := &eventv1.RouteSnapshot{Secrets: []*eventv1.SealedSecret{{Name: "s", Sealed: rapid.SliceOfN(rapid.Byte(), 1, 2).Draw(t, "sealed")}}}
	few := func(what string, most int) int { return rapid.IntRange(0, most).Draw(t, what) }
	for i := range few("endpoints", 4) {
		e := &eventv1.RouteEndpoint{
			Id: fmt.Sprint("ep_", i), Name: fmt.Sprint("e", i), Path: fmt.Sprint("/", i), Targets: []string{"http://h"}, PriceNanos: int64(few("price", 1)) + 1, PriceVersion: 1,
			Headers: []*eventv1.RouteHeader{{Name: "X", Value: []string{"plain", "${secret:s}", "${env:MISSING_A}", "${env:MISSING_B}"}[few("header", 3)]}},
		}
		if few("free", 3) == 0 {
			e.Free, e.PriceNanos = true, 0
		}
		s.Endpoints = append(s.Endpoints, e)
	}
	if few("reorder", 3) == 0 && len(s.GetEndpoints()) > 1 {
		s.Endpoints[0], s.Endpoints[1] = s.GetEndpoints()[1], s.GetEndpoints()[0]
	}
	for i := range few("accounts", 4) {
		s.Accounts = append(s.Accounts, &eventv1.Account{
			Id: int64(i) + 1, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_DAY, TimeZone: "UTC", Version: int64(few("version", 1)),
			Scope: eventv1.AccountScope_ACCOUNT_SCOPE_ENDPOINT, EndpointId: fmt.Sprint("ep_", few("of", 3)),
		})
	}
	for i := range few("limits", 2) {
		s.Limits = append(s.Limits, &eventv1.Limit{
			Id: int64(i) + 1, Kind: eventv1.LimitKind_LIMIT_KIND_REQUESTS, Amount: int64(few("amount", 1)), Scope: eventv1.AccountScope_ACCOUNT_SCOPE_EVERYTHING,
		})
	}
	if few("adapters", 1) == 1 {
		s.Adapters = []*eventv1.RouteAdapter{{Name: "a", Upstream: &eventv1.RouteEndpoint{
			Id: "ad_1", Name: "a", Targets: []string{fmt.Sprint("http://a", few("adapter", 1))}, Free: true,
			Headers: []*eventv1.RouteHeader{{Name: "Y", Value: "${env:MISSING_C}"}},
		}}}
	}
	s.Customers = &eventv1.CustomerRules{Required: few("required", 1) == 1}
	return s
}

// edit changes something of each of some endpoints, or nothing.
func edit(t *rapid.T, s *eventv1.RouteSnapshot) {
	for _, e := range s.GetEndpoints() {
		switch rapid.IntRange(0, 10).Draw(t, "edit") {
		case 0:
			e.Headers = []*eventv1.RouteHeader{{Name: "X", Value: "${env:MISSING_D}"}}
		case 1:
			e.Path += "/more"
		case 2:
			e.Disabled = !e.GetDisabled()
		case 3:
			e.Exact = !e.GetExact()
		case 4:
			e.Methods = []string{"GET"}
		case 5:
			e.Free, e.PriceNanos = !e.GetFree(), 0
			if !e.GetFree() {
				e.PriceNanos = 7
			}
		case 6:
			if e.GetModels() == nil {
				e.Targets = []string{"http://other"}
			}
		case 7:
			if e.Models, e.Targets = nil, []string{"http://h"}; rapid.Bool().Draw(t, "models") {
				e.Models, e.Targets = &eventv1.RouteModels{}, nil
			}
		default:
		}
	}
}

// Guarantee: a table that takes over from the one before what has not changed is the one that would be made anew.
func TestUnchangedIsTakenOver(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var table *Table
		in := drawn(t)
		for n := range rapid.IntRange(2, 6).Draw(t, "changes") {
			if rapid.Bool().Draw(t, "all") {
				in = drawn(t)
			} else {
				edit(t, in)
			}
			value := rapid.SampledFrom([]string{"one", "two"}).Draw(t, "value")
			l := Lookups{Secret: func(string) (string, error) { return value, nil }, Secrets: [32]byte{value[0]}}
			v := contract.Version{Epoch: 1, Revision: int64(n)}
			want, err := Compile(in, v, l)
			if err != nil {
				t.Fatal(err)
			}
			wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(in)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Read(wire)
			if err != nil {
				t.Fatal(err)
			}
			if table, err = s.Compile(v, l, table); err != nil {
				t.Fatal(err)
			}
			a, b := *want, *table
			a.source, b.source = nil, nil
			if !reflect.DeepEqual(a, b) {
				t.Fatalf("%v became\n%+v in place of\n%+v", in, b, a)
			}
		}
	})
}

// Guarantee: where one endpoint of many changes, only that one is another, and so is one whose budget has changed.
func TestOnlyTheChangedIsAnother(t *testing.T) {
	t.Parallel()
	in := &eventv1.RouteSnapshot{}
	for i := range 20 {
		in.Endpoints = append(in.Endpoints, &eventv1.RouteEndpoint{
			Id: fmt.Sprint("ep_", i), Name: fmt.Sprint("e", i), Path: fmt.Sprint("/", i), Targets: []string{"http://h"}, PriceNanos: 1, PriceVersion: 1,
		})
		in.Accounts = append(in.Accounts, &eventv1.Account{
			Id: int64(i) + 1, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_DAY, TimeZone: "UTC", EndpointId: fmt.Sprint("ep_", i), Scope: eventv1.AccountScope_ACCOUNT_SCOPE_ENDPOINT,
		})
	}
	compile := func(before *Table) *Table {
		wire, err := proto.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Read(wire)
		if err != nil {
			t.Fatal(err)
		}
		table, err := s.Compile(contract.Version{}, Lookups{}, before)
		if err != nil {
			t.Fatal(err)
		}
		return table
	}
	before := compile(nil)
	in.Endpoints[3].PriceNanos, in.Accounts[7].Gen = 2, 5
	after := compile(before)
	for i, e := range after.Endpoints() {
		if another := e != before.Endpoints()[i]; another != (i == 3 || i == 7) {
			t.Errorf("endpoint %d is another: %t", i, another)
		}
	}
	if e := after.Endpoints()[7]; e.Accounts[0] == before.Endpoints()[7].Accounts[0] || after.Endpoints()[3].Accounts[0] != before.Endpoints()[3].Accounts[0] {
		t.Errorf("%+v has the accounts of another snapshot", e)
	}
}

// BenchmarkChange1000 reads a snapshot of a thousand endpoints with a budget each, of which one has changed, and compiles it.
func BenchmarkChange1000(b *testing.B) {
	from := &eventv1.RouteSnapshot{}
	for i := range 1000 {
		id := fmt.Sprintf("ep_%026d", i)
		from.Endpoints = append(from.Endpoints, &eventv1.RouteEndpoint{
			Id: id, Name: fmt.Sprintf("vendor-%d", i), Path: fmt.Sprintf("/vendors/%d/api", i), Targets: []string{"https://vendor.example"}, PriceNanos: 1000,
			Headers: []*eventv1.RouteHeader{{Name: "X-Team", Value: "platform"}}, TimeoutMs: 30_000,
		})
		from.Accounts = append(from.Accounts, &eventv1.Account{
			Id: 3_000_000 + int64(i), Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_MONTH, TimeZone: "UTC", LimitNanos: 1e12, Version: 3, BudgetName: "monthly",
			Subject: fmt.Sprintf("endpoint vendor-%d", i), EndpointId: id, Scope: eventv1.AccountScope_ACCOUNT_SCOPE_ENDPOINT,
		})
	}
	var wires [2][]byte
	for i := range wires {
		from.Endpoints[500].PriceNanos++
		var err error
		if wires[i], err = proto.Marshal(from); err != nil {
			b.Fatal(err)
		}
	}
	var table *Table
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		read, err := Read(wires[i%2])
		if err != nil {
			b.Fatal(err)
		}
		if table, err = read.Compile(contract.Version{Epoch: 1, Revision: int64(i)}, Lookups{}, table); err != nil {
			b.Fatal(err)
		}
	}
}
