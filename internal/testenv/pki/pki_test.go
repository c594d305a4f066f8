package pki_test

import (
	"crypto/tls"
	"io"
	"net"
	"testing"

	"tollgate/internal/testenv/pki"
)

// Guarantee: what an authority signs is taken by those who trust it, for its names alone.
func TestIssue(t *testing.T) {
	t.Parallel()
	ca := pki.New(t)
	pair := ca.Issue(t, []string{"a.example", "127.0.0.1"})
	for name, good := range map[string]bool{"a.example": true, "127.0.0.1": true, "b.example": false} {
		near, far := net.Pipe()
		server := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{pair.TLS(t)}, MinVersion: tls.VersionTLS13})
		go func() { _, _ = io.Copy(io.Discard, server) }()
		err := tls.Client(near, &tls.Config{RootCAs: ca.Pool(), ServerName: name, MinVersion: tls.VersionTLS13}).HandshakeContext(t.Context())
		if (err == nil) != good {
			t.Errorf("%s: %v", name, err)
		}
		near.Close()
	}
}
