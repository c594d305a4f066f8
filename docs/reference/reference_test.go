package reference_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the pages anew instead of comparing them")

// root is the folder of the repository.
const root = "../.."

// generated is the first line of each page that is made here.
const generated = "<!-- Made by `go test ./docs/reference -update`: change the code, not this page. -->\n"

// fresh compares a page with what it should be, or writes it.
func fresh(t *testing.T, file, text string) {
	t.Helper()
	text = generated + text
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), text); diff != "" {
		t.Errorf("%s is stale: go test ./docs/reference -update\n%s", file, diff)
	}
}

// cell makes text fit into a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}

// sentence makes a description begin like one and end like one.
func sentence(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return ""
	}
	text = strings.ToUpper(text[:1]) + text[1:]
	if !strings.ContainsAny(text[len(text)-1:], ".?!") {
		text += "."
	}
	return text
}
