package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"tollgate/internal/testenv/vendor"
)

// explained is what `tollgate explain -o json` says.
type explained struct {
	Admitted bool
	Endpoint string
	URL      string
	Host     string
	Headers  []struct{ Name, Value, Removed string }
	Refusal  struct {
		Status int
		Code   string
	}
}

// What explain says of a request is what happens when the request comes, in every part that the caller or
// the vendor can see.
func explainAgrees(c *cluster) {
	t := c.t
	v := named(t, "")[0]
	create := func(name, path string, flags ...string) {
		c.does(append([]string{"endpoint", "create", name, "--path", path, "--target", v.URL + "/" + name + "?t=1"}, flags...)...)
	}
	create("x-all", "/x", "--free", "--forward", "all", "--pass-headers", "--header", "x-a: ours", "--default-header", "x-b: ours",
		"--strip-header", "x-c", "--query", "q=ours", "--set-query", "s=${secret:vendor}", "--strip-query", "r")
	create("x-safe", "/x/safe", "--price", "0.01", "--method", "GET", "--method", "POST", "--host-header", "caller", "--key-header", "x-own-key",
		"--credential", "one authorization: Bearer ${secret:vendor}")
	create("x-none", "/x/none", "--price", "0.02", "--exact", "--forward", "none", "--max-body-bytes", "5")
	create("x-public", "/x/public", "--free", "--public", "--rate-limit", "1000000", "--rate-burst", "1000000")
	keys := map[string]string{"": "", "x-any": c.key("x-any"), "x-poor": c.key("x-poor")}
	out, _, _ := c.cli("key", "create", "x-narrow", "--endpoint", "x-safe", "-o", "json")
	var narrow struct{ Secret string }
	if err := json.Unmarshal([]byte(out), &narrow); err != nil || narrow.Secret == "" {
		t.Fatalf("%v\n%s", err, out)
	}
	keys["x-narrow"] = narrow.Secret
	c.budget("x-poor", "x-poor", "0.005")
	c.awaitLive()
	v.Handle(vendor.Status(http.StatusOK))
	names := slices.Sorted(maps.Keys(keys))
	outcomes := map[string]int{}
	pairs := rapid.Permutation([][2]string{
		{"X-A", "theirs"},
		{"X-B", "theirs"},
		{"X-C", "theirs"},
		{"X-D", "theirs"},
		{"Accept", "text/plain"},
		{"Cookie", "a=b"},
		{"Range", "bytes=0-1"},
		{"X-Pass-X-E", "passed"},
		{"X-Pass-Cookie", "no"},
		{"X-Forwarded-For", "1.2.3.4"},
		{"Connection", "x-d"},
		{"X-Tollgate-Tags", "a,b"},
		{"X-Tollgate-Customer", strings.Repeat("long", 100)},
		{"Authorization", "Bearer tg_unknown"},
		{"Content-Type", "text/plain"},
		{"If-None-Match", "*"},
	})
	rapid.Check(t, func(r *rapid.T) {
		method := rapid.SampledFrom([]string{"GET", "POST", "DELETE", "HEAD"}).Draw(r, "method")
		path := rapid.SampledFrom([]string{"/x", "/x/safe", "/x/none", "/x/public", "/y"}).Draw(r, "path") +
			rapid.SampledFrom([]string{"", "/", "/a", "/a%2Fb", "/..", "/%2e%2e/a", "//a", "/none"}).Draw(r, "below") +
			rapid.SampledFrom([]string{"", "?", "?q=theirs", "?r=1&x=%20y&s=2", "?%71=z", "?a&a=&=b"}).Draw(r, "query")
		key := rapid.SampledFrom(names).Draw(r, "key")
		all := pairs.Draw(r, "headers")[:rapid.IntRange(0, 6).Draw(r, "count")]
		args := []string{"explain", method, path, "--edge", "edge-1", "-o", "json", "-H", "host: " + c.edgeAddrs[0]}
		headers := []string{}
		for _, h := range all {
			if h[0] == "Authorization" && key != "" {
				continue // a request has one key
			}
			headers = append(headers, h[0], h[1])
		}
		headers = append(headers, "User-Agent", "caller")
		if method == http.MethodPost {
			args = append(args, "--body-bytes", fmt.Sprint(len(callBody)))
		}
		if key != "" {
			args = append(args, "--key", key)
		}
		for i := 0; i < len(headers); i += 2 {
			args = append(args, "-H", headers[i]+": "+headers[i+1])
		}
		stdout, stderr, code := c.cli(args...)
		var said explained
		if err := json.Unmarshal([]byte(stdout), &said); err != nil || code != 0 {
			r.Fatalf("exit %d %v\n%s%s", code, err, stdout, stderr)
		}
		headers = headers[:len(headers)-2] // send has that one
		if key != "" {
			headers = append(headers, "Authorization", "Bearer "+keys[key])
		}
		before := v.Count()
		resp, body := c.send(0, method, path, headers...)
		got := v.Requests()[before:]
		if said.Admitted != (len(got) == 1) {
			r.Fatalf("explain says %s\nand happened: %s %s, %d at the vendor", stdout, resp.Status, body, len(got))
		}
		if !said.Admitted {
			outcomes[said.Refusal.Code]++
			if resp.StatusCode != said.Refusal.Status || method != http.MethodHead && errorCode([]byte(body)) != said.Refusal.Code {
				r.Fatalf("explain says %+v, the answer is %s %s", said.Refusal, resp.Status, body)
			}
			return
		}
		outcomes[said.Endpoint]++
		real := func(text string) string { return strings.ReplaceAll(text, "${secret:vendor}", vendorToken) }
		if want := got[0].Method + " " + v.URL + got[0].URI; real(said.URL) != want {
			r.Fatalf("explain says %s, the vendor got %s", said.URL, want)
		}
		if said.Host != got[0].Host {
			r.Fatalf("explain says the host is %q, the vendor got %q", said.Host, got[0].Host)
		}
		want, have := []string{}, []string{}
		for _, h := range said.Headers {
			if h.Removed == "" {
				want = append(want, strings.ToLower(h.Name)+": "+real(h.Value))
			}
		}
		for _, h := range got[0].Header {
			switch name := strings.ToLower(h.Name); name {
			case "host", "content-length": // the engine's
			default:
				have = append(have, name+": "+h.Value)
			}
		}
		slices.Sort(want)
		slices.Sort(have)
		if !slices.Equal(want, have) {
			r.Fatalf("explain says\n%s\nthe vendor got\n%s", strings.Join(want, "\n"), strings.Join(have, "\n"))
		}
	})
	t.Logf("outcomes: %v", outcomes)
	for _, want := range []string{"x-all", "x-safe", "x-public", "endpoint_not_found", "key_missing", "key_not_allowed"} {
		if outcomes[want] == 0 {
			t.Errorf("no request came to %s: %v", want, outcomes)
		}
	}
}
