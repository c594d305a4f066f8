package secrets

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"

	"tollgate/internal/config"
)

// Keys say where the master key is, and those before it. A key is 32 bytes in base64, or the URI of one in a KMS:
// "aws-kms://ARN", "gcp-kms://projects/…" or "hcvault://HOST/transit/keys/NAME".
type Keys struct {
	Master config.Secret   // the key itself, or
	File   string          // a file that holds it, or
	URI    string          // where it stays
	Old    []config.Secret // keys or URIs that values may still be under
}

// Check reports what is wrong without asking anybody. It quotes no key.
func (k *Keys) Check() error {
	set := 0
	for _, there := range []bool{k.Master != "", k.File != "", k.URI != ""} {
		if there {
			set++
		}
	}
	switch {
	case set == 0:
		return errors.New("must be set, or master_key_file or master_key_uri: make one with `openssl rand -base64 32`")
	case set > 1:
		return errors.New("only one of master_key, master_key_file and master_key_uri can be set")
	case k.URI != "" && !isURI(k.URI):
		return errors.New("master_key_uri does not begin with aws-kms://, gcp-kms:// or hcvault://")
	}
	all := k.Old
	if k.Master != "" {
		all = append([]config.Secret{k.Master}, all...)
	}
	for _, one := range all {
		if isURI(one.Reveal()) {
			continue
		}
		if _, err := local(one.Reveal()); err != nil {
			return err
		}
	}
	return nil
}

// current is the text form of the master key.
func (k *Keys) current() (string, error) {
	switch {
	case k.URI != "":
		return k.URI, nil
	case k.File == "":
		return k.Master.Reveal(), nil
	}
	raw, err := os.ReadFile(k.File)
	if err != nil {
		return "", fmt.Errorf("master_key_file: %w", err)
	}
	return string(bytes.TrimSpace(raw)), nil
}

// local is a key that this process has.
func local(text string) (tink.AEAD, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != 32 {
		return nil, errors.New("a master key is 32 bytes in base64: make one with `openssl rand -base64 32`")
	}
	return subtle.NewAESGCM(raw)
}

func isURI(text string) bool {
	for _, scheme := range []string{awsScheme, gcpScheme, vaultScheme} {
		if strings.HasPrefix(text, scheme) {
			return true
		}
	}
	return false
}

// master makes a key of its text form.
func master(ctx context.Context, text string) (tink.AEAD, error) {
	switch {
	case strings.HasPrefix(text, awsScheme):
		return awsKey(ctx, text)
	case strings.HasPrefix(text, gcpScheme):
		return gcpKey(ctx, text)
	case strings.HasPrefix(text, vaultScheme):
		return vaultKey(text)
	default:
		return local(text)
	}
}

// Open makes a vault of keys that may be in a KMS. It asks nobody: a KMS that is away shows when a secret is needed.
func Open(ctx context.Context, keys Keys, sealingKey string) (*Vault, error) {
	if err := keys.Check(); err != nil {
		return nil, fmt.Errorf("master_key: %w", err)
	}
	text, err := keys.current()
	if err != nil {
		return nil, err
	}
	current, err := master(ctx, text)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	var old []tink.AEAD
	for i, one := range keys.Old {
		key, err := master(ctx, one.Reveal())
		if err != nil {
			return nil, fmt.Errorf("old_master_keys[%d]: %w", i, err)
		}
		old = append(old, key)
	}
	return newVault(current, old, sealingKey)
}
