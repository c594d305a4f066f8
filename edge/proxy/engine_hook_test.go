package proxy

import (
	"context"
	"log/slog"
	"net"
	"time"
)

// The engine imports this package, so that only its external tests can name it: they set what follows.

// ServerOptions are what a test changes of the listening side; what is zero keeps its default.
type ServerOptions struct{ HeaderTimeout, IdleTimeout, PeerTimeout, Linger time.Duration }

// ClientOptions are what a test changes of the calling side.
type ClientOptions struct {
	AllowPrivate bool
	Resolver     *net.Resolver
}

// EngineServer is the listening side of an engine.
type EngineServer interface {
	Serve(l net.Listener) error
	Shutdown(ctx context.Context) error
}

// EngineClient is its calling side.
type EngineClient interface {
	Upstream
	Close()
}

// NewEngineServer and NewEngineClient make the two sides of the engine that the tests run on.
var (
	NewEngineServer func(o ServerOptions, g *Gateway, log *slog.Logger) EngineServer
	NewEngineClient func(o ClientOptions) EngineClient
)
