package secrets_test

import (
	"bytes"
	"strings"
	"testing"

	"tollgate/controlplane/secrets"
	"tollgate/internal/seal"
)

func vault(t *testing.T, master, sealing string) *secrets.Vault {
	t.Helper()
	v, err := secrets.New(master, sealing)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Guarantee: what was encrypted can be sealed for edges and opened there, under its name and no
// other; neither form shows the value, nor is the same twice.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	const value = "bria-credential"
	sealing := seal.Generate()
	v := vault(t, seal.Generate(), sealing)
	a, err := v.Encrypt("sec_1", value)
	if err != nil {
		t.Fatal(err)
	}
	b, err := v.Encrypt("sec_1", value)
	if err != nil || bytes.Equal(a, b) || bytes.Contains(a, []byte(value)) {
		t.Errorf("envelopes %x %x, %v", a, b, err)
	}
	sealed, err := v.Seal("sec_1", "bria", a)
	if err != nil || bytes.Contains(sealed, []byte(value)) {
		t.Fatalf("sealed %x, %v", sealed, err)
	}
	edge, err := seal.Parse(sealing)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := edge.Open(sealed, "secret:bria"); err != nil || string(plain) != value {
		t.Errorf("opened %q, %v", plain, err)
	}
	if _, err := edge.Open(sealed, "secret:other"); err == nil {
		t.Error("opened under another name")
	}
}

// Guarantee: an envelope opens for its own row and under its own master key only, and a damaged one
// not at all; the error shows nothing of it.
func TestEnvelopeIsBound(t *testing.T) {
	t.Parallel()
	v := vault(t, seal.Generate(), seal.Generate())
	envelope, err := v.Encrypt("sec_1", "value")
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(envelope)
	damaged[len(damaged)-1] ^= 1
	other := vault(t, seal.Generate(), seal.Generate())
	for name, try := range map[string]func() error{
		"another row":  func() error { _, err := v.Seal("sec_2", "n", envelope); return err },
		"another key":  func() error { _, err := other.Seal("sec_1", "n", envelope); return err },
		"damaged":      func() error { _, err := v.Seal("sec_1", "n", damaged); return err },
		"empty":        func() error { _, err := v.Seal("sec_1", "n", nil); return err },
		"not envelope": func() error { _, err := v.Seal("sec_1", "n", []byte("value")); return err },
	} {
		if err := try(); err == nil || strings.Contains(err.Error(), "value") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Guarantee: a key of the wrong form is refused with what to do, and is not quoted.
func TestKeys(t *testing.T) {
	t.Parallel()
	good := seal.Generate()
	for _, bad := range []string{"", "c2hvcnQ=", "not base64!", good + good} {
		for _, err := range []error{newErr(bad, good), newErr(good, bad)} {
			if err == nil || !strings.Contains(err.Error(), "openssl rand") || bad != "" && strings.Contains(err.Error(), bad) {
				t.Errorf("%q: %v", bad, err)
			}
		}
	}
}

func newErr(master, sealing string) error {
	_, err := secrets.New(master, sealing)
	return err
}

// FuzzEnvelope: no bytes make opening an envelope panic.
func FuzzEnvelope(f *testing.F) {
	v, err := secrets.New(seal.Generate(), seal.Generate())
	if err != nil {
		f.Fatal(err)
	}
	good, err := v.Encrypt("sec_1", "value")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{0, 0, 0, 1, 2})
	f.Fuzz(func(t *testing.T, envelope []byte) {
		if _, err := v.Seal("sec_1", "n", envelope); err == nil && !bytes.Equal(envelope, good) {
			t.Errorf("opened %x", envelope)
		}
	})
}
