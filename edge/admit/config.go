package admit

import (
	"errors"
	"math/rand/v2"
	"time"
)

// Config says how patient a Book is, and what it reads and tells besides the ledger.
type Config struct {
	// Wait is how long a request may wait for money.
	Wait time.Duration
	// Idle is how long unspent money is kept without a request for it. What one request needs is kept
	// several times as long.
	Idle time.Duration
	// Repeat is how often the ledger is told again what is held, whether or not it changed, and for
	// how long its word is taken that a budget is used up.
	Repeat time.Duration
	// Ahead is how much is asked for at least where requests have to wait, in requests like the largest
	// of them. Where they keep coming more is asked for, by how fast they spend. The ledger gives it
	// where there is plenty; near a limit it gives what requests need.
	Ahead int64
	// Join is told of a partition before anything of it is leased or spent. What it fails with puts
	// that off. Nil for nobody.
	Join func(part uint32) error
	// Now is the clock that everything here follows; nil for the system's.
	Now func() time.Time
	// Jitter spreads what many edges would do at the same time; nil for a source of its own.
	Jitter rand.Source
}

// DefaultConfig is what suits most edges.
func DefaultConfig() Config {
	return Config{Wait: time.Second, Idle: 10 * time.Second, Repeat: 30 * time.Second, Ahead: 16}
}

// Validate checks that every setting is positive.
func (c Config) Validate() error {
	var errs []error
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"wait", c.Wait}, {"idle", c.Idle}, {"repeat", c.Repeat}} {
		if d.value <= 0 {
			errs = append(errs, errors.New(d.key+": must be longer than 0"))
		}
	}
	if c.Ahead <= 0 {
		errs = append(errs, errors.New("ahead: must be at least 1"))
	}
	return errors.Join(errs...)
}

// withDefaults fills what is not set, so that a test can name only what it is about.
func (c Config) withDefaults() Config {
	d := DefaultConfig()
	if c.Wait <= 0 {
		c.Wait = d.Wait
	}
	if c.Idle <= 0 {
		c.Idle = d.Idle
	}
	if c.Repeat <= 0 {
		c.Repeat = d.Repeat
	}
	if c.Ahead <= 0 {
		c.Ahead = d.Ahead
	}
	if c.Join == nil {
		c.Join = func(uint32) error { return nil }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Jitter == nil {
		c.Jitter = rand.NewPCG(rand.Uint64(), rand.Uint64())
	}
	return c
}

// sweepEvery is how often Run sweeps.
func (c Config) sweepEvery() time.Duration { return max(c.Idle/ticksIdle, time.Millisecond) }
