package declare

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// maxSteps bounds the nodes that are visited: a file can make billions of a few lines by aliases of aliases.
	maxSteps = 2_000_000
	// maxDepth bounds how deep a file nests.
	maxDepth = 64
	// maxProblems bounds what is said about a file: what comes after is mostly the same.
	maxProblems = 100
)

// Codes of problems, beside the registry's.
const (
	codeSyntax    = "syntax"
	codeUnknown   = "unknown_field"
	codeInvalid   = "invalid"
	codeRequired  = "required"
	codeDuplicate = "duplicate"
	codePrecision = "price_precision"
	codeTooLarge  = "too_large"
)

// Parse reads files, which together say one thing. What is wrong with them is found all at once.
func Parse(files []File) (*Document, []Problem) {
	r := &reader{doc: &Document{}, seen: map[string]Place{}}
	for _, f := range files {
		r.file(f)
	}
	if r.doc.Owner == "" {
		r.doc.Owner = DefaultOwner
	}
	Sort(r.doc.Objects)
	return r.doc, r.problems
}

// reader is the state of reading files.
type reader struct {
	name     string
	doc      *Document
	problems []Problem
	steps    int
	seen     map[string]Place // objects, by kind and name
	object   *Object          // that is being read
}

// pair is an entry of a mapping.
type pair struct{ key, value *yaml.Node }

func (r *reader) problem(n *yaml.Node, path, code, reason string, args ...any) {
	if len(r.problems) >= maxProblems {
		return
	}
	p := Place{File: r.name, Path: path}
	if n != nil {
		p.Line, p.Column = n.Line, n.Column
	}
	r.problems = append(r.problems, Problem{p, code, fmt.Sprintf(reason, args...)})
}

var lineOfError = regexp.MustCompile(`line (\d+): `)

func (r *reader) file(f File) {
	r.name = f.Name
	dec := yaml.NewDecoder(bytes.NewReader(f.Text))
	versions := 0
	for documents := 0; ; documents++ {
		var root yaml.Node
		err := dec.Decode(&root)
		if errors.Is(err, io.EOF) {
			if documents == 0 {
				r.problem(nil, "", codeRequired, "The file is empty: it begins with version: 1.")
			}
			break
		}
		if err != nil {
			at := &yaml.Node{}
			text := strings.TrimPrefix(err.Error(), "yaml: ")
			if m := lineOfError.FindStringSubmatch(text); m != nil {
				at.Line, _ = strconv.Atoi(m[1])
				text = strings.Replace(text, m[0], "", 1)
			}
			r.problem(at, "", codeSyntax, "This is not YAML: %s.", text)
			return
		}
		if len(root.Content) == 1 {
			versions += r.document(root.Content[0])
		}
	}
	if versions == 0 && len(r.problems) == 0 {
		r.problem(nil, "version", codeRequired, "The file does not say its version: begin it with version: 1.")
	}
}

// document reads one document and says how many versions it names.
func (r *reader) document(root *yaml.Node) (versions int) {
	root = r.resolve(root, "")
	if root == nil || root.Tag == "!!null" {
		return 0
	}
	if root.Kind != yaml.MappingNode {
		r.problem(root, "", codeInvalid, "The file holds %s: it must be a mapping, with version: 1 and sections such as endpoints.", nodeWord(root))
		return 1
	}
	for _, p := range r.pairs(root, "") {
		switch key := p.key.Value; key {
		case "version":
			versions++
			if v := r.text(p.value, "version"); v != "1" {
				r.problem(p.value, "version", codeInvalid, "The version is %q: this server knows version 1.", v)
			}
		case "owner":
			r.owner(p.value)
		default:
			r.section(p)
		}
	}
	return versions
}

var ownerForm = regexp.MustCompile(`^[a-z0-9._/-]{1,128}$`)

func (r *reader) owner(n *yaml.Node) {
	owner := r.text(n, "owner")
	switch {
	case !ownerForm.MatchString(owner):
		r.problem(n, "owner", codeInvalid, "The owner must be up to 128 lower-case letters, digits and . _ / -, such as platform/gateway.")
	case r.doc.Owner != "" && r.doc.Owner != owner:
		r.problem(n, "owner", codeInvalid, "The files name two owners, %s and %s: what is applied together has one.", r.doc.Owner, owner)
	default:
		r.doc.Owner = owner
	}
}

func (r *reader) section(p pair) {
	at := slices.IndexFunc(sections, func(s section) bool { return s.key == p.key.Value })
	if at < 0 {
		known := []string{"version", "owner"}
		for _, s := range sections {
			known = append(known, s.key)
		}
		r.unknown(p.key, "", known)
		return
	}
	s := sections[at]
	n := r.resolve(p.value, s.key)
	switch {
	case n == nil || n.Tag == "!!null":
	case s.kind == Settings:
		r.item(s, n, s.key)
	case n.Kind != yaml.SequenceNode:
		r.problem(n, s.key, codeInvalid, "%s must be a list, and is %s: begin each with \"- name:\".", s.key, nodeWord(n))
	default:
		for i, item := range n.Content {
			r.item(s, item, fmt.Sprintf("%s[%d]", s.key, i))
		}
	}
}

// resolve follows an alias, and counts what is visited. It is nil where that is too much.
func (r *reader) resolve(n *yaml.Node, path string) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	r.steps++
	if r.steps == maxSteps+1 || n == nil || strings.Count(path, ".")+strings.Count(path, "[") > maxDepth {
		r.problem(n, "", codeTooLarge, "The file grows too large when its aliases are followed, or nests too deep.")
		r.steps = maxSteps + 1
	}
	if r.steps > maxSteps {
		return nil
	}
	return n
}

// pairs are the entries of a mapping, those of the mappings that it merges last. The same key twice is a problem.
func (r *reader) pairs(n *yaml.Node, path string) []pair {
	var own, merged []pair
	at := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" {
			merged = append(merged, r.merged(value, path)...)
			continue
		}
		if key = r.resolve(key, path); key == nil {
			return nil
		}
		if key.Kind != yaml.ScalarNode {
			r.problem(key, path, codeInvalid, "A key must be a word, and is %s.", nodeWord(key))
			continue
		}
		if at[key.Value] {
			r.problem(key, join(path, key.Value), codeDuplicate, "%s is given twice.", key.Value)
			continue
		}
		at[key.Value] = true
		own = append(own, pair{key, value})
	}
	for _, p := range merged {
		if !at[p.key.Value] {
			at[p.key.Value] = true
			own = append(own, p)
		}
	}
	return own
}

func (r *reader) merged(n *yaml.Node, path string) (out []pair) {
	n = r.resolve(n, path+".<<")
	switch {
	case n == nil:
	case n.Kind == yaml.MappingNode:
		out = r.pairs(n, path+".<<")
	case n.Kind == yaml.SequenceNode:
		for _, one := range n.Content {
			out = append(out, r.merged(one, path+".<<")...)
		}
	default:
		r.problem(n, path, codeInvalid, "<< merges mappings, and this is %s.", nodeWord(n))
	}
	return out
}

// text is the text of a scalar.
func (r *reader) text(n *yaml.Node, path string) string {
	n = r.resolve(n, path)
	if n == nil || n.Tag == "!!null" {
		return ""
	}
	if n.Kind != yaml.ScalarNode {
		r.problem(n, path, codeInvalid, "%s must be one value, and is %s.", path, nodeWord(n))
		return ""
	}
	return n.Value
}

func (r *reader) unknown(key *yaml.Node, path string, known []string) {
	hint := ""
	if near := nearest(key.Value, known); near != "" {
		hint = fmt.Sprintf(" Did you mean %s?", near)
	} else if len(known) > 0 && len(known) <= 12 {
		hint = fmt.Sprintf(" There are: %s.", strings.Join(known, ", "))
	}
	where := "here"
	if path != "" {
		where = "in " + path
	}
	r.problem(key, join(path, key.Value), codeUnknown, "There is no field %q %s.%s", clip(key.Value), where, hint)
}

func nodeWord(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "empty"
	default:
		return fmt.Sprintf("%q", clip(n.Value))
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func clip(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// nearest is the word that one may have meant: the one with the fewest letters to change, if these are few.
func nearest(word string, known []string) string {
	best, least := "", max(2, len(word)/3)+1
	if len(word) < 4 {
		least = 2
	}
	for _, k := range known {
		if d := distance(word, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is how many letters have to be changed, put in, left out or swapped with the next.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	var before, last []int
	for i := range len(a) + 1 {
		row := make([]int, len(b)+1)
		for j := range row {
			switch {
			case i == 0:
				row[j] = j
			case j == 0:
				row[j] = i
			default:
				change := last[j-1]
				if a[i-1] != b[j-1] {
					change++
				}
				row[j] = min(last[j]+1, row[j-1]+1, change)
				if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
					row[j] = min(row[j], before[j-2]+1)
				}
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// Sources are where files have the values of secrets, "env/NAME" or "file/PATH", by the secret's name. What is wrong with a file is
// passed over: the server says it.
func Sources(files []File) map[string]string {
	doc, _ := Parse(files)
	out := map[string]string{}
	for _, o := range doc.Objects {
		if o.From != "" {
			out[o.Name] = o.From
		}
	}
	return out
}
