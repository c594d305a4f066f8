package controlplane

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"tollgate/controlplane/secrets"
	"tollgate/internal/bus"
	"tollgate/internal/config"
)

// Config is everything an operator can set on a control plane.
type Config struct {
	Listen      string        `yaml:"listen"`       // address of the API
	DatabaseURL config.Secret `yaml:"database_url"` // PostgreSQL, with the password
	NATS        bus.Config    `yaml:"nats"`
	MasterKey   config.Secret `yaml:"master_key"`   // encrypts credentials at rest: 32 bytes in base64
	SealingKey  config.Secret `yaml:"sealing_key"`  // the same on edges: 32 bytes in base64
	AdminToken  config.Secret `yaml:"admin_token"`  // who presents it may do everything
	LedgerURL   string        `yaml:"ledger_url"`   // base URL of the ledger; empty for none
	LedgerToken config.Secret `yaml:"ledger_token"` // what the ledger demands
	Partitions  uint32        `yaml:"partitions"`   // of the ledger; the same there and on edges
	Replicas    int           `yaml:"replicas"`     // of the streams: 1, or 3 and 5 on a cluster
	Drain       time.Duration `yaml:"drain"`        // time allowed for calls at stop
}

// DefaultConfig is the whole story of defaults: nothing else fills in a zero.
func DefaultConfig() Config {
	return Config{
		Listen:     ":4001",
		NATS:       bus.Config{URL: "nats://127.0.0.1:4222", Name: "tollgate-controlplane"},
		Partitions: 1,
		Replicas:   1,
		Drain:      10 * time.Second,
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
	if c.DatabaseURL == "" {
		bad("database_url", "must be set")
	}
	if c.NATS.URL == "" {
		bad("nats.url", "must be set")
	}
	if err := c.NATS.Validate(); err != nil {
		bad("nats", "%w", err)
	}
	if c.MasterKey == "" || c.SealingKey == "" {
		if c.MasterKey == "" {
			bad("master_key", "must be set: make one with `openssl rand -base64 32`")
		}
		if c.SealingKey == "" {
			bad("sealing_key", "must be set, the same as on edges: make one with `openssl rand -base64 32`")
		}
	} else if _, err := secrets.New(c.MasterKey.Reveal(), c.SealingKey.Reveal()); err != nil {
		bad("master_key", "%w", err)
	} else if c.MasterKey == c.SealingKey {
		bad("master_key", "must not be the sealing key, which every edge has")
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
	if c.Drain <= 0 {
		bad("drain", "%s is not a positive duration", c.Drain)
	}
	return errors.Join(errs...)
}
