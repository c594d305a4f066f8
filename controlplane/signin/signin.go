// Package signin lets people and programs prove who they are: passwords, links to set one, single sign-on by OpenID Connect,
// command lines that are let in from a browser, sessions and tokens. What they prove holds for a bounded time, also where a
// process remembers it for a moment, and no secret of theirs is kept but as a hash. What they may do then is no matter of this
// package.
package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"tollgate/controlplane/access"
	"tollgate/controlplane/store"
	"tollgate/internal/fault"
)

// What credentials look like: a prefix by which scanners for leaked ones find them, and 256 random bits.
const (
	TokenPrefix   = "tgs_" // tokens of programs
	SessionPrefix = "tgu_" // sessions of people
	linkPrefix    = "tgn_" // links
	devicePrefix  = "tgd_" // command lines that wait
)

const (
	// remember is how long a process goes on with what the database said of a credential: a session that was ended or a token
	// that was revoked elsewhere works for that long at most.
	remember   = 2 * time.Second
	remembered = 10_000

	setupLasts  = 24 * time.Hour
	inviteLasts = 7 * 24 * time.Hour
	linkLasts   = 30 * time.Minute
	deviceLasts = 10 * time.Minute
	answersLast = 24 * time.Hour
)

// Config is what an operator decides about signing in.
type Config struct {
	BaseURL string // where browsers reach this server, without a slash at the end; its path is one that a proxy takes away
	Idle    time.Duration
	Total   time.Duration
	OIDC    OIDC
	Proxies []string // networks of proxies whose X-Forwarded-For is believed
	Quiet   bool     // the process says itself how to set up the first owner; otherwise it is logged
	Key     []byte   // 32 bytes that all control planes share; nil makes one that no other knows
}

// DefaultConfig is for a server of its own.
func DefaultConfig() Config { return Config{Idle: 12 * time.Hour, Total: 7 * 24 * time.Hour} }

// Service signs people in and finds out who calls. It is safe for concurrent use.
type Service struct {
	cfg       Config
	path      string // of BaseURL
	store     *store.Store
	log       *slog.Logger
	passwords *passwords
	attempts  *attempts
	provider  *provider // nil without single sign-on
	proxies   proxies
	sealer    sealer
	foreign   *http.CrossOriginProtection

	mu    sync.Mutex // guards known
	known map[[32]byte]knowledge
}

type knowledge struct {
	caller *access.Caller
	until  time.Time
}

// New makes a service. It reaches for nothing until it is asked something.
func New(cfg Config, s *store.Store, log *slog.Logger) (*Service, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if cfg.Key == nil {
		cfg.Key = make([]byte, 32)
		rand.Read(cfg.Key)
	}
	sealer, err := newSealer(cfg.Key)
	if err != nil {
		return nil, err
	}
	proxies, err := parseProxies(cfg.Proxies)
	if err != nil {
		return nil, err
	}
	service := &Service{
		cfg: cfg, store: s, log: log, passwords: newPasswords(), attempts: newAttempts(time.Now), proxies: proxies, sealer: sealer,
		foreign: http.NewCrossOriginProtection(), known: map[[32]byte]knowledge{},
	}
	if cfg.BaseURL != "" {
		u, err := url.Parse(cfg.BaseURL)
		if err != nil {
			return nil, err
		}
		service.path = strings.TrimRight(u.Path, "/")
		if err := service.foreign.AddTrustedOrigin(origin(cfg.BaseURL)); err != nil {
			return nil, err
		}
	}
	if cfg.OIDC.Issuer != "" {
		service.provider = &provider{cfg: cfg.OIDC, redirect: cfg.BaseURL + callbackPath, client: &http.Client{Timeout: 10 * time.Second}}
	}
	return service, nil
}

// newSecret makes a credential and what is kept of it.
func newSecret(prefix string) (secret string, hash [32]byte) {
	raw := make([]byte, 32)
	rand.Read(raw) // never fails: the runtime ends the process instead
	secret = prefix + base64.RawURLEncoding.EncodeToString(raw)
	return secret, Hash(secret)
}

// NewToken makes the secret of a token and what is kept of it.
func NewToken() (secret string, hash [32]byte) { return newSecret(TokenPrefix) }

// Hash is what is kept of a credential. They are random enough for a fast one.
func Hash(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }

// Identify finds who holds a token or a session. The secret is looked up by its hash, so that how long that takes tells nothing
// of any other.
func (s *Service) Identify(ctx context.Context, secret, address string) (*access.Caller, error) {
	hash := Hash(secret)
	now := time.Now()
	s.mu.Lock()
	k, ok := s.known[hash]
	s.mu.Unlock()
	if ok && now.Before(k.until) && (k.caller.Expires.IsZero() || now.Before(k.caller.Expires)) {
		return k.caller, nil
	}
	caller, err := s.lookUp(ctx, secret, hash, address)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= remembered {
		clear(s.known)
	}
	s.known[hash] = knowledge{caller, now.Add(remember)}
	return caller, nil
}

func (s *Service) lookUp(ctx context.Context, secret string, hash [32]byte, address string) (*access.Caller, error) {
	notFound := fault.New(fault.ObjectNotFound, "")
	switch {
	case strings.HasPrefix(secret, TokenPrefix):
		t, err := s.store.TokenBySecret(ctx, hash)
		if errors.Is(err, notFound) {
			return nil, fault.New(fault.UnauthenticatedErr, "The token is not known: it was revoked, it has expired, or it is mistyped.")
		}
		if err != nil {
			return nil, err
		}
		return access.OfToken(&t), nil
	case strings.HasPrefix(secret, SessionPrefix):
		session, p, err := s.store.Session(ctx, hash, s.cfg.Idle, address)
		if errors.Is(err, notFound) {
			return nil, fault.New(fault.UnauthenticatedErr, "The session has ended.").WithHint("Sign in again; on a command line with `tollgate login`.")
		}
		if err != nil {
			return nil, err
		}
		c := access.OfPerson(&p)
		c.Session, c.Expires = session.ID, session.Expires
		return c, nil
	default:
		return nil, fault.New(fault.UnauthenticatedErr, "The token is not the right one.")
	}
}

// forget makes this process ask the database again about everybody.
func (s *Service) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.known)
}

// Run removes what has ended, until the context ends. At its start it says how to set up an owner where there is none, unless it
// is to be quiet.
func (s *Service) Run(ctx context.Context) error {
	if !s.cfg.Quiet {
		s.offerSetup(ctx)
	}
	t := time.NewTicker(time.Hour)
	defer t.Stop()
	for {
		if err := s.store.SweepSignIns(ctx, s.cfg.Idle, answersLast); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "ended sign-ins were not removed", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

func (s *Service) offerSetup(ctx context.Context) {
	link, err := s.OfferSetup(ctx, setupLasts)
	if link != "" {
		s.log.WarnContext(ctx, "nobody can sign in yet: open this link to set up the owner", "link", link, "works_for", setupLasts.String())
	}
	if err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "no link to set up an owner could be made: get one with `tollgate admin link`", "err", err)
	}
}

// OfferSetup makes a link to set up an owner with, or none where one was set up.
func (s *Service) OfferSetup(ctx context.Context, lasts time.Duration) (string, error) {
	has, err := s.store.HasOwner(ctx)
	if err != nil || has {
		return "", err
	}
	return setupLink(ctx, s.store, s.cfg.BaseURL, lasts)
}

// SetupLink makes a link by which whoever opens it becomes an owner, once.
func SetupLink(ctx context.Context, s *store.Store, baseURL string) (string, error) {
	return setupLink(ctx, s, baseURL, setupLasts)
}

func setupLink(ctx context.Context, s *store.Store, baseURL string, lasts time.Duration) (string, error) {
	secret, hash := newSecret(linkPrefix)
	if err := s.CreateSetupLink(ctx, hash, lasts); err != nil {
		return "", err
	}
	return linkTo(baseURL, secret), nil
}

// linkTo puts the secret where no server sees it, and no log.
func linkTo(baseURL, secret string) string { return baseURL + "/setup#token=" + secret }
