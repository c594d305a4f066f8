package registry

import (
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/internal/contract"
	"tollgate/internal/id"
)

// Key is what a caller presents, without its secret.
type Key struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Prefix     string    `json:"prefix"`
	Restricted bool      `json:"restricted"` // may call Endpoints only, even if that is none
	Endpoints  []string  `json:"endpoints"`  // names
	Expires    time.Time `json:"expire_time,omitzero"`
	Revoked    time.Time `json:"revoke_time,omitzero"`
	Created    time.Time `json:"create_time"`
	Revision   int64     `json:"revision"`
	Models     []string  `json:"models,omitempty"` // patterns of what it may ask for, sorted; empty: all
	Charged
}

// maxKeyModels is how many patterns a key can have.
const maxKeyModels = 1000

// NormalizeModels puts patterns of models in order.
func NormalizeModels(patterns []string) []string { return slices.Sorted(slices.Values(patterns)) }

// CheckModels adds what is wrong with the patterns of models of a key.
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

// Team is a group of keys.
type Team struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Created  time.Time `json:"create_time"`
	Revision int64     `json:"revision"`
}

// CheckTeamName adds what is wrong with the name of a new team.
func CheckTeamName(p *Problems, name string, taken bool) {
	checkName(p, objectName, id.Team, name)
	if taken {
		p.Add("name", Taken, "A team with the name %s exists.", name)
	}
}

// KeyFacts is what the rules of new keys need to know of the world.
type KeyFacts struct {
	Now        time.Time
	NameTaken  bool
	HashHolder string          // name of the key that has the same secret
	Known      map[string]bool // which of Endpoints exist
	TeamFound  bool
}

// Check adds everything that is wrong with a new key to p. Endpoints are as they were asked for.
func (k *Key) Check(p *Problems, facts KeyFacts) {
	checkName(p, objectName, id.Key, k.Name)
	if facts.NameTaken {
		p.Add("name", Taken, "A key with the name %s exists.", k.Name)
	}
	if facts.HashHolder != "" {
		p.Add("secret_sha256", Taken, "Key %s has this secret.", facts.HashHolder)
	}
	for i, e := range k.Endpoints {
		switch field := fmt.Sprintf("endpoints[%d]", i); {
		case !facts.Known[e]:
			p.Add(field, Unknown, "There is no endpoint %q.", clip(e))
		case slices.Contains(k.Endpoints[:i], e):
			p.Add(field, Duplicate, "The endpoint %s is listed twice.", e)
		}
	}
	if !k.Expires.IsZero() && !k.Expires.After(facts.Now) && !p.Has("expire_time") {
		p.Add("expire_time", Range, "The key would expire at %s, which is past.", k.Expires.UTC().Format(time.RFC3339))
	}
	CheckModels(p, k.Models)
	k.Charged.Check(p, facts.TeamFound)
}

// Secret is a vendor credential without its value.
type Secret struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Endpoints []string  `json:"endpoints"` // names of those that refer to it
	Models    []string  `json:"models,omitempty"`
	Adapters  []string  `json:"adapters,omitempty"`
	Created   time.Time `json:"create_time"`
	Updated   time.Time `json:"update_time"`
	Revision  int64     `json:"revision"`
}

// Used says whether anything refers to it.
func (s *Secret) Used() bool { return len(s.Endpoints)+len(s.Models)+len(s.Adapters) > 0 }

// MaxSecret is the longest credential in bytes.
const MaxSecret = 64 << 10

// CheckSecretName adds what is wrong with the name of a new secret.
func CheckSecretName(p *Problems, name string, taken bool) {
	checkName(p, objectName, id.Secret, name)
	if taken {
		p.Add("name", Taken, "A secret with the name %s exists: rotate it to replace its value.", name)
	}
}

// CheckSecretValue adds what is wrong with a credential, without ever quoting it. A line end is
// nearly always the one that an editor or `echo` left behind, and would make every request fail. Certificates
// and their keys consist of lines; they are for TLS, and an edge puts none into a header.
func CheckSecretValue(p *Problems, value string) {
	control := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
	switch {
	case value == "":
		p.Add("value", Required, "Give the secret a value.")
	case len(value) > MaxSecret:
		p.Add("value", Range, "The value is longer than %d bytes.", MaxSecret)
	case inPEM(value):
	case strings.HasSuffix(value, "\n"):
		p.Add("value", Malformed, "The value ends with a line end, which cannot be sent in a header: send it without.")
	case strings.ContainsFunc(value, control):
		p.Add("value", Malformed, "The value has a line end or another control character in it, which cannot be sent in a header.")
	}
}

// inPEM says whether a text is lines in which there is something in PEM.
func inPEM(text string) bool {
	block, _ := pem.Decode([]byte(text))
	return block != nil && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\r\n", r) || r == 0x7f })
}
