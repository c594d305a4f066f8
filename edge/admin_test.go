package edge_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// Guarantee: where an edge's time and memory go is told on the admin's listener, and to no caller.
func TestProfilesAreForAdmins(t *testing.T) {
	t.Parallel()
	c := newBooks(t)
	r := start(t, settings(t, c.Server.URL()))
	get := func(url string) (int, string) {
		resp, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	for path, want := range map[string]string{"": "heap", "goroutine?debug=1": "goroutine profile:", "profile?seconds=1": "\x1f\x8b"} {
		if status, text := get("http://" + r.AdminAddr() + "/-/debug/pprof/" + path); status != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%q: %d %.200q", path, status, text)
		}
		if status, text := get("http://" + r.Addr() + "/-/debug/pprof/" + path); status == http.StatusOK {
			t.Errorf("%q is told to callers: %.200q", path, text)
		}
	}
}
