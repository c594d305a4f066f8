// Package config fills a struct that holds its defaults from a YAML file and
// then from the environment, and reports every problem at once, each with the
// line and the key it is about. Nothing unknown is ignored: a misspelt key is
// an error, and so is a ${NAME} that is not set.
//
// It is for settings read once at start. Whatever changes while a process runs
// (endpoints, keys, prices) is not configuration in this sense.
package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Validator is a pointer to a struct of settings. Validate returns all its
// problems joined, each beginning with the key it is about and a colon.
type Validator interface {
	Validate() error
}

// Load fills dst, which holds the defaults, and validates it.
//
// The file at path comes first; with an empty path there is none. In its
// values ${NAME} stands for an environment variable, which must be set, and
// $${ for a plain "${". Then each setting can be overridden by a variable named
// after its key: with the prefix "EDGE_" the key spool.max_age is
// EDGE_SPOOL_MAX_AGE. Lists are comma-separated there.
func Load(path, envPrefix string, getenv func(string) (string, bool), dst Validator) error {
	l := &loader{path: path, getenv: getenv, lines: map[string]int{}, bad: map[string]bool{}}
	root, err := structOf(dst)
	if err != nil {
		return err
	}
	if path != "" {
		raw, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read configuration: %w", err)
		}
		l.file(raw, root)
	}
	l.environment(envPrefix, root)
	for _, err := range flatten(dst.Validate()) {
		key, _, _ := strings.Cut(err.Error(), ":")
		// A value that could not be read left the default in place; what
		// Validate thinks of that default would only confuse.
		if !l.bad[key] {
			l.problems = append(l.problems, l.locate(key, err))
		}
	}
	return errors.Join(l.problems...)
}

// loader collects problems while it goes through the sources.
type loader struct {
	path     string
	getenv   func(string) (string, bool)
	lines    map[string]int  // where a key got its value: line of the file
	bad      map[string]bool // keys that already have a problem
	problems []error
}

func (l *loader) fail(line int, key, format string, args ...any) {
	l.bad[key] = true
	where := l.path
	if line > 0 {
		where = fmt.Sprintf("%s:%d", l.path, line)
	}
	if key != "" {
		where += ": " + key
	}
	l.problems = append(l.problems, fmt.Errorf("%s: "+format, append([]any{where}, args...)...))
}

func (l *loader) locate(key string, err error) error {
	if line, ok := l.lines[key]; ok {
		return fmt.Errorf("%s:%d: %w", l.path, line, err)
	}
	return err
}

// flatten turns joined errors into a list.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range many.Unwrap() {
			all = append(all, flatten(e)...)
		}
		return all
	}
	return []error{err}
}
