package clients_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Guarantee: the vendor of these tests notices a key of the gateway wherever it stands, and a credential of
// its own that is missing, doubled or another. Otherwise the tests could not fail.
func TestVendorNotices(t *testing.T) {
	t.Parallel()
	v := newVendor()
	t.Cleanup(v.close)
	const key = "tgk_aB-3_9+/"
	v.expect("checked", "openai", "Authorization", "Bearer mine", key)
	basic := base64.StdEncoding.EncodeToString([]byte("user:" + key))
	for name, change := range map[string]func(r *http.Request){
		"nothing": func(*http.Request) {},
		"in a header": func(r *http.Request) {
			r.Header.Set("X-Anything", "before "+key+" behind")
		},
		"in Basic":                func(r *http.Request) { r.Header.Set("X-Other", "Basic "+basic) },
		"in the query":            func(r *http.Request) { r.URL.RawQuery = "key=" + key },
		"escaped in the query":    func(r *http.Request) { r.URL.RawQuery = "k=tgk%5FaB-3%5F9%2B%2F" },
		"in the body":             func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{"model":"` + key + `"}`)) },
		"no credential":           func(r *http.Request) { r.Header.Del("Authorization") },
		"another credential":      func(r *http.Request) { r.Header.Set("Authorization", "Bearer other") },
		"two credentials":         func(r *http.Request) { r.Header.Add("Authorization", "Bearer mine") },
		"a header of the gateway": func(r *http.Request) { r.Header.Set("X-Tollgate-Tags", "a") },
	} {
		r := httptest.NewRequest(http.MethodPost, "/checked/v1/embeddings", strings.NewReader("{}"))
		r.Header.Set("Authorization", "Bearer mine")
		change(r)
		r.RequestURI = r.URL.RequestURI()
		w := httptest.NewRecorder()
		v.ServeHTTP(w, r)
		v.mu.Lock()
		noticed := len(v.routes["checked"].problems)
		v.routes["checked"].problems = nil
		v.mu.Unlock()
		if (noticed > 0) != (name != "nothing") {
			t.Errorf("%s: %d problems are noticed", name, noticed)
		}
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
