package signin

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"tollgate/internal/fault"
)

// CookieName is that of the cookie with the session of a browser.
const CookieName = "tollgate_session"

// Cookie is the session for a browser. Only over plain HTTP on this machine does it go unencrypted.
func (s *Service) Cookie(r Request, started Started) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure but where there is no TLS to be had
		Name: CookieName, Value: started.Secret, Path: s.path + "/", Expires: started.Session.Expires, HttpOnly: true,
		Secure: s.secure(r), SameSite: http.SameSiteLaxMode,
	}
}

// NoCookie makes a browser forget its session.
func (s *Service) NoCookie(r Request) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // as above
		Name: CookieName, Path: s.path + "/", MaxAge: -1, HttpOnly: true, Secure: s.secure(r), SameSite: http.SameSiteLaxMode,
	}
}

// Request is what decides about cookies.
type Request struct {
	Host string
	TLS  bool
}

// RequestOf is that of an HTTP request.
func RequestOf(r *http.Request) Request { return Request{r.Host, r.TLS != nil} }

// BaseURL is where the caller reached this server.
func (r Request) BaseURL() string {
	scheme := "http"
	if r.TLS {
		scheme = "https"
	}
	return (&url.URL{Scheme: scheme, Host: r.Host}).String()
}

func (s *Service) secure(r Request) bool {
	if r.TLS || s.cfg.BaseURL == "" {
		return r.TLS || !loopback(r.Host)
	}
	u, err := url.Parse(s.cfg.BaseURL)
	return err != nil || u.Scheme != "http" || !loopback(u.Host)
}

// CheckOrigin refuses requests that another site made a browser send with our cookie.
func (s *Service) CheckOrigin(r *http.Request) error {
	if err := s.foreign.Check(r); err != nil {
		return fault.New(fault.PermissionDenied, "The request comes from another site.").
			WithHint("Set public_url to the address at which browsers reach the control plane.").WithCause(err)
	}
	return nil
}

// sealer keeps small things in cookies that only control planes of this deployment can read or make.
type sealer struct{ aead cipher.AEAD }

func newSealer(key []byte) (sealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, fmt.Errorf("key of cookies: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return sealer{aead}, err
}

type sealed struct {
	Until time.Time       `json:"until"`
	Value json.RawMessage `json:"value"`
}

func (s sealer) seal(what string, v any, lasts time.Duration) (string, error) {
	value, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	raw, err := json.Marshal(sealed{time.Now().Add(lasts), value})
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, raw, []byte(what))), nil //nolint:gosec // the AEAD makes the nonce
}

var errCookie = errors.New("the cookie is not one of ours, or has expired")

func (s sealer) open(what, text string, v any) error {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return errCookie
	}
	plain, err := s.aead.Open(nil, nil, raw, []byte(what))
	if err != nil {
		return errCookie
	}
	var inside sealed
	if err := json.Unmarshal(plain, &inside); err != nil || time.Now().After(inside.Until) {
		return errCookie
	}
	return json.Unmarshal(inside.Value, v)
}
