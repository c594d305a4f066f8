package registry

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"tollgate/internal/contract"
	"tollgate/internal/id"
)

// Key is what a caller presents, without its secret.
type Key struct {
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Prefix      string          `json:"prefix"`
	Suffix      string          `json:"suffix,omitempty"` // last characters of the secret
	Restricted  bool            `json:"restricted"`       // may call Endpoints only, even if that is none
	Endpoints   []string        `json:"endpoints"`        // names
	Methods     []string        `json:"methods,omitempty"`
	Networks    []string        `json:"networks,omitempty"` // in the form of prefixes, sorted; empty: all
	Models      []string        `json:"models,omitempty"`   // patterns of what it may ask for, sorted; empty: all
	Metadata    json.RawMessage `json:"metadata,omitempty"` // an object
	Blocked     bool            `json:"blocked,omitempty"`
	Expires     time.Time       `json:"expire_time,omitzero"`
	Revoked     time.Time       `json:"revoke_time,omitzero"`
	Rotated     time.Time       `json:"rotate_time,omitzero"`
	OverlapEnds time.Time       `json:"overlap_end_time,omitzero"` // of an old secret that works
	Created     time.Time       `json:"create_time"`
	Revision    int64           `json:"revision"`
	Charged

	TeamID    string    `json:"-"`
	Status    KeyStatus `json:"-"`
	ManagedBy string    `json:"-"` // owner of the file; empty for none
}

// KeyStatus is whether a key may be used.
type KeyStatus string

// The statuses, by the names that filters have for them.
const (
	KeyActive   KeyStatus = "active"
	KeyRotating KeyStatus = "rotating"
	KeyExpiring KeyStatus = "expiring" // within a week
	KeyExpired  KeyStatus = "expired"
	KeyBlocked  KeyStatus = "blocked" // or its team is
	KeyRevoked  KeyStatus = "revoked"
)

// Bounds of keys.
const (
	maxKeyModels = 1000
	maxNetworks  = 64

	// DefaultOverlap is how long an old secret goes on working, and MaxOverlap the longest that it may.
	DefaultOverlap = 24 * time.Hour
	MaxOverlap     = 30 * 24 * time.Hour
)

// ETag changes with every write.
func (k *Key) ETag() string { return ETag(k.ID, k.Revision, k.Created) }

// Normalize puts lists in order, and networks in one form. What cannot be read stays as it is, for Check to find.
func (k *Key) Normalize() {
	k.Charged.Normalize()
	k.Models = NormalizeModels(k.Models)
	k.Methods = slices.Sorted(slices.Values(k.Methods))
	networks := make([]string, len(k.Networks))
	for i, text := range k.Networks {
		if networks[i] = text; len(text) <= maxNetworkText {
			if n, ok := network(text); ok {
				networks[i] = n.String()
			}
		}
	}
	k.Networks = slices.Sorted(slices.Values(networks))
}

const maxNetworkText = 64

// network reads an address or a prefix.
func network(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), a.Zone() == ""
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, false
	}
	return p.Masked(), true
}

// NormalizeModels puts patterns of models in order.
func NormalizeModels(patterns []string) []string { return slices.Sorted(slices.Values(patterns)) }

// CheckModels adds what is wrong with the patterns of models of a key or a team.
func CheckModels(p *Problems, patterns []string) {
	if len(patterns) > maxKeyModels {
		p.Add("models", Range, "There are %d models: a key has at most %d, and a * in one stands for any text.", len(patterns), maxKeyModels)
	}
	for i, pattern := range patterns {
		switch {
		case !modelName.MatchString(pattern):
			p.Add("models", Malformed, "%q names no model: use letters, digits, spaces and . _ : / @ + -, and * for any text.", clip(pattern))
		case slices.Contains(patterns[:i], pattern):
			p.Add("models", Duplicate, "The model %s is listed twice.", clip(pattern))
		}
	}
}

// Charged says whom a key's requests are charged to.
type Charged struct {
	Team     string   `json:"team,omitempty"`     // name; empty for none
	Customer string   `json:"customer,omitempty"` // empty: requests may name one
	Tags     []string `json:"tags,omitempty"`     // sorted
}

// Normalize sorts the tags.
func (c *Charged) Normalize() { c.Tags = slices.Sorted(slices.Values(c.Tags)) }

// Check adds everything that is wrong with it to p. Found says whether the team exists.
func (c *Charged) Check(p *Problems, found bool) {
	if c.Team != "" && !found {
		p.Add("team", Unknown, "There is no team %q.", clip(c.Team))
	}
	if c.Customer != "" {
		checkLabel(p, "customer", "customer", c.Customer)
	}
	if len(c.Tags) > contract.MaxKeyTags {
		p.Add("tags", Range, "There are %d tags: a key has at most %d.", len(c.Tags), contract.MaxKeyTags)
	}
	for i, tag := range c.Tags {
		if i > 0 && tag == c.Tags[i-1] {
			p.Add("tags", Duplicate, "The tag %s is listed twice.", clip(tag))
			continue
		}
		checkLabel(p, "tags", "tag", tag)
	}
}

// KeyFacts is what the rules of keys need to know of the world.
type KeyFacts struct {
	Now        time.Time
	NameTaken  bool
	HashHolder string          // name of the key that has the same secret
	Known      map[string]bool // which of Endpoints exist
	TeamFound  bool
	Old        *Key          // as it is so far; nil for a new one
	MostExpire time.Duration // the longest that it may be valid from now on; 0 for any
}

// Check adds everything that is wrong with a normalized key to p. Endpoints are as they were asked for.
func (k *Key) Check(p *Problems, facts KeyFacts) {
	if facts.Old == nil {
		checkName(p, objectName, id.Key, k.Name)
	}
	if facts.NameTaken {
		p.Add("name", Taken, "A key with the name %s exists.", k.Name)
	}
	if facts.HashHolder != "" {
		p.Add("secret_sha256", Taken, "Key %s has this secret.", facts.HashHolder)
	}
	checkEndpoints(p, k.Endpoints, facts.Known)
	k.checkExpiry(p, facts)
	CheckModels(p, k.Models)
	checkMethods(p, "methods", k.Methods)
	checkNetworks(p, k.Networks)
	checkDescription(p, k.Description)
	CheckMetadata(p, k.Metadata)
	k.Charged.Check(p, facts.TeamFound)
}

func checkEndpoints(p *Problems, asked []string, known map[string]bool) {
	for i, e := range asked {
		switch field := fmt.Sprintf("endpoints[%d]", i); {
		case !known[e]:
			p.Add(field, Unknown, "There is no endpoint %q.", clip(e))
		case slices.Contains(asked[:i], e):
			p.Add(field, Duplicate, "The endpoint %s is listed twice.", e)
		}
	}
}

// checkExpiry leaves an expiry alone that the key has already.
func (k *Key) checkExpiry(p *Problems, facts KeyFacts) {
	if p.Has("expire_time") || facts.Old != nil && k.Expires.Equal(facts.Old.Expires) {
		return
	}
	if !k.Expires.IsZero() && !k.Expires.After(facts.Now) {
		p.Add("expire_time", Range, "The key would expire at %s, which is past.", k.Expires.UTC().Format(time.RFC3339))
		return
	}
	if most := facts.MostExpire; most > 0 && (k.Expires.IsZero() || k.Expires.After(facts.Now.Add(most))) {
		p.Add("expire_time", Range, "A key may be valid for %d days at most: give it an expiry within that.", int(most.Hours()/24))
	}
}

func checkNetworks(p *Problems, networks []string) {
	if len(networks) > maxNetworks {
		p.Add("networks", Range, "There are %d networks: a key has at most %d.", len(networks), maxNetworks)
	}
	for i, text := range networks {
		if _, ok := network(text); !ok {
			p.Add("networks", Malformed, "%q is not a network: use one such as 10.0.0.0/8 or 2001:db8::1.", clip(text))
		} else if i > 0 && text == networks[i-1] {
			p.Add("networks", Duplicate, "The network %s is listed twice.", text)
		}
	}
}
