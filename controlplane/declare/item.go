package declare

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// item reads one object of a section, and those that stand within it.
func (r *reader) item(s section, n *yaml.Node, path string) {
	n = r.resolve(n, path)
	if n == nil {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.problem(n, path, codeInvalid, "%s must be a mapping, and is %s.", path, nodeWord(n))
		return
	}
	o := &Object{Kind: s.kind, Message: s.kind.New(), item: n, Place: Place{r.name, n.Line, n.Column, path}, places: map[string]Place{}}
	r.object = o
	before := len(r.problems)
	all := r.pairs(n, path)
	if s.kind == Settings {
		for _, p := range all {
			o.Given = append(o.Given, p.key.Value)
		}
	}
	var budget, limits *pair
	switch s.kind {
	case Secret:
		all = r.from(o, all, path)
	case Key:
		all = r.hash(o, all, path)
		fallthrough
	case Endpoint, Team, Customer:
		budget, all = take(all, "budget")
		limits, all = take(all, "limits")
	default:
	}
	r.message(mapping(n, all...), o.Message.ProtoReflect(), path, "")
	r.object = nil
	o.Name = NameOf(s.kind, o.Message)
	if o.Name == "" || s.kind == Price && (strings.HasPrefix(o.Name, "/") || strings.HasSuffix(o.Name, "/")) {
		if len(r.problems) == before {
			r.problem(n, path, codeRequired, "%s has no name.", path)
		}
		return
	}
	r.add(o)
	if budget != nil {
		r.inlineBudget(o, *budget, join(path, "budget"))
	}
	if limits != nil {
		r.inlineLimits(o, *limits, join(path, "limits"))
	}
}

func (r *reader) add(o *Object) {
	id := string(o.Kind) + "/" + o.Name
	if first, ok := r.seen[id]; ok {
		if len(r.problems) < maxProblems {
			r.problems = append(r.problems, Problem{o.Place, codeDuplicate, fmt.Sprintf("There are two of %s %s: the first is at %s.", noun(o.Kind), clip(o.Name), first)})
		}
		return
	}
	r.seen[id] = o.Place
	r.doc.Objects = append(r.doc.Objects, o)
}

func noun(k Kind) string { return strings.ReplaceAll(string(k), "_", " ") }

var (
	localSource = regexp.MustCompile(`^(env/[A-Za-z_][A-Za-z0-9_]*|file/.+)$`)
	edgeSource  = regexp.MustCompile(`^(env|file|vault):.+$`)
)

// from reads where the value of a secret is: on the machine of whoever applies the file, or on each edge.
func (r *reader) from(o *Object, all []pair, path string) []pair {
	p, rest := take(all, "from")
	if p == nil {
		return all
	}
	path = join(path, "from")
	text := r.text(p.value, path)
	secret, _ := o.Message.(*controlv1.CreateSecretRequest)
	r.place(p.value, path, "reference")
	r.place(p.value, path, "value")
	switch {
	case localSource.MatchString(text):
		o.From = text
	case edgeSource.MatchString(text):
		secret.Reference = text
	case text != "":
		r.problem(p.value, path, codeInvalid,
			"%q says no place: env/NAME and file/PATH are read where the file is applied, and env:NAME, file:PATH and vault:MOUNT/PATH#FIELD on each edge. A value never stands in the file.", clip(strings.SplitN(text, "/", 2)[0]))
	}
	return rest
}

var hashForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// hash reads the SHA-256 of a secret that callers hold already.
func (r *reader) hash(o *Object, all []pair, path string) []pair {
	p, rest := take(all, "secret_sha256")
	if p == nil {
		return all
	}
	path = join(path, "secret_sha256")
	text := r.text(p.value, path)
	if !hashForm.MatchString(text) {
		r.problem(p.value, path, codeInvalid, "%s must be the 64 hexadecimal digits of a SHA-256.", path)
		return rest
	}
	o.SHA256, _ = hex.DecodeString(text)
	return rest
}

// inlineBudget reads a budget that stands within what it is for.
func (r *reader) inlineBudget(of *Object, p pair, path string) {
	n := r.resolve(p.value, path)
	if n == nil || n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.problem(n, path, codeInvalid, "%s must be a mapping with limit and every, and is %s.", path, nodeWord(n))
		return
	}
	r.within(of, Budget, n, path, append(scopeOf(of, n), r.pairs(n, path)...), InlineName(of.Kind, of.Name, ""))
}

// limitKinds are the kinds of limits that stand within what they are for.
var limitKinds = []string{"requests", "units", "concurrent"}

func (r *reader) inlineLimits(of *Object, p pair, path string) {
	n := r.resolve(p.value, path)
	if n == nil || n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.problem(n, path, codeInvalid, "%s must be a mapping such as {requests: 60}, and is %s.", path, nodeWord(n))
		return
	}
	for _, one := range r.pairs(n, path) {
		if !slices.Contains(limitKinds, one.key.Value) {
			r.unknown(one.key, path, limitKinds)
			continue
		}
		at := join(path, one.key.Value)
		v := r.resolve(one.value, at)
		if v == nil || v.Tag == "!!null" {
			continue
		}
		all := append(scopeOf(of, v), entry(one.key, "kind", one.key))
		if v.Kind == yaml.MappingNode {
			all = append(all, r.pairs(v, at)...)
		} else {
			all = append(all, entry(v, "amount", v))
		}
		r.within(of, Limit, v, at, all, InlineName(of.Kind, of.Name, one.key.Value))
	}
}

func scopeOf(of *Object, n *yaml.Node) []pair {
	return []pair{entry(n, string(of.Kind), word(n, of.Name))}
}

// within reads an object that stands within another.
func (r *reader) within(of *Object, kind Kind, n *yaml.Node, path string, all []pair, name string) {
	if !has(all, "name") {
		all = append(all, entry(n, "name", word(n, name)))
	}
	o := &Object{
		Kind: kind, Message: kind.New(), item: of.item, inline: true,
		Place: Place{r.name, n.Line, n.Column, path}, places: map[string]Place{},
	}
	r.object = o
	r.message(mapping(n, all...), o.Message.ProtoReflect(), path, "")
	r.object = nil
	o.Name = NameOf(kind, o.Message)
	r.add(o)
}

var unnamed = regexp.MustCompile(`[^a-z0-9._-]+`)

// InlineName is the name of a budget or limit that stands within an object and has none of its own.
func InlineName(kind Kind, name, limit string) string {
	suffix := ""
	if limit != "" {
		suffix = "-" + limit
	}
	const most = 63
	plain := strings.Trim(unnamed.ReplaceAllString(strings.ToLower(name), "-"), "-._")
	out := string(kind) + "-" + plain + suffix
	if plain == name && len(out) <= most {
		return out
	}
	sum := sha256.Sum256([]byte(name))
	suffix = "-" + hex.EncodeToString(sum[:5]) + suffix
	head := string(kind) + "-" + plain
	return strings.TrimRight(head[:min(len(head), most-len(suffix))], "-._") + suffix
}
