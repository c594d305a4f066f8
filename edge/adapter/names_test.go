package adapter_test

import (
	"testing"

	"pgregory.net/rapid"

	"tollgate/edge/adapter"
)

// Guarantee: whatever callers call their tools, a vendor gets names that it takes, different ones for different tools and the same
// one each time, and the caller gets its own back.
func TestNamesOfTools(t *testing.T) {
	t.Parallel()
	own := rapid.OneOf(rapid.StringMatching(`[a-z_.:/ ]{0,5}`), rapid.StringMatching(`[a-z.]{60,70}`), rapid.StringMatching(`[A-Za-z0-9_-]{120,130}`), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		names := adapter.Names{Most: rapid.SampledFrom([]int{0, 128}).Draw(t, "most")}
		most := max(names.Most, 64)
		callers := map[string]string{}
		for _, name := range rapid.SliceOfN(own, 1, 6).Draw(t, "names") {
			vendors := names.Vendors(name)
			if len(vendors) == 0 || len(vendors) > most || names.Vendors(vendors) != vendors {
				t.Fatalf("%q became %q", name, vendors)
			}
			for i := range len(vendors) {
				if !adapter.Identifies(vendors[i]) {
					t.Fatalf("%q became %q", name, vendors)
				}
			}
			if other, ok := callers[vendors]; ok && other != name {
				t.Fatalf("%q and %q both became %q", name, other, vendors)
			}
			if callers[vendors] = name; names.Callers(vendors) != name || names.Callers("of nobody") != "of nobody" {
				t.Fatalf("%q came back as %q", name, names.Callers(vendors))
			}
		}
	})
}
