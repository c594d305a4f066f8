package sample

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Kept is what a data directory keeps of the sample data between starts: what no API gives away again, and where the mock vendor
// was, because endpoints lead there.
type Kept struct {
	Made      bool              `json:"made"`   // everything is there, and stays as people have changed it
	Vendor    string            `json:"vendor"` // host and port
	Keys      map[string]string `json:"keys"`   // secrets, by the keys' names
	OldKeys   map[string]string `json:"old_keys"`
	Passwords map[string]string `json:"passwords"` // by e-mail address

	path  string
	fresh bool
}

// Fresh says whether this start has made the sample data.
func (k *Kept) Fresh() bool { return k.fresh }

// Load reads what a file keeps; one that is not there keeps nothing.
func Load(path string) (*Kept, error) {
	k := &Kept{path: path}
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil {
		if err := json.Unmarshal(raw, k); err != nil {
			return nil, fmt.Errorf("%s: %w (start over with --reset)", path, err)
		}
	}
	for _, m := range []*map[string]string{&k.Keys, &k.OldKeys, &k.Passwords} {
		if *m == nil {
			*m = map[string]string{}
		}
	}
	return k, nil
}

// save writes it for the owner of the data directory alone: it holds secrets. A start that ends in the middle finds the old file or
// the new one.
func (k *Kept) save() error {
	raw, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	next := k.path + ".new"
	if err := os.WriteFile(next, append(raw, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(next, k.path)
}
