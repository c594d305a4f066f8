package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

var (
	durationType        = reflect.TypeFor[time.Duration]()
	yamlUnmarshalerType = reflect.TypeFor[yaml.Unmarshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func structOf(dst Validator) (reflect.Value, error) {
	v := reflect.ValueOf(dst)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return reflect.Value{}, fmt.Errorf("config: %T is not a pointer to a struct", dst)
	}
	return v.Elem(), nil
}

// field is one setting of a struct: its key at that level and where it goes.
type field struct {
	key   string
	value reflect.Value
}

// fieldsOf lists what may be set in v. It follows the rules of the yaml
// package for tags, so that a struct reads the same everywhere.
func fieldsOf(v reflect.Value) []field {
	var out []field
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		name, opts, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		switch {
		case name == "-" || !sf.IsExported():
			continue
		case strings.Contains(opts, "inline") && sf.Type.Kind() == reflect.Struct:
			out = append(out, fieldsOf(v.Field(i))...)
			continue
		case name == "":
			name = strings.ToLower(sf.Name)
		}
		out = append(out, field{name, v.Field(i)})
	}
	return out
}

// isSection says whether t is a struct with settings of its own, as opposed to
// a value that knows how to read itself.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct &&
		!reflect.PointerTo(t).Implements(yamlUnmarshalerType) &&
		!reflect.PointerTo(t).Implements(textUnmarshalerType)
}

func join(parent, key string) string {
	if parent == "" {
		return key
	}
	return parent + "." + key
}

// environment overrides settings from variables named after their keys.
func (l *loader) environment(prefix string, root reflect.Value) {
	if prefix == "" {
		return
	}
	taken := map[string]string{}
	for _, f := range settingsOf(root, "") {
		key := f.key
		name := envName(prefix, key)
		if other, ok := taken[name]; ok {
			l.problems = append(l.problems, fmt.Errorf("%s: means both %s and %s", name, other, key))
			continue
		}
		taken[name] = key
		text, ok := l.getenv(name)
		if !ok {
			continue
		}
		delete(l.lines, key)
		if err := setText(f.value, text); err != nil {
			l.bad[key] = true
			l.problems = append(l.problems, fmt.Errorf("%s: %w", name, err))
		}
	}
}

// settingsOf lists every single setting of v, sections dissolved, each under its whole key.
func settingsOf(v reflect.Value, parent string) []field {
	var out []field
	for _, f := range fieldsOf(v) {
		key := join(parent, f.key)
		if isSection(f.value.Type()) {
			out = append(out, settingsOf(f.value, key)...)
			continue
		}
		out = append(out, field{key, f.value})
	}
	return out
}

// setText never puts the text into its errors: it may be a credential that was
// given to the wrong variable.
func setText(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch {
	case v.Type() == durationType:
		d, err := time.ParseDuration(text)
		if err != nil {
			return errors.New(`not a duration such as "30s"`)
		}
		v.SetInt(int64(d))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("not true or false")
		}
		v.SetBool(b)
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return errors.New("not a whole number in range")
		}
		v.SetInt(n)
	case v.CanUint():
		n, err := strconv.ParseUint(text, 10, v.Type().Bits())
		if err != nil {
			return errors.New("not a whole number in range")
		}
		v.SetUint(n)
	case v.CanFloat():
		n, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil {
			return errors.New("not a number")
		}
		v.SetFloat(n)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.String:
		list := reflect.MakeSlice(v.Type(), 0, 0)
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = reflect.Append(list, reflect.ValueOf(part).Convert(v.Type().Elem()))
			}
		}
		v.Set(list)
	default:
		return errors.New("can be set in the file only")
	}
	return nil
}
