package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Customer is whom requests are charged to beyond keys and teams.
type Customer struct {
	Name        string          `json:"name"`
	DisplayName string          `json:"display_name,omitempty"` // what people call it; empty for the name
	Blocked     bool            `json:"blocked,omitempty"`
	Metadata    json.RawMessage `json:"metadata,omitempty"` // an object; nil for none
	FirstSight  bool            `json:"first_sight,omitempty"`
	BudgetID    string          `json:"budget_id,omitempty"` // that it was created with; empty for none, or where that is gone
	Revision    int64           `json:"revision"`
	Created     time.Time       `json:"create_time"`
	ManagedBy   string          `json:"-"` // owner of the file that manages it; empty for none
}

// Bounds of customers and tags.
const (
	maxDisplayName = 256
	maxMetadata    = 16 << 10
)

// ETag changes with every write.
func (c *Customer) ETag() string { return ETag("customer/"+c.Name, c.Revision, c.Created) }

// Scoped is what a budget of the customer applies to.
func (c *Customer) Scoped() Scoped { return Scoped{Scope: ScopeCustomer, ScopeName: c.Name} }

// Check adds everything that is wrong with a new customer to p.
func (c *Customer) Check(p *Problems, taken bool) {
	checkLabel(p, "name", "customer", c.Name)
	if taken {
		p.Add("name", Taken, "A customer with the name %s exists.", c.Name)
	}
	c.CheckSettings(p)
}

// CheckSettings adds what is wrong with what can be changed later.
func (c *Customer) CheckSettings(p *Problems) {
	if len(c.DisplayName) > maxDisplayName || strings.ContainsFunc(c.DisplayName, isControl) {
		p.Add("display_name", Malformed, "The name for people is longer than %d bytes or has a control character in it.", maxDisplayName)
	}
	CheckMetadata(p, c.Metadata)
}

// CheckMetadata adds what is wrong with what an owner keeps with an object.
func CheckMetadata(p *Problems, raw json.RawMessage) {
	switch {
	case len(raw) > maxMetadata:
		p.Add("metadata", Range, "The metadata has %d bytes: at most %d are kept.", len(raw), maxMetadata)
	case strings.Contains(string(raw), `\u0000`):
		p.Add("metadata", Malformed, "The metadata has a NUL character in it, which cannot be kept.")
	}
}

// CustomerPatch changes a customer; what is nil stays.
type CustomerPatch struct {
	DisplayName *string
	Blocked     *bool
	Metadata    *json.RawMessage
}

// Apply makes the changes.
func (c *Customer) Apply(patch CustomerPatch) {
	if patch.DisplayName != nil {
		c.DisplayName = *patch.DisplayName
	}
	if patch.Blocked != nil {
		c.Blocked = *patch.Blocked
	}
	if patch.Metadata != nil {
		c.Metadata = *patch.Metadata
	}
}

// BudgetNames are names for the budget that something new gets, the best one first: "customer-acme", or with a part of a digest where
// the name does not fit into that of a budget as it is, or is taken.
func BudgetNames(kind, name string) [3]string {
	plain := kind + "-" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		default:
			return '-'
		}
	}, name)
	sum := sha256.Sum256([]byte(name))
	digest := hex.EncodeToString(sum[:])
	const most = 63
	short := fmt.Sprintf("%.*s-%s", most-9, plain, digest[:8])
	if plain != kind+"-"+name || len(plain) > most {
		plain = short
	}
	return [3]string{plain, short, fmt.Sprintf("%.*s-%s", most-25, plain, digest[:24])}
}

// Tag is a name that requests carry, to be charged to.
type Tag struct {
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Keys        int64     `json:"-"` // that have it
	Budgets     int64     `json:"-"` // on it
	Limits      int64     `json:"-"`
	Revision    int64     `json:"revision,omitempty"`
	Created     time.Time `json:"create_time,omitzero"` // when it was described; zero if nobody has
	ManagedBy   string    `json:"-"`
}

// Check adds everything that is wrong with it to p.
func (t *Tag) Check(p *Problems) {
	checkLabel(p, "name", "tag", t.Name)
	checkDescription(p, t.Description)
}
