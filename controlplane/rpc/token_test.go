package rpc

import (
	"testing"
	"unicode/utf8"

	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
)

// FuzzPageToken: a page token gives back what was put in, and nothing is taken for a token that was not
// made so.
func FuzzPageToken(f *testing.F) {
	f.Add("", int64(0), int64(0))
	f.Add("cjE6MToyOng", int64(1), int64(2))
	f.Add("cjE6MToyOng\n", int64(-1), int64(2))
	f.Add("cjE6MDE6Mjp4", int64(1), int64(2))
	f.Fuzz(func(t *testing.T, text string, from, to int64) {
		var read ledgerv1.RequestFilter
		if next, err := openToken(text, &read); err == nil && (closeToken(next, &read) != text || next == "") {
			t.Errorf("%q was taken for a token with %q", text, next)
		}
		if text == "" || !utf8.ValidString(text) {
			return // the ledger's tokens are text
		}
		made := closeToken(text, &ledgerv1.RequestFilter{FromUnixMs: from, ToUnixMs: to})
		if next, err := openToken(made, &read); err != nil || next != text || read.GetFromUnixMs() != from || read.GetToUnixMs() != to {
			t.Errorf("%q came back as %q of %d to %d, %v", text, next, read.GetFromUnixMs(), read.GetToUnixMs(), err)
		}
	})
}
