package e2e_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/nats-io/nats.go"
)

// heard is what somebody has told somebody.
type heard struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (h *heard) add(all ...[]byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range all {
		h.text.Write(one)
		h.text.WriteByte('\n')
	}
}

func (h *heard) bytes() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return bytes.Clone(h.text.Bytes())
}

// collector takes traces as a collector of OpenTelemetry does.
func collector(t *testing.T) (url string, traces *heard) {
	t.Helper()
	traces = &heard{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		traces.add(body)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(s.Close)
	return s.URL, traces
}

// vaultOf has one value for every path and field, for whoever has the token.
func vaultOf(t *testing.T, token, value string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Header.Get("X-Vault-Token") != token:
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"errors":["permission denied"]}`)
		case r.Method != http.MethodGet:
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"errors":["lease is not renewable"]}`)
		default:
			_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"data": map[string]string{"token": value}}})
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// eavesdrop hears all that goes over NATS.
func eavesdrop(t *testing.T, url string) *heard {
	t.Helper()
	conn, err := nats.Connect(url, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	all := &heard{}
	if _, err := conn.Subscribe(">", func(m *nats.Msg) {
		head, _ := json.Marshal(m.Header)
		all.add([]byte(m.Subject), head, m.Data)
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// idp is a provider of single sign-on that vouches for one person. What it gives is secret.
type idp struct {
	*httptest.Server

	code, access, secret string

	mu    sync.Mutex // guards the fields below
	nonce string
	token string // the last ID token
	proof string // the last verifier
}

func newIDP(t *testing.T, email, secret, code, accessToken string) *idp {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &idp{secret: secret, code: code, access: accessToken}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "one"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"ES256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "one", Algorithm: "ES256", Use: "sig"}}})
	})
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		p.mu.Lock()
		p.nonce = q.Get("nonce")
		p.mu.Unlock()
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {p.code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		_, given, _ := r.BasicAuth()
		if (given != p.secret && r.FormValue("client_secret") != p.secret) || r.FormValue("code") != p.code {
			w.WriteHeader(http.StatusBadRequest)
			answer(w, map[string]string{"error": "invalid_grant", "error_description": "not " + r.FormValue("code") + " with " + given})
			return
		}
		now := time.Now()
		p.proof = r.FormValue("code_verifier")
		p.token, err = jwt.Signed(signer).Claims(map[string]any{
			"iss": p.URL, "sub": "ada", "aud": "tollgate", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "nonce": p.nonce,
			"email": email, "email_verified": true,
		}).Serialize()
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		answer(w, map[string]any{"access_token": p.access, "token_type": "Bearer", "expires_in": 3600, "id_token": p.token})
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// lastGiven are what the provider gave for the last sign-in, and what was proven to it.
func (p *idp) lastGiven() (token, proof string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.token[strings.LastIndexByte(p.token, '.')+1:], p.proof
}
