// Package contexts keeps which control planes a person works with, in one file that only they can read. It promises
// that the file is written whole or not at all, and that a token is only ever found together with the address it
// belongs to. It talks to no server; where tokens are kept safer than in a file is up to the Keyring.
package contexts

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"

	"tollgate/internal/config"
)

// Production is the Env of a context in which mistakes are dear.
const Production = "prod"

// Context is a control plane and how to reach it.
type Context struct {
	Server  string        `yaml:"server,omitempty"`  // URL of the control plane
	Gateway string        `yaml:"gateway,omitempty"` // URL of the gateway
	CAFile  string        `yaml:"ca_file,omitempty"` // PEM file of authorities that are trusted beside the system's
	Env     string        `yaml:"env,omitempty"`     // what it is for, such as "prod"
	Token   config.Secret `yaml:"-"`                 // written by Save where no keyring has it
	InRing  bool          `yaml:"token_in_keyring,omitempty"`
	// Dev is the folder of a `tollgate dev`, whose note says all the rest.
	Dev string `yaml:"dev,omitempty"`
}

// File is all of them.
type File struct {
	Current  string
	Previous string
	Contexts map[string]Context
}

// document is the file as it is written.
type document struct {
	Current  string           `yaml:"current,omitempty"`
	Previous string           `yaml:"previous,omitempty"`
	Contexts map[string]entry `yaml:"contexts,omitempty"`
}

type entry struct {
	Context `yaml:",inline"`
	Token   string `yaml:"token,omitempty"`
}

// Path is where the file is: what TOLLGATE_CONFIG says, or else in the person's folder of settings. It is empty
// where there is no such folder.
func Path(getenv func(string) string) string {
	if path := getenv("TOLLGATE_CONFIG"); path != "" {
		return path
	}
	dir := getenv("XDG_CONFIG_HOME")
	if dir == "" {
		home := getenv("HOME")
		if home == "" {
			home = getenv("USERPROFILE")
		}
		if home == "" {
			return ""
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "tollgate", "config.yaml")
}

// Load reads the file. One that is not there holds no contexts.
func Load(path string) (File, error) {
	f := File{Contexts: map[string]Context{}}
	if path == "" {
		return f, nil
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	return decode(raw)
}

func decode(raw []byte) (File, error) {
	f := File{Contexts: map[string]Context{}}
	var doc document
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	if err := dec.Decode(&doc); err != nil && len(bytes.TrimSpace(raw)) > 0 {
		return f, err
	}
	f.Current, f.Previous = doc.Current, doc.Previous
	for name, e := range doc.Contexts {
		c := e.Context
		c.Token = config.Secret(e.Token)
		if err := CheckName(name); err != nil {
			return f, err
		}
		if c.Dev == "" || c.Server != "" {
			if err := CheckServer(c.Server); err != nil {
				return f, fmt.Errorf("context %s: %w", name, err)
			}
		}
		f.Contexts[name] = c
	}
	return f, nil
}

var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// CheckName refuses names that cannot be typed in a shell as they are.
func CheckName(name string) error {
	if !names.MatchString(name) {
		return fmt.Errorf("the name %q is none of letters, digits, dots, hyphens and underscores", name)
	}
	return nil
}

// CheckServer refuses what is no address of a server.
func CheckServer(server string) error {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("its server is no http URL, such as https://tollgate.example")
	}
	if u.User != nil {
		return errors.New("its server has a user or a password in its URL; use `tollgate login`")
	}
	return nil
}

// Save writes the file so that only its owner can read it.
func Save(path string, f File) error {
	if path == "" {
		return errors.New("there is no home folder; name a file with TOLLGATE_CONFIG")
	}
	doc := document{Current: f.Current, Previous: f.Previous, Contexts: map[string]entry{}}
	for name, c := range f.Contexts {
		doc.Contexts[name] = entry{Context: c, Token: c.Token.Reveal()}
	}
	raw, err := yaml.Marshal(doc)
	if err != nil {
		return err
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	// CreateTemp makes files that only the owner may read.
	tmp, err := os.CreateTemp(folder, filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(raw)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

// Names are those of all contexts, in order.
func (f File) Names() []string { return slices.Sorted(maps.Keys(f.Contexts)) }

// Use makes a context the current one and keeps which one was.
func (f *File) Use(name string) {
	if name != f.Current {
		f.Previous, f.Current = f.Current, name
	}
}

// Remove takes a context away.
func (f *File) Remove(name string) {
	delete(f.Contexts, name)
	if f.Current == name {
		f.Current = ""
	}
	if f.Previous == name {
		f.Previous = ""
	}
}

// Rename gives a context another name.
func (f *File) Rename(from, to string) {
	f.Contexts[to] = f.Contexts[from]
	delete(f.Contexts, from)
	for _, kept := range []*string{&f.Current, &f.Previous} {
		if *kept == from {
			*kept = to
		}
	}
}

// devName is the context of `tollgate dev`.
const devName = "dev"

// EnterDev registers a `tollgate dev` as context "dev" and makes it the current one. Leave brings the one back that
// was current before, unless another was chosen meanwhile. A context of that name that a person made stays untouched.
func EnterDev(path, folder string) (leave func() error, err error) {
	nothing := func() error { return nil }
	f, err := Load(path)
	if err != nil {
		return nothing, err
	}
	if own, taken := f.Contexts[devName]; taken && own.Dev == "" {
		return nothing, nil
	}
	before := f.Current
	f.Contexts[devName] = Context{Dev: folder}
	f.Use(devName)
	if err := Save(path, f); err != nil {
		return nothing, err
	}
	return func() error {
		f, err := Load(path)
		if err != nil || f.Current != devName || f.Contexts[devName].Dev != folder || before == devName {
			return err
		}
		if _, there := f.Contexts[before]; before != "" && !there {
			before = ""
		}
		f.Current, f.Previous = before, devName
		return Save(path, f)
	}, nil
}
