// Package certs keeps the certificate that an edge shows to callers, and the authorities whose
// certificates it demands of them, as current as the files they come from. What does not parse, or does
// not match its key, never takes the place of what does.
//
// It is for the listening side alone: which certificates of targets are trusted is the configuration's.
package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// Files say where certificates are.
type Files struct {
	Cert, Key string
	ClientCA  string // of authorities whose certificates callers must have; empty if they need none
	// MinVersion is the oldest version of TLS.
	MinVersion uint16
}

// lookEvery is how often the files are read. They are small, and reading them finds every way in which
// a file can change.
const lookEvery = 2 * time.Second

// Store holds what is shown and demanded now.
type Store struct {
	files   Files
	log     *slog.Logger
	every   time.Duration
	current atomic.Pointer[tls.Config]
	// seen is what the files held when they were last looked at, whether it was good or not, so that
	// each change is tried and told once. Only Run and Open use it.
	seen contents
}

// contents are the bytes of the files, or why there are none.
type contents struct {
	cert, key, ca []byte
	problem       string
}

// Open reads the files, which must be good.
func Open(files Files, log *slog.Logger) (*Store, error) {
	s := &Store{files: files, log: log, every: lookEvery, seen: read(files)}
	cfg, err := s.build(s.seen)
	if err != nil {
		return nil, err
	}
	s.current.Store(cfg)
	return s, nil
}

// TLS is the configuration of a listener. Each handshake uses what is current.
func (s *Store) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:         s.files.MinVersion,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.current.Load(), nil },
	}
}

// Run follows the files until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.look()
		}
	}
}

// look takes over what has changed, if it is good. Files that belong together are not changed in one
// moment, so that a pair that does not match is often just half of a change.
func (s *Store) look() {
	now := read(s.files)
	if now.equal(s.seen) {
		return
	}
	s.seen = now
	cfg, err := s.build(now)
	if err != nil {
		s.log.Warn("changed TLS files are not used; the last good ones stay", "err", err)
		return
	}
	s.current.Store(cfg)
	s.log.Info("TLS files were taken over", "not_after", cfg.Certificates[0].Leaf.NotAfter.UTC())
}

func read(files Files) (c contents) {
	var err error
	for _, f := range []struct {
		path string
		to   *[]byte
	}{{files.Cert, &c.cert}, {files.Key, &c.key}, {files.ClientCA, &c.ca}} {
		if f.path == "" || err != nil {
			continue
		}
		*f.to, err = os.ReadFile(f.path)
	}
	if err != nil {
		return contents{problem: err.Error()}
	}
	return c
}

func (c contents) equal(o contents) bool {
	return c.problem == o.problem && bytes.Equal(c.cert, o.cert) && bytes.Equal(c.key, o.key) && bytes.Equal(c.ca, o.ca)
}

func (s *Store) build(c contents) (*tls.Config, error) {
	if c.problem != "" {
		return nil, errors.New(c.problem)
	}
	pair, err := tls.X509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, fmt.Errorf("%s with %s: %w", s.files.Cert, s.files.Key, err)
	}
	cfg := &tls.Config{
		MinVersion:   s.files.MinVersion,
		Certificates: []tls.Certificate{pair},
		NextProtos:   []string{"h2", "http/1.1"},
		// For TLS 1.2: what HTTP/2 allows, which is what has forward secrecy and is authenticated.
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
	}
	if s.files.ClientCA != "" {
		cfg.ClientCAs, cfg.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if !cfg.ClientCAs.AppendCertsFromPEM(c.ca) {
			return nil, fmt.Errorf("%s holds no certificate", s.files.ClientCA)
		}
		// A session that is resumed would outlive the authority that vouched for it.
		cfg.SessionTicketsDisabled = true
	}
	return cfg, nil
}
