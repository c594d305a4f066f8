package e2e_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Guarantee: the caller's key is in no request that a vendor receives, in any header or query,
// wherever the caller put it and whatever forward_headers says.
func TestCallersKeyNeverLeaves(t *testing.T) {
	t.Parallel()
	c := start(t)
	modes := map[string]controlv1.ForwardHeaders{
		"safe": controlv1.ForwardHeaders_FORWARD_HEADERS_SAFE_LIST,
		"all":  controlv1.ForwardHeaders_FORWARD_HEADERS_ALL,
		"none": controlv1.ForwardHeaders_FORWARD_HEADERS_NONE,
	}
	for name, mode := range modes {
		c.endpoint(name, "/"+name, "", func(e *controlv1.Endpoint) { e.ForwardHeaders, e.KeyHeader = mode, "x-my-key" })
	}
	key := c.key("ci-bot")
	c.awaitLive()

	present := map[string]func(*http.Request){
		"bearer":     func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+key) },
		"basic":      func(r *http.Request) { r.SetBasicAuth("user", key) },
		"x-api-key":  func(r *http.Request) { r.Header.Set("X-Api-Key", key) },
		"api-key":    func(r *http.Request) { r.Header.Set("Api-Key", key) },
		"google":     func(r *http.Request) { r.Header.Set("X-Goog-Api-Key", key) },
		"litellm":    func(r *http.Request) { r.Header.Set("X-Litellm-Api-Key", key) },
		"own header": func(r *http.Request) { r.Header.Set("X-My-Key", key) },
		"query":      func(r *http.Request) { r.URL.RawQuery = "a=1&key=" + url.QueryEscape(key) + "&b=%2F" },
		"everywhere": func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+key)
			r.Header.Set("X-Api-Key", key)
			r.Header.Set("X-Custom", key)
			r.Header.Set("Cookie", "session=1; key="+key)
			r.URL.RawQuery = "key=" + key
		},
	}
	for mode := range modes {
		for where, put := range present {
			before := c.vendor.Count()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.edgeAddrs[0]+"/"+mode+"/v1/x", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			put(req)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			got := c.vendor.Requests()
			if resp.StatusCode != http.StatusOK || len(got) != before+1 {
				t.Errorf("%s, key in %s: %s, the vendor saw %d requests", mode, where, resp.Status, len(got)-before)
				continue
			}
			last := got[len(got)-1]
			text := last.URI
			for _, f := range last.Header {
				text += "\n" + f.Name + ": " + f.Value
			}
			for _, form := range []string{key, url.QueryEscape(key), base64.StdEncoding.EncodeToString([]byte("user:" + key))} {
				if strings.Contains(text, form) {
					t.Errorf("%s, key in %s: the vendor received it:\n%s", mode, where, text)
				}
			}
			if last.Get("api_token") != vendorToken {
				t.Errorf("%s, key in %s: the vendor's credential is missing", mode, where)
			}
			if where == "query" && last.URI != "/v1/x?a=1&b=%2F" {
				t.Errorf("%s: the rest of the query arrived as %s", mode, last.URI)
			}
		}
	}
}
