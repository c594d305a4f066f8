package secrets

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tollgate/internal/seal"
)

// cache keeps the last good values of Vault on disk, sealed, so that an edge that starts while Vault is down serves.
type cache struct {
	dir string
	key *seal.Key
}

const (
	cacheName    = "vault"
	cacheContext = "vault-values"
)

func (c *cache) path() string { return filepath.Join(c.dir, cacheName) }

func (c *cache) load() (map[string]string, error) {
	sealed, err := os.ReadFile(c.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	raw, err := c.key.Open(sealed, cacheContext)
	if err != nil {
		return nil, err
	}
	defer clear(raw)
	var values map[string]string
	if err := json.Unmarshal(raw, &values); err != nil {
		return nil, errors.New("it is not what was kept") // the error of the decoder may quote
	}
	return values, nil
}

func (c *cache) store(values map[string]string) error {
	raw, err := json.Marshal(values)
	if err != nil {
		return err
	}
	defer clear(raw)
	sealed, err := c.key.Seal(raw, cacheContext)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(c.path()+".tmp", sealed, 0o600); err != nil {
		return err
	}
	return os.Rename(c.path()+".tmp", c.path())
}
