package contract_test

import (
	"regexp"
	"strings"
	"testing"

	"tollgate/internal/contract"
)

// FuzzValidLabel: names of customers and tags are exactly those that the API's schema accepts.
func FuzzValidLabel(f *testing.F) {
	form := regexp.MustCompile(`\A[A-Za-z0-9]([A-Za-z0-9._@:-]{0,126}[A-Za-z0-9])?\z`)
	for _, s := range []string{
		"", "a", "A9", "a@b.eu:1_2-3", "-a", "a-", "a b", "ä", "a\n", "a\x00b", "a,b", "a/b",
		strings.Repeat("x", contract.MaxLabel), strings.Repeat("x", contract.MaxLabel+1),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := contract.ValidLabel(s), form.MatchString(s); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	})
}
