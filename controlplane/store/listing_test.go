package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/controlplane/access"
	"tollgate/controlplane/filter"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/testenv"
)

// listed reads all pages of a list.
func listed(t interface {
	Helper()
	Fatalf(string, ...any)
}, size int, page func(store.ListQuery) ([]registry.Key, string, error), q store.ListQuery,
) (names []string) {
	t.Helper()
	q.Size = size
	for {
		all, next, err := page(q)
		if err != nil {
			t.Fatalf("list %+v: %v", q, err)
		}
		if len(all) > size {
			t.Fatalf("a page of %d has %d", size, len(all))
		}
		for _, k := range all {
			names = append(names, k.Name)
		}
		if next == "" {
			return names
		}
		q.Token = next
	}
}

// Guarantee: a list has exactly what its filter lets through, in its order, each once, however large the pages are; nobody sees what
// is outside of their teams.
func TestListsOfKeys(t *testing.T) {
	t.Parallel()
	pool := testenv.Postgres(t, migrate)
	s, ctx := store.New(pool), t.Context()
	for _, name := range []string{"a", "b"} {
		if _, err := s.CreateTeam(ctx, "test", registry.Team{Name: name}, nil); err != nil {
			t.Fatal(err)
		}
	}
	teamA, err := s.Team(ctx, store.Anywhere, "a")
	if err != nil {
		t.Fatal(err)
	}
	const count = 40
	var all []registry.Key
	for i := range count {
		n := store.NewKey{
			Key:  registry.Key{Name: fmt.Sprintf("key-%02d", i*7%count), Suffix: fmt.Sprintf("s%03d", i), Blocked: i%5 == 0},
			Hash: contract.KeyHash(fmt.Appendf(nil, "secret %d", i)),
		}
		n.Team = []string{"", "a", "b"}[i%3]
		if i%4 == 0 {
			n.Tags, n.Models = []string{"x", fmt.Sprint("t", i%8)}, []string{"gpt-*"}
		}
		if i%2 == 0 {
			n.Customer = fmt.Sprint("c", i%3)
		}
		if i%6 == 1 {
			n.Expires = time.Now().Add(time.Duration(i) * time.Hour)
		}
		k, err := s.CreateKey(ctx, "test", store.Anywhere, n, nil)
		if err != nil {
			t.Fatal(err)
		}
		switch i % 10 {
		case 3:
			k, err = s.RevokeKey(ctx, "test", store.Anywhere, k.ID, "")
		case 4:
			k, err = s.RotateKey(ctx, "test", store.Anywhere, k.ID, "", store.NewSecret{Hash: contract.KeyHash([]byte(k.Name)), Suffix: "new" + k.Name[5:]}, time.Hour)
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, k)
	}
	page := func(in access.Scope) func(store.ListQuery) ([]registry.Key, string, error) {
		return func(q store.ListQuery) ([]registry.Key, string, error) { return s.Keys(ctx, in, q) }
	}
	// What each condition means, once more.
	conditions := map[string]func(*registry.Key) bool{
		"team:a":                 func(k *registry.Key) bool { return k.Team == "a" },
		"team:a,none":            func(k *registry.Key) bool { return k.Team == "a" || k.Team == "" },
		"-team:a":                func(k *registry.Key) bool { return k.Team != "a" },
		"tag:t4":                 func(k *registry.Key) bool { return slices.Contains(k.Tags, "t4") },
		"-tag:x":                 func(k *registry.Key) bool { return !slices.Contains(k.Tags, "x") },
		"model:gpt-*":            func(k *registry.Key) bool { return slices.Contains(k.Models, "gpt-*") },
		"customer:c0,c1":         func(k *registry.Key) bool { return k.Customer == "c0" || k.Customer == "c1" },
		"status:blocked,revoked": func(k *registry.Key) bool { return k.Status == registry.KeyBlocked || k.Status == registry.KeyRevoked },
		"status:rotating":        func(k *registry.Key) bool { return k.Status == registry.KeyRotating },
		"-status:active":         func(k *registry.Key) bool { return k.Status != registry.KeyActive },
		"status:expiring":        func(k *registry.Key) bool { return k.Status == registry.KeyExpiring },
		"KEY-1":                  func(k *registry.Key) bool { return strings.Contains(k.Name, "key-1") },
		"-3":                     func(k *registry.Key) bool { return !strings.Contains(k.Name, "3") },
		"%":                      func(*registry.Key) bool { return false },
		"key_1":                  func(*registry.Key) bool { return false },
		"managed:yes":            func(*registry.Key) bool { return false },
		"endpoint:anything":      func(k *registry.Key) bool { return !k.Restricted },
	}
	names := make([]string, 0, len(conditions))
	for c := range conditions {
		names = append(names, c)
	}
	slices.Sort(names)
	never := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	expiry := func(k registry.Key) time.Time {
		if k.Expires.IsZero() {
			return never
		}
		return k.Expires
	}
	orders := map[string]func(a, b registry.Key) int{
		"name":        func(a, b registry.Key) int { return strings.Compare(a.Name, b.Name) },
		"create_time": func(a, b registry.Key) int { return a.Created.Compare(b.Created) },
		"expire_time": func(a, b registry.Key) int { return expiry(a).Compare(expiry(b)) },
	}
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 3, rapid.ID).Draw(t, "filter")
		order := rapid.SampledFrom([]string{"name", "create_time", "expire_time"}).Draw(t, "order")
		descending, ours := rapid.Bool().Draw(t, "descending"), rapid.Bool().Draw(t, "in a team")
		scope := store.Anywhere
		if ours {
			scope = access.Scope{Teams: []string{teamA.ID}}
		}
		var want []registry.Key
		for _, k := range all {
			if ours && k.Team != "a" || slices.ContainsFunc(words, func(w string) bool { return !conditions[w](&k) }) {
				continue
			}
			want = append(want, k)
		}
		slices.SortFunc(want, func(a, b registry.Key) int {
			c := orders[order](a, b)
			if c == 0 {
				c = strings.Compare(a.Name, b.Name)
			}
			if descending {
				c = -c
			}
			return c
		})
		var wanted []string
		for _, k := range want {
			wanted = append(wanted, k.Name)
		}
		q := store.ListQuery{Filter: strings.Join(words, " "), OrderBy: order}
		if descending {
			q.OrderBy = "-" + order
		}
		if got := listed(t, rapid.IntRange(1, 50).Draw(t, "page"), page(scope), q); !slices.Equal(got, wanted) {
			t.Fatalf("%+v lists %v, want %v", q, got, wanted)
		}
	})
	// Each field and each order that the reference has is one that the database understands.
	for _, l := range []struct {
		of   *filter.List
		list func(store.ListQuery) error
	}{
		{&filter.Keys, func(q store.ListQuery) error { _, _, err := s.Keys(ctx, store.Anywhere, q); return err }},
		{&filter.Teams, func(q store.ListQuery) error { _, _, err := s.Teams(ctx, store.Anywhere, q); return err }},
	} {
		for _, f := range l.of.Fields {
			value := "x"
			if len(f.Values) > 0 {
				value = strings.Join(f.Values, ",")
			}
			if err := l.list(store.ListQuery{Filter: f.Name + ":" + value + " -" + f.Name + ":" + value}); err != nil {
				t.Errorf("%s by %s: %v", l.of.Title, f.Name, err)
			}
		}
		for _, o := range l.of.Orders {
			if err := l.list(store.ListQuery{OrderBy: "-" + o}); err != nil {
				t.Errorf("%s by %s: %v", l.of.Title, o, err)
			}
		}
	}
	one, next, err := s.Keys(ctx, store.Anywhere, store.ListQuery{Page: store.Page{Size: 1}, Filter: "last4:s004,new" + all[14].Name[5:]})
	if err != nil || len(one) != 1 || next == "" {
		t.Errorf("by the last characters of two secrets: %v, %q, %v", one, next, err)
	}
	for what, q := range map[string]store.ListQuery{
		"another filter": {Page: store.Page{Size: 1, Token: next}},
		"another order":  {Page: store.Page{Size: 1, Token: next}, Filter: "last4:s004,new" + all[14].Name[5:], OrderBy: "create_time"},
		"no token":       {Page: store.Page{Size: 1, Token: "eyJ9"}},
	} {
		if _, _, err := s.Keys(ctx, store.Anywhere, q); !errors.Is(err, fault.New(fault.InvalidArgument, "")) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, _, err := s.Teams(ctx, store.Anywhere, store.ListQuery{Page: store.Page{Token: next}}); !errors.Is(err, fault.New(fault.InvalidArgument, "")) {
		t.Errorf("another list: %v", err)
	}
}
