package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
)

// Whoever has no key is served by a public endpoint, up to a rate that all callers and edges share; the
// records have no key; and it is closed everywhere within a second of the command.
func publicEndpoint(c *cluster) {
	t := c.t
	v := named(t, "open")[0]
	out := c.does("endpoint", "create", "open", "--path", "/open", "--method", "GET", "--target", v.URL, "--price", "0.01", "--public", "--rate-limit", "60", "--rate-burst", "6")
	if !strings.Contains(out, "! open, access.public: ") {
		t.Errorf("creating it says\n%s", out)
	}
	c.awaitLive()
	if out := c.does("limit", "list"); !strings.Contains(out, "public-open\t") {
		t.Errorf("its limit is missing:\n%s", out)
	}
	began, passed, limited := time.Now(), 0, 0
	for i := range 40 {
		switch resp, body := c.send(i%2, http.MethodGet, "/open/x"); {
		case resp.StatusCode == http.StatusOK:
			passed++
		case resp.StatusCode == http.StatusTooManyRequests && errorCode([]byte(body)) == "rate_limited" && resp.Header.Get("Retry-After") != "":
			limited++
		default:
			t.Fatalf("%s %s", resp.Status, body)
		}
	}
	// Until the ledger has answered, each edge lets pass what its share would be: a burst.
	if most := 3*6 + int(time.Since(began).Seconds()) + 1; passed == 0 || passed > most || limited == 0 {
		t.Errorf("%d passed and %d did not; at most %d may", passed, limited, most)
	}
	if v.Count() != passed {
		t.Errorf("the vendor got %d requests, %d passed", v.Count(), passed)
	}
	testenv.Eventually(t, eventually, func() error {
		var records []struct {
			KeyID   string `json:"keyId"`
			KeyName string `json:"keyName"`
			Cost    struct{ Amount string }
		}
		if err := json.Unmarshal([]byte(c.does("requests", "list", "--endpoint", "open", "-o", "json")), &records); err != nil {
			return err
		}
		if len(records) != passed {
			return fmt.Errorf("%d records of %d requests", len(records), passed)
		}
		for _, r := range records {
			if r.KeyID != "" || r.KeyName != "public" || r.Cost.Amount != "0.01" {
				t.Fatalf("a record of a caller without a key: %+v", r)
			}
		}
		return nil
	})
	c.does("endpoint", "set", "open", "--keys-only")
	for edge := range c.edges {
		testenv.Eventually(t, eventually, func() error {
			if resp, body := c.send(edge, http.MethodGet, "/open/x"); resp.StatusCode != http.StatusUnauthorized {
				return fmt.Errorf("%s %s", resp.Status, body)
			}
			return nil
		})
	}
	if out := c.does("limit", "list"); strings.Contains(out, "public-open") {
		t.Errorf("its limit is still there:\n%s", out)
	}
}

// A credential that the vendor asks to wait is left alone for as long, another one takes its place within
// the same request, and every answer is charged once to each budget.
func credentialsTakeTurns(c *cluster) {
	t := c.t
	v := named(t, "")[0]
	refuse := make(chan struct{}, 1) // one refusal
	refuse <- struct{}{}
	v.Handle(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("x-cred") == "one" {
			select {
			case <-refuse:
				w.Header().Set("Retry-After", "2")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			default:
			}
		}
		_, _ = w.Write([]byte(r.Header.Get("x-cred")))
	})
	c.does("endpoint", "create", "turns", "--path", "/turns", "--target", v.URL, "--price", "0.03", "--retry", "1",
		"--credential", "one x-cred: one", "--credential", "two x-cred: two")
	key := c.key("turner")
	c.budget("turner", "turner", "10.00")
	c.budget("turns", "", "10.00", func(b *controlv1.Budget) { b.Scope = &controlv1.Budget_Endpoint{Endpoint: "turns"} })
	c.awaitLive()
	ask := func() string {
		resp, body := c.send(0, http.MethodPost, "/turns/x", "Authorization", "Bearer "+key)
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %s", resp.Status, body)
		}
		return body
	}
	n, began := int64(0), time.Now()
	if got := ask(); got != "two" {
		t.Errorf("the first answer is for %s", got)
	}
	n++
	testenv.Eventually(t, eventually, func() error {
		n++
		switch got, took := ask(), time.Since(began); {
		case got == "two":
			return errStillThere
		case took < 2*time.Second-100*time.Millisecond:
			t.Errorf("credential %s is back after %s", got, took)
		}
		return nil
	})
	for _, budget := range []string{"turner", "turns"} {
		testenv.Eventually(t, eventually, func() error {
			if got, want := c.dollars(c.state(budget).GetSpent()), money.Nanos(n)*nanos(t, "0.03"); got != want {
				return fmt.Errorf("budget %s has spent %s, want %s", budget, got, want)
			}
			return nil
		})
	}
}

// Each mode does to headers and parameters what it says, and x-pass- passes what nothing else would.
func headersAndQuery(c *cluster) {
	t := c.t
	v := named(t, "")[0]
	c.does("endpoint", "create", "modes", "--path", "/modes", "--target", v.URL+"/base?own=1", "--free", "--forward", "all", "--pass-headers",
		"--header", "x-set: ours ${secret:vendor}", "--default-header", "x-default: ours", "--strip-header", "x-strip",
		"--query", "d=ours", "--set-query", "s=ours&more", "--strip-query", "r", "--host-header", "api.example.com")
	key := c.key("moder")
	c.awaitLive()
	got := func(path string, headers ...string) map[string]string {
		t.Helper()
		if resp, body := c.send(1, http.MethodGet, path, append(headers, "x-api-key", key)...); resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %s", resp.Status, body)
		}
		r := v.Last(t)
		return map[string]string{
			"uri": r.URI, "host": r.Host, "set": strings.Join(r.Values("x-set"), ","), "default": strings.Join(r.Values("x-default"), ","),
			"strip": r.Get("x-strip"), "pass": r.Get("x-custom"), "prefix": r.Get("x-pass-x-custom"), "key": r.Get("x-api-key"), "cookie": r.Get("Cookie"),
		}
	}
	for name, tt := range map[string]struct{ got, want map[string]string }{
		"bare": {got("/modes/a%2Fb"), map[string]string{
			"uri": "/base/a%2Fb?own=1&d=ours&s=ours%26more", "host": "api.example.com", "set": "ours " + vendorToken, "default": "ours",
		}},
		"against": {
			got("/modes?r=1&s=theirs&d=theirs&x=%20", "x-set", "theirs", "x-default", "theirs", "x-strip", "theirs", "x-pass-x-custom", "v"),
			map[string]string{
				"uri": "/base?own=1&d=theirs&x=%20&s=ours%26more", "host": "api.example.com", "set": "ours " + vendorToken, "default": "theirs", "pass": "v",
			},
		},
	} {
		for k, v := range tt.got {
			if v != tt.want[k] {
				t.Errorf("%s: %s is %q, want %q", name, k, v, tt.want[k])
			}
		}
	}
}

// A file that is imported again changes nothing, although the server writes out what the file leaves out.
func importedTwice(c *cluster) {
	t := c.t
	path := c.file("config.yaml", []byte(`general_settings:
  pass_through_endpoints:
    - path: /imported
      target: `+c.vendor.URL+`
      headers: {api_token: os.environ/HOME, accept: application/json}
      default_query_params: {v: "2"}
      include_subpath: true
`))
	for i, want := range []string{"endpoint\timported\tcreated", "nothing to do", "nothing to do"} {
		if out := c.does("import", "litellm", path); !strings.Contains(out, want) {
			t.Errorf("import %d says\n%s", i+1, out)
		}
	}
}

// Input that can never work is refused with the setting's name and changes nothing.
func wrongFlags(c *cluster) {
	t := c.t
	for args, want := range map[string]string{
		"--target ftp://x":                                   "targets",
		"--target https://x|--header host: a":                "headers",
		"--target https://x|--retry 9":                       "retry",
		"--target https://x weight=2":                        "weight",
		"--target http://x skip-verify":                      "tls",
		"--target https://x|--credential a k: ${secret:no}":  "credentials",
		"--target https://x|--health-check healthz":          "health",
		"--target https://x|--hedge soon":                    "--hedge",
		"--target https://x|--outlier for=1ms":               "outlier",
		"--target https://x|--public":                        "--rate-limit",
		"--target https://x|--host-header a b":               "host",
		"--target https://x|--set-query =v":                  "query",
		"--target https://x|--total-timeout -1s":             "timeout",
		"--target https://x key=----BEGIN":                   "client_key",
		"--target https://x|--balance random":                "--balance",
		"--target https://x cert=/nowhere|--breaker min=two": "cert=/nowhere",
		"--target https://x|--breaker min=two":               "--breaker",
	} {
		all := []string{"endpoint", "create", "wrong", "--path", "/wrong", "--free"}
		for part := range strings.SplitSeq(args, "|") {
			flag, value, _ := strings.Cut(part, " ")
			all = append(all, flag)
			if value != "" {
				all = append(all, value)
			}
		}
		stdout, stderr, code := c.cli(all...)
		if code != 2 || !strings.Contains(stderr, want) || stdout != "" {
			t.Errorf("%s: exit %d\n%s%s", args, code, stdout, stderr)
		}
	}
	if _, _, code := c.cli("endpoint", "get", "wrong"); code != 3 {
		t.Errorf("something was made: exit %d", code)
	}
}
