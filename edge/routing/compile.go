package routing

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/meter"
)

// Lookups resolve the references in what is configured.
type Lookups struct {
	Secret func(name string) (string, error)
	Env    func(name string) (string, bool)
	// Secrets tells the values of all secrets from others: what was made with others is made again.
	Secrets [32]byte
}

// Compile makes a table of a snapshot, whole or not at all. What refers to something that cannot be
// had here is no reason to refuse the snapshot: its endpoint answers secret_unresolved, and all the
// others work.
func Compile(s *eventv1.RouteSnapshot, v contract.Version, l Lookups) (*Table, error) {
	wire, err := proto.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("routes %s: %w", v, err)
	}
	read, err := Read(wire)
	if err != nil {
		return nil, fmt.Errorf("routes %s: %w", v, err)
	}
	return read.Compile(v, l, nil)
}

// breathe is after how many endpoints others are let on the core: requests wait for it meanwhile.
const breathe = 16

// Compile does the same for a snapshot that was read. Endpoints that are in the table before and have not changed are taken over from
// it; nil takes none.
func (s *Snapshot) Compile(v contract.Version, l Lookups, before *Table) (*Table, error) {
	var old *source
	if before != nil {
		old = before.source
	}
	if t, err := s.edited(v, &l, before); t != nil || err != nil {
		return t, err
	}
	bounds, scopes, err := newScopes(s, old.known())
	if err != nil {
		return nil, fmt.Errorf("routes %s: %w", v, err)
	}
	c := compiler{lookups: l, missing: map[string]bool{}, scopes: scopes, book: bookOf(s.rest), adapters: map[string]*Adapter{}}
	t := newTable(v, scopes)
	t.customers = newCustomers(s.rest.GetCustomers())
	t.source = &source{common: s.common, secrets: l.Secrets, customers: s.customers, bounds: bounds, endpoints: parts[compiled]{texts: s.endpoints}}
	var unchanged finder[compiled]
	if old.fits(s, &l) {
		unchanged = old.endpoints.finder(len(s.endpoints))
		t.takeModels(&c, before)
	} else {
		if err := c.models(t, s.rest); err != nil {
			return nil, fmt.Errorf("routes %s: %w", v, err)
		}
		t.source.upstreams, t.source.destinations = slices.Clone(t.upstreams), slices.Clone(t.destinations)
		t.source.missing = c.takeMissing()
	}
	missing, ids := slices.Clone(t.source.missing), make(map[string]bool, len(s.endpoints))
	for i, text := range s.endpoints {
		if i%breathe == 0 {
			runtime.Gosched()
		}
		made, ok := unchanged.find(i, text)
		if ok {
			made.Endpoint = made.withBounds(scopes.endpoint(made.ID))
		} else if made.Endpoint, made.missing, err = c.endpointOf(text); err != nil {
			return nil, fmt.Errorf("routes %s: %w", v, err)
		}
		if err = errTwice; !ids[made.ID] {
			err = t.add(made.Endpoint)
		}
		if err != nil {
			return nil, fmt.Errorf("routes %s: endpoint %q: %w", v, made.Name, err)
		}
		ids[made.ID], t.source.endpoints.made = true, append(t.source.endpoints.made, made)
		missing = append(missing, made.missing...)
	}
	slices.Sort(missing)
	t.missingEnv = slices.Compact(missing)
	return t, nil
}

// takeModels takes over the models and adapters of the table before.
func (t *Table) takeModels(c *compiler, before *Table) {
	from := before.source
	t.models, t.names, t.patterns, t.adapters = before.models, before.names, before.patterns, before.adapters
	t.upstreams, t.destinations = slices.Clone(from.upstreams), slices.Clone(from.destinations)
	t.source.upstreams, t.source.destinations, t.source.missing = from.upstreams, from.destinations, from.missing
	for _, a := range t.adapters {
		c.adapters[a.Name] = a
	}
}

type compiler struct {
	lookups Lookups
	missing map[string]bool // environment variables that are not set
	scopes  *scopes
	book    meter.Book

	adapters map[string]*Adapter // by name
}

// takeMissing returns the environment variables that were missed since it was called last.
func (c *compiler) takeMissing() []string {
	names := slices.Sorted(maps.Keys(c.missing))
	clear(c.missing)
	return names
}

var errTwice = errors.New("its id appears twice")

func (c *compiler) endpoint(from *eventv1.RouteEndpoint) (*Endpoint, error) {
	e := &Endpoint{
		ID: from.GetId(), Name: from.GetName(), Path: from.GetPath(), Exact: from.GetExact(),
		Methods: from.GetMethods(), Forward: from.GetForward(), KeyHeader: from.GetKeyHeader(),
		MaxBody: from.GetMaxBodyBytes(), ForwardTrace: from.GetForwardTraceContext(),
		Public: from.GetPublic(), PassHeaders: from.GetPassHeaders(), Disabled: from.GetDisabled(),
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
