package routing

import (
	"fmt"
	"slices"

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

func newScopes(s *eventv1.RouteSnapshot) (*scopes, error) {
	out := &scopes{endpoints: map[string]*Bounds{}, customers: map[string]*Bounds{}, tags: map[string]*Bounds{}}
	accounts, limits := map[int64]bool{}, map[int64]bool{}
	for _, from := range s.GetAccounts() {
		a, err := admit.NewAccount(from)
		if err != nil {
			return nil, err
		}
		b, err := out.of(from.GetScope(), from.GetScopeName(), from.GetEndpointId())
		if err != nil || accounts[a.ID()] {
			return nil, fmt.Errorf("account %d: %w", a.ID(), orTwice(err))
		}
		accounts[a.ID()] = true
		b.Accounts = append(b.Accounts, a)
	}
	for _, from := range s.GetLimits() {
		l, err := limit.NewLimit(from)
		if err != nil {
			return nil, err
		}
		b, err := out.of(from.GetScope(), from.GetScopeName(), from.GetEndpointId())
		if err != nil || limits[l.ID()] {
			return nil, fmt.Errorf("limit %d: %w", l.ID(), orTwice(err))
		}
		limits[l.ID()] = true
		b.Limits = append(b.Limits, l)
	}
	out.everything.sort()
	for _, by := range []map[string]*Bounds{out.endpoints, out.customers, out.tags} {
		for _, b := range by {
			b.sort()
		}
	}
	return out, nil
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
