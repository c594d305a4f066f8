package reference_test

import (
	"encoding"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"tollgate/controlplane"
	"tollgate/edge"
	"tollgate/internal/config"
	"tollgate/ledger"
)

// Guarantee: the page on settings has every setting of every role, with the default that is used and
// the description that stands at its field.
func TestSettings(t *testing.T) {
	control, node, book := controlplane.DefaultConfig(), edge.DefaultConfig(), ledger.DefaultConfig()
	var b strings.Builder
	b.WriteString(`# Settings

Each role reads a YAML file (` + "`--config FILE`" + `), then the environment, then flags; the later one wins. In the file ` + "`${NAME}`" + ` stands for a
variable of the environment, which must be set. An unknown key is an error. ` + "`tollgate ROLE --config FILE --check`" + ` names everything that is
wrong, with lines, and starts nothing.

Credentials have no flag: other users of a machine can read command lines. Durations are written as ` + "`30s`, `5m` or `1h30m`" + `. In a
variable or flag, lists are comma-separated.

Every role also has ` + "`--log-format` (`json`, `text`) and `--log-level` (`debug`, `info`, `warn`, `error`)." + `
`)
	for _, role := range []struct {
		name string
		cfg  config.Validator
	}{{"controlplane", &control}, {"edge", &node}, {"ledger", &book}} {
		settings, err := config.Settings("TOLLGATE_", role.cfg)
		if err != nil {
			t.Fatal(err)
		}
		about := descriptions{}
		about.collect(t, reflect.TypeOf(role.cfg).Elem(), "")
		fmt.Fprintf(&b, "\n## tollgate %s\n\n| key | variable | flag | default | |\n|---|---|---|---|---|\n", role.name)
		for _, s := range settings {
			text := about[s.Key]
			if text == "" {
				text = undescribed[s.Key]
			}
			if text == "" {
				t.Errorf("%s: %s has no comment at its field", role.name, s.Key)
			}
			flag := "`--" + s.Flag + "`"
			if s.Secret {
				flag = "–"
			}
			fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %s |\n", s.Key, s.Env, flag, shown(s.Default), cell(sentence(text)))
		}
	}
	fresh(t, "settings.md", b.String())
}

// shown is a default as it is written.
func shown(value string) string {
	if value == "" || value == "[]" {
		return "–"
	}
	return "`" + cell(value) + "`"
}

// undescribed are settings that share the comment of the field before them.
var undescribed = map[string]string{"nats.key_file": "key of the client certificate"}

// descriptions are the comments at the fields of a struct of settings, by key.
type descriptions map[string]string

var (
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	yamlUnmarshaler = reflect.TypeFor[interface{ UnmarshalYAML(func(any) error) error }]()
)

func (d descriptions) collect(t *testing.T, typ reflect.Type, parent string) {
	t.Helper()
	comments := fieldComments(t, typ)
	for f := range typ.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		key := strings.TrimPrefix(parent+"."+name, ".")
		section := f.Type.Kind() == reflect.Struct && !reflect.PointerTo(f.Type).Implements(textUnmarshaler) &&
			!reflect.PointerTo(f.Type).Implements(yamlUnmarshaler)
		switch {
		case name == "-" || !f.IsExported():
		case section && strings.Contains(options, "inline"):
			d.collect(t, f.Type, parent)
		case section:
			d.collect(t, f.Type, key)
		default:
			d[key] = withoutName(comments[f.Name], f.Name)
		}
	}
}

// withoutName drops the name of the field from a comment in the form of Go's, "Drain is the time …".
func withoutName(comment, name string) string {
	rest, ok := strings.CutPrefix(comment, name+" ")
	if !ok || strings.HasPrefix(rest, "of ") {
		return comment
	}
	return strings.TrimPrefix(rest, "is ")
}

// fieldComments reads the comments above and behind the fields of a named struct of this module.
func fieldComments(t *testing.T, typ reflect.Type) map[string]string {
	t.Helper()
	dir, ok := strings.CutPrefix(typ.PkgPath(), "tollgate/")
	if !ok {
		t.Fatalf("%v is not of this module", typ)
	}
	files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			body, ok := spec.Type.(*ast.StructType)
			if !ok || spec.Name.Name != typ.Name() {
				return false
			}
			for _, f := range body.Fields.List {
				text := f.Doc.Text()
				if text == "" {
					text = f.Comment.Text()
				}
				for _, name := range f.Names {
					comments[name.Name] = text
				}
			}
			return false
		})
	}
	return comments
}
