package routing

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/meter"
)

// Lookups resolve the references in what is configured.
type Lookups struct {
	Secret func(name string) (string, error)
	Env    func(name string) (string, bool)
}

// Compile makes a table of a snapshot, whole or not at all. What refers to something that cannot be
// had here is no reason to refuse the snapshot: its endpoint answers secret_unresolved, and all the
// others work.
func Compile(s *eventv1.RouteSnapshot, v contract.Version, l Lookups) (*Table, error) {
	bounds, err := newScopes(s)
	if err != nil {
		return nil, fmt.Errorf("routes %s: %w", v, err)
	}
	c := compiler{lookups: l, missing: map[string]bool{}, scopes: bounds, book: bookOf(s), adapters: map[string]*Adapter{}}
	t := newTable(v, bounds)
	if err := c.models(t, s); err != nil {
		return nil, fmt.Errorf("routes %s: %w", v, err)
	}
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
	book    meter.Book

	adapters map[string]*Adapter // by name
}

var errTwice = errors.New("its id appears twice")

func (c *compiler) endpoint(from *eventv1.RouteEndpoint) (*Endpoint, error) {
	e := &Endpoint{
		ID: from.GetId(), Name: from.GetName(), Path: from.GetPath(), Exact: from.GetExact(),
		Methods: from.GetMethods(), Forward: from.GetForward(), KeyHeader: from.GetKeyHeader(),
		MaxBody: from.GetMaxBodyBytes(), ForwardTrace: from.GetForwardTraceContext(),
		Public: from.GetPublic(), PassHeaders: from.GetPassHeaders(),
	}
	switch {
	case e.ID == "":
		return nil, errors.New("it has no id")
	case !strings.HasPrefix(e.Path, "/"):
		return nil, fmt.Errorf("path %q does not begin with a slash", e.Path)
	case !validPath(e.Path) || slices.ContainsFunc(strings.Split(e.Path, "/"), func(s string) bool { return kind(s) == parent }):
		return nil, fmt.Errorf("path %q cannot be that of a request", e.Path)
	case e.MaxBody < 0:
		return nil, errors.New("its largest body is negative")
	}
	if err := e.price(from, c.book); err != nil {
		return nil, err
	}
	if e.Forward == eventv1.ForwardMode_FORWARD_MODE_UNSPECIFIED {
		e.Forward = eventv1.ForwardMode_FORWARD_MODE_SAFE_LIST
	}
	for _, part := range []func(*Endpoint, *eventv1.RouteEndpoint) error{
		timeouts, resilience, c.targets, c.values, c.credentials, host, c.signing, c.serves,
	} {
		if err := part(e, from); err != nil {
			return nil, err
		}
	}
	bounds := c.scopes.endpoint(e.ID)
	e.Limits = bounds.Limits
	if !e.Free {
		e.Accounts = bounds.Accounts
	}
	return e, nil
}

func timeouts(e *Endpoint, from *eventv1.RouteEndpoint) error {
	for _, t := range []struct {
		to   *time.Duration
		ms   int64
		what string
	}{
		{&e.Timeout, from.GetTimeoutMs(), "timeout"},
		{&e.Idle, from.GetIdleTimeoutMs(), "idle timeout"},
		{&e.Total, from.GetTotalTimeoutMs(), "total timeout"},
	} {
		var err error
		if *t.to, err = millis(t.ms, t.what); err != nil {
			return err
		}
	}
	return nil
}

// millis is a configured time, which must not be negative.
func millis(ms int64, what string) (time.Duration, error) {
	if ms < 0 || ms > math.MaxInt64/int64(time.Millisecond) {
		return 0, fmt.Errorf("its %s of %d ms is negative or too long", what, ms)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// orMillis is millis with a default for 0.
func orMillis(ms int64, what string, otherwise time.Duration) (time.Duration, error) {
	if ms == 0 {
		return otherwise, nil
	}
	return millis(ms, what)
}

// host finds out which Host header targets get. A configured header of that name says so as well, which
// is how it was done before there was a policy.
func host(e *Endpoint, from *eventv1.RouteEndpoint) error {
	switch e.HostPolicy = from.GetHostPolicy(); e.HostPolicy {
	case eventv1.HostPolicy_HOST_POLICY_TEXT:
		if e.HostText = from.GetHostText(); !validHost(e.HostText) {
			return fmt.Errorf("%q cannot be a Host header", e.HostText)
		}
	case eventv1.HostPolicy_HOST_POLICY_CALLER, eventv1.HostPolicy_HOST_POLICY_UNSPECIFIED:
	default:
		return fmt.Errorf("host policy %s is not known", e.HostPolicy)
	}
	for _, h := range e.Headers {
		if strings.EqualFold(h.Name, "host") && h.Mode != Remove && e.HostPolicy == eventv1.HostPolicy_HOST_POLICY_UNSPECIFIED {
			e.HostPolicy, e.HostText = eventv1.HostPolicy_HOST_POLICY_TEXT, h.Value
		}
	}
	e.Headers = slices.DeleteFunc(e.Headers, func(h Header) bool { return strings.EqualFold(h.Name, "host") })
	return nil
}

// validHost takes what can be a name or an address with a port.
func validHost(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("/?#@\\\"<>^`{|},", c) >= 0 {
			return false
		}
	}
	return s != ""
}
