package proxy

import (
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// slowKind is what a name is, found out plainly.
func slowKind(name string) (k kind) {
	lowered := strings.ToLower(name)
	plain := strings.ReplaceAll(lowered, "_", "-")
	mark := func(is bool, of kind) {
		if is {
			k |= of
		}
	}
	mark(hopByHop[plain], perHop)
	mark(describing[lowered], describes)
	mark(safe[lowered], listed)
	mark(tracing[lowered], traces)
	mark(isCredentialHeader[plain], keyed)
	mark(forwarded(plain), whence)
	mark(strings.HasPrefix(plain, ownHeader), owned)
	mark(strings.HasPrefix(plain, passPrefix), passing)
	mark(strings.HasPrefix(plain, webSocket), socket)
	mark(plain == "cookie", cookies)
	mark(plain == "connection", linking)
	mark(plain == "server-timing", timing)
	mark(plain == "content-length", sized)
	mark(plain == "te", te)
	mark(lowered != plain, underscored)
	return k
}

// Guarantee: what a header is is found out the same for each way of writing its name, at a glance as by going through the lists.
func TestKinds(t *testing.T) {
	t.Parallel()
	all := []string{ownHeader, ownHeader + "tags", passPrefix, passPrefix + "te", webSocket + "key", "x-forwarded-", "x-forwarded-for", "x", "x-", "s", "sec", "", "server", "x-other"}
	for _, l := range listedNames {
		all = append(all, strings.ToLower(string(l.name())))
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(all).Draw(t, "name")
		switch rapid.IntRange(0, 5).Draw(t, "written") {
		case 0:
			name = http.CanonicalHeaderKey(name)
		case 1:
			name = strings.ToUpper(name)
		case 2:
			name = strings.ReplaceAll(name, "-", "_")
		case 3:
			name += rapid.StringMatching(`[a-z_-]{1,3}`).Draw(t, "more")
		case 4:
			name = strings.Replace(name, "-", "_", 1)
		}
		if got, want := kindOf(name), slowKind(name); got != want {
			t.Fatalf("%q is %b, want %b", name, got, want)
		}
	})
}
