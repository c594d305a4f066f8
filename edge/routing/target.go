package routing

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"tollgate/edge/breaker"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Target is a base URL behind an endpoint.
type Target struct {
	URL       string // as configured; its query may be a credential
	Name      string // the URL without its query, for breakers, metrics, logs and people
	Scheme    string // "http" or "https"
	Host      string // with the port, if one was given
	BasePath  string // raw, without a slash at its end
	BaseQuery string // raw, without "?"

	Weight    uint32 // at least 1
	Priority  uint32
	Transport Transport
	// Key tells connections apart: targets with the same one share them.
	Key string
	// BreakerKey tells circuit breakers apart: targets of the same name that are judged alike share one.
	BreakerKey string
	Breaker    breaker.Settings

	slash bool // the base path was written with a slash at its end
}

// Transport is how connections to a target are made.
type Transport struct {
	HTTP       eventv1.TargetHttp
	Connect    time.Duration // for a connection, and again for TLS; 0 for the edge's default
	CA         string        // PEM; empty for the system's
	ClientCert string        // PEM; empty for none
	ClientKey  string        // PEM, a secret
	ServerName string        // empty for the host
	MinTLS     uint16        // as in crypto/tls; 0 for 1.2
	SkipVerify bool
}

func newTarget(raw string) (*Target, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("target is not a URL") // the text may hold a credential
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("target has scheme %q: use http or https", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("target has no host")
	case u.User != nil:
		return nil, errors.New("target has a user name in it: set a header instead")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return nil, errors.New("target has a fragment")
	}
	path := u.EscapedPath()
	base := strings.TrimRight(path, "/")
	name := strings.TrimSuffix(u.Scheme+"://"+u.Host+path, "/")
	return &Target{
		URL: raw, Name: name, Scheme: u.Scheme, Host: u.Host,
		BasePath: base, BaseQuery: u.RawQuery, slash: path != base,
		Weight: 1, Key: u.Scheme + "://" + u.Host, BreakerKey: name, Breaker: breaker.DefaultSettings(),
	}, nil
}

// path is the base path and what follows it, with one slash where they meet.
func (t *Target) path(rest string) string { return string(t.appendPath(nil, rest)) }

func (t *Target) appendPath(to []byte, rest string) []byte {
	to = append(append(to, t.BasePath...), rest...)
	if rest == "" && (t.slash || t.BasePath == "") {
		to = append(to, '/')
	}
	return to
}
