package rpccode_test

import (
	"testing"

	"connectrpc.com/connect"

	"tollgate/internal/fault"
	"tollgate/internal/rpccode"
)

// Guarantee: every code of the catalogue has a Connect code of its own kind, and nothing but an
// internal fault is shown as internal.
func TestEveryKindHasACode(t *testing.T) {
	t.Parallel()
	for _, code := range fault.Codes() {
		kind, _, _, _ := fault.Describe(code)
		if internal := rpccode.Of(kind) == connect.CodeInternal; internal != (kind == fault.Internal) {
			t.Errorf("%s is shown as %s", code, rpccode.Of(kind))
		}
	}
	if got := rpccode.Of(fault.Kind(200)); got != connect.CodeInternal {
		t.Errorf("an unknown kind is shown as %s", got)
	}
}
