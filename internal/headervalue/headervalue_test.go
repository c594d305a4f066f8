package headervalue_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tollgate/internal/headervalue"
)

func lookup(r headervalue.Ref) (string, error) {
	if r.Name == "missing" {
		return "", fmt.Errorf("%s %s is not set", r.Kind, r.Name)
	}
	return strings.ToUpper(r.Name), nil
}

func TestResolve(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                     "",
		"plain } text $ {x}":                   "plain } text $ {x}",
		"Bearer ${env:cohere}":                 "Bearer COHERE",
		"${secret:a.b-c}${env:x_1}":            "A.B-CX_1",
		"$${env:x}":                            "${env:x}",
		"Basic ${base64:${env:p}:${secret:s}}": "Basic UDpT",
		"${base64:}":                           "",
	} {
		v, err := headervalue.Parse(in)
		if err != nil {
			t.Errorf("Parse(%q): %v", in, err)
			continue
		}
		if got, err := v.Resolve(lookup); err != nil || got != want {
			t.Errorf("Resolve(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"${", "${x}", "${env}", "${env:}", "${env:a b}", "${vault:x}", "${env:x", "${base64:x", "${base64:${base64:${base64:${base64:${base64:x}}}}}"} {
		if v, err := headervalue.Parse(in); err == nil {
			t.Errorf("Parse(%q) = %v; want an error", in, v)
		}
	}
}

func TestRefs(t *testing.T) {
	t.Parallel()
	v, err := headervalue.Parse("${env:a} ${base64:${secret:b}}")
	if err != nil {
		t.Fatal(err)
	}
	want := []headervalue.Ref{{Kind: headervalue.Env, Name: "a"}, {Kind: headervalue.Secret, Name: "b"}}
	if got := v.Refs(); !slices.Equal(got, want) {
		t.Errorf("Refs = %v", got)
	}
}

// Guarantee: a secret cannot smuggle a header in.
func TestResolveRefusesLineEnds(t *testing.T) {
	t.Parallel()
	v, err := headervalue.Parse("${secret:x}")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := v.Resolve(func(headervalue.Ref) (string, error) { return "a\r\nb: c", nil }); err == nil {
		t.Errorf("Resolve = %q", got)
	}
	if _, err := v.Resolve(func(headervalue.Ref) (string, error) { return lookup(headervalue.Ref{Name: "missing"}) }); err == nil {
		t.Error("a missing secret resolved")
	}
}

// Guarantee: where any text may stand, a secret of several lines arrives as it is.
func TestTextKeepsLines(t *testing.T) {
	t.Parallel()
	v, err := headervalue.Parse("a${secret:x}")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := v.Text(func(headervalue.Ref) (string, error) { return "-\r\n-\n", nil }); err != nil || got != "a-\r\n-\n" {
		t.Errorf("Text = %q, %v", got, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("Basic ${base64:${env:p}:${secret:s}}")
	f.Add("$${$${")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := headervalue.Parse(s)
		if err != nil {
			return
		}
		if out, err := v.Resolve(lookup); err == nil && strings.ContainsAny(out, "\r\n") {
			t.Errorf("%q resolved to %q", s, out)
		}
	})
}
