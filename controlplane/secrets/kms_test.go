package secrets_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"tollgate/controlplane/secrets"
	"tollgate/internal/config"
	"tollgate/internal/seal"
)

// kms is what a KMS does: it encrypts and decrypts under keys that never leave it, which are known by names.
type kms struct {
	keys map[string]cipher.AEAD
	down atomic.Bool
	asks atomic.Int64
}

func newKMS(t *testing.T, names ...string) *kms {
	t.Helper()
	k := &kms{keys: map[string]cipher.AEAD{}}
	for _, name := range names {
		raw := make([]byte, 32)
		rand.Read(raw)
		block, err := aes.NewCipher(raw)
		if err != nil {
			t.Fatal(err)
		}
		if k.keys[name], err = cipher.NewGCM(block); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func (k *kms) encrypt(name string, plain []byte) []byte {
	nonce := make([]byte, 12)
	rand.Read(nonce)
	return k.keys[name].Seal(nonce, nonce, plain, []byte(name))
}

func (k *kms) decrypt(name string, sealed []byte) ([]byte, error) {
	if len(sealed) < 12 || k.keys[name] == nil {
		return nil, io.ErrUnexpectedEOF
	}
	return k.keys[name].Open(nil, sealed[:12], sealed[12:], []byte(name))
}

// transit speaks the API of Vault's transit engine.
func (k *kms) transit(w http.ResponseWriter, r *http.Request) {
	k.asks.Add(1)
	answer := func(status int, body any) { w.WriteHeader(status); _ = json.NewEncoder(w).Encode(body) }
	refuse := func(status int, why string) { answer(status, map[string]any{"errors": []string{why}}) }
	if k.down.Load() {
		refuse(http.StatusServiceUnavailable, "Vault is sealed")
		return
	}
	if r.Header.Get("X-Vault-Token") != "hvs.kms" {
		refuse(http.StatusForbidden, "permission denied")
		return
	}
	var ask struct{ Plaintext, Ciphertext string }
	_ = json.NewDecoder(r.Body).Decode(&ask)
	at := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/transit/"), "/")
	if len(at) != 2 || k.keys[at[1]] == nil || r.Method != http.MethodPut && r.Method != http.MethodPost {
		refuse(http.StatusBadRequest, "encryption key not found")
		return
	}
	switch at[0] {
	case "encrypt":
		plain, _ := base64.StdEncoding.DecodeString(ask.Plaintext)
		answer(http.StatusOK, map[string]any{"data": map[string]any{"ciphertext": "vault:v1:" + base64.StdEncoding.EncodeToString(k.encrypt(at[1], plain)), "key_version": 1}})
	case "decrypt":
		sealed, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(ask.Ciphertext, "vault:v1:"))
		plain, err := k.decrypt(at[1], sealed)
		if err != nil {
			refuse(http.StatusBadRequest, "cipher: message authentication failed")
			return
		}
		answer(http.StatusOK, map[string]any{"data": map[string]any{"plaintext": base64.StdEncoding.EncodeToString(plain)}})
	default:
		refuse(http.StatusNotFound, "unsupported path")
	}
}

// aws speaks the JSON protocol of AWS KMS.
func (k *kms) aws(w http.ResponseWriter, r *http.Request) {
	k.asks.Add(1)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	refuse := func(kind string) {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": kind, "message": kind})
	}
	var ask struct {
		KeyId                     string
		Plaintext, CiphertextBlob []byte
	}
	_ = json.NewDecoder(r.Body).Decode(&ask)
	switch {
	case k.down.Load():
		refuse("DisabledException")
	case !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKIDTEST/"):
		refuse("UnrecognizedClientException")
	case k.keys[ask.KeyId] == nil:
		refuse("NotFoundException")
	case r.Header.Get("X-Amz-Target") == "TrentService.Encrypt":
		_ = json.NewEncoder(w).Encode(map[string]any{"CiphertextBlob": k.encrypt(ask.KeyId, ask.Plaintext), "KeyId": ask.KeyId, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"})
	case r.Header.Get("X-Amz-Target") == "TrentService.Decrypt":
		plain, err := k.decrypt(ask.KeyId, ask.CiphertextBlob)
		if err != nil {
			refuse("InvalidCiphertextException")
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"Plaintext": plain, "KeyId": ask.KeyId})
	default:
		refuse("UnknownOperationException")
	}
}

// tryKMS has a vault keep a value under a key of a KMS.
func tryKMS(t *testing.T, k *kms, uri, another string) {
	t.Helper()
	open := func(keys secrets.Keys) *secrets.Vault {
		t.Helper()
		v, err := secrets.Open(context.Background(), keys, seal.Generate())
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	v := open(secrets.Keys{URI: uri})
	envelope, err := v.Encrypt("sec_1", "a credential")
	if err != nil || strings.Contains(string(envelope), "a credential") {
		t.Fatalf("%q, %v", envelope, err)
	}
	if plain, err := v.Open("sec_1", envelope); err != nil || string(plain) != "a credential" {
		t.Errorf("%q, %v", plain, err)
	}
	if _, err := v.Open("sec_2", envelope); err == nil {
		t.Error("opened as another")
	}
	if _, err := open(secrets.Keys{URI: another}).Open("sec_1", envelope); err == nil {
		t.Error("opened under another key")
	}
	own := config.Secret(seal.Generate())
	moved, err := open(secrets.Keys{Master: own, Old: []config.Secret{config.Secret(uri)}}).Renew("sec_1", envelope)
	if err != nil || moved == nil {
		t.Fatalf("moved out: %v", err)
	}
	back, err := open(secrets.Keys{URI: uri, Old: []config.Secret{own}}).Renew("sec_1", moved)
	if err != nil || back == nil {
		t.Fatalf("moved back: %v", err)
	}
	first, err := v.Seal("sec_1", "n", back)
	if err != nil {
		t.Fatal(err)
	}
	asks := k.asks.Load()
	if again, err := v.Seal("sec_1", "n", back); err != nil || string(again) != string(first) || k.asks.Load() != asks {
		t.Errorf("sealed again: asked %d times, %v", k.asks.Load()-asks, err)
	}
	k.down.Store(true)
	if _, err := v.Seal("sec_1", "n", envelope); err == nil {
		t.Error("opened without the KMS")
	}
	if _, err := v.Seal("sec_1", "n", back); err != nil {
		t.Errorf("what was sealed before: %v", err)
	}
}

// Guarantee: a key in Vault's transit engine is a master key like any other, and is asked once for what edges are told again.
func TestVaultTransit(t *testing.T) {
	k := newKMS(t, "tollgate", "another")
	server := httptest.NewTLSServer(http.HandlerFunc(k.transit))
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("VAULT_CACERT", ca)
	t.Setenv("VAULT_TOKEN", "hvs.kms")
	t.Setenv("VAULT_MAX_RETRIES", "0")
	host := strings.TrimPrefix(server.URL, "https://")
	tryKMS(t, k, "hcvault://"+host+"/transit/keys/tollgate", "hcvault://"+host+"/transit/keys/another")
}

// Guarantee: so is a key in AWS KMS.
func TestAWS(t *testing.T) {
	const one, two = "arn:aws:kms:eu-central-1:123456789012:key/11111111-1111-1111-1111-111111111111", "arn:aws:kms:eu-central-1:123456789012:key/22222222-2222-2222-2222-222222222222"
	k := newKMS(t, one, two)
	server := httptest.NewServer(http.HandlerFunc(k.aws))
	t.Cleanup(server.Close)
	t.Setenv("AWS_ENDPOINT_URL_KMS", server.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDTEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	tryKMS(t, k, "aws-kms://"+one, "aws-kms://"+two)
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

// Guarantee: the master key comes from one place, a file among them, and what is wrong is told without quoting a key.
func TestKeysFrom(t *testing.T) {
	t.Parallel()
	key := seal.Generate()
	file := filepath.Join(t.TempDir(), "master")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sealing := seal.Generate()
	a, err := secrets.Open(t.Context(), secrets.Keys{File: file}, sealing)
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := a.Encrypt("x", "v")
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := vault(t, key, sealing).Open("x", envelope); err != nil || string(plain) != "v" {
		t.Errorf("%q, %v", plain, err)
	}
	for why, keys := range map[string]secrets.Keys{
		"must be set":          {},
		"only one of":          {Master: config.Secret(key), File: file},
		"does not begin with":  {URI: "https://kms"},
		"32 bytes in base64":   {Master: config.Secret(key), Old: []config.Secret{"short"}},
		"no such file":         {File: file + "2"},
		"openssl rand -base64": {Master: "short"},
	} {
		if _, err := secrets.Open(t.Context(), keys, sealing); err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), key) {
			t.Errorf("%v, want %s", err, why)
		}
	}
}
