package secrets

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"tollgate/internal/config"
)

// Vault says how the values of references to Vault are read: with one token, from engines of key-value version 2.
type Vault struct {
	// Address is the base URL; empty for none.
	Address string `yaml:"address"`
	// Token is what Vault demands.
	Token config.Secret `yaml:"token"`
	// TokenFile holds the token in place of that, and is read again as often as Vault is: an agent may renew it.
	TokenFile string `yaml:"token_file"`
	// Namespace is that of Vault Enterprise; empty for none.
	Namespace string `yaml:"namespace"`
	// CAFile holds the authorities that Vault's certificate is verified by; empty for the system's.
	CAFile string `yaml:"ca_file"`
	// Refresh is how old a value may become before it is read again.
	Refresh time.Duration `yaml:"refresh"`
}

// Validate reports what is wrong to bad, by key.
func (v *Vault) Validate(bad func(key, format string, args ...any)) {
	if v.Refresh <= 0 {
		bad("vault.refresh", "%s is not a positive duration", v.Refresh)
	}
	if v.Address == "" {
		return // the environment may have it, and a token without it harms nobody
	}
	if u, err := url.Parse(v.Address); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.User != nil {
		bad("vault.address", "%q is not a base URL such as https://vault:8200", v.Address)
	}
	if v.Token == "" && v.TokenFile == "" {
		bad("vault.token", "must be set together with vault.address, or vault.token_file")
	}
}

// From fills in what is not set from the variables that Vault's own tools read.
func (v Vault) From(env func(string) (string, bool)) Vault {
	if v.Address != "" {
		return v
	}
	address, ok := env("VAULT_ADDR")
	if !ok {
		return v
	}
	v.Address = address
	if token, _ := env("VAULT_TOKEN"); v.Token == "" && v.TokenFile == "" {
		v.Token = config.Secret(token)
	}
	if namespace, _ := env("VAULT_NAMESPACE"); v.Namespace == "" {
		v.Namespace = namespace
	}
	return v
}

const (
	vaultWithin = 5 * time.Second
	maxAnswer   = 4 << 20
)

// What a read of Vault can end with, beside a value.
var (
	errAway    = errors.New("Vault does not answer")
	errRefused = errors.New("refused")
	errGone    = errors.New("gone")
)

// place is where a secret is in Vault.
type place struct{ mount, path string }

// vault is a client of one Vault. Only one goroutine uses it at a time.
type vault struct {
	cfg      Vault
	client   *http.Client
	renewal  time.Time // of the token; zero for as soon as possible
	renewing string    // the token that renewal is of
}

func newVault(cfg Vault) (*vault, error) {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: vaultWithin, IdleConnTimeout: time.Minute,
		MaxIdleConnsPerHost: 1, ForceAttemptHTTP2: true,
	}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("vault.ca_file: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("vault.ca_file: %s holds no certificate", cfg.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &vault{cfg: cfg, client: &http.Client{
		Transport: transport, Timeout: vaultWithin,
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			// A standby sends its callers to the active node; the token goes nowhere else.
			if len(via) > 1 || req.URL.Scheme != via[0].URL.Scheme {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}}, nil
}

func (v *vault) token() (string, error) {
	if v.cfg.TokenFile == "" {
		return v.cfg.Token.Reveal(), nil
	}
	raw, err := os.ReadFile(v.cfg.TokenFile)
	if err != nil {
		return "", fmt.Errorf("%w: the file of its token cannot be read", errRefused)
	}
	return strings.TrimSpace(string(raw)), nil
}

// read reads all fields of a secret. Errors never hold what Vault said beyond its status: it could be anything.
func (v *vault) read(ctx context.Context, at place) (map[string]any, error) {
	token, err := v.token()
	if err != nil {
		return nil, err
	}
	what := at.mount + "/" + at.path
	status, body, err := v.call(ctx, http.MethodGet, at.mount+"/data/"+at.path, token)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusNotFound:
		return nil, &marked{errGone, "Vault has no secret " + what}
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return nil, &marked{errRefused, "Vault does not let this edge read " + what}
	case status >= 500 || status == http.StatusTooManyRequests:
		return nil, &marked{errAway, fmt.Sprintf("Vault answered %d", status)}
	case status != http.StatusOK:
		return nil, &marked{errRefused, fmt.Sprintf("Vault answered %d for %s", status, what)}
	}
	fields := fieldsOf(body)
	if fields == nil {
		return nil, &marked{errRefused, "Vault's engine " + at.mount + " is not one of key-value version 2"}
	}
	return fields, nil
}

// fieldsOf is what a secret has in the answer of an engine of version 2; nil for any other answer.
func fieldsOf(body []byte) map[string]any {
	var answer struct {
		Data struct {
			Data map[string]any `json:"data"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return nil
	}
	return answer.Data.Data
}

// marked is a sentence with a mark.
type marked struct {
	mark error
	text string
}

func (e *marked) Error() string { return e.text }
func (e *marked) Unwrap() error { return e.mark }

func (v *vault) call(ctx context.Context, method, path, token string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(v.cfg.Address, "/")+"/v1/"+path, nil)
	if err != nil {
		return 0, nil, &marked{errRefused, "Vault's address is not usable"}
	}
	req.Header.Set("X-Vault-Token", token)
	req.Header.Set("X-Vault-Request", "true")
	if v.cfg.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", v.cfg.Namespace)
	}
	res, err := v.client.Do(req)
	if err != nil {
		return 0, nil, &marked{errAway, "Vault cannot be reached"}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return 0, nil, &marked{errAway, "Vault's answer was cut off"}
	}
	return res.StatusCode, body, nil
}

// renew makes the token live on, well before it ends. One from a file is another's to renew.
func (v *vault) renew(ctx context.Context, log *slog.Logger) {
	token := v.cfg.Token.Reveal()
	if v.cfg.TokenFile != "" || token == v.renewing && time.Now().Before(v.renewal) {
		return
	}
	v.renewing, v.renewal = token, time.Now().Add(lookEvery)
	status, body, err := v.call(ctx, http.MethodPost, "auth/token/renew-self", token)
	if err != nil || status >= 500 {
		return // at the next round again
	}
	var answer struct {
		Auth struct {
			Seconds int64 `json:"lease_duration"`
		} `json:"auth"`
	}
	if status != http.StatusOK || json.Unmarshal(body, &answer) != nil || answer.Auth.Seconds <= 0 {
		// One that lives for ever cannot be renewed, nor can one that was made so.
		log.Info("the token for Vault is not one that can be renewed", "status", status)
		v.renewal = time.Now().Add(time.Hour)
		return
	}
	v.renewal = time.Now().Add(time.Duration(answer.Auth.Seconds) * time.Second / 3)
}

// close lets go of connections.
func (v *vault) close() { v.client.CloseIdleConnections() }
