package controlplane

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"time"

	"tollgate/controlplane/secrets"
	"tollgate/controlplane/signin"
	"tollgate/internal/bus"
	"tollgate/internal/config"
	"tollgate/internal/seal"
)

// Config is everything an operator can set on a control plane.
type Config struct {
	Listen      string        `yaml:"listen"`       // address of the API
	LiteLLMAPI  string        `yaml:"litellm_api"`  // address of LiteLLM's management calls, for scripts that make them; empty for none
	DatabaseURL config.Secret `yaml:"database_url"` // PostgreSQL, with the password
	// DatabaseDirectURL leads past the pooler of transactions that database_url goes through; empty for no pooler.
	DatabaseDirectURL config.Secret `yaml:"database_direct_url"`

	NATS      bus.Config    `yaml:"nats"`
	MasterKey config.Secret `yaml:"master_key"` // encrypts credentials at rest: 32 bytes in base64
	// MasterKeyFile holds the master key in place of that.
	MasterKeyFile string `yaml:"master_key_file"`
	// MasterKeyURI says where the master key stays, in place of both: aws-kms://, gcp-kms:// or hcvault://.
	MasterKeyURI string `yaml:"master_key_uri"`
	// OldMasterKeys are keys or URIs that values may still be under. They are moved to the master key.
	OldMasterKeys []config.Secret `yaml:"old_master_keys"`

	SealingKey  config.Secret `yaml:"sealing_key"`  // the same on edges: 32 bytes in base64
	AdminToken  config.Secret `yaml:"admin_token"`  // who presents it may do everything
	LedgerURL   string        `yaml:"ledger_url"`   // base URL of the ledger; empty for none
	LedgerToken config.Secret `yaml:"ledger_token"` // what the ledger demands
	Partitions  uint32        `yaml:"partitions"`   // of the ledger; the same there and on edges
	Replicas    int           `yaml:"replicas"`     // of the streams: 1, or 3 and 5 on a cluster
	Drain       time.Duration `yaml:"drain"`        // time allowed for calls at stop
	Edges       Edges         `yaml:"edges"`        // what new edges are told

	PublicURL      string        `yaml:"public_url"`      // where browsers reach the console and the API, such as https://example.com/tollgate; empty for this machine
	TrustedProxies []string      `yaml:"trusted_proxies"` // networks of proxies whose X-Forwarded-For is believed
	SessionIdle    time.Duration `yaml:"session_idle"`    // after which an unused session ends
	SessionTotal   time.Duration `yaml:"session_total"`   // after which every session ends
	OIDC           signin.OIDC   `yaml:"oidc"`
}

// DefaultConfig is the whole story of defaults: nothing else fills in a zero.
func DefaultConfig() Config {
	return Config{
		Listen:     ":4001",
		NATS:       bus.Config{URL: "nats://127.0.0.1:4222", Name: "tollgate-controlplane"},
		Partitions: 1,
		Replicas:   1,
		Drain:      10 * time.Second,

		SessionIdle:  signin.DefaultConfig().Idle,
		SessionTotal: signin.DefaultConfig().Total,
	}
}

// Validate reports every problem at once, each naming its key. None quotes a secret.
func (c *Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf(key+": "+format, args...))
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		bad("listen", "%q is not an address such as :4001", c.Listen)
	}
	if c.LiteLLMAPI != "" {
		if _, _, err := net.SplitHostPort(c.LiteLLMAPI); err != nil {
			bad("litellm_api", "%q is not an address such as :4005", c.LiteLLMAPI)
		}
	}
	if c.DatabaseURL == "" {
		bad("database_url", "must be set")
	}
	if c.NATS.URL == "" {
		bad("nats.url", "must be set")
	}
	if err := c.NATS.Validate(); err != nil {
		bad("nats", "%w", err)
	}
	keys := c.keys()
	if err := keys.Check(); err != nil {
		bad("master_key", "%w", err)
	} else if c.SealingKey != "" && (c.MasterKey == c.SealingKey || slices.Contains(c.OldMasterKeys, c.SealingKey)) {
		bad("master_key", "must not be the sealing key, which every edge has")
	}
	if c.SealingKey == "" {
		bad("sealing_key", "must be set, the same as on edges: make one with `openssl rand -base64 32`")
	} else if _, err := seal.Parse(c.SealingKey.Reveal()); err != nil {
		bad("sealing_key", "%w", err)
	}
	if c.AdminToken == "" {
		bad("admin_token", "must be set")
	}
	if c.LedgerURL != "" {
		if u, err := url.Parse(c.LedgerURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			bad("ledger_url", "%q is not an http(s) URL", c.LedgerURL)
		}
		if c.LedgerToken == "" {
			bad("ledger_token", "must be set together with ledger_url")
		}
	}
	if c.Partitions < 1 {
		bad("partitions", "must be at least 1")
	}
	if c.Replicas < 1 || c.Replicas > 5 {
		bad("replicas", "%d is not between 1 and 5", c.Replicas)
	}
	c.Edges.validate(bad)
	if c.Drain <= 0 {
		bad("drain", "%s is not a positive duration", c.Drain)
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
			bad("public_url", "%q is not an http(s) URL", c.PublicURL)
		}
	} else if c.OIDC.Issuer != "" {
		bad("public_url", "must be set together with oidc.issuer: the provider sends browsers back there")
	}
	if err := signin.CheckProxies(c.TrustedProxies); err != nil {
		bad("trusted_proxies", "%w", err)
	}
	if c.SessionIdle < time.Minute {
		bad("session_idle", "%s is less than a minute", c.SessionIdle)
	}
	if c.SessionTotal < c.SessionIdle {
		bad("session_total", "%s is less than session_idle", c.SessionTotal)
	}
	c.OIDC.Validate(func(key, format string, args ...any) { bad("oidc."+key, format, args...) })
	return errors.Join(errs...)
}

// keys say where the master key is.
func (c *Config) keys() secrets.Keys {
	return secrets.Keys{Master: c.MasterKey, File: c.MasterKeyFile, URI: c.MasterKeyURI, Old: c.OldMasterKeys}
}
