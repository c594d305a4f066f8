package proxy

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/edge/routing"
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
		"twice":                     {"", "Authorization: Bearer {K}\r\nAuthorization: Bearer {K}\r\nX-Api-Key: {K}, other\r\nProxy-Authorization: Bearer {K}"},
		"behind a tab":              {"", "Authorization: Bearer\t{K}\r\nX-Api-Key: bearer\t " + otherKey},
		"encoded in other headers":  {"", "Authorization: Bearer {K}\r\nReferer: https://a.example/?key=tgk%5F" + testKey[4:] + "\r\nOrigin: https://{K}.example\r\nUser-Agent: a tgk%255F" + testKey[4:] + "\r\nAccept: {K}\r\nX-Request-Id: tgk%5f" + testKey[4:] + "\r\nForwarded: for={K}\r\nX-Forwarded-For: {K}"},
		"in the name of a header":   {"", "Authorization: Bearer {K}\r\n{K}: 1\r\nX-{K}: 1"},
		"in base64":                 {"?a=" + b64("x:"+testKey) + "&b=" + url.QueryEscape(b64("xy:"+testKey+":z")), "Authorization: Bearer {K}\r\nX-A: Basic " + b64("somebody:"+testKey) + "\r\nX-B: " + b64(testKey) + "\r\nX-C: a=1, t=" + b64("ab"+testKey+"c") + "; d\r\nCookie: s=" + b64("a"+testKey) + "; t=2\r\nUser-Agent: " + b64("b:"+testKey)},
		"basic with another key":    {"", "X-Api-Key: {K}\r\nAuthorization: Basic " + b64(otherKey+":vendor")},
		"in a trailer":              {"", "Authorization: Bearer {K}\r\nTrailer: {K}\r\nTE: {K}"},
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
	return leakIn(m.first+"\n"+strings.Join(m.headers, "\n"), secrets...)
}

// leakIn looks at every reading of a text: decoded up to three times, and from base64 wherever in the
// text that may begin.
func leakIn(text string, secrets ...string) string {
	runs := regexp.MustCompile(`[A-Za-z0-9+/]+`)
	for range 4 {
		readings := []string{text}
		for _, run := range runs.FindAllString(strings.NewReplacer("-", "+", "_", "/").Replace(text), -1) {
			for i := range min(4, len(run)) {
				raw, _ := base64.RawStdEncoding.DecodeString(run[i:])
				readings = append(readings, string(raw))
				raw, _ = base64.RawStdEncoding.DecodeString(run[i : len(run)-(len(run)-i)%4])
				readings = append(readings, string(raw))
			}
		}
		for _, s := range secrets {
			for _, r := range readings {
				if strings.Contains(strings.ToLower(r), strings.ToLower(s)) {
					return s
				}
			}
		}
		text = routing.Unescape(text)
	}
	return ""
}

// Guarantee: a key in what of the request line cannot be left out is refused, and shown to nobody.
func TestKeyInTheRequestLine(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"path":         "GET /x/v1/" + testKey + "/a",
		"encoded path": "GET /x/tgk%5F" + testKey[4:],
		"in base64":    "GET /x/" + b64("u:"+testKey),
		"method":       testKey + " /x",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			c := b.dial()
			c.send("%s HTTP/1.1\r\nHost: g\r\n%s\r\n\r\n", line, auth("{A}"))
			m := c.answer("GET")
			if m.status() != 400 || !strings.Contains(m.body, "path_invalid") || strings.Contains(m.body, testKey) {
				t.Errorf("got %s %s", m.first, m.body)
			}
			b.vendor.mu.Lock()
			defer b.vendor.mu.Unlock()
			if b.vendor.conns > 0 {
				t.Error("the vendor was connected to")
			}
		})
	}
}

// Guarantee: however often something is encoded, looking for the key in it costs little and what is
// left of it does not hold the key.
func TestDeeplyEncoded(t *testing.T) {
	t.Parallel()
	found := credential{secret: testKey}
	for _, text := range []string{
		"%" + strings.Repeat("25", 30000), strings.Repeat("%25", 2000) + testKey, "%" + strings.Repeat("25", 40) + "74" + testKey[1:],
	} {
		began := time.Now()
		if out := found.scrubQuery("a="+text+"&b=1", func(string) bool { return false }); out != "b=1" {
			t.Errorf("%d bytes of %d passed", len(out), len(text))
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %s", took)
		}
	}
}

// Guarantee: what is removed is only what holds a key.
func TestOnlyTheKeyIsRemoved(t *testing.T) {
	t.Parallel()
	found := credential{secret: testKey}
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
	short := credential{secret: "abc"}
	if _, ok := short.scrub("x", "an abc of it", "", ours); !ok {
		t.Error("a short secret was looked for inside a value")
	}
	if _, ok := short.scrub("x", "abc", "", ours); ok {
		t.Error("a short secret passed")
	}
}

// Guarantee: which credential counts does not depend on where the others stand.
func TestWhichCredentialCounts(t *testing.T) {
	t.Parallel()
	known := func(want string) func([32]byte) bool {
		return func(h [32]byte) bool { return h == hashOf(want) }
	}
	all := []Header{{"X-Goog-Api-Key", "third"}, {"Authorization", "Bearer first"}, {"X-Api-Key", "second"}, {"X-Mine", "own"}}
	for _, name := range credentialHeaders {
		all = append(all, Header{strings.ToUpper(name), "in " + name})
	}
	all = append(all, Header{"Sec-WebSocket-Protocol", "realtime, " + protocolPrefix + "fifth"}, Header{"sec-websocket-protocol", protocolPrefix + "sixth"})
	all = append(all, Header{"Authorization", "Basic " + b64("seventh:password")}, Header{"Authorization", "Basic " + b64("name:eighth")}, Header{"Authorization", "Basic " + b64("ninth:")})
	x := &Exchange{Headers: all, Upgrade: "websocket"}
	wanted := []string{"first", "second", "third", "own", "fourth", "fifth", "sixth", "seventh", "password", "eighth", "ninth"}
	for _, name := range credentialHeaders {
		wanted = append(wanted, "in "+name)
	}
	for _, want := range wanted {
		if got, ok := findCredential(x, "key=fourth", "x-mine", known(want)); !ok || got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got, _ := findCredential(x, "key=fourth", "x-mine", known("nobody")); got != "own" {
		t.Errorf("with none known, %q is judged", got)
	}
	if got, _ := findCredential(x, "key=tgk_gone", "x-mine", known("nobody")); got != "tgk_gone" {
		t.Errorf("%q is judged, not the one that looks like a key", got)
	}
	if got, _ := findCredential(&Exchange{Headers: []Header{{"Authorization", "Basic " + b64("tgk_gone:p")}}}, "", "", known("nobody")); got != "tgk_gone" {
		t.Errorf("%q is judged, not the user name that looks like a key", got)
	}
	x.Upgrade = ""
	if got, _ := findCredential(x, "", "x-mine", known("fifth")); got == "fifth" {
		t.Error("a subprotocol counts where there is no WebSocket")
	}
	if _, ok := findCredential(&Exchange{Headers: []Header{{"Authorization", "Bearer"}, {"X-Api-Key", " "}}}, "key=&key", "", known("")); ok {
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
