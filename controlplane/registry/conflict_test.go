package registry_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/controlplane/registry"
)

var (
	somePaths   = []string{"/", "/a", "/a/b", "/ab", "/a/b/c"}
	someMethods = []string{"GET", "POST", "PUT"}
)

func anyEndpoint() *rapid.Generator[registry.Endpoint] {
	return rapid.Custom(func(t *rapid.T) registry.Endpoint {
		return registry.Endpoint{
			Path:    rapid.SampledFrom(somePaths).Draw(t, "path"),
			Exact:   rapid.Bool().Draw(t, "exact"),
			Methods: rapid.SliceOfDistinct(rapid.SampledFrom(someMethods), rapid.ID).Draw(t, "methods"),
		}
	})
}

// rank is how well an endpoint answers a request; 0 is not at all. It is written from the words of
// the specification: exact beats prefix, a longer prefix a shorter one.
func rank(e registry.Endpoint, path, method string) int {
	if len(e.Methods) > 0 && !slices.Contains(e.Methods, method) {
		return 0
	}
	if e.Exact {
		if path == e.Path {
			return 1_000_000
		}
		return 0
	}
	if e.Path == "/" || path == e.Path || strings.HasPrefix(path, e.Path+"/") {
		return len(e.Path)
	}
	return 0
}

// Guarantee: two endpoints conflict exactly if some request would be answered equally well by both,
// as found by trying every request.
func TestConflictAgainstBruteForce(t *testing.T) {
	t.Parallel()
	requests := append(slices.Clone(somePaths), "/x", "/a/", "/a/x", "/a/b/x", "/a/b/c/d", "/ab/x")
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyEndpoint().Draw(t, "a"), anyEndpoint().Draw(t, "b")
		want := false
		for _, path := range requests {
			for _, method := range append([]string{"DELETE"}, someMethods...) {
				if r := rank(a, path, method); r > 0 && r == rank(b, path, method) {
					want = true
				}
			}
		}
		if got := registry.Conflict(&a, &b); got != want {
			t.Fatalf("conflict = %v, brute force says %v", got, want)
		}
		if registry.Conflict(&a, &b) != registry.Conflict(&b, &a) {
			t.Fatal("not symmetric")
		}
	})
}
