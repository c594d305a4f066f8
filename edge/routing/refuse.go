package routing

import (
	"slices"
	"strings"

	"tollgate/internal/fault"
)

func (t *Table) notFound(method, path string) error {
	if near := t.nearest(path); near != "" {
		return fault.New(fault.EndpointNotFound, "No endpoint for %s %s. Nearest: %s.", shorten(method), shorten(path), near)
	}
	return fault.New(fault.EndpointNotFound, "No endpoint for %s %s.", shorten(method), shorten(path))
}

func notAllowed(method, path string, endpoints []*Endpoint) error {
	var allow, names []string
	for _, e := range endpoints {
		allow = append(allow, e.Methods...)
		names = append(names, e.Name)
	}
	slices.Sort(allow)
	allow = slices.Compact(allow)
	slices.Sort(names)
	verb := "accepts"
	if len(names) > 1 {
		verb = "accept"
	}
	err := fault.New(fault.MethodNotAllowed, "%s (%s) %s %s only, not %s.",
		strings.Join(names, " and "), shorten(path), verb, strings.Join(allow, ", "), shorten(method))
	err.Allow = allow
	return err
}

// shorten keeps what a caller sent from filling an error.
func shorten(s string) string {
	const most = 200
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// nearest is the path of an endpoint that the caller may have meant: at most two typing errors away,
// or fewer if it is short. A table of any size costs little, because lengths rule out nearly all.
func (t *Table) nearest(path string) string {
	const longest = 64
	best, name := 3, ""
	for _, e := range t.endpoints {
		want := strings.TrimRight(e.Path, "/")
		if want == "" || len(want) > longest {
			continue
		}
		// Only as many segments as the endpoint has can be the mistyped prefix.
		got := firstSegments(path, strings.Count(want, "/"))
		if len(got) > longest || max(len(got)-len(want), len(want)-len(got)) >= best {
			continue
		}
		if d := distance(got, want, best); d < best && d*3 < len(want) {
			best, name = d, e.Path
		}
	}
	return name
}

func firstSegments(path string, n int) string {
	for i := 1; i < len(path); i++ {
		if path[i] == '/' {
			if n--; n == 0 {
				return path[:i]
			}
		}
	}
	return path
}

// distance is the number of bytes to insert, delete, replace or swap with the next one (optimal
// string alignment), or enough if it is no less. Both are at most 64 long, and enough at most 3: no
// alignment that counts strays further than that from the diagonal.
func distance(a, b string, enough int) int {
	const band, far = 3, 100
	var rows [3][66]uint8
	before, last, next := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		last[j] = uint8(j)
	}
	for i := 1; i <= len(a); i++ {
		from, to := max(1, i-band), min(len(b), i+band)
		if next[from-1] = far; from == 1 {
			next[0] = uint8(i)
		}
		least := next[from-1]
		for j := from; j <= to; j++ {
			d := last[j-1]
			if a[i-1] != b[j-1] {
				d++
				if j < i+band {
					d = min(d, last[j]+1)
				}
				d = min(d, next[j-1]+1)
				if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
					d = min(d, before[j-2]+1)
				}
			}
			next[j] = d
			least = min(least, d)
		}
		if int(least) >= enough {
			return enough
		}
		before, last, next = last, next, before
	}
	return min(int(last[len(b)]), enough)
}
