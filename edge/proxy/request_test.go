package proxy

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/edge/pool"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

const (
	modeAll  = eventv1.ForwardMode_FORWARD_MODE_ALL
	modeSafe = eventv1.ForwardMode_FORWARD_MODE_SAFE_LIST
	modeNone = eventv1.ForwardMode_FORWARD_MODE_NONE
)

// leaving is a call of an endpoint by a caller with testKey, and the choice of its first target and
// credential.
func leaving(t *testing.T, e *routing.Endpoint, x *Exchange) (*call, *pool.Choice) {
	t.Helper()
	if len(e.Targets) == 0 {
		e.Targets = []*routing.Target{{Scheme: "http", Host: "vendor.example", BasePath: "/base"}}
	}
	credential := -1
	if len(e.Credentials) > 0 {
		credential = 0
	}
	c := &call{g: New(Config{}, Deps{Keys: newKeys(t)}), x: x, endpoint: e}
	c.found.secret = testKey
	return c, pool.NewChoice(e, 0, credential, func(pool.Result) {})
}

// sent is the headers that leave, a line each.
func sent(t *testing.T, e *routing.Endpoint, x *Exchange) []string {
	t.Helper()
	c, choice := leaving(t, e, x)
	headers, _, _ := c.prepare(choice, nil)
	var out []string
	for _, h := range headers {
		out = append(out, h.Name+": "+h.Value)
	}
	return out
}

// Guarantee: a configured header replaces, fills in for or takes away the caller's in whatever spelling,
// and a credential's replaces both; what the mode holds back counts as not sent.
func TestConfiguredHeaders(t *testing.T) {
	t.Parallel()
	e := &routing.Endpoint{
		Forward: modeSafe,
		Headers: []routing.Header{
			{Name: "X-Set", Value: "ours"},
			{Name: "api_token", Value: "shared"},
			{Name: "User-Agent", Value: "gateway", Mode: routing.Default},
			{Name: "X-Default", Value: "d", Mode: routing.Default},
			{Name: "Range", Mode: routing.Remove},
			{Name: "Connection", Value: "close"},
		},
	}
	alone := []string{"X-Set: ours", "api_token: shared", "User-Agent: gateway", "X-Default: d"}
	for name, tc := range map[string]struct {
		headers []Header
		mode    eventv1.ForwardMode
		want    []string
	}{
		"nothing":              {nil, modeSafe, alone},
		"other case":           {[]Header{{"x-set", "1"}, {"X-SET", "2"}, {"API_TOKEN", "3"}}, modeAll, alone},
		"other dash":           {[]Header{{"X_Set", "1"}, {"Api-Token", "2"}, {"x_default", "mine"}}, modeAll, []string{"x_default: mine", "X-Set: ours", "api_token: shared", "User-Agent: gateway"}},
		"default held":         {[]Header{{"X-Default", "mine"}}, modeSafe, alone},
		"default sent":         {[]Header{{"X-Default", "mine"}, {"user-agent", ""}}, modeAll, []string{"X-Default: mine", "user-agent: ", "X-Set: ours", "api_token: shared"}},
		"removed":              {[]Header{{"Range", "bytes=0-1"}, {"rANGE", "bytes=2-3"}}, modeSafe, alone},
		"named by connection":  {[]Header{{"Connection", "X-Set, api_token"}, {"Connection", "x-default"}, {"X-Default", "mine"}}, modeAll, alone},
		"default with the key": {[]Header{{"X-Default", "see " + testKey}}, modeAll, alone},
	} {
		e := *e
		e.Forward = tc.mode
		if got := sent(t, &e, &Exchange{Headers: tc.headers}); !slices.Equal(got, tc.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, tc.want)
		}
	}
	e.Forward = modeAll
	e.Credentials = []*routing.Credential{{Name: "one", Headers: []routing.Header{{Name: "API-Token", Value: "one's"}, {Name: "X-Default", Value: "one's"}, {Name: "X-Org", Value: "o"}}}}
	want := []string{"Accept: a", "X-Set: ours", "User-Agent: gateway", "API-Token: one's", "X-Default: one's", "X-Org: o"}
	if got := sent(t, e, &Exchange{Headers: []Header{{"x_org", "mine"}, {"X-Default", "mine"}, {"Accept", "a"}}}); !slices.Equal(got, want) {
		t.Errorf("with a credential:\n got %q\nwant %q", got, want)
	}
}

// Guarantee: x-pass-NAME goes on as NAME in each mode, and gives a caller no say about credentials, the
// connection, its own origin, or what is configured.
func TestPassedHeaders(t *testing.T) {
	t.Parallel()
	refused := []string{
		"Authorization", "X-Api-Key", "x_api_key", "Api-Key", "X-Goog-Api-Key", "X-Litellm-Api-Key", "Xi-Api-Key", "api_token", "Api-Token",
		"Ocp-Apim-Subscription-Key", "Proxy-Authorization", "Proxy-Foo", "Cookie", "Host", "Content-Length", "Transfer-Encoding", "Connection",
		"TE", "Upgrade", "Trailer", "Keep-Alive", "Expect", "Accept-Encoding", "Forwarded", "X-Forwarded-For", "x_forwarded_host", "X-Real-Ip",
		"X-Amz-Security-Token", "X-Tollgate-Customer", "x-pass-Authorization", "X-Pass-X", "", "Sec-WebSocket-Protocol", "X-Set", "x_set",
		"X-Removed", "X-Secret", "X-My-Key", "Traceparent",
	}
	for _, mode := range []eventv1.ForwardMode{modeAll, modeSafe, modeNone} {
		e := &routing.Endpoint{
			Forward: mode, PassHeaders: true, KeyHeader: "X-My-Key",
			Headers:     []routing.Header{{Name: "X-Set", Value: "ours"}, {Name: "X-Removed", Mode: routing.Remove}, {Name: "X-Default", Value: "d", Mode: routing.Default}},
			Credentials: []*routing.Credential{{Name: "one", Headers: []routing.Header{{Name: "X-Secret", Value: "s"}}}},
		}
		for _, prefix := range []string{"X-Pass-", "x-pass-", "x_pass_"} {
			headers := []Header{{prefix + "X-Feature", "on"}, {prefix + "X-Default", "mine"}, {prefix + "Accept", "b"}, {"Accept", "a"}, {prefix + "X-Leak", "see " + testKey}}
			for _, name := range refused {
				headers = append(headers, Header{prefix + name, "abuse"})
			}
			want := []string{"X-Feature: on", "X-Default: mine", "Accept: b", "X-Set: ours", "X-Secret: s"}
			if got := sent(t, e, &Exchange{Headers: headers}); !slices.Equal(got, want) {
				t.Errorf("mode %s, %q:\n got %q\nwant %q", mode, prefix, got, want)
			}
		}
	}
	ordinary := &routing.Endpoint{Forward: modeAll}
	if got := sent(t, ordinary, &Exchange{Headers: []Header{{"X-Pass-Foo", "1"}}}); !slices.Equal(got, []string{"X-Pass-Foo: 1"}) {
		t.Errorf("without the setting: %q", got)
	}
	ordinary.Forward = modeSafe
	if got := sent(t, ordinary, &Exchange{Headers: []Header{{"X-Pass-Foo", "1"}}}); len(got) > 0 {
		t.Errorf("without the setting, on the safe list: %q", got)
	}
}

// Guarantee: of TE exactly "trailers" goes on, once, whatever else the caller writes there.
func TestTrailersAreTaken(t *testing.T) {
	t.Parallel()
	for value, passes := range map[string]bool{"trailers": true, "gzip, Trailers": true, "trailers;q=0.5": false, "gzip": false, "": false, "xtrailers": false} {
		got := sent(t, &routing.Endpoint{Forward: modeNone}, &Exchange{Headers: []Header{{"Connection", "TE"}, {"Te", value}, {"TE", value}}})
		if want := []string{"TE: trailers"}; passes != slices.Equal(got, want) || !passes && len(got) > 0 {
			t.Errorf("%q: %q", value, got)
		}
	}
}

// Guarantee: what makes a WebSocket goes on in each mode, but for the subprotocol that holds a key: ours in
// all of them, the vendor's where credentials are held back.
func TestWebSocketHeaders(t *testing.T) {
	t.Parallel()
	const mine, theirs, other = protocolPrefix + testKey, protocolPrefix + "sk-vendor", protocolPrefix + "tgk_other"
	for name, tc := range map[string]struct{ in, all, safe []string }{
		"no key":        {[]string{"realtime,openai-beta.realtime-v1"}, []string{"realtime,openai-beta.realtime-v1"}, []string{"realtime,openai-beta.realtime-v1"}},
		"ours":          {[]string{"realtime, " + mine + ",v1"}, []string{"realtime, v1"}, []string{"realtime, v1"}},
		"ours alone":    {[]string{mine}, nil, nil},
		"two lines":     {[]string{"a", mine, "b"}, []string{"a", "b"}, []string{"a", "b"}},
		"another of us": {[]string{other + ",a", mine}, []string{"a"}, []string{"a"}},
		"vendor's":      {[]string{"realtime, " + theirs}, []string{"realtime, " + theirs}, []string{"realtime"}},
		"in base64":     {[]string{"a, x." + strings.TrimRight(b64(testKey), "=")}, []string{"a"}, []string{"a"}},
	} {
		for mode, want := range map[eventv1.ForwardMode][]string{modeAll: tc.all, modeSafe: tc.safe, modeNone: tc.safe} {
			headers := []Header{{"Sec-WebSocket-Version", "13"}}
			for _, line := range tc.in {
				headers = append(headers, Header{"Sec-Websocket-Protocol", line})
			}
			got := sent(t, &routing.Endpoint{Forward: mode}, &Exchange{Upgrade: "websocket", Headers: headers})
			if got[0] != "Sec-WebSocket-Version: 13" || !slices.Equal(all(got, "sec-websocket-protocol"), slices.Clip(want)) {
				t.Errorf("%s, mode %s: %q", name, mode, got)
			}
		}
	}
	if got := sent(t, &routing.Endpoint{Forward: modeSafe}, &Exchange{Headers: []Header{{"Sec-WebSocket-Version", "13"}}}); len(got) > 0 {
		t.Errorf("without an upgrade: %q", got)
	}
}

// Guarantee: the Host header is the target's unless the endpoint says otherwise, and never holds the key.
func TestHostPolicy(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		policy       eventv1.HostPolicy
		caller, want string
	}{
		{eventv1.HostPolicy_HOST_POLICY_UNSPECIFIED, "gw.example", ""},
		{eventv1.HostPolicy_HOST_POLICY_TEXT, "gw.example", "fixed.example"},
		{eventv1.HostPolicy_HOST_POLICY_CALLER, "gw.example:8080", "gw.example:8080"},
		{eventv1.HostPolicy_HOST_POLICY_CALLER, "", ""},
		{eventv1.HostPolicy_HOST_POLICY_CALLER, strings.ToUpper(testKey) + ".gw.example", ""},
		{eventv1.HostPolicy_HOST_POLICY_CALLER, "%74gk_" + testKey[4:] + ".gw.example", ""},
	} {
		c, choice := leaving(t, &routing.Endpoint{HostPolicy: tc.policy, HostText: "fixed.example"}, &Exchange{Host: tc.caller})
		if _, _, host := c.prepare(choice, nil); host != tc.want {
			t.Errorf("%s, %q: %q", tc.policy, tc.caller, host)
		}
	}
}

// Guarantee: behind a body comes nothing that could not have come before it, and nothing that says how to
// read it.
func TestTrailersAreFiltered(t *testing.T) {
	t.Parallel()
	e := &routing.Endpoint{
		Forward: modeAll, Headers: []routing.Header{{Name: "X-Set", Value: "1"}, {Name: "X-Default", Mode: routing.Default}},
		Credentials: []*routing.Credential{{Headers: []routing.Header{{Name: "X-First"}}}, {Headers: []routing.Header{{Name: "X-Second"}}}},
	}
	names := []string{"X-Sum", "X-Key", "Authorization", "X_Api_Key", "Content-Length", "Transfer-Encoding", "Host", "Content-Type", "x_set", "X-Default", "X-First", "X-Second", "Set-Cookie", "X-Tollgate-Tags", "X-Forwarded-For", "X-Named"}
	x := &Exchange{Headers: []Header{{"Connection", "X-Named"}}, Length: -1, TrailerNames: names, Body: sentBehind{names}}
	c, _ := leaving(t, e, x)
	c.checkTrailers()
	if want := []string{"X-Sum", "X-Key"}; !slices.Equal(x.TrailerNames, want) {
		t.Errorf("announced: %q", x.TrailerNames)
	}
	if got := x.Body.Trailers(); !slices.Equal(got, []Header{{"X-Sum", "v"}}) {
		t.Errorf("sent: %q", got)
	}
	plain := &Exchange{Length: 3, Body: sentBehind{}, Proto: HTTP11}
	c.x = plain
	c.checkTrailers()
	if _, same := plain.Body.(sentBehind); !same {
		t.Error("a body behind which nothing can come was wrapped")
	}
}

// sentBehind is a body behind which all these names come, X-Key with the caller's key.
type sentBehind struct{ names []string }

func (sentBehind) Read([]byte) (int, error) { return 0, nil }
func (sentBehind) Interrupt()               {}
func (sentBehind) Drain()                   {}
func (b sentBehind) Trailers() (out []Header) {
	for _, name := range b.names {
		value := "v"
		if name == "X-Key" {
			value = "Bearer " + testKey
		}
		out = append(out, Header{name, value})
	}
	return out
}

// Guarantee: what the vendor gets holds the key neither as it is nor percent-encoded nor in base64,
// whatever the caller's request is and whatever is forwarded; and all of what is configured arrives, once.
func TestNoKeyLeaves(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	rapid.Check(t, func(t *rapid.T) {
		// What is configured follows what the caller has sent, so that it could complete a secret that ends as it begins.
		secret := rapid.StringMatching(`tgk_[a-zA-Z0-9;&=%+ ,"/]{8,24}[a-z]`).Filter(func(s string) bool {
			tail := s[strings.LastIndexByte(s, '&')+1:]
			return !strings.HasPrefix("key", tail) && tail != "a" && tail != "b"
		}).Draw(t, "secret")
		noise := rapid.SampledFrom([]string{"", "a", "=", "&", ";", "%", "%4", "%zz", " ", "b=c", ",", protocolPrefix})
		text := func() string { return noise.Draw(t, "before") + spelling(t, secret) + noise.Draw(t, "after") }
		var query strings.Builder
		for range rapid.IntRange(0, 6).Draw(t, "pieces") {
			query.WriteString(text())
		}
		var headers []Header
		for range rapid.IntRange(0, 6).Draw(t, "headers") {
			name := rapid.SampledFrom([]string{
				"Authorization", "X-Api-Key", "x_api_key", "Cookie", "X-Other", "Accept", "Content-Type", "Referer", "X-" + secret, "TE", "Connection",
				"X-Pass-Other", "x_pass_Accept", "X-Pass-" + secret, "X-Pass-Authorization", "X-Secret", "x_secret", "Sec-WebSocket-Protocol", "X-Tollgate-Tags",
			}).Draw(t, "name")
			headers = append(headers, Header{name, text()})
		}
		e := &routing.Endpoint{
			Forward:     rapid.SampledFrom([]eventv1.ForwardMode{modeAll, modeSafe, modeNone}).Draw(t, "mode"),
			PassHeaders: rapid.Bool().Draw(t, "pass"),
			HostPolicy:  eventv1.HostPolicy_HOST_POLICY_CALLER,
			Headers:     []routing.Header{{Name: "Accept", Value: "d", Mode: routing.Default}},
			Query:       []routing.Query{{Name: "a", Value: "d", Mode: routing.Default}},
			Targets:     []*routing.Target{{BaseQuery: "b=own"}},
			Credentials: []*routing.Credential{{Headers: []routing.Header{{Name: "X-Secret", Value: "vendor's"}}, Query: []routing.Query{{Name: "key", Value: "vendor's"}}}},
		}
		x := &Exchange{Headers: headers, Upgrade: rapid.SampledFrom([]string{"", "websocket"}).Draw(t, "upgrade"), Host: text(), Length: -1, Body: sentBehind{}}
		c := &call{g: New(Config{}, Deps{Keys: keys}), x: x, endpoint: e, query: query.String()}
		c.found.secret = secret
		got, uri, host := c.prepare(pool.NewChoice(e, 0, 0, func(pool.Result) {}), nil)
		for _, text := range []string{uri, strings.ReplaceAll(uri, "+", " "), host} {
			if leakIn(text, secret) != "" {
				t.Fatalf("%q, host %q became %q", query.String(), x.Host, text)
			}
		}
		count := 0
		for _, h := range append(got, c.trailers(headers)...) {
			if leakIn(h.Name, secret)+leakIn(h.Value, secret) != "" {
				t.Fatalf("%s: %q", h.Name, h.Value)
			}
			if sameHeader(h.Name, "x-secret") {
				if count++; h.Value != "vendor's" {
					t.Fatalf("%s: %q", h.Name, h.Value)
				}
			}
		}
		if count != 1 || !strings.HasSuffix(uri, "key=vendor%27s") {
			t.Fatalf("%d credentials in %q, %s", count, got, uri)
		}
	})
}

// spelling is a way in which a caller may write a secret, or nothing.
func spelling(t *rapid.T, secret string) string {
	text := secret
	switch rapid.IntRange(0, 5).Draw(t, "spelling") {
	case 0:
	case 1:
		text = url.QueryEscape(text)
	case 2:
		text = url.PathEscape(text)
	case 3:
		var b strings.Builder
		for i := range len(text) {
			fmt.Fprintf(&b, "%%%02x", text[i])
		}
		text = b.String()
	case 4:
		around := rapid.StringN(0, 4, 8)
		text = around.Draw(t, "user") + text + around.Draw(t, "end")
		text = rapid.SampledFrom([]*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding}).Draw(t, "alphabet").EncodeToString([]byte(text))
	default:
		return ""
	}
	if rapid.IntRange(0, 3).Draw(t, "again") == 0 {
		text = url.QueryEscape(text)
	}
	return text
}
