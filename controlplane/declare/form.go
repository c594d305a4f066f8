package declare

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// form is how a message is written in a file, where that is not simply field by field.
type form struct {
	hidden []string          // fields that the server sets
	said   []string          // fields that files say by another one
	rename map[string]string // names in files, and the fields that they stand for
	words  map[string]string // values of enums, by their names, in place of the words that are made of the names
	scalar string            // field for which one value stands
	named  bool              // a list of it may be a mapping of names
	extra  map[string]any    // JSON Schema of what expand takes beside the fields
	exact  func(schema map[string]any) map[string]any

	// expand turns what people write into the fields of the message; fold is the way back.
	expand func(r *reader, n *yaml.Node, all []pair, path string) []pair
	fold   func(n *yaml.Node) *yaml.Node
}

var plainForm = &form{}

// formOf is the form of a message.
func formOf(d protoreflect.MessageDescriptor) *form {
	if f, ok := forms[strings.TrimPrefix(string(d.FullName()), "tollgate.control.v1.")]; ok {
		return f
	}
	return plainForm
}

// shown is how a field is written.
func (f *form) shown(field string) string {
	for name, proper := range f.rename {
		if proper == field {
			return name
		}
	}
	return field
}

// known are the names that may be written.
func (f *form) known(d protoreflect.MessageDescriptor) (out []string) {
	for i := range d.Fields().Len() {
		if name := string(d.Fields().Get(i).Name()); !slices.Contains(f.hidden, name) && !slices.Contains(f.said, name) {
			out = append(out, f.shown(name))
		}
	}
	for name := range f.extra {
		out = append(out, name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

var audited = []string{"id", "etag", "revision", "create_time", "update_time", "managed_by"}

func serverSets(more ...string) []string { return append(slices.Clone(audited), more...) }

var budgetWords = map[string]string{"ENFORCEMENT_HARD": "refuse", "ENFORCEMENT_SOFT": "warn"}

// forms are those of messages that have one of their own, by name.
var forms map[string]*form

func init() {
	forms = map[string]*form{
		"CreateSecretRequest": {hidden: []string{"value"}, said: []string{"reference"}, extra: map[string]any{"from": fromSchema}},
		"Adapter":             {hidden: serverSets()},
		"Model":               {hidden: serverSets("warnings")},
		"Endpoint": {
			hidden: serverSets("warnings"), expand: expandTarget, fold: foldTarget,
			extra: map[string]any{"target": ref("Target"), "budget": ref("InlineBudget"), "limits": ref("InlineLimits")},
		},
		"Team": {
			hidden: serverSets("members", "keys"), said: []string{"restricted"}, expand: expandRestricted, fold: foldRestricted,
			extra: map[string]any{"budget": ref("InlineBudget"), "limits": ref("InlineLimits")},
		},
		"Customer": {
			hidden: serverSets("first_sight"), extra: map[string]any{"budget": ref("InlineBudget"), "limits": ref("InlineLimits")},
		},
		"Tag": {hidden: serverSets("keys", "budgets", "limits")},
		"Key": {
			hidden: serverSets("prefix", "suffix", "revoke_time", "overlap_end_time", "rotate_time", "status"),
			said:   []string{"restricted"},
			expand: expandRestricted, fold: foldRestricted,
			extra: map[string]any{
				"budget": ref("InlineBudget"), "limits": ref("InlineLimits"),
				"secret_sha256": map[string]any{"type": "string", "pattern": "^[0-9a-f]{64}$"},
			},
		},
		"Budget": {
			hidden: serverSets("account_id", "raise"), words: budgetWords, expand: expandRolling, fold: foldRolling,
			rename: map[string]string{"limit": "amount", "every": "period", "when_reached": "enforcement"},
		},
		"DefaultBudget": {
			words: budgetWords, expand: expandRolling, fold: foldRolling,
			rename: map[string]string{"limit": "amount", "every": "period", "when_reached": "enforcement"},
		},
		"Limit":    {hidden: serverSets()},
		"Settings": {hidden: serverSets()},
		"BookRow": {
			hidden: []string{"override"}, expand: expandRow, fold: foldRow,
			exact: func(map[string]any) map[string]any { return rowSchema },
		},
		"Target":         {scalar: "url"},
		"Header":         {named: true},
		"QueryParameter": {named: true},
		"Price":          {expand: expandPrice, fold: foldPrice, extra: priceExtras},
		"Meter":          {expand: expandMeter, fold: foldMeter, extra: meterExtras},
		"MeterHold":      {scalar: "amount"},
	}
}

// readEnum finds the value that a word stands for.
func readEnum(f *form, fd protoreflect.FieldDescriptor, text string) (protoreflect.EnumNumber, bool) {
	values := fd.Enum().Values()
	for i := range values.Len() {
		v := values.Get(i)
		if v.Number() != 0 && (text == enumWord(f, v) || text == plainWord(v)) {
			return v.Number(), true
		}
	}
	return 0, false
}

func enumWords(f *form, fd protoreflect.FieldDescriptor) (out []string) {
	values := fd.Enum().Values()
	for i := range values.Len() {
		if v := values.Get(i); v.Number() != 0 {
			out = append(out, enumWord(f, v))
		}
	}
	return out
}

func enumWord(f *form, v protoreflect.EnumValueDescriptor) string {
	if w, ok := f.words[string(v.Name())]; ok {
		return w
	}
	return plainWord(v)
}

// plainWord is the name of a value without that of its type, in lower case. Versions have dots.
func plainWord(v protoreflect.EnumValueDescriptor) string {
	parent, _ := v.Parent().(protoreflect.EnumDescriptor)
	w := strings.ToLower(strings.TrimPrefix(string(v.Name()), screaming(string(parent.Name()))+"_"))
	if w[0] >= '0' && w[0] <= '9' {
		w = strings.ReplaceAll(w, "_", ".")
	}
	return w
}

// screaming is the form of a type's name that its values begin with.
func screaming(name string) string {
	var out []byte
	for i := range len(name) {
		if c := name[i]; c >= 'A' && c <= 'Z' && i > 0 {
			out = append(out, '_')
		}
		out = append(out, name[i])
	}
	return strings.ToUpper(string(out))
}

// take removes the entry with a key.
func take(all []pair, key string) (found *pair, rest []pair) {
	for i, p := range all {
		if p.key.Value == key {
			return &p, slices.Delete(slices.Clone(all), i, i+1)
		}
	}
	return nil, all
}

func has(all []pair, keys ...string) bool {
	return slices.ContainsFunc(all, func(p pair) bool { return slices.Contains(keys, p.key.Value) })
}

// lookup is the value of a key of a mapping that was written.
func lookup(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// drop removes a key of a mapping.
func drop(n *yaml.Node, key string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			n.Content = slices.Delete(n.Content, i, i+2)
			return
		}
	}
}
