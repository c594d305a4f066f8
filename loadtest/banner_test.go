package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const printed = `Tollgate v0.1.0 (dev)                                             ready in 2.1 s

  Gateway        http://localhost:40001
                 http://localhost:40002
                 http://127.0.0.1:40003
  Control plane  http://localhost:40004
  Admin token    tga_secret
  Data           /data with a space/http://data

  1. Call the endpoint /bria, $12.00 a request, of a mock vendor that runs here:

curl -i -X POST \
  'http://localhost:40001/bria'

  Stop with ^C. Start over with --reset.
`

// Guarantee: every gateway is found, and nothing else is taken for one.
func TestParseBanner(t *testing.T) {
	t.Parallel()
	got, err := parseBanner(printed)
	if err != nil {
		t.Fatal(err)
	}
	want := banner{
		gateways: []string{"http://127.0.0.1:40001", "http://127.0.0.1:40002", "http://127.0.0.1:40003"},
		control:  "http://127.0.0.1:40004",
		token:    "tga_secret",
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(banner{})); diff != "" {
		t.Error(diff)
	}
}

// Guarantee: load never goes to another machine, whatever the stack prints.
func TestParseBannerRefuses(t *testing.T) {
	t.Parallel()
	const rest = "  Control plane  http://localhost:2\n  Admin token    t\n"
	for name, text := range map[string]string{
		"nothing":          "",
		"no gateway":       rest,
		"no control plane": "  Gateway  http://localhost:1\n  Admin token  t\n",
		"no token":         "  Gateway  http://localhost:1\n  Control plane  http://localhost:2\n",
		"another machine":  "  Gateway  http://192.0.2.1:1\n" + rest,
		"no port":          "  Gateway  http://localhost\n" + rest,
		"no URL":           "  Gateway  none\n" + rest,
	} {
		if got, err := parseBanner(text); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Guarantee: the banner is complete when its last words are, in however many pieces it comes.
func TestBannerWriter(t *testing.T) {
	t.Parallel()
	var w bannerWriter
	for i := range len(printed) {
		if before, want := w.text(), "Stop with ^C"; w.whole(t.Context()) == nil && !strings.Contains(before, want) {
			t.Fatalf("complete after %q", before)
		}
		fmt.Fprint(&w, printed[i:i+1])
	}
	if err := w.whole(t.Context()); err != nil {
		t.Error(err)
	}
	if w.text() != printed {
		t.Errorf("it has kept %q", w.text())
	}
}
