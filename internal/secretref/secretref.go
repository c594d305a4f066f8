// Package secretref reads the references by which a secret says where edges find its value: "env:NAME",
// "file:/path" and "vault:MOUNT/PATH#FIELD". The control plane refuses by it what edges could not follow; following one
// is the edges' business alone.
package secretref

import (
	"errors"
	"path"
	"strings"
)

// Kind is where a value is found.
type Kind string

// The kinds, as references begin with them.
const (
	Env   Kind = "env"
	File  Kind = "file"
	Vault Kind = "vault"
)

// Ref is a reference that was read. Only the fields of its kind are set.
type Ref struct {
	Kind  Kind
	Name  string // of the environment variable
	Path  string // of the file, absolute and clean; or in the engine of Vault
	Mount string // of the engine, key-value version 2
	Field string // of the value in Vault
}

// Bounds of a reference and its parts.
const (
	MaxLength = 1024
	maxName   = 128
)

// Errors say what is wrong with a reference, as a sentence for people.
var (
	ErrKind  = errors.New("A reference is env:NAME, file:/path or vault:MOUNT/PATH#FIELD.")                                                                              //nolint:staticcheck,revive // shown as a sentence
	ErrEnv   = errors.New("The name of an environment variable is 1 to 128 letters, digits and underscores, and does not begin with a digit.")                           //nolint:staticcheck,revive // shown as a sentence
	ErrFile  = errors.New("The path of a file is absolute, without . and .. and without a slash at its end, such as file:/run/secrets/vendor.")                          //nolint:staticcheck,revive // shown as a sentence
	ErrVault = errors.New("A reference to Vault is vault:MOUNT/PATH#FIELD, of letters, digits, hyphens, underscores and dots, such as vault:secret/vendors/bria#token.") //nolint:staticcheck,revive // shown as a sentence
)

// Parse reads a reference. It fails with one of the errors above.
func Parse(text string) (Ref, error) {
	kind, rest, ok := strings.Cut(text, ":")
	if !ok || len(text) > MaxLength {
		return Ref{}, ErrKind
	}
	switch Kind(kind) {
	case Env:
		if !variable(rest) {
			return Ref{}, ErrEnv
		}
		return Ref{Kind: Env, Name: rest}, nil
	case File:
		if !strings.HasPrefix(rest, "/") || rest == "/" || path.Clean(rest) != rest || strings.ContainsFunc(rest, control) {
			return Ref{}, ErrFile
		}
		return Ref{Kind: File, Path: rest}, nil
	case Vault:
		where, field, ok := strings.Cut(rest, "#")
		mount, in, deep := strings.Cut(where, "/")
		if !ok || !deep || !segment(mount) || !segment(field) {
			return Ref{}, ErrVault
		}
		for part := range strings.SplitSeq(in, "/") {
			if !segment(part) {
				return Ref{}, ErrVault
			}
		}
		return Ref{Kind: Vault, Mount: mount, Path: in, Field: field}, nil
	default:
		return Ref{}, ErrKind
	}
}

// String is the reference as it is written.
func (r Ref) String() string {
	switch r.Kind {
	case Env:
		return "env:" + r.Name
	case File:
		return "file:" + r.Path
	default:
		return "vault:" + r.Mount + "/" + r.Path + "#" + r.Field
	}
}

func control(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }

func variable(s string) bool {
	if s == "" || len(s) > maxName || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && c != '_' {
			return false
		}
	}
	return true
}

// segment is a part of a path that means itself in a URL. One of dots alone would climb.
func segment(s string) bool {
	if s == "" || len(s) > maxName || strings.Trim(s, ".") == "" {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
