package proxy

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

func hashOf(s string) [32]byte { return contract.KeyHash([]byte(s)) }

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// Guarantee (64): wherever a key may stand it is found, and it is gone from what the vendor gets, in
// every mode.
func TestKeyIsFoundAndRemoved(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		path   string
		header string
	}{
		"bearer":                    {"", "Authorization: Bearer {K}"},
		"bearer in capitals":        {"", "AUTHORIZATION: BEARER   {K}"},
		"no scheme":                 {"", "Authorization: {K}"},
		"basic password":            {"", "Authorization: Basic " + b64("user:"+testKey)},
		"basic user name":           {"", "Authorization: basic " + b64(testKey+":")},
		"basic without padding":     {"", "Authorization: Basic " + strings.TrimRight(b64("u:"+testKey), "=")},
		"x-api-key":                 {"", "X-Api-Key: {K}"},
		"api-key":                   {"", "api-key: {K}"},
		"x-goog-api-key":            {"", "x-goog-api-key: {K}"},
		"x-litellm-api-key":         {"", "x-litellm-api-key: Bearer {K}"},
		"the endpoint's own header": {"/own", "X-My-Key: {K}"},
		"query":                     {"?key={K}", ""},
		"query among others":        {"?a=1;b&key={K}&c=%zz", ""},
		"query, encoded":            {"?key=tgk%5F" + testKey[4:], ""},
		"in several places":         {"?key={K}&x={K}&y=a{K}b&z=%74gk_" + testKey[4:] + "&%74%67k_" + testKey[4:], "Authorization: Bearer {K}\r\nxi-api-key: {K}\r\napi_token: {K}\r\nX-Other: a {K} b\r\nCookie: a=1; k={K}; b=2\r\nX-Api-Key: {K}\r\nX-Basic: Basic " + b64(testKey+":x")},
		"beside another credential": {"", "Authorization: Bearer not-ours\r\nX-Api-Key: {K}"},
		"two keys of this gateway":  {"?key=" + otherKey, "Authorization: Bearer {K}\r\nX-Api-Key: " + otherKey + "\r\nApi-Key: tgk_unknown"},
		"in configured mode":        {"", "Authorization: Bearer {K}\r\nConnection: Authorization"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, mode := range []string{"/x", "/open", "/safe", "/none"} {
				if strings.HasPrefix(tc.path, "/own") {
					mode = ""
				}
				b := newBench(t)
				got := b.vendor.answer(okReply)
				c := b.dial()
				c.send("%s", strings.ReplaceAll(request("GET", mode+tc.path, headerLines(tc.header)...), "{K}", testKey))
				if m := c.answer("GET"); m.status() != 200 {
					t.Fatalf("%s: got %s %s", mode, m.first, m.body)
				}
				v := receive(t, got, "request")
				if secret := leak(v, testKey, otherKey, "tgk_unknown"); secret != "" {
					t.Errorf("%s: the vendor got %s: %q %q", mode, secret, v.first, v.headers)
				}
				b.settled()
			}
		})
	}
}

func headerLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\r\n")
}

// leak is the first of the secrets that can be found in a request, also encoded.
func leak(m message, secrets ...string) string {
	text := m.first + "\n" + strings.Join(m.headers, "\n")
	for range 2 {
		for _, s := range secrets {
			if strings.Contains(text, s) {
				return s
			}
		}
		text = unescape(text)
	}
	for _, h := range m.headers {
		for word := range strings.FieldsSeq(h) {
			raw, err := base64.StdEncoding.DecodeString(word)
			if err != nil {
				continue
			}
			for _, s := range secrets {
				if strings.Contains(string(raw), s) {
					return s
				}
			}
		}
	}
	return ""
}

// Guarantee: what is removed is only what holds a key.
func TestOnlyTheKeyIsRemoved(t *testing.T) {
	t.Parallel()
	found := credential{testKey}
	ours := func(s string) bool { return strings.HasPrefix(s, "tgk_") }
	for in, want := range map[string]string{
		"":                                  "",
		"key=" + testKey:                    "",
		"a=1&key=" + testKey + "&b=%zz;c":   "a=1&b=%zz;c",
		"key=vendor&a":                      "key=vendor&a",
		"key=tgk_other&a":                   "a",
		"a&&b=" + testKey + "&&c":           "a&&&c",
		"x=%74gk_" + testKey[4:] + "&y=%7":  "y=%7",
		"x=%zz%74gk_" + testKey[4:] + "&y=": "y=",
	} {
		if got := found.scrubQuery(in, ours); got != want {
			t.Errorf("query %q became %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"a=1; b=2":                        "a=1; b=2",
		"a=1;b=2":                         "a=1;b=2",
		"a=1; k=" + testKey + "; b=2":     "a=1; b=2",
		"k=" + testKey:                    "",
		"k=\"" + testKey + "\"; c=" + "1": "c=1",
	} {
		if got, _ := found.scrub("cookie", in, "", ours); got != want {
			t.Errorf("cookies %q became %q, want %q", in, got, want)
		}
	}
	for name, tc := range map[string]struct {
		header, value string
		passes        bool
	}{
		"vendor's own bearer":    {"authorization", "Bearer sk-vendor", true},
		"vendor's own basic":     {"authorization", "Basic " + b64("u:p"), true},
		"key-shaped":             {"x-api-key", "tgk_someone", false},
		"key-shaped elsewhere":   {"x-note", "tgk_is a prefix", true},
		"key inside":             {"x-note", "see " + testKey, false},
		"in basic's other half":  {"x-auth", "Basic " + b64(testKey+":pass"), false},
		"signature with a space": {"authorization", "AWS4-HMAC-SHA256 Credential=x", true},
	} {
		if _, ok := found.scrub(tc.header, tc.value, "", ours); ok != tc.passes {
			t.Errorf("%s: passes %t", name, ok)
		}
	}
	short := credential{"abc"}
	if _, ok := short.scrub("x", "an abc of it", "", ours); !ok {
		t.Error("a short secret was looked for inside a value")
	}
	if _, ok := short.scrub("x", "abc", "", ours); ok {
		t.Error("a short secret passed")
	}
}

// Guarantee: what the vendor gets holds the key neither as it is nor percent-encoded, whatever the
// caller's headers and query are and whatever is forwarded.
func TestNoKeyLeaves(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`tgk_[a-zA-Z0-9;&=%+ ,"/]{8,24}[a-z]`).Draw(t, "secret")
		noise := rapid.SampledFrom([]string{"", "a", "=", "&", ";", "%", "%4", "%zz", " ", "b=c", ","})
		spell := func(label string) string {
			switch rapid.IntRange(0, 4).Draw(t, label) {
			case 0:
				return secret
			case 1:
				return url.QueryEscape(secret)
			case 2:
				return url.PathEscape(secret)
			case 3:
				var b strings.Builder
				for i := range len(secret) {
					fmt.Fprintf(&b, "%%%02x", secret[i])
				}
				return b.String()
			default:
				return ""
			}
		}
		var query strings.Builder
		for range rapid.IntRange(0, 6).Draw(t, "pieces") {
			query.WriteString(noise.Draw(t, "before") + spell("how") + noise.Draw(t, "after"))
		}
		var headers []Header
		for range rapid.IntRange(0, 6).Draw(t, "headers") {
			name := rapid.SampledFrom([]string{"Authorization", "X-Api-Key", "Cookie", "X-Other", "Accept", "Content-Type"}).Draw(t, "name")
			value := noise.Draw(t, "before") + spell("how") + noise.Draw(t, "after")
			if name != "Cookie" && strings.Contains(value, "%") {
				value = secret // only cookies and queries are percent-encoded by custom
			}
			headers = append(headers, Header{name, value})
		}
		found := credential{secret}
		ours := func(s string) bool { return s == secret }
		for _, mode := range []eventv1.ForwardMode{eventv1.ForwardMode_FORWARD_MODE_ALL, eventv1.ForwardMode_FORWARD_MODE_SAFE_LIST, eventv1.ForwardMode_FORWARD_MODE_NONE} {
			for _, h := range forTarget(headers, &routing.Endpoint{Forward: mode}, &found, ours) {
				if strings.Contains(h.Value, secret) || h.Name == "Cookie" && strings.Contains(unescape(h.Value), secret) {
					t.Fatalf("%s: %q", h.Name, h.Value)
				}
			}
		}
		out := found.scrubQuery(query.String(), ours)
		if strings.Contains(out, secret) || strings.Contains(unescape(out), secret) || strings.Contains(strings.ReplaceAll(unescape(strings.ReplaceAll(out, "+", "%20")), "+", " "), secret) {
			t.Fatalf("%q became %q", query.String(), out)
		}
	})
}

// Guarantee: which credential counts does not depend on where the others stand.
func TestWhichCredentialCounts(t *testing.T) {
	t.Parallel()
	known := func(want string) func([32]byte) bool {
		return func(h [32]byte) bool { return h == hashOf(want) }
	}
	all := []Header{{"X-Goog-Api-Key", "third"}, {"Authorization", "Bearer first"}, {"X-Api-Key", "second"}, {"X-Mine", "own"}}
	for _, want := range []string{"first", "second", "third", "own", "fourth"} {
		if got, ok := findCredential(all, "key=fourth", "x-mine", known(want)); !ok || got.secret != want {
			t.Errorf("got %q, want %q", got.secret, want)
		}
	}
	if got, _ := findCredential(all, "key=fourth", "x-mine", known("nobody")); got.secret != "own" {
		t.Errorf("with none known, %q is judged", got.secret)
	}
	if _, ok := findCredential([]Header{{"Authorization", "Bearer"}, {"X-Api-Key", " "}}, "key=&key", "", known("")); ok {
		t.Error("nothing was found")
	}
	names := slices.Clone(credentialHeaders)
	slices.Sort(names)
	if len(slices.Compact(names)) != len(credentialHeaders) {
		t.Error("a header is listed twice")
	}
}

func FuzzSplitTarget(f *testing.F) {
	for _, s := range []string{"/a?b", "*", "http://h/a?b", "http://h", "/a#b", "?", "", "//", "/?", "h:443"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		path, query, bare, err := splitTarget(target)
		if err != nil {
			return
		}
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#") || bare && query != "" {
			t.Errorf("%q became %q %q %t", target, path, query, bare)
		}
		rest := path
		if query != "" || bare {
			rest += "?" + query
		}
		if strings.HasPrefix(target, "/") && rest != target {
			t.Errorf("%q became %q", target, rest)
		}
	})
}
