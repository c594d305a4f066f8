package registry

import (
	"encoding/pem"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"tollgate/internal/id"
	"tollgate/internal/secretref"
)

// Secret is a vendor credential without its value.
type Secret struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Description string     `json:"description,omitempty"`
	Reference   string     `json:"reference,omitempty"` // where edges find the value; empty for one that is stored
	Version     int64      `json:"version"`             // of the value, from 1
	Endpoints   []string   `json:"endpoints"`           // names of those that refer to it
	Models      []string   `json:"models,omitempty"`
	Adapters    []string   `json:"adapters,omitempty"`
	ManagedBy   string     `json:"-"`
	RollbackEnd *time.Time `json:"rollback_end_time,omitempty"` // nil if there is no value before that can be brought back
	Created     time.Time  `json:"create_time"`
	Updated     time.Time  `json:"update_time"` // of its value
	Revision    int64      `json:"revision"`
}

// Used says whether anything refers to it.
func (s *Secret) Used() bool { return len(s.Endpoints)+len(s.Models)+len(s.Adapters) > 0 }

// ETag changes with every write.
func (s *Secret) ETag() string { return ETag(s.ID, s.Revision, s.Updated) }

// RollbackWindow is how long the value before a rotation can be brought back.
const RollbackWindow = 24 * time.Hour

// Codes of what is wrong with a reference. They are part of the API.
const (
	ReferenceKind  = "reference_kind"
	ReferenceEnv   = "reference_env"
	ReferenceFile  = "reference_file"
	ReferenceVault = "reference_vault"
)

// CheckSecretReference adds what is wrong with a reference. It may be a value that somebody has put into the wrong field,
// so it is not quoted.
func CheckSecretReference(p *Problems, reference string) {
	_, err := secretref.Parse(reference)
	if err == nil {
		return
	}
	code := ReferenceKind
	switch {
	case errors.Is(err, secretref.ErrEnv):
		code = ReferenceEnv
	case errors.Is(err, secretref.ErrFile):
		code = ReferenceFile
	case errors.Is(err, secretref.ErrVault):
		code = ReferenceVault
	}
	p.Add("reference", code, "%s", err)
}

// CheckNewSecret adds what is wrong with where a new secret has its value.
func CheckNewSecret(p *Problems, value, reference string) {
	switch {
	case reference == "":
		CheckSecretValue(p, value)
	case value != "":
		p.Add("reference", Forbidden, "A secret has a value or a reference to one: leave one of them out.")
	default:
		CheckSecretReference(p, reference)
	}
}

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

// maxSecretDescription bounds what is said of a secret, in characters.
const maxSecretDescription = 1024

// CheckSecretDescription adds what is wrong with what is said about a secret.
func CheckSecretDescription(p *Problems, text string) {
	switch {
	case utf8.RuneCountInString(text) > maxSecretDescription:
		p.Add("description", Range, "The description is longer than %d characters.", maxSecretDescription)
	case strings.ContainsFunc(text, func(r rune) bool { return control(r) && r != '\n' && r != '\t' }):
		p.Add("description", Malformed, "The description has a control character in it.")
	}
}
