package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tollgate/internal/testenv"
	"tollgate/internal/testenv/pki"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

const patience = 10 * time.Second

type dir struct {
	t *testing.T
	Files
	ca *pki.Authority
}

func newDir(t *testing.T) *dir {
	t.Helper()
	at := t.TempDir()
	d := &dir{t, Files{Cert: filepath.Join(at, "c.pem"), Key: filepath.Join(at, "k.pem"), MinVersion: tls.VersionTLS12}, pki.New(t)}
	d.issue("first.example")
	return d
}

func (d *dir) write(path string, data []byte) {
	d.t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *dir) issue(name string) pki.Pair {
	d.t.Helper()
	pair := d.ca.Issue(d.t, []string{name})
	d.write(d.Cert, pair.Cert)
	d.write(d.Key, pair.Key)
	return pair
}

// shake makes one handshake and says whose certificate was shown. The server's view of it is what
// counts, because a client of TLS 1.3 is done before its certificate was looked at.
func shake(t *testing.T, s *Store, client *tls.Config) (name string, err error) {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	done := make(chan struct{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() {
		conn := tls.Client(near, client)
		_ = conn.HandshakeContext(ctx)
		if certs := conn.ConnectionState().PeerCertificates; len(certs) > 0 {
			name = certs[0].DNSNames[0]
		}
		_, _ = conn.Read(make([]byte, 1)) // takes what the server says last
		close(done)
	}()
	server := tls.Server(far, s.TLS())
	err = server.HandshakeContext(ctx)
	far.Close()
	<-done
	return name, err
}

func (d *dir) client(change ...func(*tls.Config)) *tls.Config {
	cfg := &tls.Config{RootCAs: d.ca.Pool(), InsecureSkipVerify: true, NextProtos: []string{"h2"}}
	for _, f := range change {
		f(cfg)
	}
	return cfg
}

// Guarantee: a certificate that parses and matches its key is shown as soon as it is seen; anything else
// leaves the one before in place and is told once.
func TestChange(t *testing.T) {
	t.Parallel()
	d := newDir(t)
	var log bytes.Buffer
	s, err := Open(d.Files, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	want := func(what, name string, lines int) {
		t.Helper()
		s.look()
		s.look()
		got, err := shake(t, s, d.client())
		if err != nil || got != name {
			t.Errorf("%s: got %q, %v, want %q", what, got, err, name)
		}
		if n := strings.Count(log.String(), "\n"); n != lines {
			t.Errorf("%s: %d lines were logged, want %d: %s", what, n, lines, log.String())
		}
	}
	want("unchanged", "first.example", 0)
	second := d.ca.Issue(t, []string{"second.example"})
	d.write(d.Cert, second.Cert)
	want("half a change", "first.example", 1)
	d.write(d.Key, second.Key)
	want("all of it", "second.example", 2)
	d.write(d.Cert, []byte("nothing"))
	want("nonsense", "second.example", 3)
	if err := os.Remove(d.Key); err != nil {
		t.Fatal(err)
	}
	want("no key", "second.example", 4)
	third := d.issue("third.example")
	want("good again", "third.example", 5)
	if bytes.Contains(log.Bytes(), third.Key[30:60]) {
		t.Error("a key was logged")
	}
}

// Guarantee: what cannot be used from the beginning is an error that names the file.
func TestOpen(t *testing.T) {
	t.Parallel()
	d := newDir(t)
	none := filepath.Join(t.TempDir(), "none.pem")
	for name, f := range map[string]Files{
		"no certificate": {Cert: none, Key: d.Key}, "a key as certificate": {Cert: d.Key, Key: d.Key},
		"no authority": {Cert: d.Cert, Key: d.Key, ClientCA: none}, "a key as authority": {Cert: d.Cert, Key: d.Key, ClientCA: d.Key},
	} {
		_, err := Open(f, slog.New(slog.DiscardHandler))
		bad := f.Cert
		if f.ClientCA != "" {
			bad = f.ClientCA
		}
		if err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Guarantee: where an authority is set, only callers with its certificate get in, also after it was
// replaced by another one; and nobody gets in with an older version than is allowed.
func TestDemands(t *testing.T) {
	t.Parallel()
	d := newDir(t)
	other := pki.New(t)
	d.ClientCA = filepath.Join(t.TempDir(), "ca.pem")
	d.write(d.ClientCA, d.ca.PEM)
	d.MinVersion = tls.VersionTLS13
	s, err := Open(d.Files, testenv.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	mine, theirs := d.ca.Issue(t, []string{"me"}).TLS(t), other.Issue(t, []string{"them"}).TLS(t)
	with := func(c tls.Certificate) *tls.Config {
		return d.client(func(cfg *tls.Config) { cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1) }, func(cfg *tls.Config) {
			// Sent whichever authorities the server names.
			cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }
		})
	}
	check := func(when string, cfg *tls.Config, good bool) {
		t.Helper()
		if _, err := shake(t, s, cfg); (err == nil) != good {
			t.Errorf("%s: %v", when, err)
		}
	}
	known := with(mine)
	check("the right one", known, true)
	check("none", d.client(), false)
	check("another authority's", with(theirs), false)
	check("an old version", d.client(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12; c.Certificates = []tls.Certificate{mine} }), false)
	d.write(d.ClientCA, other.PEM)
	s.look()
	check("the other authority's, after a change", with(theirs), true)
	check("the first one's, after a change", known, false)
}

// Guarantee: callers agree on HTTP/2 if they can, and on nothing that HTTP/2 forbids.
func TestOffer(t *testing.T) {
	t.Parallel()
	d := newDir(t)
	s, err := Open(d.Files, testenv.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	weak := d.client(func(c *tls.Config) {
		c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
	})
	if _, err := shake(t, s, weak); err == nil {
		t.Error("a cipher suite that HTTP/2 forbids was taken")
	}
	if _, err := shake(t, s, d.client(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })); err != nil {
		t.Errorf("TLS 1.2: %v", err)
	}
	if _, err := x509.ParseCertificate(s.current.Load().Certificates[0].Certificate[0]); err != nil {
		t.Error(err)
	}
}

// Guarantee: Run sees a change by itself, and ends with its context.
func TestRun(t *testing.T) {
	t.Parallel()
	d := newDir(t)
	s, err := Open(d.Files, testenv.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	s.every = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	d.issue("second.example")
	for end := time.Now().Add(patience); ; {
		if name, err := shake(t, s, d.client()); err == nil && name == "second.example" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the new certificate is not shown")
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
