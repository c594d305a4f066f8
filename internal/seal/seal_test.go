package seal_test

import (
	"bytes"
	"testing"

	"tollgate/internal/seal"
)

// Guarantee: a sealed value opens under its own key and context, and under no other.
func TestOpenNeedsKeyAndContext(t *testing.T) {
	t.Parallel()
	a, err := seal.Parse(seal.Generate())
	if err != nil {
		t.Fatal(err)
	}
	b, err := seal.Parse(seal.Generate())
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a.ID(), b.ID()) {
		t.Error("two keys have one ID")
	}
	sealed, err := a.Seal([]byte("bria-token"), "secret:bria")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := a.Open(sealed, "secret:bria"); err != nil || string(got) != "bria-token" {
		t.Errorf("Open = %q, %v", got, err)
	}
	if _, err := a.Open(sealed, "secret:other"); err == nil {
		t.Error("opened under another context")
	}
	if _, err := b.Open(sealed, "secret:bria"); err == nil {
		t.Error("opened under another key")
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := a.Open(sealed, "secret:bria"); err == nil {
		t.Error("opened after a change")
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "short", "bm90IDMyIGJ5dGVz"} {
		if _, err := seal.Parse(text); err == nil {
			t.Errorf("Parse(%q) succeeded", text)
		}
	}
}
