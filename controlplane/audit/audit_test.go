package audit_test

import (
	"slices"
	"strings"
	"testing"

	"tollgate/controlplane/audit"
	"tollgate/controlplane/diff"
)

// Guarantee: changes are told as people write them, and what changes with every write is not told.
func TestChangesAreReadable(t *testing.T) {
	t.Parallel()
	before := `{"id":"ep_1","revision":1,"update_time":"a","price":{"per_request_nanos":10000000000},"timeout_ns":600000000000,"methods":["GET"]}`
	after := `{"id":"ep_1","revision":2,"update_time":"b","price":{"per_request_nanos":12000000000},"timeout_ns":90000000000,"methods":["GET"],"description":"now with\nwords"}`
	got := audit.Changes([]byte(before), []byte(after))
	want := []diff.Change{
		{Path: "description", After: `"now with\nwords"`},
		{Path: "price.per_request", Before: `"10.00"`, After: `"12.00"`},
		{Path: "timeout", Before: `"10m0s"`, After: `"1m30s"`},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if s := audit.Summary(got, true, true); s != "description now with words, price.per_request 10.00 → 12.00, timeout 10m0s → 1m30s" {
		t.Errorf("summary %q", s)
	}
	if s := audit.Summary(got, false, true); s != "" {
		t.Errorf("summary of what was made %q", s)
	}
	many := audit.Changes([]byte(`{"a":1,"b":1,"c":1,"d":1,"e":"x"}`), []byte(`{"a":2,"b":2,"c":2,"d":2}`))
	if s := audit.Summary(many, true, true); s != "a 1 → 2, b 1 → 2, c 1 → 2, 2 more" {
		t.Errorf("summary %q", s)
	}
}

// Guarantee: what looks like a credential is told as changed, wherever it stands and however it changed; references and what is
// none are told in full.
func TestCredentialsAreHidden(t *testing.T) {
	t.Parallel()
	const marker = "s3cret-marker"
	headers := func(name, value string) string {
		return `{"headers":[{"name":"` + name + `","value":"` + value + `"}]}`
	}
	for name, c := range map[string]struct{ before, after string }{
		"a header":                   {headers("Authorization", "Bearer "+marker), headers("Authorization", "Bearer other"+marker)},
		"one that is added":          {`{}`, headers("x-api-key", marker)},
		"one that is removed":        {headers("api_token", marker), ``},
		"one that becomes reference": {headers("X-Auth", marker), headers("X-Auth", "${secret:x}")},
		"a part of one":              {`{}`, headers("Cookie", marker+"${secret:x}")},
		"beside one of no name":      {`{}`, `{"query":[{"value":"` + marker + `"}]}`},
		"a query":                    {`{}`, `{"query":[{"name":"key","value":"` + marker + `"}]}`},
		"deep":                       {`{}`, `{"credentials":[{"name":"a","headers":[{"name":"x-token","value":"` + marker + `"}]}]}`},
		"a URL":                      {`{}`, `{"targets":[{"url":"https://x/?api_key=` + marker + `"}]}`},
		"a fingerprint":              {`{"sha256":"` + marker + `"}`, `{"password_hash":"` + marker + `"}`},
		"of another kind":            {headers("x-token", marker), `{"headers":[{"name":"x-token","value":{"a":"` + marker + `"}}]}`},
	} {
		changes := audit.Changes([]byte(c.before), []byte(c.after))
		told := audit.Summary(changes, true, true)
		for _, x := range changes {
			told += x.Before + x.After
		}
		if len(changes) == 0 || strings.Contains(told, marker) || !strings.Contains(told, diff.Hidden) {
			t.Errorf("%s: %q", name, changes)
		}
	}
	open := audit.Changes([]byte(`{}`), []byte(`{"headers":[{"name":"Authorization","value":"Bearer ${secret:x}"},{"name":"X-Env","value":"prod"}]}`))
	if len(open) != 4 || open[1].After != `"Bearer ${secret:x}"` || open[3].After != `"prod"` {
		t.Errorf("%q", open)
	}
}

// FuzzChanges: whatever was stored, a credential's value is not told.
func FuzzChanges(f *testing.F) {
	f.Add("Authorization", "Bearer MARKER")
	f.Add("x-key", "${base64:MARKER}")
	f.Add("token", `MARKER${secret:x}`)
	f.Fuzz(func(t *testing.T, name, value string) {
		if !strings.Contains(strings.ToLower(name), "token") || !strings.Contains(value, "MARKER") || strings.ContainsAny(name+value, "\"\\$") || strings.ContainsFunc(name+value, func(r rune) bool { return r < ' ' || r > '~' }) {
			return
		}
		form := `{"headers":[{"name":"` + name + `","value":"` + value + `"}]}`
		for _, c := range audit.Changes(nil, []byte(form)) {
			if strings.Contains(c.After, "MARKER") && last(c.Path) == "value" {
				t.Errorf("%q", c)
			}
		}
	})
}

func last(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
