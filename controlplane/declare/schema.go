package declare

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// SchemaID is the address of the schema, as editors ask for it.
const SchemaID = "https://raw.githubusercontent.com/tollgate/tollgate/main/docs/reference/tollgate.schema.json"

func ref(name string) map[string]any { return map[string]any{"$ref": "#/$defs/" + name} }

var (
	fromSchema = map[string]any{
		"type": "string", "pattern": "^(env/|file/|env:|file:|vault:).+$",
		"description": "env/NAME and file/PATH are read where the file is applied; env:NAME, file:PATH and vault:MOUNT/PATH#FIELD on each edge. Without it the value that the server has is kept.",
	}
	decimal     = map[string]any{"type": []any{"number", "string"}, "pattern": `^-?[0-9]+(\.[0-9]+)?$`}
	rowSchema   = object(map[string]any{"list": textSchema, "model": textSchema, "rates": map[string]any{"type": "array", "items": ref("UnitPrice")}}, "list", "model", "rates")
	textSchema  = map[string]any{"type": []any{"string", "number", "boolean"}}
	priceExtras = map[string]any{
		"per_request": decimal, "charge": ref("Charge"), "meters": map[string]any{"type": "array", "items": ref("Meter")},
		"unmatched": textSchema, "fallback": textSchema, "rates": map[string]any{"type": "array", "items": ref("Price.Rate")},
		"hold": decimal, "bound": map[string]any{"enum": []any{"ceiling", "estimate"}}, "header": textSchema, "ceiling": decimal,
	}
	meterExtras = map[string]any{"from": map[string]any{"type": "string", "pattern": `^(request|response)\..+$`}, "unit": textSchema, "per": map[string]any{"type": "integer"}}
)

func object(properties map[string]any, required ...string) map[string]any {
	out := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// Schema is the JSON Schema of tollgate.yaml, made of the messages and forms by which it is read.
func Schema() ([]byte, error) {
	s := &schemas{defs: map[string]any{}}
	top := map[string]any{
		"version": map[string]any{"enum": []any{1, "1"}, "description": "The form of the file."},
		"owner":   map[string]any{"type": "string", "pattern": ownerForm.String(), "description": "Who owns what the file names."},
	}
	for _, one := range sections {
		item := s.message(one.message.ProtoReflect().Descriptor())
		if one.kind == Settings {
			top[one.key] = orNull(item)
			continue
		}
		top[one.key] = orNull(map[string]any{"type": "array", "items": item})
	}
	s.inline()
	root := object(top)
	root["$schema"], root["$id"], root["title"] = "https://json-schema.org/draft/2020-12/schema", SchemaID, "tollgate.yaml"
	root["$defs"] = s.defs
	out, err := json.MarshalIndent(root, "", "  ")
	return append(out, '\n'), err
}

func orNull(schema map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{schema, map[string]any{"type": "null"}}}
}

// schemas are made for each message once.
type schemas struct{ defs map[string]any }

// inline are the schemas of what stands within other objects.
func (s *schemas) inline() {
	budget, _ := s.defs["Budget"].(map[string]any)
	limit, _ := s.defs["Limit"].(map[string]any)
	without := func(schema map[string]any, names ...string) map[string]any {
		all, _ := schema["properties"].(map[string]any)
		properties := maps.Clone(all)
		for _, name := range names {
			delete(properties, name)
		}
		return object(properties)
	}
	scopes := []string{"key", "endpoint", "everything", "team", "customer", "tag"}
	s.defs["InlineBudget"] = orNull(without(budget, scopes...))
	one := map[string]any{"anyOf": []any{map[string]any{"type": []any{"integer", "null"}}, without(limit, append(scopes, "kind")...)}}
	limits := map[string]any{}
	for _, kind := range limitKinds {
		limits[kind] = one
	}
	s.defs["InlineLimits"] = orNull(object(limits))
}

func (s *schemas) message(d protoreflect.MessageDescriptor) map[string]any {
	name := strings.TrimPrefix(string(d.FullName()), "tollgate.control.v1.")
	if _, ok := s.defs[name]; ok {
		return ref(name)
	}
	s.defs[name] = nil // for messages within themselves
	f := formOf(d)
	properties, words := map[string]any{}, []any{}
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		field := string(fd.Name())
		if slices.Contains(f.hidden, field) || slices.Contains(f.said, field) {
			continue
		}
		schema := orNull(s.field(f, fd))
		properties[field] = schema
		properties[f.shown(field)] = schema
		if isEmpty(fd) {
			words = append(words, field)
		}
	}
	maps.Copy(properties, f.extra)
	out := object(properties)
	if f.exact != nil {
		s.use(d)
		out = f.exact(out)
	}
	var others []any
	if len(words) > 0 {
		others = append(others, map[string]any{"enum": words})
	}
	if f.scalar != "" {
		others = append(others, textSchema)
	}
	if len(others) > 0 {
		out = map[string]any{"anyOf": append([]any{out}, others...)}
	}
	s.defs[name] = out
	return ref(name)
}

// use makes the schemas of the messages within one whose own is written by hand.
func (s *schemas) use(d protoreflect.MessageDescriptor) {
	for i := range d.Fields().Len() {
		if m := d.Fields().Get(i).Message(); m != nil {
			s.message(m)
		}
	}
}

func (s *schemas) field(f *form, fd protoreflect.FieldDescriptor) map[string]any {
	if fd.IsMap() {
		return map[string]any{"type": "object", "additionalProperties": textSchema}
	}
	one := s.value(f, fd)
	if !fd.IsList() {
		return one
	}
	list := map[string]any{"type": "array", "items": one}
	if fd.Message() != nil && formOf(fd.Message()).named {
		return map[string]any{"anyOf": []any{list, map[string]any{"type": "object", "additionalProperties": map[string]any{"anyOf": []any{textSchema, one}}}}}
	}
	return list
}

func (s *schemas) value(f *form, fd protoreflect.FieldDescriptor) map[string]any {
	if m := fd.Message(); m != nil {
		switch m.FullName() {
		case moneyName:
			return decimal
		case durationName:
			return map[string]any{"type": "string", "pattern": `^([0-9]+d|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)$`}
		case timestampName:
			return map[string]any{"type": "string", "pattern": `^[0-9]{4}-[0-9]{2}-[0-9]{2}`}
		case structName:
			return map[string]any{"type": "object"}
		default:
			return s.message(m)
		}
	}
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return map[string]any{"type": "boolean"}
	case protoreflect.StringKind, protoreflect.BytesKind:
		return textSchema
	case protoreflect.EnumKind:
		words := []any{}
		values := fd.Enum().Values()
		for i := range values.Len() {
			if v := values.Get(i); v.Number() != 0 {
				words = append(words, enumWord(f, v))
				if w := plainWord(v); w != enumWord(f, v) {
					words = append(words, w)
				}
			}
		}
		if strings.HasSuffix(string(fd.Enum().Name()), "Version") {
			return textSchema // 1.2 is a number in YAML
		}
		return map[string]any{"enum": words}
	default:
		return map[string]any{"type": "integer"}
	}
}
