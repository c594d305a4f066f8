// Package seal encrypts small values under one 256-bit key: vendor credentials on their way to
// edges, and what an edge keeps on its disk. A sealed value opens only under the same key and the
// same context, so it cannot be moved to another name. It is not for data at rest in the database:
// that has envelopes of its own.
package seal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
)

// Key seals and opens. Its text form is 32 bytes in base64.
type Key struct {
	aead *subtle.AESGCM
	id   [8]byte
}

// Generate makes a new key and returns its text form.
func Generate() string {
	raw := make([]byte, 32)
	rand.Read(raw)
	return base64.StdEncoding.EncodeToString(raw)
}

// Parse reads the text form of a key.
func Parse(text string) (*Key, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != 32 {
		return nil, errors.New("a sealing key is 32 bytes in base64: make one with `openssl rand -base64 32`")
	}
	aead, err := subtle.NewAESGCM(raw)
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	sum := sha256.Sum256(append([]byte("tollgate sealing key id\x00"), raw...))
	return &Key{aead, [8]byte(sum[:8])}, nil
}

// ID names the key without telling it: two texts with the same ID are the same key.
func (k *Key) ID() []byte { return k.id[:] }

// Seal encrypts plain for the given context.
func (k *Key) Seal(plain []byte, context string) ([]byte, error) {
	return k.aead.Encrypt(plain, []byte(context))
}

// Open decrypts what Seal made for the same context.
func (k *Key) Open(sealed []byte, context string) ([]byte, error) {
	plain, err := k.aead.Decrypt(sealed, []byte(context))
	if err != nil {
		return nil, fmt.Errorf("open %s: wrong sealing key, or the value was changed", context)
	}
	return plain, nil
}
