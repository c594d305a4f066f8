package litellm

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"tollgate/internal/money"
	"tollgate/internal/plan"
)

// field is one key of a mapping and where it stands.
type field struct {
	key   string
	line  int
	value *yaml.Node
}

const (
	maxSteps = 200_000
	maxDepth = 16
	maxKey   = 256 // bytes; what a file can make of a longer one is only large
)

// resolve follows an alias, and a document to its content.
func resolve(n *yaml.Node) *yaml.Node {
	for range maxDepth {
		switch {
		case n == nil:
			return nil
		case n.Kind == yaml.AliasNode:
			n = n.Alias
		case n.Kind == yaml.DocumentNode:
			if len(n.Content) == 0 {
				return nil
			}
			n = n.Content[0]
		default:
			return n
		}
	}
	return nil
}

// fields lists a mapping in the order of the file, with merged mappings ("<<") in it. Of a key that
// stands twice the last counts, as in LiteLLM's reader.
func (v *conversion) fields(n *yaml.Node, path string) ([]field, error) {
	m := resolve(n)
	if m == nil || m.Kind != yaml.MappingNode {
		line := 0
		if n != nil {
			line = n.Line
		}
		if !null(m) {
			v.note(line, plan.Refused, path, "It is no mapping of settings.")
		}
		return nil, nil
	}
	var own, merged []field
	if err := v.collect(m, 0, &own, &merged); err != nil {
		return nil, err
	}
	var all []field
	at := map[string]int{}
	for _, f := range own {
		if i, twice := at[f.key]; twice {
			v.note(all[i].line, plan.Warning, join(path, f.key), "It is set again on line %d; that one counts.", f.line)
			all[i] = f
			continue
		}
		at[f.key] = len(all)
		all = append(all, f)
	}
	for _, f := range merged {
		if _, own := at[f.key]; !own {
			at[f.key] = len(all)
			all = append(all, f)
		}
	}
	return all, nil
}

func (v *conversion) collect(m *yaml.Node, depth int, own, merged *[]field) error {
	if depth > maxDepth {
		return invalid("%s:%d: mappings are merged more than %d deep.", v.file, m.Line, maxDepth)
	}
	if err := v.step(); err != nil {
		return err
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if err := v.step(); err != nil {
			return err
		}
		key, value := resolve(m.Content[i]), m.Content[i+1]
		if key == nil || key.Kind != yaml.ScalarNode {
			v.note(m.Content[i].Line, plan.Refused, "", "A key that is no text means nothing to LiteLLM.")
			continue
		}
		if len(key.Value) > maxKey {
			v.note(m.Content[i].Line, plan.Refused, "", "A key of %d bytes means nothing to LiteLLM.", len(key.Value))
			continue
		}
		if key.Tag != "!!merge" {
			*own = append(*own, field{key.Value, m.Content[i].Line, value})
			continue
		}
		sources := []*yaml.Node{value}
		if list := resolve(value); list != nil && list.Kind == yaml.SequenceNode {
			sources = list.Content
		}
		for _, s := range sources {
			base := resolve(s)
			if base == nil || base.Kind != yaml.MappingNode {
				return invalid("%s:%d merges something that is no mapping.", v.file, m.Content[i].Line)
			}
			var theirs, deeper []field
			if err := v.collect(base, depth+1, &theirs, &deeper); err != nil {
				return err
			}
			*merged = append(append(*merged, theirs...), deeper...)
		}
	}
	return nil
}

// step counts what is visited.
func (v *conversion) step() error {
	if v.steps++; v.steps > maxSteps {
		return invalid("%s has more than %d settings once its aliases are followed.", v.file, maxSteps)
	}
	return nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func null(n *yaml.Node) bool {
	return n == nil || (n.Kind == yaml.ScalarNode && n.Tag == "!!null")
}

// scalar is the text of a value as it stands in the file, or nothing if it is no single value.
func scalar(n *yaml.Node) string {
	if n = resolve(n); n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

// truth reads a boolean as LiteLLM's YAML 1.1 does, where yes and on are true. Quoted ones count.
func truth(n *yaml.Node) (value, ok bool) {
	switch strings.ToLower(strings.TrimSpace(scalar(n))) {
	case "true", "yes", "on":
		return true, true
	case "false", "no", "off":
		return false, true
	}
	return false, false
}

// decimal is an exact number with nine decimals.
type decimal struct{ nanos money.Nanos }

var number = regexp.MustCompile(`^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,3}))?$`)

var errNumber = errors.New("it is not a number")

// parseDecimal reads a number in the forms that YAML allows, from its text, and refuses what it
// cannot hold exactly.
func parseDecimal(n *yaml.Node) (decimal, error) {
	m := number.FindStringSubmatch(strings.ReplaceAll(strings.TrimSpace(scalar(n)), "_", ""))
	if m == nil || m[2]+m[3] == "" || len(m[2])+len(m[3]) > 200 {
		return decimal{}, errNumber
	}
	if m[3]+m[4] == "" && len(m[2]) > 1 && m[2][0] == '0' {
		return decimal{}, errors.New("a leading zero makes it octal for LiteLLM")
	}
	digits, ok := new(big.Int).SetString(m[2]+m[3], 10)
	if !ok {
		return decimal{}, errNumber
	}
	exponent := 9 - len(m[3])
	if m[4] != "" {
		e, err := strconv.Atoi(m[4])
		if err != nil {
			return decimal{}, errNumber
		}
		exponent += e
	}
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(exponent, -exponent))), nil)
	if exponent >= 0 {
		digits.Mul(digits, scale)
	} else if _, rest := digits.QuoRem(digits, scale, new(big.Int)); rest.Sign() != 0 {
		return decimal{}, errors.New("it has more than nine decimals")
	}
	if !digits.IsInt64() {
		return decimal{}, fmt.Errorf("it is too large: %w", money.ErrOverflow)
	}
	amount := money.Nanos(digits.Int64())
	if m[1] == "-" {
		amount = -amount
	}
	return decimal{amount}, nil
}
