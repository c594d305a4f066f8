// Package reference holds the reference pages, and the test that keeps them true. Pages on errors,
// settings and commands are made from the code, and the test fails when one of them is not what the
// code says; `go test ./docs/reference -update` writes them anew. Other pages are written by hand.
package reference
