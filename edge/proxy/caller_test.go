package proxy

import (
	"net/netip"
	"testing"
)

// Guarantee: where a request comes from is what its connection says, unless that is one of the trusted proxies: then it is the last
// address that none of these has. Nobody can pretend to be elsewhere, and what cannot be known is no address.
func TestCaller(t *testing.T) {
	t.Parallel()
	g := &Gateway{cfg: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}}}
	xff := func(values ...string) (out []Header) {
		for _, v := range values {
			out = append(out, Header{"X-Forwarded-For", v})
		}
		return out
	}
	for name, c := range map[string]struct {
		remote  string
		headers []Header
		want    string
	}{
		"nobody in between":        {"192.0.2.1:5", nil, "192.0.2.1"},
		"not a proxy":              {"192.0.2.1:5", xff("198.51.100.9"), "192.0.2.1"},
		"behind one":               {"10.0.0.1:5", xff("198.51.100.9"), "198.51.100.9"},
		"behind two":               {"10.0.0.1:5", xff("198.51.100.9, 10.0.0.2"), "198.51.100.9"},
		"in two lines":             {"10.0.0.1:5", xff("198.51.100.9", "10.0.0.2"), "198.51.100.9"},
		"what the caller claims":   {"10.0.0.1:5", xff("10.9.9.9, 203.0.113.7, 198.51.100.9, 10.0.0.2"), "198.51.100.9"},
		"one of the network":       {"10.0.0.1:5", xff("10.7.7.7, 10.0.0.2"), "10.7.7.7"},
		"no header":                {"10.0.0.1:5", nil, "10.0.0.1"},
		"nonsense":                 {"10.0.0.1:5", xff("198.51.100.9, unknown"), ""},
		"nothing":                  {"10.0.0.1:5", xff(""), ""},
		"with a port":              {"10.0.0.1:5", xff("198.51.100.9:1234"), "198.51.100.9"},
		"over IPv6":                {"[2001:db8::1]:5", xff("2001:db9::7"), "2001:db9::7"},
		"mapped":                   {"[::ffff:10.0.0.1]:5", xff("::ffff:198.51.100.9"), "198.51.100.9"},
		"forwarded":                {"10.0.0.1:5", []Header{{"Forwarded", `for=198.51.100.9;proto=https, For="10.0.0.2:80"`}}, "198.51.100.9"},
		"forwarded over IPv6":      {"10.0.0.1:5", []Header{{"forwarded", `for="[2001:db9::7]:443"`}}, "2001:db9::7"},
		"forwarded for nobody":     {"10.0.0.1:5", []Header{{"Forwarded", `for=198.51.100.9, proto=https`}}, ""},
		"a header that is forged":  {"10.0.0.1:5", append(xff("198.51.100.9"), Header{"Forwarded", "for=10.7.7.7"}), ""},
		"both, and they agree":     {"10.0.0.1:5", append(xff("198.51.100.9"), Header{"Forwarded", "for=198.51.100.9"}), "198.51.100.9"},
		"an address with a zone":   {"[fe80::1%eth0]:5", nil, "fe80::1"},
		"a connection without one": {"@", nil, ""},
	} {
		want, _ := netip.ParseAddr(c.want)
		if got := g.caller(&Exchange{Remote: c.remote, Headers: c.headers}); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// Guarantee: no header, however wrong, gives a caller the address of a trusted proxy's network that is not in it, or does more than
// leave the address unknown.
func FuzzCaller(f *testing.F) {
	f.Add("198.51.100.9, 10.0.0.2", "")
	f.Add("", `for=198.51.100.9;proto=https, For="[2001:db8::1]:80"`)
	f.Add(`,,"`, `;;=,for==`)
	g := &Gateway{cfg: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
	f.Fuzz(func(t *testing.T, x, forwarded string) {
		headers := []Header{{"X-Forwarded-For", x + ",203.0.113.7"}}
		if got := g.caller(&Exchange{Remote: "10.0.0.1:1", Headers: headers}); got != netip.MustParseAddr("203.0.113.7") {
			t.Fatalf("what stands before what the proxy wrote counts: %s", got)
		}
		headers = append(headers, Header{"Forwarded", forwarded})
		if got := g.caller(&Exchange{Remote: "10.0.0.1:1", Headers: headers}); got.IsValid() && got != netip.MustParseAddr("203.0.113.7") {
			t.Fatalf("another header changed where the request comes from: %s", got)
		}
	})
}
