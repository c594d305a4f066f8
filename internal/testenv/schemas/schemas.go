// Package schemas checks in tests that what an adapter makes is what the schema's owner would take or would have sent: JSON Schemas
// that allow nothing they do not name, and the order in which events of a stream may come. The schemas are written from
// the vendors' public references, which each file names, and every recording of a vendor passes them.
//
// It is for tests alone.
package schemas

import (
	"bytes"
	"embed"
	"fmt"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

//go:embed data/*.json
var files embed.FS

var compiled sync.Map // of name to func() (*jsonschema.Schema, error)

// Check says what is wrong with a document by the schema data/NAME.json, or nil.
func Check(name string, doc []byte) error {
	once, _ := compiled.LoadOrStore(name, sync.OnceValues(func() (*jsonschema.Schema, error) {
		// All are there, because one may refer to another.
		all, err := files.ReadDir("data")
		if err != nil {
			return nil, err
		}
		c := jsonschema.NewCompiler()
		for _, f := range all {
			raw, err := files.ReadFile("data/" + f.Name())
			if err != nil {
				return nil, fmt.Errorf("schema %s: %w", f.Name(), err)
			}
			schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
			if err != nil {
				return nil, fmt.Errorf("schema %s: %w", f.Name(), err)
			}
			if err := c.AddResource(f.Name(), schema); err != nil {
				return nil, fmt.Errorf("schema %s: %w", f.Name(), err)
			}
		}
		return c.Compile(name + ".json")
	}))
	schema, err := once.(func() (*jsonschema.Schema, error))()
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		return fmt.Errorf("no JSON: %w", err)
	}
	return schema.Validate(v)
}
