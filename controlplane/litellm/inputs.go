package litellm

import (
	"fmt"
	"path/filepath"

	"tollgate/controlplane/declare"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/plan"
)

// Owner owns what is imported until it is released.
const Owner = "litellm"

const (
	// keysOfFile is how many keys with what they may spend go into one file, which is so far below the size that a file may have.
	keysOfFile = 2000
	// filesOfInput is how many files are applied at once.
	filesOfInput = 8
)

// Inputs make of a plan what ConfigService applies: mostly one input, which is applied whole or not at all. Of very many keys there
// are several, of which none refers to a later one.
func Inputs(name string, p *plan.Plan) ([]*controlv1.ConfigInput, error) {
	objects, secrets := Objects(name, p)
	var base []*declare.Object
	keys := map[string]int{} // the group of each key
	var groups [][]*declare.Object
	n := 0
	for _, o := range objects {
		key := keyOf(o)
		group, known := keys[key]
		switch {
		case o.Kind == declare.Key:
			if n%keysOfFile == 0 {
				groups = append(groups, nil)
			}
			n++
			keys[key] = len(groups) - 1
			groups[len(groups)-1] = append(groups[len(groups)-1], o)
		case key != "" && known:
			groups[group] = append(groups[group], o)
		default:
			base = append(base, o)
		}
	}
	groups = append([][]*declare.Object{base}, groups...)
	var out []*controlv1.ConfigInput
	for i, group := range groups {
		if i%filesOfInput == 0 {
			out = append(out, &controlv1.ConfigInput{
				Dialect: controlv1.ConfigDialect_CONFIG_DIALECT_TOLLGATE, Owner: Owner, Secrets: secrets,
			})
		}
		text, err := declare.Export(&declare.Document{Owner: Owner, Objects: group}, "", nil, nil)
		if err != nil {
			return nil, fmt.Errorf("write what was converted: %w", err)
		}
		file := filepath.Base(name)
		if i > 0 {
			file = fmt.Sprintf("%s (keys %d)", file, i)
		}
		in := out[len(out)-1]
		in.Files = append(in.Files, &controlv1.ConfigFile{Name: file, Text: text})
	}
	return out, nil
}

// keyOf is the key that an object is or is for.
func keyOf(o *declare.Object) string {
	switch m := o.Message.(type) {
	case *controlv1.Key:
		return o.Name
	case *controlv1.Budget:
		return m.GetKey()
	case *controlv1.Limit:
		return m.GetKey()
	default:
		return ""
	}
}
