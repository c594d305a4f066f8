package devstack

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tollgate/internal/seal"
)

// credentials are what the roles of one data directory share. They are made once: without the same
// master and sealing keys a second start could not read what the first stored.
type credentials struct {
	AdminToken  string `json:"admin_token"`
	LedgerToken string `json:"ledger_token"`
	MasterKey   string `json:"master_key"`
	SealingKey  string `json:"sealing_key"`
}

func loadCredentials(dir string) (credentials, error) {
	path := filepath.Join(dir, "credentials.json")
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeCredentials(path)
	}
	if err != nil {
		return credentials{}, err
	}
	var c credentials
	if err := json.Unmarshal(raw, &c); err != nil {
		return credentials{}, fmt.Errorf("%s: %w (start over with --reset)", path, err)
	}
	return c, nil
}

func makeCredentials(path string) (credentials, error) {
	c := credentials{
		AdminToken: "tga_" + token(), LedgerToken: "tgl_" + token(),
		MasterKey: seal.Generate(), SealingKey: seal.Generate(),
	}
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return credentials{}, err
	}
	if err := os.WriteFile(path, append(raw, '\n'), 0o600); err != nil {
		return credentials{}, err
	}
	return c, nil
}

func token() string {
	raw := make([]byte, 32)
	rand.Read(raw)
	return base64.RawURLEncoding.EncodeToString(raw)
}
