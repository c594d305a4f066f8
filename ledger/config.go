package ledger

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/internal/bus"
	"tollgate/internal/config"
	"tollgate/ledger/store"
)

// Config is everything an operator can set on a ledger.
type Config struct {
	Listen      string        `yaml:"listen"`       // address for questions and health checks
	DatabaseURL config.Secret `yaml:"database_url"` // PostgreSQL, with the password
	// DatabaseDirectURL leads past the pooler of transactions that database_url goes through; empty for no pooler.
	DatabaseDirectURL config.Secret `yaml:"database_direct_url"`
	NATS              bus.Config    `yaml:"nats"`             // where edges and the control plane are met
	Token             config.Secret `yaml:"token"`            // what the control plane shows
	Partitions        uint32        `yaml:"partitions"`       // the same in the whole deployment, for ever
	Replicas          int           `yaml:"replicas"`         // copies of each NATS stream
	StreamMaxBytes    int64         `yaml:"stream_max_bytes"` // room for spend that is not booked yet
	FlushEvery        time.Duration `yaml:"flush_every"`      // how often spend is booked
	Drain             time.Duration `yaml:"drain"`            // time allowed for what has begun at stop
	KeepRecords       bool          `yaml:"keep_records"`     // of every request, beside the sums
	Retention         Retention     `yaml:"retention"`        // for how long books are kept
}

// Retention says for how long the ledger keeps what. 0 is for ever.
type Retention struct {
	Requests     time.Duration `yaml:"requests"`     // records of requests
	Hours        time.Duration `yaml:"hours"`        // usage by hour
	Days         time.Duration `yaml:"days"`         // usage by day
	Leases       time.Duration `yaml:"leases"`       // what budgets were spent on, from the end of their period
	Anomalies    time.Duration `yaml:"anomalies"`    // what should not have happened and did
	Incarnations time.Duration `yaml:"incarnations"` // processes of edges that have ended
}

func (r Retention) keep() store.Retention { return store.Retention(r) }

// store makes the store that the configuration describes.
func (c *Config) store(pool *pgxpool.Pool, own *pgx.ConnConfig) *store.Store {
	options := []store.Option{store.WithOwn(own)}
	if !c.KeepRecords {
		options = append(options, store.WithoutRecords())
	}
	return store.New(pool, options...)
}

// DefaultConfig is the whole story of defaults: nothing else fills in a zero.
func DefaultConfig() Config {
	return Config{
		Listen:         ":4002",
		NATS:           bus.Config{URL: "nats://127.0.0.1:4222", Name: "ledger"},
		Partitions:     1,
		Replicas:       1,
		StreamMaxBytes: 8 << 30,
		FlushEvery:     100 * time.Millisecond,
		Drain:          20 * time.Second,
		KeepRecords:    true,
		Retention:      Retention(store.DefaultRetention()),
	}
}

// Validate reports every problem at once, each naming its key.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		add("listen: %q is not an address such as :4002", c.Listen)
	}
	if c.DatabaseURL.Reveal() == "" {
		add("database_url: must be set")
	}
	if c.Token.Reveal() == "" {
		add("token: must be set")
	}
	if c.NATS.URL == "" {
		add("nats.url: must be set")
	}
	if err := c.NATS.Validate(); err != nil {
		add("nats.%w", err)
	}
	if c.Partitions < 1 || c.Partitions > 1024 {
		add("partitions: %d is not between 1 and 1024", c.Partitions)
	}
	if c.Replicas < 1 || c.Replicas > 5 {
		add("replicas: %d is not between 1 and 5", c.Replicas)
	}
	if c.StreamMaxBytes < 16<<20 {
		add("stream_max_bytes: %d is less than 16 MiB", c.StreamMaxBytes)
	}
	if c.FlushEvery < 5*time.Millisecond || c.FlushEvery > 5*time.Second {
		add("flush_every: %s is not between 5ms and 5s", c.FlushEvery)
	}
	if c.Drain <= 0 {
		add("drain: %s is not a positive duration", c.Drain)
	}
	if err := c.Retention.keep().Validate(); err != nil {
		add("retention.%w", err)
	}
	return errors.Join(errs...)
}
