// Package vectors holds exchanges that others have recorded between clients and the HTTP APIs of vendors,
// and gives them to tests as requests and answers. They are what a gateway meets in practice: streams in
// every dialect, errors, compressed and binary bodies, and line ends that nobody would make up.
//
// The files never change: a test compares each with its checksum. Where they come from and under which
// licences is in SOURCES.md, NOTICE and LICENSES. It is not for made-up cases, which belong to the tests
// that need them, and it knows nothing of what an answer means.
package vectors

import (
	"embed"
	"io/fs"
	"slices"
	"sync"
	"testing"
)

//go:embed testdata
var embedded embed.FS

// Header is one header line.
type Header struct{ Name, Value string }

// Exchange is a request and its answer. What it refers to is shared and must not be changed.
type Exchange struct {
	Name           string // of the file that describes it, below testdata
	Vendor         string // the folder
	Method         string
	URL            string // without a credential
	RequestHeaders []Header
	RequestBody    []byte
	Status         int
	Headers        []Header
	Body           []byte // decoded, where it came compressed
	Gzip           []byte // the body as it came, where it was recorded compressed
	Stream         bool   // the body is made of events, lines or frames
	Files          []string
}

// All is every exchange, in the order of names. Files without a request of their own, such as a loose
// stream, are an exchange that sends and answers what is in the file.
func All(tb testing.TB) []Exchange {
	tb.Helper()
	all, err := load()
	if err != nil {
		tb.Fatal(err)
	}
	return slices.Clone(all)
}

var load = sync.OnceValues(func() ([]Exchange, error) {
	data, err := fs.Sub(embedded, "testdata")
	if err != nil {
		return nil, err
	}
	return read(data)
})
