package registry

import (
	"fmt"
	"slices"
	"strings"
)

// Balance says which one of several gets the next request. The numbers are those of both protobuf
// enumerations.
type Balance uint8

// The policies.
const (
	BalanceFailover Balance = iota + 1
	BalanceWeighted
	BalanceLeastInFlight
)

// Credential is one of several vendor credentials that take turns.
type Credential struct {
	Name     string   `json:"name"` // unique in the endpoint
	Headers  []Header `json:"headers,omitempty"`
	Query    []Query  `json:"query,omitempty"`
	Weight   uint32   `json:"weight,omitempty"` // 0: 1
	Priority uint32   `json:"priority,omitempty"`
}

// Bounds of credentials, and of what takes turns.
const (
	MaxCredentials = 32
	MaxWeight      = 1000
	MaxPriority    = 15

	maxCredentialParts = 16
)

func checkBalance(p *Problems, field string, b Balance) {
	if b > BalanceLeastInFlight {
		p.Add(field, Malformed, "This way of choosing is not known: use failover, weighted or least in flight.")
	}
}

// checkShare: with failover the order of the list is all there is.
func checkShare(p *Problems, at string, b Balance, weight, priority uint32) {
	switch {
	case weight > MaxWeight:
		p.Add(at+".weight", Range, "The weight %d is more than %d.", weight, MaxWeight)
	case weight != 0 && b == BalanceFailover:
		p.Add(at+".weight", Forbidden, "A weight has no meaning for failover, which goes by the order of the list: choose weighted or least in flight.")
	}
	switch {
	case priority > MaxPriority:
		p.Add(at+".priority", Range, "The priority %d is more than %d.", priority, MaxPriority)
	case priority != 0 && b == BalanceFailover:
		p.Add(at+".priority", Forbidden, "A priority has no meaning for failover, which goes by the order of the list: choose weighted or least in flight.")
	}
}

func (e *Endpoint) checkCredentials(p *Problems, known secretsKnown) {
	if len(e.Credentials) > MaxCredentials {
		p.Add("credentials", Range, "There are %d credentials: at most %d are allowed.", len(e.Credentials), MaxCredentials)
	}
	checkBalance(p, "credential_balance", e.CredentialBalance)
	seen := map[string]bool{}
	for i, c := range e.Credentials {
		at := fmt.Sprintf("credentials[%d]", i)
		switch {
		case !objectName.MatchString(c.Name):
			p.Add(at+".name", Malformed, "The name %q is not valid: use 1 to 63 lower-case letters, digits, hyphens, underscores and dots, with a letter or digit at both ends.", clip(c.Name))
		case seen[c.Name]:
			p.Add(at+".name", Duplicate, "The credential %s is listed twice.", c.Name)
		}
		seen[c.Name] = true
		checkShare(p, at, e.CredentialBalance, c.Weight, c.Priority)
		switch {
		case len(c.Headers)+len(c.Query) == 0:
			p.Add(at, Required, "A credential is carried by at least one header or query parameter.")
		case len(c.Headers) > maxCredentialParts || len(c.Query) > maxCredentialParts:
			p.Add(at, Range, "A credential has at most %d headers and as many query parameters.", maxCredentialParts)
		}
		checkHeaders(p, at+".headers", c.Headers, known)
		checkQuery(p, at+".query", c.Query, known)
		for j, h := range c.Headers {
			field := fmt.Sprintf("%s.headers[%d]", at, j)
			switch {
			case h.Mode != ModeSet && h.Mode <= ModeRemove:
				p.Add(field+".mode", Forbidden, "What carries a credential is always set: leave the mode out.")
			case sends(e.Headers, h.Name):
				p.Add(field+".name", Duplicate, "The header %s is the endpoint's as well: leave it out there.", clip(h.Name))
			}
		}
		for j, q := range c.Query {
			field := fmt.Sprintf("%s.query[%d]", at, j)
			switch {
			case q.Mode != ModeSet && q.Mode <= ModeRemove:
				p.Add(field+".mode", Forbidden, "What carries a credential is always set: leave the mode out.")
			case slices.ContainsFunc(e.Query, func(o Query) bool { return o.Mode != ModeRemove && o.Name == q.Name }):
				p.Add(field+".name", Duplicate, "The query parameter %s is the endpoint's as well: leave it out there.", clip(q.Name))
			}
		}
	}
}

// carriesSecret says whether requests to targets have something in them that is written down as a
// reference, and so must not be read on the way.
func (e *Endpoint) carriesSecret() bool {
	has := func(headers []Header, query []Query) bool {
		return slices.ContainsFunc(headers, func(h Header) bool { return refers(h.Value) }) ||
			slices.ContainsFunc(query, func(q Query) bool { return refers(q.Value) })
	}
	return e.AWS != nil || has(e.Headers, e.Query) ||
		slices.ContainsFunc(e.Credentials, func(c Credential) bool { return has(c.Headers, c.Query) })
}

func refers(text string) bool {
	return strings.Contains(text, "${secret:") || strings.Contains(text, "${env:")
}
