package proxy

import (
	"net/url"
	"strings"
	"testing"

	"tollgate/edge/pool"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// holds says whether text is, or decodes to something, with the key in it.
func holds(text string) bool {
	plain, err := url.QueryUnescape(text)
	return strings.Contains(text, testKey) || err == nil && strings.Contains(plain, testKey)
}

// FuzzHeaders: whatever headers a caller sends, a target gets none that belongs to the connection or to the
// gateway, no line end that was not in what an engine lets through, all that is configured exactly once,
// and the key in no form.
func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{
		"Accept: */*\nConnection: close, X-Mine\nX-Mine: 1\nAuthorization: Bearer " + testKey,
		"X-Pass-Other: 1\nx_pass_x-secret: 2\nX-SECRET: 3\nx_secret: 4\nTE: trailers\nTrailer: X",
		"Cookie: a=" + testKey + "; b=2\nTransfer-Encoding: chunked\nContent-Length: 3\nUpgrade: websocket\nSec-WebSocket-Protocol: a, openai-insecure-api-key." + testKey,
		"Forwarded: for=1\nX-Forwarded-For: 1\nX-Tollgate-Tags: a\nProxy-Authorization: Basic x\nKeep-Alive: 1\nHTTP2-Settings: a\nHost: other",
	} {
		f.Add(seed, uint8(2), true, true)
	}
	f.Fuzz(func(t *testing.T, lines string, mode uint8, pass, upgrade bool) {
		e := &routing.Endpoint{
			Forward: eventv1.ForwardMode(mode%3 + 1), PassHeaders: pass,
			Headers:     []routing.Header{{Name: "X-Secret", Value: "vendor's"}, {Name: "X-Stripped", Mode: routing.Remove}},
			Targets:     []*routing.Target{{}},
			Credentials: []*routing.Credential{{Headers: []routing.Header{{Name: "Authorization", Value: "Bearer vendor's"}}}},
		}
		x := &Exchange{Proto: HTTP11}
		if upgrade {
			x.Upgrade = "websocket"
		}
		for line := range strings.SplitSeq(lines, "\n") {
			// What an engine lets through: a name that is a token, and a value without control characters.
			name, value, ok := strings.Cut(line, ":")
			token := name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) })
			if !ok || !token || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				continue
			}
			x.Headers = append(x.Headers, Header{name, strings.Trim(value, " \t")})
		}
		c := &call{g: New(Config{}, Deps{Keys: newKeys(t)}), x: x, endpoint: e}
		c.found.secret = testKey
		headers, _, _ := c.prepare(pool.NewChoice(e, 0, 0, func(pool.Result) {}), nil)
		named, configured := connectionNames(x.Headers), map[string]int{}
		for _, h := range headers {
			name := dashed(strings.ToLower(h.Name))
			own := h.Value == "vendor's" || h.Value == "Bearer vendor's"
			switch {
			case name == "te" && h.Value == "trailers":
			case hopByHop[name], strings.HasPrefix(name, ownHeader), forwarded(name), name == "x-stripped":
				t.Errorf("%s: %q leaves", h.Name, h.Value)
			case named[strings.ToLower(h.Name)] && !own:
				t.Errorf("%s leaves, which Connection names", h.Name)
			case holds(h.Name) || holds(h.Value):
				t.Errorf("the key leaves in %s: %q", h.Name, h.Value)
			case strings.ContainsAny(h.Name+h.Value, "\r\n\x00"):
				t.Errorf("%q: %q has a line end", h.Name, h.Value)
			}
			if name == "x-secret" || name == "authorization" {
				if configured[name]++; !own {
					t.Errorf("%s: %q is not what is configured", h.Name, h.Value)
				}
			}
		}
		if configured["x-secret"] != 1 || configured["authorization"] != 1 {
			t.Errorf("what is configured leaves %v times", configured)
		}
	})
}
