package proxy

import (
	"errors"
	"testing"

	"tollgate/internal/fault"
)

// Guarantee: what would end a request line of HTTP/1.1 goes to no target, wherever in a target it stands.
func TestTargetsOfOneWord(t *testing.T) {
	t.Parallel()
	for _, target := range []string{
		"/x?a HTTP/1.1", "/x?\ta", "/x?a\r\nX: y", "/x?a\x00", "/x?\x7f", "http://h/x?a b", "http://h?a b",
	} {
		if _, _, _, err := splitTarget(target); !errors.Is(err, fault.New(fault.PathInvalid, "")) {
			t.Errorf("%q: %v", target, err)
		}
	}
	for _, target := range []string{"/x?a%20b+c", "/x?\xff\xc3\xa9", "/x?{}|\"<>", "/x?"} {
		if _, _, _, err := splitTarget(target); err != nil {
			t.Errorf("%q: %v", target, err)
		}
	}
}
