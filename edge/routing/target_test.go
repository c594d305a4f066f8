package routing

import (
	"strings"
	"testing"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

// Guarantee: what breakers, metrics and logs call a target does not hold its query, which may be a
// credential.
func TestTargetName(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://a.example":               "https://a.example",
		"https://a.example/":              "https://a.example",
		"https://a.example/v1?key=secret": "https://a.example/v1",
		"http://a.example:8080/a%2Fb/":    "http://a.example:8080/a%2Fb",
	} {
		target, err := newTarget(url)
		if err != nil || target.Name != want {
			t.Errorf("%s is called %v, %v", url, target, err)
		}
	}
}

// Guarantee: a secret that no header can hold makes its endpoint say so, and is not shown; it is not
// found out by every request anew, as if the target were down.
func TestSecretWithControlCharacters(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"hidden\x01", "hidden\n", "\x7fhidden", "hid\x00den"} {
		table, err := Compile(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{{
			Id: "ep_x", Name: "x", Path: "/x", Targets: []string{"http://a.example"},
			Headers: []*eventv1.RouteHeader{{Name: "Authorization", Value: "Bearer ${secret:s}"}},
		}}}, contract.Version{}, Lookups{Secret: func(string) (string, error) { return secret, nil }})
		if err != nil {
			t.Fatal(err)
		}
		e := table.Endpoints()[0]
		if e.Err == nil || fault.From(e.Err).Code != fault.SecretUnresolved || strings.Contains(e.Err.Error(), "hid") || len(e.Headers) > 0 {
			t.Errorf("%q: %v", secret, e.Err)
		}
	}
}
