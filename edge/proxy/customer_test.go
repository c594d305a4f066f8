package proxy

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"tollgate/edge/admit"
	"tollgate/edge/routing"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

// sight tells what it was told, and lets requests go on with a table.
type sight struct {
	mu      sync.Mutex
	told    []string
	awaited []string
	table   *routing.Table // nil: nobody answers
}

func (s *sight) Tell(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, name)
}

func (s *sight) Await(_ context.Context, name string) (*routing.Table, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.awaited = append(s.awaited, name); s.table == nil {
		return nil, fault.New(fault.CustomerUnavailable, "Customer %s is new.", name)
	}
	return s.table, nil
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Guarantee: a request is charged to the customer that it names first: in its own header, in one of the settings', in a field of its
// body, whoever reads the body besides; what names nobody is refused where that is wanted, as is who is blocked; and the target gets
// the body whole in any case.
func TestWhereCustomersAreNamed(t *testing.T) {
	t.Parallel()
	rules := func(required bool) *eventv1.CustomerRules {
		return &eventv1.CustomerRules{
			Headers: []string{"X-User", "X-End-User"}, BodyFields: []string{"user", "metadata.user_id"}, Required: required, Blocked: []string{"eve"},
		}
	}
	json, none := Header{"Content-Type", "application/json; charset=utf-8"}, []Header(nil)
	const ownedKey = "tgk_owned0123456789abcdefghijklmnop"
	owned := keyOf(ownedKey)
	owned.Customer = "acme"
	for name, tc := range map[string]struct {
		key      string
		headers  []Header
		body     string
		required bool
		customer string
		code     fault.Code
	}{
		"nobody":                  {"", none, `{"a":1}`, false, "", ""},
		"nobody, and must":        {"", none, `{"a":1}`, true, "", fault.CustomerRequired},
		"its own header":          {"", []Header{{HeaderCustomer, "a"}, {"X-User", "b"}, json}, `{"user":"c"}`, true, "a", ""},
		"a header":                {"", []Header{{"x-end-user", "b"}, json}, `{"user":"c"}`, true, "b", ""},
		"the first header":        {"", []Header{{"x-end-user", "b"}, {"x-user", "c"}}, ``, true, "c", ""},
		"a field":                 {"", []Header{json}, `{"user":"c","metadata":{"user_id":"d"}}`, true, "c", ""},
		"an inner field":          {"", []Header{json}, `{"user":"","metadata":{"user_id":"d"}}`, true, "d", ""},
		"a number":                {"", []Header{json}, `{"user":7}`, true, "7", ""},
		"an object":               {"", []Header{json}, `{"user":{"a":1}}`, false, "", fault.LabelInvalid},
		"a field with spaces":     {"", []Header{json}, `{"user":"a b"}`, false, "", fault.LabelInvalid},
		"a header with spaces":    {"", []Header{{"x-user", "a b"}}, ``, false, "", fault.LabelInvalid},
		"no JSON":                 {"", []Header{json}, `{"user":"c"`, false, "", ""},
		"another type":            {"", []Header{{"Content-Type", "text/plain"}}, `{"user":"c"}`, false, "", ""},
		"compressed":              {"", []Header{json, {"Content-Encoding", "gzip"}}, gzipped(t, `{"user":"c"}`), true, "c", ""},
		"compressed into nothing": {"", []Header{json, {"Content-Encoding", "gzip"}}, `{"user":"c"}`, false, "", ""},
		"the key's":               {ownedKey, []Header{json}, `{"user":"c"}`, true, "acme", ""},
		"the key's, and another":  {ownedKey, []Header{{"x-user", "b"}}, ``, true, "", fault.LabelInvalid},
		"blocked by header":       {"", []Header{{HeaderCustomer, "eve"}}, ``, false, "", fault.CustomerBlocked},
		"blocked by field":        {"", []Header{json}, `{"user":"eve"}`, false, "", fault.CustomerBlocked},
	} {
		for kind, endpoint := range map[string]*eventv1.RouteEndpoint{
			"fixed": {PriceNanos: 5}, "metered": metered(t, chat, "HOLD", boundHold, "^/chat$", "'^/?$'"),
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				to := &script{status: 200, pieces: []string{"{}"}}
				s := newStages(t, endpoint, to, func(o *options) { o.rules, o.keys = rules(tc.required), []*eventv1.ShardKey{owned} })
				if tc.key != "" {
					s.key = "Bearer " + tc.key
				}
				out := s.call(context.Background(), "POST", tc.body, int64(len(tc.body)), tc.headers...)
				if tc.code != "" {
					if !strings.Contains(out.body.String(), string(tc.code)) || to.attempt != nil {
						t.Errorf("%d %s, want %s", out.status, out.body.String(), tc.code)
					}
					return
				}
				if out.status != 200 {
					t.Fatalf("%d %s", out.status, out.body.String())
				}
				if in, _, _ := s.lastIntent(); in.Customer != tc.customer || to.body != tc.body {
					t.Errorf("charged to %q, the target got %q", in.Customer, to.body)
				}
			})
		}
	}
}

// Guarantee: a request of a new customer is let through with the customer's budget or not at all; where new ones get none, it does not
// wait; of known ones nobody is told; and a question creates nothing.
func TestNewCustomersWait(t *testing.T) {
	t.Parallel()
	compiled, err := routing.Compile(&eventv1.RouteSnapshot{
		Customers: &eventv1.CustomerRules{Create: true, WithBudget: true},
		Accounts:  []*eventv1.Account{accountOf(20, eventv1.AccountScope_ACCOUNT_SCOPE_CUSTOMER, "new")},
	}, contract.Version{Epoch: 1, Revision: 2}, routing.Lookups{})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		customer   string
		withBudget bool
		table      *routing.Table
		status     int
		told       string
		draws      []int64
	}{
		"new":                  {"new", true, compiled, 200, "[] [new]", []int64{7, 20}},
		"new, nobody answers":  {"new", true, nil, 503, "[] [new]", nil},
		"new, without budgets": {"new", false, nil, 200, "[new] []", []int64{7}},
		"known":                {"known", true, nil, 200, "[] []", []int64{7, 21}},
		"known, no budget":     {"plain", true, nil, 200, "[] []", []int64{7}},
		"nobody":               {"", true, nil, 200, "[] []", []int64{7}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told := &sight{table: tc.table}
			s := newStages(t, &eventv1.RouteEndpoint{PriceNanos: 5}, &script{status: 200}, func(o *options) {
				o.rules = &eventv1.CustomerRules{Create: true, WithBudget: tc.withBudget, Unbounded: []string{"plain"}}
				o.sight = told
				o.accounts = append(o.accounts, accountOf(21, eventv1.AccountScope_ACCOUNT_SCOPE_CUSTOMER, "known"))
			})
			hash := contract.KeyHash([]byte(testKey))
			got := s.gateway.Explain(t.Context(), &eventv1.ExplainCall{
				Method: "POST", Path: "/x", KeySha256: hash[:], Headers: []*controlv1.ExplainHeader{{Name: HeaderCustomer, Value: tc.customer}},
			})
			step := slices.IndexFunc(got.GetSteps(), func(s *controlv1.ExplainStep) bool { return s.GetStage() == "customer" })
			if step < 0 || strings.Contains(got.GetSteps()[step].GetText(), "new") != (tc.customer == "new") || len(told.told)+len(told.awaited) > 0 {
				t.Errorf("explained as %v; told %v %v", got.GetSteps(), told.told, told.awaited)
			}
			out := s.call(context.Background(), "POST", "", 0, Header{HeaderCustomer, tc.customer})
			if have := fmt.Sprint(told.told, told.awaited); out.status != tc.status || have != tc.told {
				t.Fatalf("%d %s, told %s", out.status, out.body.String(), have)
			}
			if tc.status != 200 {
				return
			}
			in, _, _ := s.lastIntent()
			var draws []int64
			for _, d := range in.Draws {
				draws = append(draws, d.Window.Account)
			}
			if slices.Sort(draws); !slices.Equal(draws, tc.draws) {
				t.Errorf("draws on %v", draws)
			}
		})
	}
}

// FuzzCustomerAt: whatever is in a body, what comes of it is a valid name, or a refusal.
func FuzzCustomerAt(f *testing.F) {
	for _, body := range []string{``, `{}`, `{"user":"a"}`, `{"user":1e9}`, `{"user":null}`, `{"user":["a"]}`, `{"user":"\u0000"}`, `[1]`, `{"a":{"b":"x"}}`, `{"user":"a","user":"b"}`} {
		f.Add([]byte(body), "user")
		f.Add([]byte(body), "a.b")
	}
	f.Fuzz(func(t *testing.T, body []byte, field string) {
		name, err := customerAt(body, field)
		var l labels
		if err == nil {
			err = l.nameCustomer("x", name, &admit.Key{Labels: &admit.Labels{}})
		}
		if err == nil && l.customer != "" && !contract.ValidLabel(l.customer) {
			t.Errorf("%q of %q", l.customer, body)
		}
	})
}
