package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Where results are written, below the root of the repository.
const (
	documentFile = "docs/performance.md"
	pictureFile  = "docs/images/performance.svg"
)

// What the results stand between in the document. The words around them are people's.
const (
	beginMark = "<!-- compare: what follows is written by `make compare ARGS=--write` -->"
	endMark   = "<!-- compare: end -->"
)

// write puts the results into the document and the picture.
func (r *results) write(root string) error {
	path := filepath.Join(root, documentFile)
	before, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	after, err := between(before, r.markdown())
	if err != nil {
		return fmt.Errorf("%s: %w", documentFile, err)
	}
	const mode = 0o644
	return errors.Join(os.WriteFile(path, after, mode), os.WriteFile(filepath.Join(root, pictureFile), r.picture(), mode))
}

// between replaces what stands between the marks.
func between(document []byte, text string) ([]byte, error) {
	begin, end := bytes.Index(document, []byte(beginMark)), bytes.Index(document, []byte(endMark))
	if begin < 0 || end < begin {
		return nil, fmt.Errorf("it has no %q before %q", beginMark, endMark)
	}
	return slices.Concat(document[:begin+len(beginMark)], []byte("\n\n"+text+"\n"), document[end:]), nil
}

// markdown is all results, as a document has them.
func (r *results) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s: %s. %s. %d rounds of %s each.\n", r.date.Format("2 January 2006"), r.machine, r.versionLine(), r.rounds, r.slice)
	for _, t := range r.tables() {
		fmt.Fprintf(&b, "\n### %s\n\n", t.title)
		t.markdown(&b)
	}
	if line := r.bookLine(); line != "" {
		fmt.Fprintf(&b, "\n%s\n", line)
	}
	for _, line := range r.left {
		text, _, _ := strings.Cut(line, "\n")
		fmt.Fprintf(&b, "\n%s\n", text)
	}
	return b.String()
}

func (t table) markdown(b *strings.Builder) {
	row := func(cells []string) { fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | ")) }
	row(t.head)
	rule := []string{"---"}
	for range t.head[1:] {
		rule = append(rule, "---:")
	}
	row(rule)
	for _, cells := range t.rows {
		row(cells)
	}
}

// versionLine names what was compared.
func (r *results) versionLine() string {
	var list []string
	for _, p := range peers {
		if version := r.versions[p.name]; version != "" {
			list = append(list, p.title+" "+version)
		}
	}
	if len(list) == 0 {
		return "Nothing to compare with"
	}
	return strings.Join(list, ", ")
}
