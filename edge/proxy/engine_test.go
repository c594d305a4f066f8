package proxy_test

import (
	"cmp"
	"log/slog"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/nethttp"
)

func init() {
	proxy.NewEngineServer = func(o proxy.ServerOptions, g *proxy.Gateway, log *slog.Logger) proxy.EngineServer {
		cfg := nethttp.DefaultServerConfig()
		cfg.HeaderTimeout = cmp.Or(o.HeaderTimeout, cfg.HeaderTimeout)
		cfg.IdleTimeout = cmp.Or(o.IdleTimeout, cfg.IdleTimeout)
		cfg.PeerTimeout = cmp.Or(o.PeerTimeout, cfg.PeerTimeout)
		cfg.Linger = cmp.Or(o.Linger, cfg.Linger)
		return nethttp.NewServer(cfg, g, log)
	}
	proxy.NewEngineClient = func(o proxy.ClientOptions) proxy.EngineClient {
		cfg := nethttp.DefaultClientConfig()
		cfg.AllowPrivate, cfg.Resolver = o.AllowPrivate, o.Resolver
		return nethttp.NewClient(cfg)
	}
}
