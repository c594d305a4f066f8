package fault_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tollgate/internal/fault"
)

// Guarantee: whatever was not written to be shown is shown as internal_error, without its text.
func TestFromHidesForeignErrors(t *testing.T) {
	t.Parallel()
	e := fault.From(errors.New("password=hunter2"))
	if e.Code != fault.InternalError || strings.Contains(e.Message+e.Hint, "hunter2") {
		t.Errorf("From = %+v", e)
	}
	if !strings.Contains(e.Error(), "hunter2") {
		t.Error("the cause is lost to logs")
	}
}

func TestFromFindsWrapped(t *testing.T) {
	t.Parallel()
	inner := fault.New(fault.StaleETag, "Endpoint bria changed.").WithCause(errors.New("row"))
	e := fault.From(fmt.Errorf("update: %w", inner))
	if e != inner || !errors.Is(e, fault.New(fault.StaleETag, "")) || errors.Is(e, fault.New(fault.KeyMissing, "")) {
		t.Errorf("From = %+v", e)
	}
}

// Guarantee: every code has a status, and a hint that says what to do.
func TestCatalogueIsComplete(t *testing.T) {
	t.Parallel()
	for _, code := range fault.Codes() {
		_, status, hint, ok := fault.Describe(code)
		if !ok || status < 400 || hint == "" {
			t.Errorf("%s: status %d, hint %q", code, status, hint)
		}
	}
	if _, _, _, ok := fault.Describe("no_such_code"); ok {
		t.Error("unknown code described")
	}
}

// Guarantee: With methods leave the original alone, so that a shared error cannot gather details.
func TestWithCopies(t *testing.T) {
	t.Parallel()
	base := fault.New(fault.InvalidArgument, "Bad.")
	a := base.WithViolations(fault.Violation{Field: "a"})
	b := a.WithViolations(fault.Violation{Field: "b"})
	c := a.WithViolations(fault.Violation{Field: "c"})
	if len(base.Violations) != 0 || len(a.Violations) != 1 || b.Violations[1].Field != "b" || c.Violations[1].Field != "c" {
		t.Errorf("base %v a %v b %v c %v", base.Violations, a.Violations, b.Violations, c.Violations)
	}
}
