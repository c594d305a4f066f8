package routing

import (
	"fmt"
	"runtime"
	"slices"

	"google.golang.org/protobuf/proto"

	"tollgate/edge/admit"
	"tollgate/edge/limit"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Bounds are the budgets and the limits of one thing: of an endpoint and of everything together, of a
// customer, or of a tag.
type Bounds struct {
	Accounts []*admit.Account // in order of number
	Limits   []*limit.Limit   // in order of number
}

// scopes are the bounds of a snapshot by what they bound.
type scopes struct {
	everything Bounds
	endpoints  map[string]*Bounds // by id
	customers  map[string]*Bounds
	tags       map[string]*Bounds
}

// bounds are the accounts and limits of a snapshot.
type bounds struct {
	accounts parts[bound[*admit.Account]]
	limits   parts[bound[*limit.Limit]]
}

// bound is an account or a limit, and what it bounds.
type bound[T any] struct {
	of           T
	scope        eventv1.AccountScope
	name, target string
}

// newScopes makes the scopes of a snapshot. Accounts and limits that were there before are the same, so that they keep what they know.
func newScopes(s *Snapshot, before *bounds) (*bounds, *scopes, error) {
	now := &bounds{accounts: parts[bound[*admit.Account]]{texts: s.accounts}, limits: parts[bound[*limit.Limit]]{texts: s.limits}}
	out := &scopes{endpoints: make(map[string]*Bounds, min(len(s.accounts)+len(s.limits), len(s.endpoints))), customers: map[string]*Bounds{}, tags: map[string]*Bounds{}}
	accounts, limits := make(map[int64]bool, len(s.accounts)), make(map[int64]bool, len(s.limits))
	known, knownLimits := before.accounts.finder(len(s.accounts)), before.limits.finder(len(s.limits))
	for i, text := range s.accounts {
		if i%breathe == 0 {
			runtime.Gosched()
		}
		a, ok := known.find(i, text)
		if !ok {
			from := &eventv1.Account{}
			if err := proto.Unmarshal([]byte(text), from); err != nil {
				return nil, nil, err
			}
			of, err := admit.NewAccount(from)
			if err != nil {
				return nil, nil, err
			}
			a = bound[*admit.Account]{of, from.GetScope(), from.GetScopeName(), from.GetEndpointId()}
		}
		b, err := out.of(a.scope, a.name, a.target)
		if err != nil || accounts[a.of.ID()] {
			return nil, nil, fmt.Errorf("account %d: %w", a.of.ID(), orTwice(err))
		}
		accounts[a.of.ID()], now.accounts.made = true, append(now.accounts.made, a)
		b.Accounts = append(b.Accounts, a.of)
	}
	for i, text := range s.limits {
		l, ok := knownLimits.find(i, text)
		if !ok {
			from := &eventv1.Limit{}
			if err := proto.Unmarshal([]byte(text), from); err != nil {
				return nil, nil, err
			}
			of, err := limit.NewLimit(from)
			if err != nil {
				return nil, nil, err
			}
			l = bound[*limit.Limit]{of, from.GetScope(), from.GetScopeName(), from.GetEndpointId()}
		}
		b, err := out.of(l.scope, l.name, l.target)
		if err != nil || limits[l.of.ID()] {
			return nil, nil, fmt.Errorf("limit %d: %w", l.of.ID(), orTwice(err))
		}
		limits[l.of.ID()], now.limits.made = true, append(now.limits.made, l)
		b.Limits = append(b.Limits, l.of)
	}
	out.everything.sort()
	for _, by := range []map[string]*Bounds{out.endpoints, out.customers, out.tags} {
		for _, b := range by {
			b.sort()
		}
	}
	return now, out, nil
}

func orTwice(err error) error {
	if err != nil {
		return err
	}
	return errTwice
}

// of is where the bounds of a scope are gathered. A bound that this version cannot apply is an error:
// passed over, it would be one that nobody keeps.
func (s *scopes) of(scope eventv1.AccountScope, name, endpointID string) (*Bounds, error) {
	by, key := s.endpoints, endpointID
	switch scope {
	case eventv1.AccountScope_ACCOUNT_SCOPE_UNSPECIFIED:
		if endpointID == "" {
			return &s.everything, nil
		}
	case eventv1.AccountScope_ACCOUNT_SCOPE_EVERYTHING:
		return &s.everything, nil
	case eventv1.AccountScope_ACCOUNT_SCOPE_ENDPOINT:
	case eventv1.AccountScope_ACCOUNT_SCOPE_CUSTOMER:
		by, key = s.customers, name
	case eventv1.AccountScope_ACCOUNT_SCOPE_TAG:
		by, key = s.tags, name
	default:
		return nil, fmt.Errorf("scope %s is not one of routes", scope)
	}
	if key == "" {
		return nil, fmt.Errorf("it does not say of which %s it is", scope)
	}
	if by[key] == nil {
		by[key] = &Bounds{}
	}
	return by[key], nil
}

// endpoint is the bounds of an endpoint and of everything.
func (s *scopes) endpoint(id string) Bounds {
	own := s.endpoints[id]
	if own == nil {
		own = &Bounds{}
	}
	b := Bounds{slices.Concat(own.Accounts, s.everything.Accounts), slices.Concat(own.Limits, s.everything.Limits)}
	b.sort()
	return b
}

func (b *Bounds) sort() {
	slices.SortFunc(b.Accounts, func(a, b *admit.Account) int { return compare(a.ID(), b.ID()) })
	slices.SortFunc(b.Limits, func(a, b *limit.Limit) int { return compare(a.ID(), b.ID()) })
}

func compare(a, b int64) int {
	if a < b {
		return -1
	}
	return 1
}

// Customer is the bounds of a customer that a request names, or nil if it has none.
func (t *Table) Customer(name string) *Bounds { return t.scopes.customers[name] }

// Tag is the bounds of a tag that a request names, or nil if it has none.
func (t *Table) Tag(name string) *Bounds { return t.scopes.tags[name] }
