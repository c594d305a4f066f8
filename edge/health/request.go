package health

import (
	"net/http"
	"slices"
	"strings"

	"tollgate/edge/proxy"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// spec is what a check sends, and where.
type spec struct {
	endpoint *routing.Endpoint
	index    int // of the target in it
	uri      string
	host     string
	headers  []proxy.Header
}

func (s *spec) target() *routing.Target { return s.endpoint.Targets[s.index] }

// newSpec is nil where no check could be told from one without a credential.
func newSpec(e *routing.Endpoint, index int) *spec {
	headers, cred := e.Headers, (*routing.Credential)(nil)
	if e.Err != nil {
		return nil
	}
	if len(e.Credentials) > 0 {
		i := slices.IndexFunc(e.Credentials, func(c *routing.Credential) bool { return c.Err == nil })
		if i < 0 {
			return nil
		}
		cred = e.Credentials[i]
		headers = overlay(headers, cred.Headers, func(h routing.Header) string { return strings.ToLower(h.Name) })
	}
	s := &spec{endpoint: e, index: index}
	for _, h := range headers {
		switch {
		case h.Mode == routing.Remove:
		case strings.EqualFold(h.Name, "Host"):
			s.host = h.Value
		default:
			s.headers = append(s.headers, proxy.Header{Name: h.Name, Value: h.Value})
		}
	}
	if e.HostPolicy == eventv1.HostPolicy_HOST_POLICY_TEXT {
		s.host = e.HostText
	}
	if !slices.ContainsFunc(s.headers, func(h proxy.Header) bool { return strings.EqualFold(h.Name, "User-Agent") }) {
		s.headers = append(s.headers, proxy.Header{Name: "User-Agent", Value: "tollgate-health-check"})
	}
	path, raw, _ := strings.Cut(e.Health.Path, "?")
	s.uri = e.RequestURI(s.target(), cred, path, raw, false)
	return s
}

// overlay is base without what has the name of one of over, and those.
func overlay[T any](base, over []T, name func(T) string) []T {
	kept := slices.DeleteFunc(slices.Clone(base), func(b T) bool {
		return slices.ContainsFunc(over, func(o T) bool { return name(o) == name(b) })
	})
	return append(kept, over...)
}

func (s *spec) attempt() *proxy.Attempt {
	return &proxy.Attempt{
		Target: s.target(), HostHeader: s.host, Method: http.MethodGet, URI: s.uri, Headers: s.headers,
		HeaderTimeout: s.endpoint.Health.Timeout, Interim: func(int, []proxy.Header) {},
	}
}

// works says whether a status means that the target does.
func (s *spec) works(status int) bool {
	if statuses := s.endpoint.Health.Statuses; len(statuses) > 0 {
		return slices.Contains(statuses, status)
	}
	return status >= 200 && status <= 299
}
