package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Setting is one setting of a struct, for making flags and reference pages.
type Setting struct {
	Key     string // in the file: "nats.url"
	Env     string // in the environment: "TOLLGATE_NATS_URL"
	Flag    string // on the command line: "nats-url"
	Default string // as it would be written; empty for secrets
	Secret  bool   // never on a command line, where other users can read it
}

// Settings lists what can be set in dst, in the order of its fields. The values of dst are taken for
// the defaults.
func Settings(envPrefix string, dst Validator) ([]Setting, error) {
	root, err := structOf(dst)
	if err != nil {
		return nil, err
	}
	var out []Setting
	for _, f := range settingsOf(root, "") {
		s := Setting{Key: f.key, Env: envName(envPrefix, f.key), Flag: strings.NewReplacer(".", "-", "_", "-").Replace(f.key)}
		kind := f.value.Type()
		if s.Secret = kind == reflect.TypeFor[Secret]() || kind == reflect.TypeFor[[]Secret](); !s.Secret {
			s.Default = fmt.Sprint(f.value.Interface())
		}
		out = append(out, s)
	}
	return out, nil
}

// envName is the variable that overrides a key.
func envName(prefix, key string) string {
	return prefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(key))
}
