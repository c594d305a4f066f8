package routing_test

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
)

// naive says who should answer, by going through all endpoints segment by segment.
func naive(endpoints []*routing.Endpoint, method, path string) (name, rest string, code fault.Code) {
	segments := func(p string) []string { return strings.Split(strings.TrimPrefix(p, "/"), "/") }
	has := func(e *routing.Endpoint) int {
		switch {
		case slices.Contains(e.Methods, method):
			return 2
		case len(e.Methods) == 0:
			return 1
		default:
			return 0
		}
	}
	if s := segments(path); s[0] == "-" {
		return "", "", fault.EndpointNotFound
	}
	// How specific each endpoint is: whole paths first, then by segments.
	best, bestLen := []*routing.Endpoint(nil), -1
	for _, e := range endpoints {
		n := -1
		if want := segments(strings.TrimRight(e.Path, "/")); e.Exact && e.Path == path {
			n = len(segments(path))
		} else if got := segments(path); !e.Exact && strings.TrimRight(e.Path, "/") == "" {
			n = 0
		} else if !e.Exact && len(got) >= len(want) && slices.Equal(got[:len(want)], want) {
			n = len(want)
		}
		switch {
		case n < 0 || n < bestLen:
		case n > bestLen:
			best, bestLen = []*routing.Endpoint{e}, n
		default:
			best = append(best, e)
		}
	}
	if len(best) == 0 {
		return "", "", fault.EndpointNotFound
	}
	slices.SortStableFunc(best, func(a, b *routing.Endpoint) int {
		exact := func(e *routing.Endpoint) int {
			if e.Exact {
				return 10
			}
			return 0
		}
		return exact(b) + has(b) - exact(a) - has(a)
	})
	for _, e := range best {
		if has(e) == 0 {
			continue
		}
		if e.Exact {
			return e.Name, "", ""
		}
		rest := path[len(strings.TrimRight(e.Path, "/")):]
		if leaves(rest) {
			return "", "", fault.PathInvalid
		}
		return e.Name, rest, ""
	}
	return "", "", fault.MethodNotAllowed
}

// leaves resolves rest below a marker in the ways that servers do, and looks whether the marker is
// still there.
func leaves(rest string) bool {
	lower := strings.NewReplacer("%2E", ".", "%2e", ".").Replace(rest)
	slash := strings.NewReplacer("%2F", "/", "%2f", "/")
	back := strings.NewReplacer("\\", "/", "%5C", "/", "%5c", "/")
	plainBack := strings.NewReplacer("\\", "/")
	for _, read := range []string{
		lower, slash.Replace(lower), plainBack.Replace(lower), back.Replace(slash.Replace(lower)), slash.Replace(plainBack.Replace(lower)),
	} {
		var stack []string
		for s := range strings.SplitSeq(read, "/") {
			s, _, _ = strings.Cut(s, ";")
			switch s {
			case "", ".":
			case "..":
				if len(stack) == 0 {
					return true
				}
				stack = stack[:len(stack)-1]
			default:
				stack = append(stack, s)
			}
		}
	}
	return false
}

// Guarantee: the compiled table answers as the definition of matching does, for any endpoints and
// any path.
func TestMatchAgreesWithDefinition(t *testing.T) {
	t.Parallel()
	segment := rapid.SampledFrom([]string{"a", "b", "ab", "-", "", ".", "..", "%2e%2E", "%2f..", "a%2Fb", "..;x", `a\..`, "%5c..", "v1.2"})
	pathOf := func(s *rapid.Generator[string], most int) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			return "/" + strings.Join(rapid.SliceOfN(s, 1, most).Draw(t, "segments"), "/")
		})
	}
	method := rapid.SampledFrom([]string{"GET", "POST", "PUT", "HEAD"})
	rapid.Check(t, func(t *rapid.T) {
		var in []*eventv1.RouteEndpoint
		plain := rapid.SampledFrom([]string{"a", "b", "ab", "v1", ""})
		for range rapid.IntRange(0, 8).Draw(t, "endpoints") {
			path := pathOf(plain, 3).Draw(t, "path")
			if rapid.Bool().Draw(t, "exact") {
				path = "=" + path
			}
			e := ep(path, rapid.SliceOfNDistinct(method, 0, 2, rapid.ID[string]).Draw(t, "methods")...)
			if _, err := routing.Compile(&eventv1.RouteSnapshot{Endpoints: append(slices.Clone(in), e)}, v1, routing.Lookups{}); err == nil {
				in = append(in, e) // it conflicts with none
			}
		}
		table, err := routing.Compile(&eventv1.RouteSnapshot{Endpoints: in}, v1, routing.Lookups{})
		if err != nil {
			t.Fatal(err)
		}
		m, path := method.Draw(t, "method"), pathOf(segment, 6).Draw(t, "request")
		name, rest, code := naive(table.Endpoints(), m, path)
		e, got, err := table.Match(m, path)
		if code != "" {
			if !errors.Is(err, fault.New(code, "")) {
				t.Fatalf("%s %s = %v, %v; want %s", m, path, e, err, code)
			}
			return
		}
		if err != nil || e.Name != name || got != rest {
			t.Fatalf("%s %s = %v, %q, %v; want %s, %q", m, path, e, got, err, name, rest)
		}
	})
}

// Guarantee: whatever path is sent, what goes to the target begins with the target's base path, and
// stays below it however the target decodes it.
func FuzzMatch(f *testing.F) {
	for _, s := range []string{"/x", "/x/a%2Fb//c/../d%20e", "/x/..%2f..", "/x/%2e%2e/admin", "/x/..;/y", `/x/..\y`, "/x/a%2fb/../../..", "*", "//x"} {
		f.Add(s)
	}
	e := ep("/x")
	e.Targets = []string{"https://vendor.example/base"}
	table, err := routing.Compile(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{e}}, v1, routing.Lookups{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		e, rest, err := table.Match("GET", path)
		if err != nil {
			if fault.From(err).Code == fault.InternalError {
				t.Errorf("%q: %v", path, err)
			}
			return
		}
		if "/x"+rest != path || leaves(rest) {
			t.Errorf("%q leaves with rest %q", path, rest)
		}
		uri := e.RequestURI(e.Targets[0], nil, rest, "", false)
		if u, err := url.ParseRequestURI(uri); err == nil {
			// Go's own reading is one of those that must stay below.
			if clean := u.JoinPath("."); !strings.HasPrefix(clean.Path+"/", "/base/") {
				t.Errorf("%q became %q", path, clean.Path)
			}
		}
	})
}
