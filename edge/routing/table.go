package routing

import (
	"fmt"
	"slices"
	"strings"

	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

// reserved is where the edge answers itself.
const reserved = "/-"

// Table is a compiled snapshot. It never changes and may be used by any number of requests.
type Table struct {
	version    contract.Version
	endpoints  []*Endpoint
	missingEnv []string
	scopes     *scopes
	customers  *Customers

	models                  []*Model          // by name
	names                   map[string]*Model // by name and alias, but for patterns
	patterns                []*Model          // the one that wins first
	upstreams, destinations []*Endpoint
	adapters                []*Adapter

	exact  map[string][]*Endpoint // by path
	prefix map[string][]*Endpoint // by path without a slash at its end
	depth  int                    // most slashes in a key of prefix

	source *source // nil for a table with a draft in it
}

func newTable(v contract.Version, s *scopes) *Table {
	return &Table{version: v, scopes: s, customers: newCustomers(nil), names: map[string]*Model{}, exact: map[string][]*Endpoint{}, prefix: map[string][]*Endpoint{}}
}

// Version is the version of the snapshot.
func (t *Table) Version() contract.Version { return t.version }

// Endpoints is every endpoint. It is not to be changed.
func (t *Table) Endpoints() []*Endpoint { return t.endpoints }

// MissingEnv names the environment variables that endpoints refer to and this edge does not have.
func (t *Table) MissingEnv() []string { return t.missingEnv }

// place is where a table has an endpoint among others of its path.
func (e *Endpoint) place(t *Table) (path string, in map[string][]*Endpoint) {
	if e.Exact {
		return e.Path, t.exact
	}
	return strings.TrimRight(e.Path, "/"), t.prefix
}

// add refuses what would make the answer depend on the order of endpoints.
func (t *Table) add(e *Endpoint) error {
	path, in := e.place(t)
	if isReserved(e.Path) {
		return fmt.Errorf("path %q is reserved", e.Path)
	}
	for _, m := range e.Methods {
		if m == "" || strings.ToUpper(m) != m {
			return fmt.Errorf("%q is not a method in upper case", m)
		}
	}
	for _, other := range in[path] {
		if overlap(e.Methods, other.Methods) {
			return fmt.Errorf("it has path %s and methods in common with endpoint %q", e.Path, other.Name)
		}
	}
	// Named methods win over "every method" of the same path.
	if in[path] = append(in[path], e); len(e.Methods) > 0 {
		slices.SortStableFunc(in[path], func(a, b *Endpoint) int { return min(len(b.Methods), 1) - min(len(a.Methods), 1) })
	}
	if !e.Exact {
		t.depth = max(t.depth, strings.Count(path, "/"))
	}
	t.endpoints = append(t.endpoints, e)
	if e.Models == nil {
		t.destinations = append(t.destinations, e)
		if !e.Disabled {
			t.upstreams = append(t.upstreams, e)
		}
	}
	return nil
}

func overlap(a, b []string) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	return slices.ContainsFunc(a, func(m string) bool { return slices.Contains(b, m) })
}

func isReserved(path string) bool {
	return strings.HasPrefix(path, reserved) && (len(path) == len(reserved) || path[len(reserved)] == '/')
}

// Match finds the endpoint of a request and what of the path is below it, in the caller's own bytes.
// An exact path beats a prefix and a longer prefix a shorter one; the method chooses among endpoints
// of the same path, and a path whose endpoints do not have it is not looked for further up.
func (t *Table) Match(method, rawPath string) (e *Endpoint, rest string, err error) {
	if !validPath(rawPath) {
		return nil, "", fault.New(fault.PathInvalid, "The path %s is not valid.", shorten(rawPath))
	}
	if isReserved(rawPath) {
		return nil, "", t.notFound(method, rawPath)
	}
	exact := t.exact[rawPath]
	if e := choose(exact, method); e != nil {
		return e, "", nil
	}
	prefix, at := t.longest(rawPath)
	if len(exact) > 0 && at < len(rawPath) {
		prefix = nil // it is of another path
	}
	if e = choose(prefix, method); e == nil {
		if len(exact)+len(prefix) == 0 {
			return nil, "", t.notFound(method, rawPath)
		}
		return nil, "", notAllowed(method, rawPath, slices.Concat(exact, prefix))
	}
	rest = rawPath[at:]
	if climbs(rest) {
		return nil, "", fault.New(fault.PathInvalid, "The path %s leaves endpoint %s through dot segments.", shorten(rawPath), e.Name)
	}
	return e, rest, nil
}

// Holder is the only endpoint that has a path, whatever methods it takes; nil where there is none, or more than one.
func (t *Table) Holder(rawPath string) *Endpoint {
	if !validPath(rawPath) || isReserved(rawPath) {
		return nil
	}
	all := t.exact[rawPath]
	if prefix, at := t.longest(rawPath); len(all) == 0 || at == len(rawPath) {
		all = slices.Concat(all, prefix)
	}
	if len(all) != 1 {
		return nil
	}
	return all[0]
}

// longest finds the endpoints of the longest prefix that ends where a segment does, and its length.
func (t *Table) longest(path string) ([]*Endpoint, int) {
	// Where the first segments end; deeper than any prefix is not worth a look.
	var found []*Endpoint
	at := 0
	for depth, i := 0, 0; depth <= t.depth; depth++ {
		if es, ok := t.prefix[path[:i]]; ok {
			found, at = es, i
		}
		if i == len(path) {
			break
		}
		next := strings.IndexByte(path[i+1:], '/')
		if next < 0 {
			i = len(path)
		} else {
			i += 1 + next
		}
	}
	return found, at
}

func choose(endpoints []*Endpoint, method string) *Endpoint {
	for _, e := range endpoints {
		if len(e.Methods) == 0 || slices.Contains(e.Methods, method) {
			return e
		}
	}
	return nil
}
