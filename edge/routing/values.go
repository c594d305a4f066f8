package routing

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
	"tollgate/internal/headervalue"
)

// values are the headers and query parameters of an endpoint.
func (c *compiler) values(e *Endpoint, from *eventv1.RouteEndpoint) error {
	var why, later error
	var err error
	if e.Headers, why, err = c.headers(e, from.GetHeaders(), ""); err != nil {
		return err
	}
	if e.Query, later, err = c.query(e, from.GetQuery(), ""); err != nil {
		return err
	}
	e.fail(why)
	e.fail(later)
	return nil
}

// credentials are what takes turns. One that cannot be resolved leaves the turn to the others.
func (c *compiler) credentials(e *Endpoint, from *eventv1.RouteEndpoint) error {
	var err error
	if e.CredentialBalance, err = balance(from.GetCredentialBalance()); err != nil {
		return fmt.Errorf("credentials: %w", err)
	}
	if len(from.GetCredentials()) > mostChoices {
		return fmt.Errorf("it has more than %d credentials", mostChoices)
	}
	usable := len(from.GetCredentials()) == 0
	for _, rc := range from.GetCredentials() {
		named := func(x *Credential) bool { return x.Name == rc.GetName() }
		if rc.GetName() == "" || slices.ContainsFunc(e.Credentials, named) {
			return fmt.Errorf("credential %q has no name, or that of another one", rc.GetName())
		}
		cred := &Credential{Name: rc.GetName(), Weight: max(1, rc.GetWeight()), Priority: rc.GetPriority()}
		whose := " of credential " + cred.Name
		var later error
		if cred.Headers, cred.Err, err = c.headers(e, rc.GetHeaders(), whose); err != nil {
			return fmt.Errorf("credential %q: %w", cred.Name, err)
		}
		if cred.Query, later, err = c.query(e, rc.GetQuery(), whose); err != nil {
			return fmt.Errorf("credential %q: %w", cred.Name, err)
		}
		if cred.Err == nil {
			cred.Err = later
		}
		usable = usable || cred.Err == nil
		e.Credentials = append(e.Credentials, cred)
	}
	if !usable {
		e.fail(e.Credentials[0].Err)
	}
	return nil
}

// mostChoices is how many targets or credentials an endpoint may have: what a request has tried of them
// is kept in the bits of one number.
const mostChoices = 64

// fail makes the endpoint one that cannot be called here. The first reason is enough for callers.
func (e *Endpoint) fail(why error) {
	if e.Err == nil {
		e.Err = why
	}
}

// headers resolves a list of headers. What belongs to a credential, which whose then says, gives way to
// nothing that a caller sends. why says which of them could not be, err what makes the snapshot
// a bad one.
func (c *compiler) headers(e *Endpoint, list []*eventv1.RouteHeader, whose string) (out []Header, why, err error) {
	for _, h := range list {
		mode, err := modeOf(h.GetMode(), Set)
		if whose != "" && mode == Default {
			mode = Set
		}
		if err == nil && !validHeaderName(h.GetName()) {
			err = errors.New("that is not a header name")
		}
		if err != nil {
			return nil, nil, fmt.Errorf("header %q: %w", h.GetName(), err)
		}
		if mode == Remove {
			out = append(out, Header{Name: h.GetName(), Mode: Remove})
			continue
		}
		value, failed, err := c.text(h.GetValue(), "Header "+h.GetName()+whose, e, headervalue.Value.Resolve)
		if failed == nil && !validHeaderValue(value) {
			failed = unresolved("Header "+h.GetName()+whose, e, headervalue.Ref{}).WithCause(errors.New("the value has a control character in it"))
		}
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("header %q: %w", h.GetName(), err)
		case failed == nil:
			out = append(out, Header{Name: h.GetName(), Value: value, Mode: mode, Source: h.GetValue()})
		case why == nil:
			why = failed
		}
	}
	return out, why, nil
}

// query is headers for query parameters.
func (c *compiler) query(e *Endpoint, list []*eventv1.RouteQuery, whose string) (out []Query, why, err error) {
	for _, q := range list {
		mode, err := modeOf(q.GetMode(), Default)
		if whose != "" && mode == Default {
			mode = Set
		}
		if err == nil && q.GetName() == "" {
			err = errors.New("it has no name")
		}
		if err != nil {
			return nil, nil, fmt.Errorf("query parameter %q: %w", q.GetName(), err)
		}
		if mode == Remove {
			out = append(out, Query{Name: q.GetName(), Mode: Remove})
			continue
		}
		value, failed, err := c.text(q.GetValue(), "Query parameter "+q.GetName()+whose, e, headervalue.Value.Text)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("query parameter %q: %w", q.GetName(), err)
		case failed == nil:
			out = append(out, Query{Name: q.GetName(), Value: value, Mode: mode, Source: q.GetValue()})
		case why == nil:
			why = failed
		}
	}
	return out, why, nil
}

func modeOf(m eventv1.RouteMode, otherwise Mode) (Mode, error) {
	switch m {
	case eventv1.RouteMode_ROUTE_MODE_UNSPECIFIED:
		return otherwise, nil
	case eventv1.RouteMode_ROUTE_MODE_SET:
		return Set, nil
	case eventv1.RouteMode_ROUTE_MODE_DEFAULT:
		return Default, nil
	case eventv1.RouteMode_ROUTE_MODE_REMOVE:
		return Remove, nil
	default:
		return 0, fmt.Errorf("mode %s is not known", m)
	}
}

// substitution puts what references stand for in their place: Resolve for headers, or Text.
type substitution func(headervalue.Value, func(headervalue.Ref) (string, error)) (string, error)

// text resolves the references in a value. why is a fault that says what could not be resolved, for
// callers; it never holds what a reference stands for. Every variable that is missing is reported, not
// only the first.
func (c *compiler) text(value, what string, e *Endpoint, substitute substitution) (text string, why, err error) {
	parsed, err := headervalue.Parse(value)
	if err != nil {
		return "", nil, err
	}
	var failed headervalue.Ref
	text, cause := substitute(parsed, func(r headervalue.Ref) (string, error) {
		text, err := c.resolve(r)
		if err != nil {
			failed = r
		}
		return text, err
	})
	for _, r := range parsed.Refs() {
		if r.Kind == headervalue.Env {
			_, _ = c.resolve(r)
		}
	}
	if cause == nil {
		return text, nil, nil
	}
	return "", unresolved(what, e, failed).WithCause(cause), nil
}

func unresolved(what string, e *Endpoint, r headervalue.Ref) *fault.Error {
	switch r.Kind {
	case headervalue.Env:
		return fault.New(fault.SecretUnresolved, "Environment variable %s of endpoint %s is not set on this edge.", r.Name, e.Name)
	case headervalue.Secret:
		return fault.New(fault.SecretUnresolved, "Secret %s of endpoint %s can't be read on this edge.", r.Name, e.Name)
	default:
		return fault.New(fault.SecretUnresolved, "%s of endpoint %s can't be made from its secrets.", what, e.Name)
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
