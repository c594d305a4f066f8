package registry

import "tollgate/internal/contract"

// Scope is what a budget or a limit applies to.
type Scope string

// The scopes.
const (
	ScopeKey        Scope = "key"
	ScopeTeam       Scope = "team"
	ScopeCustomer   Scope = "customer"
	ScopeTag        Scope = "tag"
	ScopeEndpoint   Scope = "endpoint"
	ScopeEverything Scope = "everything"
)

// Scoped names what a budget or a limit applies to.
type Scoped struct {
	Scope     Scope  `json:"scope"`
	ScopeID   string `json:"scope_id,omitempty"`   // id of the key, team or endpoint
	ScopeName string `json:"scope_name,omitempty"` // its name, or the customer or tag itself
	TeamID    string `json:"-"`                    // of the team, or of that which the key belongs to; empty for none
}

// Subject says what it is in refusals: "key ci-bot", "everything".
func (s *Scoped) Subject() string {
	if s.Scope == ScopeEverything {
		return string(ScopeEverything)
	}
	return string(s.Scope) + " " + s.ScopeName
}

// check adds what is wrong with the scope of a new budget or limit. Found says whether the key, team
// or endpoint exists; customers and tags exist as soon as somebody names them.
func (s *Scoped) check(p *Problems, what string, found bool) {
	switch s.Scope {
	case ScopeKey, ScopeTeam, ScopeEndpoint:
		if !found {
			p.Add(string(s.Scope), Unknown, "There is no %s %q.", s.Scope, clip(s.ScopeName))
		}
	case ScopeCustomer, ScopeTag:
		checkLabel(p, string(s.Scope), string(s.Scope), s.ScopeName)
	case ScopeEverything:
	default:
		p.Add("scope", Required, "Say what the %s applies to: a key, a team, a customer, a tag, an endpoint or everything.", what)
	}
}

// checkLabel adds what is wrong with the name of a customer or of a tag.
func checkLabel(p *Problems, field, what, name string) {
	if !contract.ValidLabel(name) {
		p.Add(field, Malformed, "%q does not name a %s: use 1 to %d letters, digits and . _ @ : -, with a letter or digit at both ends.",
			clip(name), what, contract.MaxLabel)
	}
}
