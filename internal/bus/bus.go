// Package bus is a process's connection to NATS. It comes up whether or not
// NATS is there, reconnects for ever, and fails a publish at once while
// disconnected instead of keeping it in memory, because the callers that must
// not lose anything have a buffer on disk.
//
// It knows no subjects and no message formats, and it never starts a server;
// an embedded one is reached through an option of the caller's.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Config says where NATS is and who this process is to it.
type Config struct {
	URL          string `yaml:"url"`            // one or several, comma-separated
	NKeySeedFile string `yaml:"nkey_seed_file"` // identity; empty for none
	CAFile       string `yaml:"ca_file"`        // whom to trust; empty for the system's
	CertFile     string `yaml:"cert_file"`      // client certificate, with key_file
	KeyFile      string `yaml:"key_file"`
	Name         string `yaml:"name"` // shown in the server's connection list
}

// Validate checks what can be known without a connection.
func (c Config) Validate() error {
	if (c.CertFile == "") != (c.KeyFile == "") {
		return errors.New("cert_file: must be set together with key_file")
	}
	return nil
}

// Conn is a connection that mends itself. It is safe for concurrent use.
type Conn struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	closed chan struct{}
}

// Connect starts connecting and returns without waiting for it. It fails only
// where trying again cannot help: files that cannot be read, a malformed URL.
// opts come after what cfg says and before the handlers, which are kept.
func Connect(cfg Config, log *slog.Logger, opts ...nats.Option) (*Conn, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	all := []nats.Option{
		nats.Name(cfg.Name),
		nats.MaxReconnects(-1),
		nats.RetryOnFailedConnect(true),
		// By default two refused logins end the reconnecting; but a rotated
		// key may reach the server after it has reached this process.
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, 500*time.Millisecond),
		nats.Timeout(3 * time.Second),
		// A peer that vanished without a word is noticed within 15 s.
		nats.PingInterval(5 * time.Second),
		nats.MaxPingsOutstanding(2),
	}
	if cfg.NKeySeedFile != "" {
		nkey, err := nats.NkeyOptionFromSeed(cfg.NKeySeedFile)
		if err != nil {
			return nil, fmt.Errorf("nkey seed %s: %w", cfg.NKeySeedFile, err)
		}
		all = append(all, nkey)
	}
	for _, f := range []string{cfg.CAFile, cfg.CertFile, cfg.KeyFile} {
		// The client reads these on every connect; a wrong path would look
		// like a server that is away.
		if f == "" {
			continue
		}
		if _, err := os.ReadFile(f); err != nil {
			return nil, fmt.Errorf("bus: %w", err)
		}
	}
	if cfg.CAFile != "" {
		all = append(all, nats.RootCAs(cfg.CAFile))
	}
	if cfg.CertFile != "" {
		all = append(all, nats.ClientCert(cfg.CertFile, cfg.KeyFile))
	}
	c := &Conn{closed: make(chan struct{})}
	all = append(all, opts...)
	all = append(all, c.observe(log))

	nc, err := nats.Connect(cfg.URL, all...)
	if err != nil {
		return nil, fmt.Errorf("bus: %w", err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("bus: %w", err)
	}
	c.nc, c.js = nc, js
	return c, nil
}

// observe logs changes of state, one line each, and calls the handlers that
// other options have set.
func (c *Conn) observe(log *slog.Logger) nats.Option {
	return func(o *nats.Options) error {
		connected, disconnected, reconnected := o.ConnectedCB, o.DisconnectedErrCB, o.ReconnectedCB
		asyncErr, closed, reconnectErr := o.AsyncErrorCB, o.ClosedCB, o.ReconnectErrCB
		o.ConnectedCB = func(nc *nats.Conn) {
			log.Info("bus connected", "server", nc.ConnectedUrlRedacted())
			if connected != nil {
				connected(nc)
			}
		}
		o.ReconnectedCB = func(nc *nats.Conn) {
			log.Info("bus reconnected", "server", nc.ConnectedUrlRedacted())
			if reconnected != nil {
				reconnected(nc)
			}
		}
		o.DisconnectedErrCB = func(nc *nats.Conn, err error) {
			if err != nil { // nil: it was closed here
				log.Warn("bus disconnected", "err", err)
			}
			if disconnected != nil {
				disconnected(nc, err)
			}
		}
		o.ReconnectErrCB = func(nc *nats.Conn, err error) {
			log.Debug("bus connect attempt failed", "err", err)
			if reconnectErr != nil {
				reconnectErr(nc, err)
			}
		}
		o.AsyncErrorCB = func(nc *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			log.Error("bus error", "subject", subject, "err", err)
			if asyncErr != nil {
				asyncErr(nc, sub, err)
			}
		}
		o.ClosedCB = func(nc *nats.Conn) {
			if closed != nil {
				closed(nc)
			}
			close(c.closed)
		}
		o.NoCallbacksAfterClientClose = false // Close waits for the last one
		return nil
	}
}

// NATS is the connection itself, for publish, subscribe and request.
func (c *Conn) NATS() *nats.Conn { return c.nc }

// JetStream is the connection's access to streams.
func (c *Conn) JetStream() jetstream.JetStream { return c.js }

// Connected says whether a publish would be sent now.
func (c *Conn) Connected() bool { return c.nc.IsConnected() }

// AwaitConnected returns once there is a connection, or with the context's
// error. It is for what cannot begin without NATS; traffic never waits here.
func (c *Conn) AwaitConnected(ctx context.Context) error {
	changed := c.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer c.nc.RemoveStatusListener(changed)
	for {
		// Asked after listening began, so that no change falls in between.
		if c.nc.IsConnected() {
			return nil
		}
		if c.nc.IsClosed() {
			return nats.ErrConnectionClosed
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// Close sends what was published, ends all subscriptions and waits until the
// handlers for changes of state have run. It must not be called from one.
func (c *Conn) Close() {
	c.nc.Close()
	<-c.closed
}
