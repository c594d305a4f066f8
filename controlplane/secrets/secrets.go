// Package secrets keeps vendor credentials unreadable everywhere but in an edge's memory. At rest
// each is an envelope: encrypted with a key of its own, which is encrypted with the master key, and
// bound to its id, so that no row's value can be put into another. For edges the same value is sealed
// under the sealing key and bound to its name. It stores nothing and logs nothing.
package secrets

import (
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"

	"tollgate/internal/seal"
)

// Vault encrypts and seals. It is safe for concurrent use.
type Vault struct {
	envelopes *aead.KMSEnvelopeAEAD
	edges     *seal.Key
}

// New makes a vault of the text forms of both keys, 32 bytes in base64 each.
func New(masterKey, sealingKey string) (*Vault, error) {
	raw, err := base64.StdEncoding.DecodeString(masterKey)
	if err != nil || len(raw) != 32 {
		return nil, errors.New("a master key is 32 bytes in base64: make one with `openssl rand -base64 32`")
	}
	master, err := subtle.NewAESGCM(raw)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	edges, err := seal.Parse(sealingKey)
	if err != nil {
		return nil, err
	}
	return &Vault{aead.NewKMSEnvelopeAEAD2(aead.AES256GCMKeyTemplate(), master), edges}, nil
}

// Encrypt makes the envelope of the secret with the given id.
func (v *Vault) Encrypt(id, value string) ([]byte, error) {
	envelope, err := v.envelopes.Encrypt([]byte(value), []byte(id))
	if err != nil {
		return nil, fmt.Errorf("encrypt %s: %w", id, err)
	}
	return envelope, nil
}

// decrypt opens an envelope. Its only caller seals the value again at once.
func (v *Vault) decrypt(id string, envelope []byte) ([]byte, error) {
	plain, err := v.envelopes.Decrypt(envelope, []byte(id))
	if err != nil {
		return nil, fmt.Errorf("decrypt %s: wrong master key, or the envelope was changed", id)
	}
	return plain, nil
}

// Seal makes of an envelope what edges can open.
func (v *Vault) Seal(id, name string, envelope []byte) ([]byte, error) {
	plain, err := v.decrypt(id, envelope)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	sealed, err := v.edges.Seal(plain, Context(name))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", name, err)
	}
	return sealed, nil
}

// SealingKeyID names the sealing key without telling it.
func (v *Vault) SealingKeyID() []byte { return v.edges.ID() }

// Context is what a sealed secret is bound to; edges open it with the same.
func Context(name string) string { return "secret:" + name }
