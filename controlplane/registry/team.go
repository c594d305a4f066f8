package registry

import (
	"encoding/json"
	"time"

	"tollgate/internal/id"
)

// Team is a group of keys, and of people who look after them.
type Team struct {
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Restricted  bool            `json:"restricted,omitempty"` // its keys may call Endpoints at most, even if that is none
	Endpoints   []string        `json:"endpoints,omitempty"`  // names
	Models      []string        `json:"models,omitempty"`     // patterns of what its keys may ask for at most; empty: all
	Metadata    json.RawMessage `json:"metadata,omitempty"`   // an object
	Blocked     bool            `json:"blocked,omitempty"`
	Members     []TeamMember    `json:"members,omitempty"` // by e-mail address
	Created     time.Time       `json:"create_time"`
	Revision    int64           `json:"revision"`

	Keys      int64  `json:"-"` // that are not revoked
	ManagedBy string `json:"-"` // owner of the file; empty for none
}

// TeamMember is a person in a team. The numbers of the roles are those of the API.
type TeamMember struct {
	PersonID string `json:"person_id"`
	Email    string `json:"email"`
	Role     int32  `json:"role"`
}

// ETag changes with every write.
func (t *Team) ETag() string { return ETag(t.ID, t.Revision, t.Created) }

// Normalize puts lists in order.
func (t *Team) Normalize() { t.Models = NormalizeModels(t.Models) }

// TeamFacts is what the rules of teams need to know of the world.
type TeamFacts struct {
	NameTaken bool
	Known     map[string]bool // which of Endpoints exist
}

// Check adds everything that is wrong with a normalized team to p. Endpoints are as they were asked for.
func (t *Team) Check(p *Problems, facts TeamFacts) {
	checkName(p, objectName, id.Team, t.Name)
	if facts.NameTaken {
		p.Add("name", Taken, "A team with the name %s exists.", t.Name)
	}
	if !t.Restricted && len(t.Endpoints) > 0 {
		p.Add("endpoints", Forbidden, "Endpoints limit the keys of a team that is restricted: set restricted as well, or leave them out.")
	}
	checkEndpoints(p, t.Endpoints, facts.Known)
	CheckModels(p, t.Models)
	checkDescription(p, t.Description)
	CheckMetadata(p, t.Metadata)
}
