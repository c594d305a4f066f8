package cli

import (
	"testing"

	"tollgate/internal/fault"
)

// Guarantee: `tollgate help errors CODE` explains every code that anyone can meet.
func TestEveryCodeIsExplained(t *testing.T) {
	t.Parallel()
	for _, code := range fault.Codes() {
		if meanings[code] == "" {
			t.Errorf("%s has no explanation", code)
		}
	}
	for code := range meanings {
		if _, _, _, ok := fault.Describe(code); !ok {
			t.Errorf("%s is explained and is no code", code)
		}
	}
}
