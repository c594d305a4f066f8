package declare

import (
	"bytes"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// SchemaLine tells editors where the form of the file is described.
const SchemaLine = "# yaml-language-server: $schema=%s"

// Export writes a document as a file. Each object should be minimal. With onto, the order and the comments of that file are kept where
// they still fit: what says the same stays as it is written. Same says whether two objects of a kind are the same.
func Export(doc *Document, schema string, onto []byte, same func(a, b *Object) bool) ([]byte, error) {
	e := &exporter{same: same, all: map[string]*Object{}, inline: map[string][]*Object{}, inside: map[string]bool{}, old: &Document{}}
	var root *yaml.Node
	if len(bytes.TrimSpace(onto)) > 0 {
		var problems []Problem
		if e.old, problems = Parse([]File{{Name: "the file", Text: onto}}); len(problems) > 0 {
			return nil, fmt.Errorf("%s: %s", problems[0].Place, problems[0].Reason)
		}
		var file yaml.Node
		if err := yaml.Unmarshal(onto, &file); err != nil {
			return nil, fmt.Errorf("read the file: %w", err)
		}
		root = &file
	}
	for _, o := range doc.Objects {
		e.all[id(o)] = o
	}
	e.place(doc.Objects)
	if root == nil || len(root.Content) != 1 || root.Content[0].Kind != yaml.MappingNode {
		root = fresh(doc.Owner, schema)
	}
	e.write(root.Content[0], doc.Objects)
	if root.Line > 0 && !e.changed {
		return onto, nil
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return nil, fmt.Errorf("write the file: %w", err)
	}
	return out.Bytes(), nil
}

func id(o *Object) string { return string(o.Kind) + "/" + o.Name }

func fresh(owner, schema string) *yaml.Node {
	top := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{text("version"), plain("1", "!!int")}}
	if schema != "" {
		top.HeadComment = fmt.Sprintf(SchemaLine, schema)
	}
	if owner != "" && owner != DefaultOwner {
		top.Content = append(top.Content, text("owner"), text(owner))
	}
	return &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{top}}
}

// exporter is the state of writing a file.
type exporter struct {
	same    func(a, b *Object) bool
	all     map[string]*Object   // by kind and name
	inline  map[string][]*Object // what stands within an object, by the object
	inside  map[string]bool      // what stands within another
	old     *Document
	changed bool // whether the file does not stay as it is
}

// place decides what stands within what: what has the name that it gets there, unless the file has it elsewhere.
func (e *exporter) place(all []*Object) {
	was := map[string]*Object{}
	for _, o := range e.old.Objects {
		was[id(o)] = o
	}
	for _, o := range all {
		kind, name := scope(o)
		if kind == "" || e.all[string(kind)+"/"+name] == nil {
			continue
		}
		if before := was[id(o)]; before != nil && !before.inline {
			continue
		}
		limit := ""
		if l, ok := o.Message.(*controlv1.Limit); ok {
			limit = plainWord(l.GetKind().Descriptor().Values().ByNumber(l.GetKind().Number()))
		}
		if o.Name == InlineName(kind, name, limit) {
			of := string(kind) + "/" + name
			e.inline[of] = append(e.inline[of], o)
			e.inside[id(o)] = true
		}
	}
}

// scope is what a budget or a limit is for, if it may stand within that.
func scope(o *Object) (Kind, string) {
	if o.Kind != Budget && o.Kind != Limit {
		return "", ""
	}
	m := o.Message.ProtoReflect()
	fd := m.WhichOneof(m.Descriptor().Oneofs().ByName("scope"))
	if fd == nil {
		return "", ""
	}
	switch kind := Kind(fd.Name()); kind {
	case Key, Team, Customer, Endpoint:
		return kind, m.Get(fd).String()
	default:
		return "", ""
	}
}

// render is an object with what stands within it.
func (e *exporter) render(o *Object) *yaml.Node {
	n := Write(o)
	var limits *yaml.Node
	for _, in := range e.inline[id(o)] {
		m := proto.Clone(in.Message).ProtoReflect()
		m.Clear(m.Descriptor().Fields().ByName("name"))
		m.Clear(m.WhichOneof(m.Descriptor().Oneofs().ByName("scope")))
		if in.Kind == Budget {
			one := write(m)
			one.Style = yaml.FlowStyle
			n.Content = append(n.Content, text("budget"), one)
			continue
		}
		if limits == nil {
			limits = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Style: yaml.FlowStyle}
			n.Content = append(n.Content, text("limits"), limits)
		}
		one := write(m)
		kind := lookup(one, "kind")
		drop(one, "kind")
		if len(one.Content) == 2 && one.Content[0].Value == "amount" {
			one = one.Content[1]
		}
		limits.Content = append(limits.Content, kind, one)
	}
	if len(o.SHA256) > 0 {
		n.Content = append(n.Content, text("secret_sha256"), text(fmt.Sprintf("%x", o.SHA256)))
	}
	return n
}

// write fills the sections of a file.
func (e *exporter) write(top *yaml.Node, all []*Object) {
	done := map[string]bool{}
	for _, s := range sections {
		list := lookup(top, s.key)
		if list != nil {
			e.rewrite(top, s, list, done)
		}
	}
	for _, o := range all {
		if done[id(o)] || e.inside[id(o)] {
			continue
		}
		n := e.render(o)
		e.changed = true
		if o.Kind == Settings {
			top.Content = append(top.Content, text(o.Kind.Section()), n)
			continue
		}
		list := lookup(top, o.Kind.Section())
		if list == nil || list.Kind != yaml.SequenceNode {
			drop(top, o.Kind.Section())
			list = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
			top.Content = append(top.Content, text(o.Kind.Section()), list)
		}
		list.Style = 0
		list.Content = append(list.Content, n)
	}
}

// rewrite keeps what a section says that is still so, changes what is not, and takes out what is gone.
func (e *exporter) rewrite(top *yaml.Node, s section, list *yaml.Node, done map[string]bool) {
	if s.kind == Settings {
		if now := e.all[string(Settings)+"/"+SettingsName]; now == nil {
			drop(top, s.key)
			e.changed = true
		} else {
			if was := e.old.Find(Settings, SettingsName); was == nil || !e.unchanged(was, now) {
				e.changed = true
				e.merge(now, list)
			}
			done[id(now)] = true
		}
		return
	}
	var keep []*yaml.Node
	for i, item := range list.Content {
		path := fmt.Sprintf("%s[%d]", s.key, i)
		at := slices.IndexFunc(e.old.Objects, func(o *Object) bool { return o.Kind == s.kind && o.Place.Path == path })
		if at < 0 {
			continue
		}
		was := e.old.Objects[at]
		now := e.all[id(was)]
		if now == nil {
			e.changed = true
			continue
		}
		done[id(now)] = true
		if !e.unchanged(was, now) {
			e.changed = true
			if secret, ok := now.Message.(*controlv1.CreateSecretRequest); ok && secret.GetReference() == "" {
				now.From = was.From
			}
			if item.Kind == yaml.MappingNode {
				e.merge(now, item)
			} else {
				item = e.render(now)
			}
		}
		keep = append(keep, item)
	}
	list.Content = keep
	if len(keep) == 0 {
		drop(top, s.key)
	}
}

// unchanged says whether an item of a file, with what stands within it, is still so.
func (e *exporter) unchanged(was, now *Object) bool {
	if !e.same(was, now) {
		return false
	}
	var within []*Object
	for _, o := range e.old.Objects {
		if o.inline && o.item == was.item {
			within = append(within, o)
		}
	}
	if len(within) != len(e.inline[id(now)]) {
		return false
	}
	for _, o := range within {
		if other := e.all[id(o)]; other == nil || !e.inside[id(o)] || !e.same(o, other) {
			return false
		}
	}
	return true
}

func (e *exporter) merge(o *Object, into *yaml.Node) { mergeInto(into, e.render(o)) }

// mergeInto makes a mapping say what another one says, and keeps the order and the comments of what stays.
func mergeInto(into, next *yaml.Node) {
	if into.Kind != yaml.MappingNode || next.Kind != yaml.MappingNode || slices.ContainsFunc(into.Content, func(n *yaml.Node) bool { return n.Kind == yaml.AliasNode }) {
		replace(into, next)
		return
	}
	var out []*yaml.Node
	for i := 0; i+1 < len(into.Content); i += 2 {
		key, value := into.Content[i], into.Content[i+1]
		v := lookup(next, key.Value)
		if v == nil {
			continue
		}
		switch {
		case alike(value, v):
		case value.Kind == yaml.MappingNode && v.Kind == yaml.MappingNode:
			mergeInto(value, v)
		default:
			replace(value, v)
		}
		out = append(out, key, value)
	}
	for i := 0; i+1 < len(next.Content); i += 2 {
		if lookup(into, next.Content[i].Value) == nil {
			out = append(out, next.Content[i], next.Content[i+1])
		}
	}
	into.Content = out
}

// replace puts a value in the place of another, whose comments stay.
func replace(into, next *yaml.Node) {
	head, line, foot := into.HeadComment, into.LineComment, into.FootComment
	*into = *next
	into.HeadComment, into.FootComment = head, foot
	if line != "" {
		into.LineComment = line
	}
}

// alike says whether two nodes are written with the same values.
func alike(a, b *yaml.Node) bool {
	if a.Kind != b.Kind || a.Value != b.Value || len(a.Content) != len(b.Content) {
		return false
	}
	for i := range a.Content {
		if !alike(a.Content[i], b.Content[i]) {
			return false
		}
	}
	return true
}

// writeFrom says where the value of a secret is, or that the server keeps it.
func writeFrom(o *Object, n *yaml.Node) {
	secret, _ := o.Message.(*controlv1.CreateSecretRequest)
	switch {
	case secret.GetReference() != "":
		n.Content = append(n.Content, text("from"), text(secret.GetReference()))
	case o.From != "":
		n.Content = append(n.Content, text("from"), text(o.From))
	case len(n.Content) > 0:
		n.Content[len(n.Content)-1].LineComment = "# value kept by the server"
	}
}
