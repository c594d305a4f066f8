package declare_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"tollgate/controlplane/declare"
)

var update = flag.Bool("update", false, "write the schema")

const schemaFile = "../../docs/reference/tollgate.schema.json"

// Guarantee: the schema that is published is that of the code.
func TestSchemaIsCurrent(t *testing.T) {
	t.Parallel()
	want, err := declare.Schema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("run: go test ./controlplane/declare -run TestSchemaIsCurrent -update (%v)", err)
	}
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	raw, err := declare.Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(declare.SchemaID, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(declare.SchemaID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func valid(t *testing.T, s *jsonschema.Schema, text []byte) error {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

// Guarantee: what people may write is valid by the schema, exports too, and what the reader refuses as unknown is not.
func TestSchemaKnowsTheForm(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	if err := valid(t, s, []byte(example)); err != nil {
		t.Error(err)
	}
	text, err := declare.Export(parse(t, example), declare.SchemaID, nil, sameMessage)
	if err != nil {
		t.Fatal(err)
	}
	if err := valid(t, s, text); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	for _, wrong := range []string{"version: 2\n", "version: 1\nendpiont: []\n", "version: 1\nendpoints: [{name: a, pahts: /a}]\n", "version: 1\nendpoints: [{name: a, match: fuzzy}]\n"} {
		if valid(t, s, []byte(wrong)) == nil {
			t.Errorf("valid: %s", wrong)
		}
	}
}

// Guarantee: no text makes the reader fail otherwise than by saying what is wrong.
func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte("version: 1\na: &a [*a]\n"))
	f.Add([]byte("version: 1\nteams:\n  - &t {name: a}\n  - {<<: *t, name: b}\n---\nversion: 1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		doc, problems := declare.Parse([]declare.File{{Name: "f", Text: text}})
		if len(problems) > 0 {
			return
		}
		out, err := declare.Export(doc, "", nil, sameMessage)
		if err != nil {
			t.Fatalf("cannot be written: %v", err)
		}
		again, problems := declare.Parse([]declare.File{{Name: "f", Text: out}})
		if len(problems) > 0 || len(again.Objects) != len(doc.Objects) {
			t.Fatalf("written as\n%s\nproblems %+v", out, problems)
		}
	})
}
