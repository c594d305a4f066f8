package declare

import (
	"encoding/base64"
	"fmt"
	"maps"
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

// write is a message as a file says it, with all that is set.
func write(m protoreflect.Message) *yaml.Node {
	f := formOf(m.Descriptor())
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if !m.Has(fd) || slices.Contains(f.hidden, string(fd.Name())) || slices.Contains(f.said, string(fd.Name())) && f.fold == nil {
			continue
		}
		n.Content = append(n.Content, text(f.shown(string(fd.Name()))), writeField(f, fd, m.Get(fd)))
	}
	if f.fold != nil {
		n = f.fold(n)
	}
	return n
}

func writeField(f *form, fd protoreflect.FieldDescriptor, v protoreflect.Value) *yaml.Node {
	switch {
	case fd.IsMap():
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		all := map[string]string{}
		v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool { all[k.String()] = v.String(); return true })
		for _, key := range slices.Sorted(maps.Keys(all)) {
			n.Content = append(n.Content, text(key), text(all[key]))
		}
		return n
	case fd.IsList():
		return writeList(f, fd, v.List())
	case isEmpty(fd):
		return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Style: yaml.FlowStyle}
	case fd.Message() != nil:
		return writeMessage(v.Message())
	default:
		return writeScalar(f, fd, v)
	}
}

func writeList(f *form, fd protoreflect.FieldDescriptor, list protoreflect.List) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for i := range list.Len() {
		if fd.Message() != nil {
			n.Content = append(n.Content, writeMessage(list.Get(i).Message()))
		} else {
			n.Content = append(n.Content, writeScalar(f, fd, list.Get(i)))
		}
	}
	if fd.Message() == nil {
		n.Style = yaml.FlowStyle
	} else if formOf(fd.Message()).named {
		n = foldNames(n)
	}
	return n
}

// foldNames makes a mapping of a list whose items have names that differ.
func foldNames(n *yaml.Node) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	seen := map[string]bool{}
	for _, item := range n.Content {
		name := lookup(item, "name")
		if name == nil || seen[name.Value] {
			return n
		}
		seen[name.Value] = true
		rest := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: slices.Clone(item.Content)}
		drop(rest, "name")
		value := rest
		if len(rest.Content) == 2 && rest.Content[0].Value == "value" {
			value = rest.Content[1]
		}
		if len(rest.Content) == 0 {
			value = text("")
		}
		out.Content = append(out.Content, name, value)
	}
	return out
}

func writeMessage(m protoreflect.Message) *yaml.Node {
	switch v := m.Interface().(type) {
	case *typemoney.Money:
		return plain(moneyText(v), "!!float")
	case *durationpb.Duration:
		return text(durationText(v.AsDuration()))
	case *timestamppb.Timestamp:
		return plain(v.AsTime().Format(time.RFC3339Nano), "!!timestamp")
	case *structpb.Struct:
		return writeAnything(structpb.NewStructValue(v))
	}
	n := write(m)
	// A value that is one of its words is written as the word.
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 {
		if fd := m.Descriptor().Fields().ByName(protoreflect.Name(n.Content[0].Value)); fd != nil && isEmpty(fd) {
			return n.Content[0]
		}
	}
	if scalar := formOf(m.Descriptor()).scalar; scalar != "" && n.Kind == yaml.MappingNode && len(n.Content) == 2 && n.Content[0].Value == scalar {
		if fd := m.Descriptor().Fields().ByName(protoreflect.Name(n.Content[1].Value)); fd == nil || !isEmpty(fd) {
			return n.Content[1]
		}
	}
	return n
}

func moneyText(m *typemoney.Money) string {
	n, err := money.FromParts(m.GetUnits(), m.GetNanos())
	if err != nil {
		return fmt.Sprintf("%d units and %d billionths", m.GetUnits(), m.GetNanos())
	}
	return n.String()
}

// durationText leaves out what is nothing: "10m", not "10m0s".
func durationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func writeScalar(f *form, fd protoreflect.FieldDescriptor, v protoreflect.Value) *yaml.Node {
	switch fd.Kind() {
	case protoreflect.EnumKind:
		if d := fd.Enum().Values().ByNumber(v.Enum()); d != nil {
			return text(enumWord(f, d))
		}
		return plain(strconv.Itoa(int(v.Enum())), "!!int")
	case protoreflect.BoolKind:
		return plain(strconv.FormatBool(v.Bool()), "!!bool")
	case protoreflect.StringKind:
		return text(v.String())
	case protoreflect.BytesKind:
		return text(base64.StdEncoding.EncodeToString(v.Bytes()))
	default:
		return plain(v.String(), "!!int")
	}
}

func writeAnything(v *structpb.Value) *yaml.Node {
	switch k := v.GetKind().(type) {
	case *structpb.Value_StructValue:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, key := range slices.Sorted(maps.Keys(k.StructValue.GetFields())) {
			n.Content = append(n.Content, text(key), writeAnything(k.StructValue.GetFields()[key]))
		}
		if len(n.Content) == 0 {
			n.Style = yaml.FlowStyle
		}
		return n
	case *structpb.Value_ListValue:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
		for _, one := range k.ListValue.GetValues() {
			n.Content = append(n.Content, writeAnything(one))
		}
		return n
	case *structpb.Value_BoolValue:
		return plain(strconv.FormatBool(k.BoolValue), "!!bool")
	case *structpb.Value_NumberValue:
		s := strconv.FormatFloat(k.NumberValue, 'f', -1, 64)
		if strings.Contains(s, ".") {
			return plain(s, "!!float")
		}
		return plain(s, "!!int")
	case *structpb.Value_StringValue:
		return text(k.StringValue)
	default:
		return plain("null", "!!null")
	}
}

// text is a scalar that is read as the text that it is: the encoder quotes it where it would be read as something else.
func text(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

func plain(s, tag string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: s} }

// Write is an object as a file says it, without what stands within it.
func Write(o *Object) *yaml.Node {
	m := proto.Clone(o.Message)
	n := write(m.ProtoReflect())
	if o.Kind == Secret {
		writeFrom(o, n)
	}
	return n
}
