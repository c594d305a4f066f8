package conformance_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"tollgate/edge/conformance"
)

// one is the only case of a file of that text.
func one(t *testing.T, text string) (conformance.Case, error) {
	t.Helper()
	common, err := os.ReadFile("testdata/endpoints.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cases, err := conformance.Load(fstest.MapFS{
		"endpoints.yaml": {Data: common}, "a.txtar": {Data: []byte("-- 1 one --\n" + text)},
	})
	if err != nil {
		return conformance.Case{}, err
	}
	return cases[0], nil
}

// Guarantee: a case that is not as it says fails, on either side, and tells what was otherwise.
func TestPlayNotices(t *testing.T) {
	t.Parallel()
	b := newBench(t, 900)
	const begin = "caller sends GET /x\n  X-A: 1\nvendor gets GET /base\n"
	for text, want := range map[string]string{
		begin + "vendor answers ok\ncaller gets 200\n  body \"ok\"\nledger 200 OK 2.00\n":                                            "",
		begin + "vendor answers ok\ncaller gets 201\n":                                                                               "got status 200",
		begin + "vendor answers ok\ncaller gets 200\n  body \"no\"\n":                                                                "the body got",
		begin + "vendor answers ok\ncaller gets 200\n  has X-B: 1\n":                                                                 "x-b: got []",
		begin + "vendor answers ok\ncaller gets 200\n  lacks Content-Length\n":                                                       "is there",
		begin + "vendor answers ok\ncaller gets 200\n  chunked\n":                                                                    "not chunked",
		begin + "vendor answers ok\ncaller gets 200\n  length 3\n":                                                                   "its length",
		begin + "vendor answers ok\ncaller gets 200\n  error path_invalid\n":                                                         "no error in JSON",
		begin + "vendor answers ok\ncaller gets 200\n  wishes\n":                                                                     "nobody knows",
		begin + "vendor answers ok\ncaller gets 200\ncaller reads \"ko\"\n":                                                          "want",
		begin + "vendor answers ok\ncaller gets 200\ncaller sees abort\n":                                                            "ended properly",
		begin + "vendor answers ok\ncaller gets 200\ncaller sees end\n":                                                              "before the end",
		begin + "vendor answers ok\ncaller gets 200\nledger 200 OK 3.00\n":                                                           "the ledger got",
		begin + "vendor answers 200 OK\n  Content-Length: 9\n  open\nvendor closes\ncaller gets 200\n":                               "did not end properly",
		begin + "vendor answers 200 OK\n  X-S: {S}\n  body \"\"\ncaller gets 200\n":                                                  "credential reached",
		begin + "vendor answers ok\ncaller gets 200\nvendor gets nothing\n":                                                          "vendor got",
		"caller sends GET /x\nvendor gets GET /other\n":                                                                              "got \"GET /base\"",
		"caller sends GET /x\nvendor gets GET /base\n  has X-A: 2\n":                                                                 "x-a: got []",
		"caller sends GET /x\n  X-A: 1\nvendor gets GET /base\n  has Authorization: Bearer {S}\n  exactly\n":                         "was not to be there",
		"caller sends POST /x\n  body \"abc\"\nvendor gets POST /base\n":                                                             "its body",
		"caller sends POST /x\n  Transfer-Encoding: chunked\n  body \"abc\"\nvendor gets POST /base\n  open\nvendor reads \"abd\"\n": "want",
		"caller sends GET /x\ncaller sends GET /x/2\nvendor gets GET /base\nvendor answers ok\ncaller gets 200\nvendor gets GET /base/2\nvendor answers ok\ncaller gets 200\nvendor gets no whole\n": "",
	} {
		c, err := one(t, text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		err = c.Play(t.Context(), b, conformance.H1, seed(t))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s\n%v, want %q", text, err, want)
		}
	}
}

// Guarantee: a file that is not written as the format has it is refused.
func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                               "no steps",
		"  has X: 1\n":                   "belongs to no step",
		"caller dances\n":                "nobody knows",
		"stranger sends GET /\n":         "nobody knows",
		"over h3\ncaller sends GET /x\n": "no transport",
		"caller sends GET /x\n-- 1 one --\ncaller sends GET /x\n": "two cases",
	} {
		if _, err := one(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
