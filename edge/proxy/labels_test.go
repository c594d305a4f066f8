package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tollgate/edge/admit"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

// Guarantee: a request is charged to its key's customer and tags and to those that it names, each once
// and sorted; what cannot be a name, another customer than the key's, and too many tags are refused.
func TestLabels(t *testing.T) {
	t.Parallel()
	plain := &admit.Key{Name: "ci-bot", Labels: &admit.Labels{}}
	owned := &admit.Key{Name: "ci-bot", Labels: &admit.Labels{Customer: "acme", Tags: []string{"b", "d"}}}
	c, g := func(v string) Header { return Header{HeaderCustomer, v} }, func(v string) Header { return Header{"x-tollgate-tags", v} }
	for name, tc := range map[string]struct {
		key     *admit.Key
		headers []Header
		want    string // customer and tags; empty if it is refused
	}{
		"nothing":                     {plain, nil, "[]"},
		"the key's":                   {owned, nil, "acme[b d]"},
		"a customer":                  {plain, []Header{c("acme")}, "acme[]"},
		"the same customer":           {owned, []Header{c(" acme\t")}, "acme[b d]"},
		"the same customer twice":     {plain, []Header{c("acme"), c("acme")}, "acme[]"},
		"an empty customer":           {owned, []Header{c("")}, "acme[b d]"},
		"another customer":            {owned, []Header{c("other")}, ""},
		"two customers":               {plain, []Header{c("acme"), c("other")}, ""},
		"a list of customers":         {plain, []Header{c("acme, other")}, ""},
		"tags":                        {plain, []Header{g("b, a,c")}, "[a b c]"},
		"tags in several headers":     {plain, []Header{g("b"), {"Accept", "x"}, g(" a")}, "[a b]"},
		"tags twice":                  {owned, []Header{g("a,b,a,d"), g("d")}, "acme[a b d]"},
		"tags between the key's":      {owned, []Header{g("z,c,a")}, "acme[a b c d z]"},
		"empty tags":                  {plain, []Header{g(""), g(",, ,")}, "[]"},
		"eight tags":                  {owned, []Header{g("1,2,3,4,5,6")}, "acme[1 2 3 4 5 6 b d]"},
		"nine tags":                   {owned, []Header{g("1,2,3,4,5,6,7")}, ""},
		"a space in a tag":            {plain, []Header{g("a b")}, ""},
		"a tag that ends in a sign":   {plain, []Header{g("a-")}, ""},
		"a tag that is too long":      {plain, []Header{g(strings.Repeat("a", 129))}, ""},
		"the longest tag":             {plain, []Header{g(strings.Repeat("a", 128))}, "[" + strings.Repeat("a", 128) + "]"},
		"a customer of other letters": {plain, []Header{c("ä")}, ""},
		"every sign":                  {plain, []Header{c("a.b_c@d:e-f")}, "a.b_c@d:e-f[]"},
	} {
		before := slices.Clone(tc.key.Tags)
		var l labels
		err := l.read(tc.headers, tc.key, nil)
		if got := l.customer + fmt.Sprint(l.tags); tc.want != "" && (err != nil || got != tc.want) {
			t.Errorf("%s: %s, %v; want %s", name, got, err, tc.want)
		}
		if tc.want == "" && !errors.Is(err, fault.New(fault.LabelInvalid, "")) {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
		if !slices.Equal(tc.key.Tags, before) {
			t.Errorf("%s has changed the key", name)
		}
	}
}

// Guarantee: whatever a caller sends as labels, what comes of it is sorted, valid, not too much, and the
// key's own is in it.
func FuzzLabels(f *testing.F) {
	f.Add("acme", "a, b", "c", true)
	f.Add("", "b,,d", "\x00", false)
	f.Add("other", strings.Repeat("x,", 20), "ä", true)
	f.Fuzz(func(t *testing.T, customer, tags, more string, owned bool) {
		key := &admit.Key{Name: "k", Labels: &admit.Labels{}}
		if owned {
			key.Customer, key.Tags = "acme", []string{"b", "d"}
		}
		var l labels
		if err := l.read([]Header{{HeaderTags, tags}, {HeaderCustomer, customer}, {"X-TOLLGATE-TAGS", more}}, key, nil); err != nil {
			if !errors.Is(err, fault.New(fault.LabelInvalid, "")) || len(err.Error()) > 400 {
				t.Errorf("refused with %v", err)
			}
			return
		}
		if l.customer != "" && !contract.ValidLabel(l.customer) || owned && l.customer != "acme" {
			t.Errorf("customer %q", l.customer)
		}
		if len(l.tags) > contract.MaxTags || !slices.IsSorted(l.tags) || len(slices.Compact(slices.Clone(l.tags))) != len(l.tags) {
			t.Errorf("tags %q", l.tags)
		}
		for _, tag := range l.tags {
			if !contract.ValidLabel(tag) {
				t.Errorf("tag %q", tag)
			}
		}
		for _, tag := range key.Tags {
			if !slices.Contains(l.tags, tag) {
				t.Errorf("tag %s of the key is missing in %q", tag, l.tags)
			}
		}
	})
}

// Guarantee: labels decide whom a request is charged to, which budgets it draws on and which limits it
// keeps, each once; and no header that is for the gateway reaches a target, however it is spelled.
func TestLabelsBindAndStay(t *testing.T) {
	t.Parallel()
	const (
		customer, tag, everything = eventv1.AccountScope_ACCOUNT_SCOPE_CUSTOMER, eventv1.AccountScope_ACCOUNT_SCOPE_TAG, eventv1.AccountScope_ACCOUNT_SCOPE_EVERYTHING
		own                       = eventv1.AccountScope_ACCOUNT_SCOPE_KEY
	)
	bound := func(id int64, scope eventv1.AccountScope, name string) *eventv1.Limit {
		return &eventv1.Limit{Id: id, Kind: eventv1.LimitKind_LIMIT_KIND_REQUESTS, Amount: 60, Burst: 1, Scope: scope, ScopeName: name, Subject: "test"}
	}
	const ownedKey = "tgk_owned0123456789abcdefghijklmnop"
	owned := keyOf(ownedKey)
	owned.Team, owned.Customer, owned.Tags = "core", "acme", []string{"blue"}
	owned.Accounts = []*eventv1.Account{accountOf(1, own, ""), accountOf(20, customer, "acme"), accountOf(30, tag, "blue")}
	owned.Limits = []*eventv1.Limit{bound(1, own, ""), bound(30, tag, "blue")}
	for name, tc := range map[string]struct {
		key            string
		headers        []Header
		customer, team string
		tags           []string
		draws, limits  []int64
	}{
		"nothing named":      {testKey, nil, "", "", nil, []int64{7}, []int64{8}},
		"unknown names":      {testKey, []Header{{HeaderCustomer, "x"}, {HeaderTags, "y"}}, "x", "", []string{"y"}, []int64{7}, []int64{8}},
		"all named":          {testKey, []Header{{HeaderCustomer, "acme"}, {HeaderTags, "red,blue"}}, "acme", "", []string{"blue", "red"}, []int64{7, 20, 30, 31}, []int64{8, 21, 30}},
		"the key's":          {ownedKey, nil, "acme", "core", []string{"blue"}, []int64{1, 7, 20, 30}, []int64{1, 8, 30}},
		"the key's, named":   {ownedKey, []Header{{HeaderCustomer, "acme"}, {HeaderTags, "blue"}}, "acme", "core", []string{"blue"}, []int64{1, 7, 20, 30}, []int64{1, 8, 30}},
		"the key's and more": {ownedKey, []Header{{HeaderTags, "red, blue"}}, "acme", "core", []string{"blue", "red"}, []int64{1, 7, 20, 30, 31}, []int64{1, 8, 30}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := &script{status: 200, pieces: []string{"ok"}}
			endpoint := &eventv1.RouteEndpoint{PriceNanos: 5, Forward: eventv1.ForwardMode_FORWARD_MODE_ALL}
			s := newStages(t, endpoint, to, func(o *options) {
				o.keys = []*eventv1.ShardKey{owned}
				o.accounts = append(o.accounts, accountOf(20, customer, "acme"), accountOf(30, tag, "blue"), accountOf(31, tag, "red"))
				o.limits = []*eventv1.Limit{bound(8, everything, ""), bound(21, customer, "acme"), bound(30, tag, "blue")}
			})
			headers := append(tc.headers, Header{"X-Other", "stays"}, Header{"X-Tollgate-Anything", "1"}, Header{"x_tollgate_tags", "1"}, Header{"X-TOLLGATE-CUSTOMER", ""})
			s.key = "Bearer " + tc.key
			if out := s.call(context.Background(), "POST", "{}", 2, headers...); out.status != 200 {
				t.Fatalf("got %d %s", out.status, out.body.String())
			}
			in, _, _ := s.lastIntent()
			var draws []int64
			for _, d := range in.Draws {
				draws = append(draws, d.Window.Account)
			}
			slices.Sort(draws)
			limits := slices.Clone(s.gate.asked[0].limits)
			slices.Sort(limits)
			if in.Customer != tc.customer || in.Team != tc.team || !slices.Equal(in.Tags, tc.tags) || !slices.Equal(draws, tc.draws) || !slices.Equal(limits, tc.limits) {
				t.Errorf("intent %+v, limits %v", in, limits)
			}
			if len(to.attempt.Headers) != 1 || to.attempt.Headers[0].Name != "X-Other" {
				t.Errorf("the target got %q", to.attempt.Headers)
			}
		})
	}
}

// Guarantee: where events are counted, a target is asked for none that cannot be.
func TestEventsAreReadable(t *testing.T) {
	t.Parallel()
	price := &eventv1.UsagePrice{HoldNanos: 100, Rates: []*eventv1.UsageRate{rate(responseEvents, 1)}}
	to := &script{status: 200}
	s := newStages(t, &eventv1.RouteEndpoint{Usage: price}, to)
	s.call(context.Background(), "GET", "", 0, Header{"Accept-Encoding", "gzip, br"})
	if h := to.attempt.Headers; len(h) != 1 || h[0] != (Header{"Accept-Encoding", "identity"}) {
		t.Errorf("the target got %q", h)
	}
}
