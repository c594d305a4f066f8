// Package document reads a message from a document that a person has written, in YAML or JSON, with the fields' names as the
// API has them in JSON. What is wrong is said with its line and the path of the field, and nothing is guessed: a field that
// does not exist, one that is there twice, or a value of the wrong kind is an error.
//
// It checks no more than the kinds of values. Whether the message makes sense is for its owner to say.
package document

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// mostNodes is how many values a document may have, each alias counted as what it stands for, and mostDepth how deep
// they may be within each other.
const (
	mostNodes = 1 << 18
	mostDepth = 64
)

// Parse reads one document into a message, which is emptied first.
func Parse(text []byte, into proto.Message) error {
	root, err := Root(text)
	if err != nil {
		return err
	}
	return Decode(root, into)
}

// Root reads one document, of which Decode reads parts.
func Root(text []byte) (*yaml.Node, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(root.Content) == 0 {
		return nil, errors.New("the document is empty")
	}
	return root.Content[0], nil
}

// Decode reads a part of a document into a message, which is emptied first.
func Decode(node *yaml.Node, into proto.Message) error {
	var w writer
	if err := w.message(node, into.ProtoReflect().Descriptor(), "", 0); err != nil {
		return err
	}
	if err := protojson.Unmarshal(w.out, into); err != nil {
		// protobuf varies the spaces of its errors, so that nobody compares them.
		return errors.New(strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: "))
	}
	return nil
}

// writer makes the JSON of a message out of a tree of YAML.
type writer struct {
	out   []byte
	nodes int
}

func wrong(n *yaml.Node, path, format string, args ...any) error {
	if path != "" {
		path += ": "
	}
	return fmt.Errorf("line %d: %s%s", n.Line, path, fmt.Sprintf(format, args...))
}

// enter counts a node and finds what an alias stands for.
func (w *writer) enter(n *yaml.Node, path string, depth int) (*yaml.Node, error) {
	if w.nodes++; w.nodes > mostNodes {
		return n, wrong(n, path, "the document has more than %d values", mostNodes)
	}
	if depth > mostDepth {
		return n, wrong(n, path, "this is more than %d levels deep", mostDepth)
	}
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n, nil
}

func (w *writer) message(n *yaml.Node, d protoreflect.MessageDescriptor, path string, depth int) error {
	n, err := w.enter(n, path, depth)
	if err != nil {
		return err
	}
	if d.FullName().Parent() == "google.protobuf" && d.Fields().Len() > 0 && n.Kind == yaml.ScalarNode {
		w.quote(n.Value) // a time or a duration
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return wrong(n, path, "fields with values are expected, such as %q", string(firstField(d))+": …")
	}
	seen := make(map[protoreflect.Name]int, len(n.Content)/2)
	chosen := map[protoreflect.Name]string{} // by the name of what only one field can be of
	w.out = append(w.out, '{')
	first := true
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		f := field(d, key.Value)
		if f == nil {
			return wrong(key, path, "there is no field %q", key.Value)
		}
		if line, again := seen[f.Name()]; again {
			return wrong(key, join(path, key.Value), "it is already in line %d", line)
		}
		seen[f.Name()] = key.Line
		if isNull(value) {
			continue
		}
		if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
			if other, again := chosen[o.Name()]; again {
				return wrong(key, join(path, key.Value), "only one of this and %s can be given", other)
			}
			chosen[o.Name()] = key.Value
		}
		if !first {
			w.out = append(w.out, ',')
		}
		first = false
		w.quote(f.JSONName())
		w.out = append(w.out, ':')
		if err := w.field(value, f, join(path, key.Value), depth+1); err != nil {
			return err
		}
	}
	w.out = append(w.out, '}')
	return nil
}

func (w *writer) field(n *yaml.Node, f protoreflect.FieldDescriptor, path string, depth int) error {
	switch {
	case f.IsMap():
		return w.pairs(n, f, path, depth)
	case f.IsList():
		return w.list(n, f, path, depth)
	default:
		return w.value(n, f, path, depth)
	}
}

func (w *writer) list(n *yaml.Node, f protoreflect.FieldDescriptor, path string, depth int) error {
	n, err := w.enter(n, path, depth)
	if err != nil {
		return err
	}
	if n.Kind != yaml.SequenceNode {
		return wrong(n, path, "a list is expected")
	}
	w.out = append(w.out, '[')
	for i, item := range n.Content {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		if err := w.value(item, f, fmt.Sprintf("%s[%d]", path, i), depth+1); err != nil {
			return err
		}
	}
	w.out = append(w.out, ']')
	return nil
}

func (w *writer) pairs(n *yaml.Node, f protoreflect.FieldDescriptor, path string, depth int) error {
	n, err := w.enter(n, path, depth)
	if err != nil {
		return err
	}
	if n.Kind != yaml.MappingNode {
		return wrong(n, path, "names with values are expected")
	}
	seen := make(map[string]int, len(n.Content)/2)
	w.out = append(w.out, '{')
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			return wrong(key, path, "a name is expected")
		}
		if line, again := seen[key.Value]; again {
			return wrong(key, join(path, key.Value), "it is already in line %d", line)
		}
		seen[key.Value] = key.Line
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.quote(key.Value)
		w.out = append(w.out, ':')
		if err := w.value(value, f.MapValue(), join(path, key.Value), depth+1); err != nil {
			return err
		}
	}
	w.out = append(w.out, '}')
	return nil
}

func (w *writer) value(n *yaml.Node, f protoreflect.FieldDescriptor, path string, depth int) error {
	if f.Message() != nil {
		return w.message(n, f.Message(), path, depth)
	}
	n, err := w.enter(n, path, depth)
	if err != nil {
		return err
	}
	if n.Kind != yaml.ScalarNode {
		return wrong(n, path, "a single value is expected")
	}
	switch f.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind:
		// As it is written, also if it looks like a number: 2.50 stays 2.50.
		w.quote(n.Value)
	case protoreflect.EnumKind:
		if f.Enum().Values().ByName(protoreflect.Name(n.Value)) == nil {
			return wrong(n, path, "%q is none of its values", n.Value)
		}
		w.quote(n.Value)
	case protoreflect.BoolKind:
		var b bool
		if n.Decode(&b) != nil {
			return wrong(n, path, "true or false is expected, not %q", n.Value)
		}
		w.out = strconv.AppendBool(w.out, b)
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		var x float64
		if n.Decode(&x) != nil {
			return wrong(n, path, "a number is expected, not %q", n.Value)
		}
		w.quote(strconv.FormatFloat(x, 'g', -1, 64))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return w.unsigned(n, path, bits(f.Kind()))
	default:
		return w.signed(n, path, bits(f.Kind()))
	}
	return nil
}

func (w *writer) signed(n *yaml.Node, path string, size int) error {
	x, err := strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 10, size)
	if err != nil {
		return wrong(n, path, "a whole number is expected, not %q", n.Value)
	}
	w.out = strconv.AppendInt(w.out, x, 10)
	return nil
}

func (w *writer) unsigned(n *yaml.Node, path string, size int) error {
	x, err := strconv.ParseUint(strings.ReplaceAll(n.Value, "_", ""), 10, size)
	if err != nil {
		return wrong(n, path, "a whole number that is not negative is expected, not %q", n.Value)
	}
	w.out = strconv.AppendUint(w.out, x, 10)
	return nil
}

func bits(k protoreflect.Kind) int {
	switch k {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind, protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return 32
	default:
		return 64
	}
}

// quote appends a text as JSON.
func (w *writer) quote(text string) {
	q, _ := json.Marshal(text) // of a string it cannot fail
	w.out = append(w.out, q...)
}

// field finds a field by its name in JSON or in the definition.
func field(d protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if f := d.Fields().ByJSONName(name); f != nil {
		return f
	}
	return d.Fields().ByName(protoreflect.Name(name))
}

func firstField(d protoreflect.MessageDescriptor) protoreflect.Name {
	if d.Fields().Len() == 0 {
		return "name"
	}
	return d.Fields().Get(0).Name()
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
