package routing

import (
	"net/url"
	"path"
	"strings"
	"testing"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// decoders are ways in which servers get from the bytes of a path to a file of theirs.
var decoders = map[string]func(string) string{
	"as it stands":      func(p string) string { return p },
	"decoded":           unescapeLoosely,
	"dots decoded":      strings.NewReplacer("%2e", ".", "%2E", ".").Replace,
	"slashes decoded":   strings.NewReplacer("%2f", "/", "%2F", "/").Replace,
	"backslashes":       func(p string) string { return strings.ReplaceAll(unescapeLoosely(p), `\`, "/") },
	"without semicolon": func(p string) string { return withoutParameters(p) },
	"semicolon first":   func(p string) string { return unescapeLoosely(withoutParameters(p)) },
	"net/url": func(p string) string {
		u, err := url.ParseRequestURI(p)
		if err != nil {
			return "/base"
		}
		return u.Path
	},
}

func unescapeLoosely(p string) string {
	var out strings.Builder
	for i := 0; i < len(p); i++ {
		if i+2 < len(p) && p[i] == '%' {
			if plain, err := url.PathUnescape(p[i : i+3]); err == nil {
				out.WriteString(plain)
				i += 2
				continue
			}
		}
		out.WriteByte(p[i])
	}
	return out.String()
}

// withoutParameters removes what follows a semicolon in each segment.
func withoutParameters(p string) string {
	segments := strings.Split(p, "/")
	for i, s := range segments {
		segments[i], _, _ = strings.Cut(s, ";")
	}
	return strings.Join(segments, "/")
}

// FuzzBelow: however a target decodes the path that it gets, it does not end above the base of the target.
func FuzzBelow(f *testing.F) {
	table, err := Compile(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{
		{Id: "ep_x", Name: "x", Path: "/x", Targets: []string{"http://h/base"}, Free: true},
	}}, contract.Version{Epoch: 1, Revision: 1}, Lookups{})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"/a%2Fb//c/d%20e", "/%2e%2e/b", `/..\b`, "/a/..;x/../b", "/a%2f..%2f..%2fb", "/%5c..%5c", "/.%2e;/b", "/a/%2E%2e/..", "//..//", "/%252e%252e/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		e, below, err := table.Match("GET", "/x"+rest)
		if err != nil || e.Name != "x" {
			return
		}
		uri := e.Targets[0].path(below)
		for name, decode := range decoders {
			// Servers that merge slashes first see the same segments: path.Clean merges them as well.
			if clean := path.Clean(decode(uri)); clean != "/base" && !strings.HasPrefix(clean, "/base/") {
				t.Errorf("%q goes on as %q, which %s is %q", "/x"+rest, uri, name, clean)
			}
		}
	})
}
