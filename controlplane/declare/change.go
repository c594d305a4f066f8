package declare

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Change is a field before and after, as it stands in a file. What is empty is not there.
type Change struct{ Path, Before, After string }

// Changes are the fields in which two objects of a kind differ; either may be nil.
func Changes(before, after *Object) []Change {
	old, next := flatten(before), flatten(after)
	var out []Change
	for _, p := range next.order {
		if old.values[p] != next.values[p] {
			out = append(out, Change{p, old.values[p], next.values[p]})
		}
	}
	for _, p := range old.order {
		if _, ok := next.values[p]; !ok {
			out = append(out, Change{p, old.values[p], ""})
		}
	}
	return out
}

// flat is an object as a list of paths and values.
type flat struct {
	order  []string
	values map[string]string
}

func flatten(o *Object) *flat {
	f := &flat{values: map[string]string{}}
	if o != nil {
		f.add("", Write(o))
	}
	delete(f.values, "name")
	f.order = slices.DeleteFunc(f.order, func(p string) bool { return p == "name" })
	return f
}

func (f *flat) add(path string, n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			f.add(join(path, n.Content[i].Value), n.Content[i+1])
		}
	case yaml.SequenceNode:
		if names := itemNames(n); names != nil {
			for i, item := range n.Content {
				f.add(path+"["+names[i]+"]", item)
			}
			return
		}
		if !slices.ContainsFunc(n.Content, func(item *yaml.Node) bool { return item.Kind != yaml.ScalarNode }) {
			words := make([]string, len(n.Content))
			for i, item := range n.Content {
				words[i] = item.Value
			}
			f.put(path, "["+strings.Join(words, ", ")+"]")
			return
		}
		for i, item := range n.Content {
			f.add(fmt.Sprintf("%s[%d]", path, i), item)
		}
	default:
		f.put(path, n.Value)
	}
}

func (f *flat) put(path, value string) {
	f.order = append(f.order, path)
	f.values[path] = value
}

// itemNames are the names of a list's items, if all have one and no two the same.
func itemNames(n *yaml.Node) (out []string) {
	for _, item := range n.Content {
		if item.Kind != yaml.MappingNode {
			return nil
		}
		name := lookup(item, "name")
		if name == nil || slices.Contains(out, name.Value) {
			return nil
		}
		out = append(out, name.Value)
	}
	return out
}

// Normal gives a message the form in which the server stores it: with what stands for everything that is left out.
type Normal func(proto.Message) proto.Message

// Minimal leaves out what the server would fill in the same: what may be left out is found by leaving it out.
func Minimal(m proto.Message, normal Normal) proto.Message {
	whole := normal(m)
	out := proto.Clone(whole)
	leaveOut(out.ProtoReflect(), func() bool { return proto.Equal(normal(out), whole) })
	return out
}

// leaveOut clears every field without which all stays the same.
func leaveOut(m protoreflect.Message, same func() bool) {
	var set []protoreflect.FieldDescriptor
	m.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool { set = append(set, fd); return true })
	slices.SortFunc(set, func(a, b protoreflect.FieldDescriptor) int { return a.Index() - b.Index() })
	for _, fd := range set {
		if fd.Name() == "name" && m.Descriptor().Parent() == m.Descriptor().ParentFile() && fd.Number() <= 2 && formOf(m.Descriptor()).hidden != nil {
			continue // the object's own
		}
		v := keep(m, fd)
		m.Clear(fd)
		if same() {
			continue
		}
		m.Set(fd, v)
		if fd.Message() == nil || fd.IsMap() || strings.HasPrefix(string(fd.Message().FullName()), "google.") || fd.Message().Name() == "Metered" {
			continue
		}
		if fd.IsList() {
			for i := range v.List().Len() {
				leaveOut(v.List().Get(i).Message(), same)
			}
			continue
		}
		leaveOut(v.Message(), same)
	}
}

// keep is the value of a field that outlives clearing it: lists and maps are views of their field.
func keep(m protoreflect.Message, fd protoreflect.FieldDescriptor) protoreflect.Value {
	v := m.Get(fd)
	if !fd.IsList() && !fd.IsMap() {
		return v
	}
	out := m.NewField(fd)
	if fd.IsList() {
		for i := range v.List().Len() {
			out.List().Append(v.List().Get(i))
		}
		return out
	}
	v.Map().Range(func(key protoreflect.MapKey, one protoreflect.Value) bool { out.Map().Set(key, one); return true })
	return out
}
