package routing_test

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

func parameter(name, value string, mode eventv1.RouteMode) *eventv1.RouteQuery {
	return &eventv1.RouteQuery{Name: name, Value: value, Mode: mode}
}

const (
	setMode     = eventv1.RouteMode_ROUTE_MODE_SET
	defaultMode = eventv1.RouteMode_ROUTE_MODE_DEFAULT
	removeMode  = eventv1.RouteMode_ROUTE_MODE_REMOVE
)

// Guarantee: the caller's parameters go before the target's, these before defaults; what is set replaces
// them all and a credential what is set; and what the caller sent arrives in its own bytes.
func TestQueryPrecedence(t *testing.T) {
	t.Parallel()
	e := ep("/x")
	e.Targets = []string{"https://h/base?timeout=60&region=eu&own"}
	e.Query = []*eventv1.RouteQuery{
		parameter("timeout", "1", defaultMode), parameter("format", "a b&c", 0),
		parameter("version", "2", setMode), parameter("debug", "", removeMode), parameter("key", "shared", setMode),
	}
	e.Credentials = []*eventv1.RouteCredential{{Name: "one", Query: []*eventv1.RouteQuery{parameter("key", "s/1", 0), parameter("region", "us", 0)}}}
	table := compile(t, e)
	m := table.Endpoints()[0]
	for _, c := range []struct {
		caller     string
		credential bool
		want       string
	}{
		{"", false, "timeout=60&region=eu&own&format=a%20b%26c&version=2&key=shared"},
		{"timeout=5", false, "region=eu&own&format=a%20b%26c&timeout=5&version=2&key=shared"},
		{"%74imeout=5&timeout=6", false, "region=eu&own&format=a%20b%26c&%74imeout=5&timeout=6&version=2&key=shared"},
		{"format", false, "timeout=60&region=eu&own&format&version=2&key=shared"},
		{"version=1&key=mine&debug=1&deb%75g&a=1;debug=2", false, "timeout=60&region=eu&own&format=a%20b%26c&version=2&key=shared"},
		{"x=1;y=2&z&&q=a+b%2B&a=%zz", false, "timeout=60&region=eu&own&format=a%20b%26c&x=1;y=2&z&&q=a+b%2B&a=%zz&version=2&key=shared"},
		{"region=de&key=mine", true, "timeout=60&own&format=a%20b%26c&version=2&key=s%2F1&region=us"},
	} {
		var cred *routing.Credential
		if c.credential {
			cred = m.Credentials[0]
		}
		if got := m.RequestURI(m.Targets[0], cred, "/v", c.caller, false); got != "/base/v?"+c.want {
			t.Errorf("%q:\n got %s\nwant /base/v?%s", c.caller, got, c.want)
		}
	}
}

// Guarantee: without anything configured each byte of the caller's query goes on, and a lone question mark.
func TestQueryUntouched(t *testing.T) {
	t.Parallel()
	m := compile(t, ep("/x")).Endpoints()[0]
	rapid.Check(t, func(t *rapid.T) {
		query := rapid.StringOf(rapid.RuneFrom([]rune("ab=&;+%25z/?é"))).Draw(t, "query")
		bare := query == "" && rapid.Bool().Draw(t, "bare")
		want := "/v"
		if query != "" || bare {
			want += "?" + query
		}
		if got := m.RequestURI(m.Targets[0], nil, "/v", query, bare); got != want {
			t.Errorf("%q became %q", want, got)
		}
	})
}

var escaped = regexp.MustCompile(`\+|%[0-9a-fA-F]{2}`)

// nameOf is the name of a piece of a query, read in another way than the product does.
func nameOf(piece string) string {
	name, _, _ := strings.Cut(piece, "=")
	return escaped.ReplaceAllStringFunc(name, func(s string) string {
		if s == "+" {
			return " "
		}
		n, _ := strconv.ParseUint(s[1:], 16, 8)
		return string([]byte{byte(n)})
	})
}

// merged is the rule, step by step.
func merged(base string, configured, secret []routing.Query, caller string) string {
	split := func(q string) []string {
		if q == "" {
			return nil
		}
		return strings.Split(q, "&")
	}
	has := func(list []string, name string) bool {
		return slices.ContainsFunc(list, func(p string) bool { return p != "" && nameOf(p) == name })
	}
	decided := map[string]bool{}
	for _, q := range slices.Concat(configured, secret) {
		decided[q.Name] = decided[q.Name] || q.Mode != routing.Default
	}
	undecided := func(list []string) (out []string) {
		for _, p := range list {
			if !slices.ContainsFunc(strings.Split(p, ";"), func(part string) bool { return decided[nameOf(part)] }) {
				out = append(out, p)
			}
		}
		return out
	}
	theirs, own := undecided(split(caller)), undecided(split(base))
	var out []string
	for _, p := range own {
		if p == "" || !has(theirs, nameOf(p)) {
			out = append(out, p)
		}
	}
	text := func(q routing.Query) string {
		return url.PathEscape(q.Name) + "=" + url.PathEscape(q.Value) // the same for the letters in use
	}
	for _, q := range configured {
		if q.Mode == routing.Default && !decided[q.Name] && !has(theirs, q.Name) && !has(own, q.Name) {
			out = append(out, text(q))
		}
	}
	out = append(out, theirs...)
	for _, q := range configured {
		if q.Mode == routing.Set && !slices.ContainsFunc(secret, func(s routing.Query) bool { return s.Name == q.Name }) {
			out = append(out, text(q))
		}
	}
	for _, q := range secret {
		out = append(out, text(q))
	}
	return strings.Join(out, "&")
}

// Guarantee: whatever is configured and whatever the caller sends, the merged query is what the rule says.
func TestQueryMatchesTheRule(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"a", "b", "key", "a b", "%zz", "é"})
		spelling := rapid.SampledFrom([]string{"a", "%61", "b", "key", "k%65y", "a+b", "a%20b", "%zz", "%25zz", "%C3%A9", "é", "", "a;b", "x;key"})
		query := func(label string) string {
			var out []string
			for range rapid.IntRange(0, 5).Draw(t, label) {
				out = append(out, spelling.Draw(t, "spelling")+rapid.SampledFrom([]string{"", "=", "=1", "=%2", "==", "=1;b=2"}).Draw(t, "value"))
			}
			return strings.Join(out, "&")
		}
		configured := func(label string, modes ...routing.Mode) (out []routing.Query) {
			for range rapid.IntRange(0, 3).Draw(t, label) {
				q := routing.Query{Name: name.Draw(t, "name"), Mode: rapid.SampledFrom(modes).Draw(t, "mode")}
				if q.Mode != routing.Remove {
					q.Value = rapid.SampledFrom([]string{"", "v w", "?"}).Draw(t, "value")
				}
				out = append(out, q)
			}
			return out
		}
		base, caller := query("base"), query("caller")
		e := &routing.Endpoint{Query: configured("configured", routing.Set, routing.Default, routing.Remove)}
		cred := &routing.Credential{Query: configured("credential", routing.Set)}
		target := &routing.Target{BasePath: "/v", BaseQuery: base}
		want := "/v"
		if q := merged(base, e.Query, cred.Query, caller); q != "" {
			want += "?" + q
		}
		if got := e.RequestURI(target, cred, "", caller, false); got != want {
			t.Errorf("base %q, caller %q, configured %v, credential %v:\n got %s\nwant %s", base, caller, e.Query, cred.Query, got, want)
		}
	})
}

// Guarantee: a query that nothing is to be done to costs nothing beside the text that is made of it.
func TestQueryAllocatesNothing(t *testing.T) {
	m := compile(t, ep("/x")).Endpoints()[0]
	if n := testing.AllocsPerRun(100, func() { _ = m.RequestURI(m.Targets[0], nil, "/v1/images", "a=1&b=%zz", false) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}
