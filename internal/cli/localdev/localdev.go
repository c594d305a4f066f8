// Package localdev is the note that `tollgate dev` leaves for the command line: where its servers
// are and what opens them, in .tollgate/cli.json. It promises that the file is readable by its owner
// only and never names another machine, so that a folder from elsewhere cannot lead a command astray.
package localdev

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
)

// Folder and File are where the note is.
const (
	Folder = ".tollgate"
	File   = "cli.json"
)

// LocalDev is the note.
type LocalDev struct {
	Server   string `json:"server"`             // URL of the control plane
	Token    string `json:"token"`              // admin token
	Gateway  string `json:"gateway"`            // URL of the edge
	Key      string `json:"key"`                // a caller's key
	Database string `json:"database,omitempty"` // URL of the private database, password included
}

// Load finds the note in dir or the nearest folder above it that has one. Without one it answers
// with the zero value and no path.
func Load(dir string) (note LocalDev, path string, err error) {
	for {
		path := filepath.Join(dir, Folder, File)
		raw, err := os.ReadFile(path)
		if err == nil {
			note, err := decode(raw)
			if err != nil {
				return LocalDev{}, path, fmt.Errorf("read %s: %w", path, err)
			}
			return note, path, nil
		}
		// A folder that may not be looked into is one that has no note for this user.
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return LocalDev{}, path, err
		}
		up := filepath.Dir(dir)
		if up == dir {
			return LocalDev{}, "", nil
		}
		dir = up
	}
}

func decode(raw []byte) (LocalDev, error) {
	var note LocalDev
	if err := json.Unmarshal(raw, &note); err != nil {
		return LocalDev{}, err
	}
	return note, note.check()
}

// check refuses addresses that are not on this machine.
func (d LocalDev) check() error {
	for _, address := range []string{d.Server, d.Gateway} {
		if address == "" {
			continue
		}
		u, err := url.Parse(address)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") {
			return fmt.Errorf("%q is not an http URL", address)
		}
		if !local(u) {
			return fmt.Errorf("%q is not on this machine", address)
		}
	}
	if d.Database == "" {
		return nil
	}
	// It has a password in it, which no message shows. A driver may read more hosts than the URL's own from
	// what follows the name.
	u, err := url.Parse(d.Database)
	if err != nil || u.Scheme != "postgres" || u.RawQuery != "" && u.RawQuery != "sslmode=disable" {
		return errors.New("its database is not written as it should be")
	}
	if !local(u) {
		return errors.New("its database is not on this machine")
	}
	return nil
}

func local(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// Save writes the note below dir, or into dir if that is the note's folder itself, whole or not at
// all.
func Save(dir string, note LocalDev) error {
	if err := note.check(); err != nil {
		return fmt.Errorf("save %s: %w", File, err)
	}
	raw, err := json.MarshalIndent(note, "", "  ")
	if err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	folder := dir
	if filepath.Base(dir) != Folder {
		folder = filepath.Join(dir, Folder)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	// CreateTemp makes files that only the owner may read.
	f, err := os.CreateTemp(folder, File+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(raw, '\n'))
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(folder, File))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
