package secretref_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"tollgate/internal/secretref"
)

// Guarantee: what edges can follow is read into its parts, and what they cannot is refused with what would be right.
func TestParse(t *testing.T) {
	t.Parallel()
	good := map[string]secretref.Ref{
		"env:BRIA_TOKEN":                 {Kind: secretref.Env, Name: "BRIA_TOKEN"},
		"file:/run/secrets/bria":         {Kind: secretref.File, Path: "/run/secrets/bria"},
		"vault:secret/vendors/bria#tok.": {Kind: secretref.Vault, Mount: "secret", Path: "vendors/bria", Field: "tok."},
	}
	for text, want := range good {
		got, err := secretref.Parse(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	bad := map[string]error{
		"":                        secretref.ErrKind,
		"BRIA":                    secretref.ErrKind,
		"http://vault":            secretref.ErrKind,
		"env:":                    secretref.ErrEnv,
		"env:1A":                  secretref.ErrEnv,
		"env:A-B":                 secretref.ErrEnv,
		"file:run/secrets":        secretref.ErrFile,
		"file:/":                  secretref.ErrFile,
		"file:/run/../etc/shadow": secretref.ErrFile,
		"file:/run//x":            secretref.ErrFile,
		"file:/run/x/":            secretref.ErrFile,
		"file:/run/x\n":           secretref.ErrFile,
		"vault:secret#f":          secretref.ErrVault,
		"vault:secret/a":          secretref.ErrVault,
		"vault:secret/a#":         secretref.ErrVault,
		"vault:secret/a/../b#f":   secretref.ErrVault,
		"vault:secret/a b#f":      secretref.ErrVault,
		"vault:secret/a?x=1#f":    secretref.ErrVault,
		"vault:/a#f":              secretref.ErrVault,
		"file:/" + strings.Repeat("a", secretref.MaxLength): secretref.ErrKind,
	}
	for text, want := range bad {
		if _, err := secretref.Parse(text); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

// FuzzParse: whatever is read is written as it was, and a path never climbs.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"env:A", "file:/a/b", "vault:m/p/q#f", "vault:m/..#f", "file:/a/..", "x:y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := secretref.Parse(text)
		if err != nil {
			return
		}
		if r.String() != text || r.Path != "" && filepath.Clean("/"+r.Path) != "/"+strings.TrimPrefix(r.Path, "/") {
			t.Errorf("%q became %+v", text, r)
		}
	})
}
