package proxy

import (
	"context"
	"flag"
	"log/slog"
	"net"
	"testing"
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

// Engine makes the two sides of an engine that the tests run on.
type Engine struct {
	Lane   string
	Server func(o ServerOptions, g *Gateway, log *slog.Logger) EngineServer
	Client func(o ClientOptions) EngineClient
}

// Engines are all of them, the one that most requests go over first.
var Engines []Engine

// engine is the one that tests run on at present.
var engine *Engine

// onEveryEngine runs all tests once for each engine, because the stages have to get the same from each. Benchmarks run on the first.
type onEveryEngine struct{ *testing.M }

// Run runs them.
func (m onEveryEngine) Run() (code int) {
	for i := range Engines {
		engine = &Engines[i]
		code = max(code, m.M.Run())
		if f := flag.Lookup("test.bench"); f != nil && f.Value.String() != "" {
			break
		}
	}
	return code
}
