package declare

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	typemoney "google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/internal/money"
)

// Names of messages that have a form of their own.
const (
	moneyName     protoreflect.FullName = "google.type.Money"
	durationName  protoreflect.FullName = "google.protobuf.Duration"
	timestampName protoreflect.FullName = "google.protobuf.Timestamp"
	structName    protoreflect.FullName = "google.protobuf.Struct"
)

// message reads a mapping, or a scalar that stands for one. Path is where it is in the file, field where in the object.
func (r *reader) message(n *yaml.Node, m protoreflect.Message, path, field string) {
	f := formOf(m.Descriptor())
	fields := m.Descriptor().Fields()
	if n.Kind == yaml.ScalarNode {
		if one := fields.ByName(protoreflect.Name(n.Value)); one != nil && isEmpty(one) {
			m.Set(one, protoreflect.ValueOfMessage(m.NewField(one).Message()))
			return
		}
		if f.scalar == "" {
			r.notMapping(n, fields, path)
			return
		}
		n = mapping(n, entry(n, f.scalar, n))
	}
	if n.Kind != yaml.MappingNode {
		r.notMapping(n, fields, path)
		return
	}
	all := r.pairs(n, path)
	if f.expand != nil {
		all = f.expand(r, n, all, path)
	}
	for _, p := range all {
		r.field(f, m, p, path, field)
	}
}

func (r *reader) notMapping(n *yaml.Node, fields protoreflect.FieldDescriptors, path string) {
	var words []string
	for i := range fields.Len() {
		if isEmpty(fields.Get(i)) {
			words = append(words, string(fields.Get(i).Name()))
		}
	}
	if len(words) > 0 && n.Kind == yaml.ScalarNode {
		r.problem(n, path, codeInvalid, "%s is %s: use %s, or a mapping.", path, nodeWord(n), strings.Join(words, ", "))
		return
	}
	r.problem(n, path, codeInvalid, "%s must be a mapping, and is %s.", path, nodeWord(n))
}

// isEmpty says whether a field is a message without fields, which is written as its name alone.
func isEmpty(f protoreflect.FieldDescriptor) bool {
	return f.Message() != nil && !f.IsMap() && f.Cardinality() != protoreflect.Repeated && f.Message().Fields().Len() == 0
}

func (r *reader) field(f *form, m protoreflect.Message, p pair, path, field string) {
	fields := m.Descriptor().Fields()
	name := p.key.Value
	if proper, ok := f.rename[name]; ok {
		name = proper
	}
	fd := fields.ByName(protoreflect.Name(name))
	if fd == nil || slices.Contains(f.said, name) && f.expand == nil || slices.Contains(f.hidden, name) {
		r.unknown(p.key, path, f.known(m.Descriptor()))
		return
	}
	path, field = join(path, p.key.Value), join(field, name)
	n := r.resolve(p.value, path)
	if n == nil || n.Tag == "!!null" {
		return
	}
	if m.Has(fd) {
		r.problem(p.key, path, codeDuplicate, "%s is given twice, in two ways.", p.key.Value)
		return
	}
	if o := fd.ContainingOneof(); o != nil && !o.IsSynthetic() {
		if other := m.WhichOneof(o); other != nil {
			r.problem(p.key, path, codeDuplicate, "%s and %s exclude each other.", f.shown(string(other.Name())), p.key.Value)
			return
		}
	}
	r.place(n, path, field)
	switch {
	case fd.IsMap():
		r.mapField(n, m, fd, path)
	case fd.IsList():
		r.list(n, m, fd, path, field)
	case fd.Message() != nil:
		if v, ok := r.embedded(n, fd, m.NewField(fd), path, field); ok {
			m.Set(fd, v)
		}
	default:
		if v, ok := r.scalar(n, f, fd, path); ok {
			m.Set(fd, v)
		}
	}
}

func (r *reader) place(n *yaml.Node, path, field string) {
	if r.object != nil && n.Line > 0 {
		r.object.places[field] = Place{File: r.name, Line: n.Line, Column: n.Column, Path: path}
	}
}

// embedded reads a message in a field.
func (r *reader) embedded(n *yaml.Node, fd protoreflect.FieldDescriptor, into protoreflect.Value, path, field string) (protoreflect.Value, bool) {
	special := func(m proto.Message, err error) (protoreflect.Value, bool) {
		if err != nil {
			code := codeInvalid
			if errors.Is(err, money.ErrPrecision) {
				code = codePrecision
			}
			r.problem(n, path, code, "%s: %s.", path, err)
			return into, false
		}
		return protoreflect.ValueOfMessage(m.ProtoReflect()), true
	}
	switch fd.Message().FullName() {
	case moneyName, durationName, timestampName:
		if n.Kind != yaml.ScalarNode {
			r.problem(n, path, codeInvalid, "%s must be one value, and is %s.", path, nodeWord(n))
			return into, false
		}
	case structName:
		v, ok := r.anything(n, path)
		s := v.GetStructValue()
		if ok && s == nil {
			r.problem(n, path, codeInvalid, "%s must be a mapping, and is %s.", path, nodeWord(n))
		}
		return protoreflect.ValueOfMessage(s.ProtoReflect()), ok && s != nil
	}
	switch fd.Message().FullName() {
	case moneyName:
		return special(readMoney(n.Value))
	case durationName:
		return special(readDuration(n.Value))
	case timestampName:
		return special(readTime(n.Value))
	default:
		r.message(n, into.Message(), path, field)
		return into, true
	}
}

func readMoney(text string) (*typemoney.Money, error) {
	n, err := money.Parse(text)
	if errors.Is(err, money.ErrPrecision) {
		return nil, fmt.Errorf("%q has %w", clip(text), money.ErrPrecision)
	}
	if err != nil {
		return nil, fmt.Errorf("%q is not an amount of US dollars such as 12.00, with at most nine decimals", clip(text))
	}
	units, nanos := n.Parts()
	return &typemoney.Money{CurrencyCode: "USD", Units: units, Nanos: nanos}, nil
}

func readDuration(text string) (*durationpb.Duration, error) {
	wrong := fmt.Errorf("%q is not a time span such as 30s, 5m or 1h30m", clip(text))
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return nil, wrong
		}
		return durationpb.New(time.Duration(n) * 24 * time.Hour), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return nil, wrong
	}
	return durationpb.New(d), nil
}

func readTime(text string) (*timestamppb.Timestamp, error) {
	for _, form := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			if m := timestamppb.New(t); m.IsValid() {
				return m, nil
			}
		}
	}
	return nil, fmt.Errorf("%q is not a time such as 2027-01-31T12:00:00Z, or a day such as 2027-01-31", clip(text))
}

func (r *reader) list(n *yaml.Node, m protoreflect.Message, fd protoreflect.FieldDescriptor, path, field string) {
	if fd.Message() != nil && n.Kind == yaml.MappingNode && formOf(fd.Message()).named {
		n = r.byName(n, path)
	}
	if n.Kind != yaml.SequenceNode {
		r.problem(n, path, codeInvalid, "%s must be a list, and is %s.", path, nodeWord(n))
		return
	}
	list := m.Mutable(fd).List()
	for i, item := range n.Content {
		at, within := fmt.Sprintf("%s[%d]", path, i), fmt.Sprintf("%s[%d]", field, i)
		if item = r.resolve(item, at); item == nil {
			return
		}
		r.place(item, at, within)
		if fd.Message() == nil {
			if v, ok := r.scalar(item, formOf(m.Descriptor()), fd, at); ok {
				list.Append(v)
			}
			continue
		}
		if v, ok := r.embedded(item, fd, list.NewElement(), at, within); ok {
			list.Append(v)
		}
	}
	if list.Len() == 0 {
		m.Clear(fd)
	}
}

// byName makes a list of a mapping of names: of values, or of what else there is to say.
func (r *reader) byName(n *yaml.Node, path string) *yaml.Node {
	out := &yaml.Node{Kind: yaml.SequenceNode, Line: n.Line, Column: n.Column}
	for _, p := range r.pairs(n, path) {
		v := r.resolve(p.value, join(path, p.key.Value))
		if v == nil {
			break
		}
		item := mapping(p.key, pair{key: word(p.key, "name"), value: p.key})
		if v.Kind == yaml.MappingNode {
			item.Content = append(item.Content, v.Content...)
		} else {
			item.Content = append(item.Content, word(p.key, "value"), v)
		}
		out.Content = append(out.Content, item)
	}
	return out
}

func (r *reader) mapField(n *yaml.Node, m protoreflect.Message, fd protoreflect.FieldDescriptor, path string) {
	if n.Kind != yaml.MappingNode {
		r.problem(n, path, codeInvalid, "%s must be a mapping, and is %s.", path, nodeWord(n))
		return
	}
	into := m.Mutable(fd).Map()
	for _, p := range r.pairs(n, path) {
		into.Set(protoreflect.ValueOfString(p.key.Value).MapKey(), protoreflect.ValueOfString(r.text(p.value, join(path, p.key.Value))))
	}
	if into.Len() == 0 {
		m.Clear(fd)
	}
}

// scalar reads one value.
func (r *reader) scalar(n *yaml.Node, f *form, fd protoreflect.FieldDescriptor, path string) (v protoreflect.Value, ok bool) {
	if n.Kind != yaml.ScalarNode {
		r.problem(n, path, codeInvalid, "%s must be one value, and is %s.", path, nodeWord(n))
		return v, false
	}
	wrong := func(want string) (protoreflect.Value, bool) {
		r.problem(n, path, codeInvalid, "%s is %s: it must be %s.", path, nodeWord(n), want)
		return v, false
	}
	switch fd.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(n.Value), true
	case protoreflect.BoolKind:
		if n.Tag != "!!bool" || n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
			return wrong("true or false")
		}
		return protoreflect.ValueOfBool(strings.EqualFold(n.Value, "true")), true
	case protoreflect.BytesKind:
		raw, err := base64.StdEncoding.DecodeString(n.Value)
		if err != nil {
			return wrong("bytes in base64")
		}
		return protoreflect.ValueOfBytes(raw), true
	case protoreflect.EnumKind:
		number, ok := readEnum(f, fd, n.Value)
		if !ok {
			return wrong(strings.Join(enumWords(f, fd), ", "))
		}
		return protoreflect.ValueOfEnum(number), true
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		bits := 64
		if fd.Kind() == protoreflect.Int32Kind {
			bits = 32
		}
		i, err := strconv.ParseInt(n.Value, 10, bits)
		if err != nil {
			return wrong("a whole number")
		}
		if bits == 32 {
			return protoreflect.ValueOfInt32(int32(i)), true
		}
		return protoreflect.ValueOfInt64(i), true
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		bits := 64
		if fd.Kind() == protoreflect.Uint32Kind {
			bits = 32
		}
		i, err := strconv.ParseUint(n.Value, 10, bits)
		if err != nil {
			return wrong("a whole number that is not negative")
		}
		if bits == 32 {
			return protoreflect.ValueOfUint32(uint32(i)), true
		}
		return protoreflect.ValueOfUint64(i), true
	default:
		return wrong("something that files cannot say")
	}
}

// anything reads what an owner keeps with an object.
func (r *reader) anything(n *yaml.Node, path string) (*structpb.Value, bool) {
	if n = r.resolve(n, path); n == nil {
		return nil, false
	}
	switch n.Kind {
	case yaml.MappingNode:
		s := &structpb.Struct{Fields: map[string]*structpb.Value{}}
		for _, p := range r.pairs(n, path) {
			v, ok := r.anything(p.value, join(path, p.key.Value))
			if !ok {
				return nil, false
			}
			s.Fields[p.key.Value] = v
		}
		return structpb.NewStructValue(s), true
	case yaml.SequenceNode:
		l := &structpb.ListValue{}
		for i, item := range n.Content {
			v, ok := r.anything(item, fmt.Sprintf("%s[%d]", path, i))
			if !ok {
				return nil, false
			}
			l.Values = append(l.Values, v)
		}
		return structpb.NewListValue(l), true
	default:
		return r.anyScalar(n, path)
	}
}

func (r *reader) anyScalar(n *yaml.Node, path string) (*structpb.Value, bool) {
	switch n.Tag {
	case "!!null":
		return structpb.NewNullValue(), true
	case "!!bool":
		return structpb.NewBoolValue(strings.EqualFold(n.Value, "true")), true
	case "!!int", "!!float":
		f, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) || (n.Tag == "!!int" && math.Abs(f) > 1<<53) {
			r.problem(n, path, codeInvalid, "The number %s cannot be kept exactly: put it in quotes.", clip(n.Value))
			return nil, false
		}
		return structpb.NewNumberValue(f), true
	default:
		return structpb.NewStringValue(n.Value), true
	}
}

// word is a scalar at the place of another node.
func word(at *yaml.Node, text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Line: at.Line, Column: at.Column}
}

func entry(at *yaml.Node, key string, value *yaml.Node) pair { return pair{word(at, key), value} }

// mapping is a mapping at the place of another node.
func mapping(at *yaml.Node, all ...pair) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: at.Line, Column: at.Column}
	for _, p := range all {
		n.Content = append(n.Content, p.key, p.value)
	}
	return n
}

func sequence(at *yaml.Node, all ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: all, Line: at.Line, Column: at.Column}
}
