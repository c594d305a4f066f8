package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
	typemoney "google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tollgate/internal/contract"
)

// object is a mapping that keeps its order in JSON and YAML.
type object struct {
	keys   []string
	values []any
}

func (o *object) set(key string, value any) {
	o.keys, o.values = append(o.keys, key), append(o.values, value)
}

// MarshalJSON writes the fields in order.
func (o *object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, key := range o.keys {
		if i > 0 {
			b.WriteByte(',')
		}
		for j, v := range []any{key, o.values[i]} {
			var part bytes.Buffer
			enc := json.NewEncoder(&part)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(v); err != nil {
				return nil, err
			}
			b.Write(bytes.TrimSuffix(part.Bytes(), []byte("\n")))
			if j == 0 {
				b.WriteByte(':')
			}
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// MarshalYAML writes the fields in order.
func (o *object) MarshalYAML() (any, error) {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for i, key := range o.keys {
		var k, v yaml.Node
		if err := k.Encode(key); err != nil {
			return nil, err
		}
		if err := v.Encode(o.values[i]); err != nil {
			return nil, err
		}
		node.Content = append(node.Content, &k, &v)
	}
	return node, nil
}

// view is a message as json and yaml output show it: protobuf's JSON names and forms, with every
// single field present, and amounts as {"currency": "USD", "amount": "12.00"}.
func view(m proto.Message) *object {
	return viewer{}.message(m.ProtoReflect())
}

// brief is view without what is not set: documents that people go on writing.
func brief(m proto.Message) *object {
	return viewer{brief: true}.message(m.ProtoReflect())
}

type viewer struct{ brief bool }

func (w viewer) message(m protoreflect.Message) *object {
	out := &object{}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !m.Has(f) && (w.brief || f.HasPresence() || f.IsMap()) {
			continue
		}
		switch {
		case f.IsMap():
			out.set(f.JSONName(), w.pairs(f, m.Get(f).Map()))
		case f.IsList():
			list, items := m.Get(f).List(), []any{}
			for j := range list.Len() {
				items = append(items, w.value(f, list.Get(j)))
			}
			out.set(f.JSONName(), items)
		default:
			out.set(f.JSONName(), w.value(f, m.Get(f)))
		}
	}
	return out
}

// pairs are a map's in the order of its keys.
func (w viewer) pairs(f protoreflect.FieldDescriptor, m protoreflect.Map) *object {
	values := map[string]any{}
	m.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		values[k.String()] = w.value(f.MapValue(), v)
		return true
	})
	out := &object{}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		out.set(key, values[key])
	}
	return out
}

func (w viewer) value(f protoreflect.FieldDescriptor, v protoreflect.Value) any {
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return w.nested(v.Message())
	case protoreflect.EnumKind:
		if e := f.Enum().Values().ByNumber(v.Enum()); e != nil {
			return string(e.Name())
		}
		return int32(v.Enum())
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return strconv.FormatInt(v.Int(), 10)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return strconv.FormatUint(v.Uint(), 10)
	case protoreflect.BytesKind:
		return base64.StdEncoding.EncodeToString(v.Bytes())
	default:
		return v.Interface()
	}
}

func (w viewer) nested(m protoreflect.Message) any {
	switch message := m.Interface().(type) {
	case *typemoney.Money:
		return viewMoney(message)
	default:
		if m.Descriptor().FullName().Parent() != "google.protobuf" {
			return w.message(m)
		}
		// Timestamps and durations have forms of their own in JSON, which are single strings.
		var text string
		raw, err := protojson.Marshal(message)
		if err != nil || json.Unmarshal(raw, &text) != nil {
			return w.message(m)
		}
		return text
	}
}

func viewMoney(m *typemoney.Money) *object {
	out := &object{}
	out.set("currency", first(m.GetCurrencyCode(), "USD"))
	amount, err := contract.MoneyFromProto(m)
	if err != nil {
		out.set("error", err.Error())
		return out
	}
	out.set("amount", amount.String())
	return out
}
