// Package secrets keeps vendor credentials unreadable everywhere but in an edge's memory. At rest
// each is an envelope: encrypted with a key of its own, which is encrypted with the master key, and
// bound to its id, so that no row's value can be put into another. For edges the same value is sealed
// under the sealing key and bound to its name. It stores nothing and logs nothing.
package secrets

import (
	"fmt"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/tink"

	"tollgate/internal/seal"
)

// Vault encrypts and seals. It is safe for concurrent use.
type Vault struct {
	current *aead.KMSEnvelopeAEAD
	old     []*aead.KMSEnvelopeAEAD
	edges   *seal.Key

	mu     sync.Mutex        // guards sealed
	sealed map[string][]byte // by name and envelope, so that a KMS is asked once for each value and not at every publication
}

// mostSealed bounds what is remembered of what was sealed.
const mostSealed = 10_000

// New makes a vault of the text forms of both keys, 32 bytes in base64 each.
func New(masterKey, sealingKey string) (*Vault, error) {
	current, err := local(masterKey)
	if err != nil {
		return nil, err
	}
	return newVault(current, nil, sealingKey)
}

func newVault(current tink.AEAD, old []tink.AEAD, sealingKey string) (*Vault, error) {
	edges, err := seal.Parse(sealingKey)
	if err != nil {
		return nil, err
	}
	envelopes := func(key tink.AEAD) *aead.KMSEnvelopeAEAD {
		return aead.NewKMSEnvelopeAEAD2(aead.AES256GCMKeyTemplate(), key)
	}
	v := &Vault{current: envelopes(current), edges: edges, sealed: map[string][]byte{}}
	for _, key := range old {
		v.old = append(v.old, envelopes(key))
	}
	return v, nil
}

// Encrypt makes the envelope of the secret with the given id.
func (v *Vault) Encrypt(id, value string) ([]byte, error) {
	envelope, err := v.current.Encrypt([]byte(value), []byte(id))
	if err != nil {
		return nil, fmt.Errorf("encrypt %s: %w", id, err)
	}
	return envelope, nil
}

// decrypt opens an envelope, under the master key or one before it.
func (v *Vault) decrypt(id string, envelope []byte) ([]byte, error) {
	plain, err := v.current.Decrypt(envelope, []byte(id))
	for i := 0; err != nil && i < len(v.old); i++ {
		plain, err = v.old[i].Decrypt(envelope, []byte(id))
	}
	if err != nil {
		return nil, fmt.Errorf("decrypt %s: wrong master key, or the envelope was changed", id)
	}
	return plain, nil
}

// Renew makes an envelope under the master key of one that is under a key before it. It returns nil for one that needs
// nothing.
func (v *Vault) Renew(id string, envelope []byte) ([]byte, error) {
	if plain, err := v.current.Decrypt(envelope, []byte(id)); err == nil {
		clear(plain)
		return nil, nil
	}
	plain, err := v.decrypt(id, envelope)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	fresh, err := v.current.Encrypt(plain, []byte(id))
	if err != nil {
		return nil, fmt.Errorf("encrypt %s: %w", id, err)
	}
	return fresh, nil
}

// Seal makes of an envelope what edges can open.
func (v *Vault) Seal(id, name string, envelope []byte) ([]byte, error) {
	at := id + "\x00" + name + "\x00" + string(envelope)
	v.mu.Lock()
	sealed, ok := v.sealed[at]
	v.mu.Unlock()
	if ok {
		return sealed, nil
	}
	plain, err := v.decrypt(id, envelope)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	if sealed, err = v.edges.Seal(plain, Context(name)); err != nil {
		return nil, fmt.Errorf("seal %s: %w", name, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.sealed) >= mostSealed {
		clear(v.sealed)
	}
	v.sealed[at] = sealed
	return sealed, nil
}

// SealingKeyID names the sealing key without telling it.
func (v *Vault) SealingKeyID() []byte { return v.edges.ID() }

// Context is what a sealed secret is bound to; edges open it with the same.
func Context(name string) string { return "secret:" + name }
