// Package declare reads and writes tollgate.yaml, the form in which a configuration is kept in files. What it reads becomes the
// messages of the API, and every place of a file stays known, so that whatever is found wrong later can be said with its line.
// Amounts are read from their text and never through a float. It reaches no server, reads no environment and decides no rule of
// the configuration: it knows the form of things, and the registry what they may be.
package declare

import (
	"cmp"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Kind is what an object is, as the audit names it.
type Kind string

// The kinds.
const (
	Secret   Kind = "secret"
	Adapter  Kind = "adapter"
	Model    Kind = "model"
	Endpoint Kind = "endpoint"
	Team     Kind = "team"
	Customer Kind = "customer"
	Tag      Kind = "tag"
	Key      Kind = "key"
	Budget   Kind = "budget"
	Limit    Kind = "limit"
	Price    Kind = "model_price"
	Settings Kind = "settings"
)

// SettingsName is the name of the settings, of which there is one.
const SettingsName = "settings"

// DefaultOwner owns what a file names that says nothing else.
const DefaultOwner = "tollgate.yaml"

// section is a list of objects of a kind in a file.
type section struct {
	kind    Kind
	key     string
	message proto.Message // an empty one
}

// sections are in the order in which objects are made: none refers to what comes after it.
var sections = []section{
	{Secret, "secrets", &controlv1.CreateSecretRequest{}},
	{Adapter, "adapters", &controlv1.Adapter{}},
	{Model, "models", &controlv1.Model{}},
	{Endpoint, "endpoints", &controlv1.Endpoint{}},
	{Team, "teams", &controlv1.Team{}},
	{Customer, "customers", &controlv1.Customer{}},
	{Tag, "tags", &controlv1.Tag{}},
	{Key, "keys", &controlv1.Key{}},
	{Budget, "budgets", &controlv1.Budget{}},
	{Limit, "limits", &controlv1.Limit{}},
	{Price, "prices", &controlv1.BookRow{}},
	{Settings, "settings", &controlv1.Settings{}},
}

// Kinds are all kinds, in the order in which objects are made.
func Kinds() []Kind {
	out := make([]Kind, len(sections))
	for i, s := range sections {
		out[i] = s.kind
	}
	return out
}

// Rank is the place of a kind in that order.
func (k Kind) Rank() int {
	return slices.IndexFunc(sections, func(s section) bool { return s.kind == k })
}

// Section is the key under which a file lists objects of the kind.
func (k Kind) Section() string { return sections[k.Rank()].key }

// KindOf finds a kind by its name or by its section's.
func KindOf(name string) (Kind, bool) {
	for _, s := range sections {
		if name == s.key || name == string(s.kind) || name == "price" && s.kind == Price {
			return s.kind, true
		}
	}
	return "", false
}

// New is an empty object of the kind.
func (k Kind) New() proto.Message {
	return sections[k.Rank()].message.ProtoReflect().New().Interface()
}

// File is a file of a configuration.
type File struct {
	Name string
	Text []byte
}

// Place is where something stands in a file.
type Place struct {
	File         string
	Line, Column int    // from 1; 0 if it is about the whole
	Path         string // "endpoints[2].price"
}

// String is the place as compilers write it.
func (p Place) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	default:
		return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
}

// Problem is something that is wrong with a file.
type Problem struct {
	Place

	Code   string // of the violation, "required"
	Reason string // a sentence
}

// Object is one thing that a configuration says.
type Object struct {
	Kind    Kind
	Name    string
	Message proto.Message // of the kind's type; what the server sets is not set
	Place   Place

	// From is where the value of a secret is on the machine of whoever applies the file, "env/NAME" or "file/PATH"; empty for
	// a reference and for a value that is kept.
	From string
	// SHA256 of the secret of a key that callers hold already; empty for a key that is made.
	SHA256 []byte
	// Given are the top fields that the file names, for settings: the others stay as they are.
	Given []string

	inline bool // whether it stands within another object
	item   *yaml.Node
	places map[string]Place // by path in the message
}

// At finds the place in the file of a field of the message, "targets[0].url", or of what is nearest around it.
func (o *Object) At(field string) Place {
	for field != "" {
		if p, ok := o.places[field]; ok {
			return p
		}
		field = field[:max(lastCut(field), 0)]
	}
	return o.Place
}

func lastCut(field string) int {
	for i := len(field) - 1; i >= 0; i-- {
		if field[i] == '.' || field[i] == '[' {
			return i
		}
	}
	return -1
}

// Document is what files say together.
type Document struct {
	Owner   string
	Objects []*Object // in the order of kinds, and within a kind in that of the files
}

// Find is the object of a kind and a name, nil if there is none.
func (d *Document) Find(kind Kind, name string) *Object {
	for _, o := range d.Objects {
		if o.Kind == kind && o.Name == name {
			return o
		}
	}
	return nil
}

// Sort puts objects into the order in which they are made.
func Sort(all []*Object) {
	slices.SortStableFunc(all, func(a, b *Object) int { return cmp.Compare(a.Kind.Rank(), b.Kind.Rank()) })
}

// NameOf is the name of an object by its message. A row of prices is named by its list and its model.
func NameOf(kind Kind, m proto.Message) string {
	switch kind {
	case Settings:
		return SettingsName
	case Price:
		row, _ := m.(*controlv1.BookRow)
		return row.GetList() + "/" + row.GetPrice().GetModel()
	default:
		r := m.ProtoReflect()
		return r.Get(r.Descriptor().Fields().ByName("name")).String()
	}
}

// Strip clears what files do not say: what the server sets.
func Strip(m proto.Message) {
	r := m.ProtoReflect()
	for _, name := range formOf(r.Descriptor()).hidden {
		if f := r.Descriptor().Fields().ByName(protoreflect.Name(name)); f != nil {
			r.Clear(f)
		}
	}
}
