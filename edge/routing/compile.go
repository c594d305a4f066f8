package routing

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/headervalue"
)

// Lookups resolve the references in header values.
type Lookups struct {
	Secret func(name string) (string, error)
	Env    func(name string) (string, bool)
}

// Compile makes a table of a snapshot, whole or not at all. A header whose reference cannot be
// resolved here is no reason to refuse the snapshot: its endpoint answers secret_unresolved, and all
// the others work.
func Compile(s *eventv1.RouteSnapshot, v contract.Version, l Lookups) (*Table, error) {
	bounds, err := newScopes(s)
	if err != nil {
		return nil, fmt.Errorf("routes %s: %w", v, err)
	}
	c := compiler{lookups: l, missing: map[string]bool{}, scopes: bounds}
	t := newTable(v, bounds)
	ids := map[string]bool{}
	for _, from := range s.GetEndpoints() {
		e, err := c.endpoint(from)
		if err == nil && ids[e.ID] {
			err = errTwice
		}
		if err == nil {
			err = t.add(e)
		}
		if err != nil {
			return nil, fmt.Errorf("routes %s: endpoint %q: %w", v, from.GetName(), err)
		}
		ids[e.ID] = true
	}
	for name := range c.missing {
		t.missingEnv = append(t.missingEnv, name)
	}
	slices.Sort(t.missingEnv)
	return t, nil
}

type compiler struct {
	lookups Lookups
	missing map[string]bool // environment variables that are not set
	scopes  *scopes
}

var errTwice = errors.New("its id appears twice")

func (c *compiler) endpoint(from *eventv1.RouteEndpoint) (*Endpoint, error) {
	e := &Endpoint{
		ID: from.GetId(), Name: from.GetName(), Path: from.GetPath(), Exact: from.GetExact(),
		Methods: from.GetMethods(), Forward: from.GetForward(), KeyHeader: from.GetKeyHeader(),
		Timeout: time.Duration(from.GetTimeoutMs()) * time.Millisecond,
		MaxBody: from.GetMaxBodyBytes(), ForwardTrace: from.GetForwardTraceContext(),
	}
	switch {
	case e.ID == "":
		return nil, errors.New("it has no id")
	case !strings.HasPrefix(e.Path, "/"):
		return nil, fmt.Errorf("path %q does not begin with a slash", e.Path)
	case !validPath(e.Path) || slices.ContainsFunc(strings.Split(e.Path, "/"), func(s string) bool { return kind(s) == parent }):
		return nil, fmt.Errorf("path %q cannot be that of a request", e.Path)
	case e.Timeout < 0 || e.MaxBody < 0:
		return nil, errors.New("its timeout or largest body is negative")
	case len(from.GetTargets()) == 0:
		return nil, errors.New("it has no target")
	}
	if err := e.price(from); err != nil {
		return nil, err
	}
	if e.Forward == eventv1.ForwardMode_FORWARD_MODE_UNSPECIFIED {
		e.Forward = eventv1.ForwardMode_FORWARD_MODE_SAFE_LIST
	}
	for _, raw := range from.GetTargets() {
		target, err := newTarget(raw)
		if err != nil {
			return nil, err
		}
		e.Targets = append(e.Targets, target)
	}
	for _, h := range from.GetHeaders() {
		if err := c.header(e, h); err != nil {
			return nil, fmt.Errorf("header %q: %w", h.GetName(), err)
		}
	}
	bounds := c.scopes.endpoint(e.ID)
	e.Limits = bounds.Limits
	if !e.Free {
		e.Accounts = bounds.Accounts
	}
	return e, nil
}

// header resolves a header, or leaves why it cannot in e.Err.
func (c *compiler) header(e *Endpoint, h *eventv1.RouteHeader) error {
	if !validHeaderName(h.GetName()) {
		return errors.New("that is not a header name")
	}
	parsed, err := headervalue.Parse(h.GetValue())
	if err != nil {
		return err
	}
	var failed headervalue.Ref
	value, why := parsed.Resolve(func(r headervalue.Ref) (string, error) {
		text, err := c.resolve(r)
		if err != nil {
			failed = r
		}
		return text, err
	})
	// Every name that is missing is to be reported, not only the first.
	for _, r := range parsed.Refs() {
		if r.Kind == headervalue.Env {
			_, _ = c.resolve(r)
		}
	}
	if why == nil && !validHeaderValue(value) {
		why = errors.New("the value has a control character in it")
	}
	if why == nil {
		e.Headers = append(e.Headers, Header{Name: h.GetName(), Value: value})
	} else if e.Err == nil { // the first is enough for callers
		e.Err = unresolved(e, h, failed).WithCause(why)
	}
	return nil
}

func unresolved(e *Endpoint, h *eventv1.RouteHeader, r headervalue.Ref) *fault.Error {
	switch r.Kind {
	case headervalue.Env:
		return fault.New(fault.SecretUnresolved, "Environment variable %s of endpoint %s is not set on this edge.", r.Name, e.Name)
	case headervalue.Secret:
		return fault.New(fault.SecretUnresolved, "Secret %s of endpoint %s can't be read on this edge.", r.Name, e.Name)
	default:
		return fault.New(fault.SecretUnresolved, "Header %s of endpoint %s can't be made from its secrets.", h.GetName(), e.Name)
	}
}

func (c *compiler) resolve(r headervalue.Ref) (string, error) {
	if r.Kind == headervalue.Secret {
		if c.lookups.Secret == nil {
			return "", errors.New("no secrets here")
		}
		return c.lookups.Secret(r.Name)
	}
	if c.lookups.Env != nil {
		if text, ok := c.lookups.Env(r.Name); ok {
			return text, nil
		}
	}
	c.missing[r.Name] = true
	return "", fmt.Errorf("environment variable %s is not set", r.Name)
}

// validHeaderName follows the grammar of HTTP: a token.
func validHeaderName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// validHeaderValue refuses what would make every request to the target fail. The text may be a secret
// and is never shown.
func validHeaderValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
