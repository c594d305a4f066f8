// Package plan is what a foreign configuration file comes to: the secrets, models, endpoints and keys
// to create, and a note on everything in the file that they do not carry over. It is data only; reading
// a format and applying a plan to a server are other packages' work.
package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/config"
	"tollgate/internal/money"
)

// Plan is what to create, in this order: nothing refers to what comes after it.
type Plan struct {
	Secrets   []Secret
	Adapters  []*controlv1.Adapter
	Models    []*controlv1.Model
	Endpoints []*controlv1.Endpoint
	Teams     []*controlv1.Team
	Customers []*controlv1.Customer
	Tags      []*controlv1.Tag
	Keys      []Key
	Budgets   []*controlv1.Budget
	Limits    []*controlv1.Limit
	Settings  Settings
	Raises    []Raise
	People    []Person
	Notes     []Note
}

// Settings are those of the whole deployment that change.
type Settings struct {
	Values *controlv1.Settings
	Given  []string // its fields that change; the others stay as they are
}

// Set changes one field.
func (s *Settings) Set(field string, change func(*controlv1.Settings)) {
	if s.Values == nil {
		s.Values = &controlv1.Settings{}
	}
	change(s.Values)
	if !slices.Contains(s.Given, field) {
		s.Given = append(s.Given, field)
	}
}

// Raise raises a budget until a time.
type Raise struct {
	Budget string
	By     money.Nanos
	Until  time.Time
}

// Person is somebody who may sign in once they are invited, and the teams that they belong to.
type Person struct {
	Email string
	Name  string
	Role  controlv1.Role
	Teams []*controlv1.TeamMembership
}

// Secret is a vendor credential that stood in the file.
type Secret struct {
	Name  string
	Value config.Secret
}

// Key is a caller's key that is taken over by its hash, so that callers need not change it.
type Key struct {
	Name   string
	SHA256 []byte
	// Settings are what else the key has; nil for nothing.
	Settings *controlv1.Key
}

// Message is the key as it is created.
func (k Key) Message() *controlv1.Key {
	if k.Settings == nil {
		return &controlv1.Key{Name: k.Name}
	}
	out := proto.CloneOf(k.Settings)
	out.Name = k.Name
	return out
}

// Level says how much a note matters.
type Level uint8

// The levels.
const (
	Info    Level = iota // carried over, or of no consequence
	Warning              // carried over, but something behaves differently
	Refused              // not carried over
)

// String is the level's name.
func (l Level) String() string {
	switch l {
	case Info:
		return "info"
	case Warning:
		return "warning"
	case Refused:
		return "refused"
	default:
		return fmt.Sprintf("level(%d)", uint8(l))
	}
}

// MarshalText makes the name what encodings show.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Note tells about one place in the file. Its text never holds a credential.
type Note struct {
	File  string `json:",omitempty"` // empty for the file that was named
	Line  int    // from 1; 0 if it is about the file as a whole
	Level Level
	Path  string // "general_settings.pass_through_endpoints[0].auth"
	Text  string
}

// Count is how many notes have a level.
func (p *Plan) Count(l Level) int {
	n := 0
	for _, note := range p.Notes {
		if note.Level == l {
			n++
		}
	}
	return n
}

// SortNotes puts the notes in the order of the file; those on one line stay as they were added.
func (p *Plan) SortNotes() {
	slices.SortStableFunc(p.Notes, func(a, b Note) int { return cmp.Compare(a.Line, b.Line) })
}
