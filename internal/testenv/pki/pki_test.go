package pki_test

import (
	"crypto/x509"
	"encoding/pem"
	"testing"

	"tollgate/internal/testenv/pki"
)

// Guarantee: what an authority signs is taken by those who trust it, for its names alone.
func TestIssue(t *testing.T) {
	t.Parallel()
	ca := pki.New(t)
	pair := ca.Issue(t, []string{"a.example", "127.0.0.1"})
	pair.TLS(t)
	block, _ := pem.Decode(pair.Cert)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for name, good := range map[string]bool{"a.example": true, "127.0.0.1": true, "b.example": false} {
		if _, err := cert.Verify(x509.VerifyOptions{Roots: ca.Pool(), DNSName: name}); (err == nil) != good {
			t.Errorf("%s: %v", name, err)
		}
	}
}
