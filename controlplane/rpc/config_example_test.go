package rpc_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Guarantee: the example files are valid by the published schema, are applied together, and what is exported of each owner is valid as
// well and changes nothing.
func TestExampleFiles(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	raw, err := os.ReadFile("../../docs/reference/tollgate.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	schemaJSON, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("tollgate.json", schemaJSON); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("tollgate.json")
	if err != nil {
		t.Fatal(err)
	}
	valid := func(name string, text []byte) {
		t.Helper()
		var v any
		if err := yaml.Unmarshal(text, &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		asJSON, err := json.Marshal(v) // numbers as JSON has them
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if v, err = jsonschema.UnmarshalJSON(bytes.NewReader(asJSON)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	paths, err := filepath.Glob("../../docs/examples/tollgate/*.yaml")
	if err != nil || len(paths) < 2 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		valid(path, text)
		in := &controlv1.ConfigInput{
			Files:   []*controlv1.ConfigFile{{Name: filepath.Base(path), Text: text}},
			Secrets: map[string]string{"bria-api-token": vendorSecret},
		}
		if made := b.apply(in); len(made.GetChanges()) < 5 {
			t.Errorf("%s makes %q", path, summary(made.GetChanges()))
		}
		var top struct{ Owner string }
		if err := yaml.Unmarshal(text, &top); err != nil {
			t.Fatal(err)
		}
		exported := must[*controlv1.ExportResponse](t)(b.config().Export(ctx, &controlv1.ExportRequest{Owner: top.Owner}))
		valid("export of "+path, exported.GetText())
		if p := b.plan(files(string(exported.GetText()), prune)); len(p.GetChanges()) != 0 || p.GetOwner() != top.Owner {
			t.Errorf("what is exported of %s would do %q", path, summary(p.GetChanges()))
		}
		onto := must[*controlv1.ExportResponse](t)(b.config().Export(ctx, &controlv1.ExportRequest{Owner: top.Owner, Onto: text}))
		if !bytes.Equal(onto.GetText(), text) {
			t.Errorf("%s exported onto itself is\n%s", path, onto.GetText())
		}
	}
}
