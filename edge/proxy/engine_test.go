package proxy_test

import (
	"cmp"
	"log/slog"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/fastlane"
	"tollgate/edge/proxy/nethttp"
)

func init() {
	proxy.Engines = []proxy.Engine{
		{
			Lane: "fast",
			Server: func(o proxy.ServerOptions, g *proxy.Gateway, log *slog.Logger) proxy.EngineServer {
				cfg := serverConfig(o)
				return fastlane.NewServer(cfg, g, nethttp.NewServer(cfg, g, log), log)
			},
			Client: func(o proxy.ClientOptions) proxy.EngineClient {
				cfg := clientConfig(o)
				return fastlane.NewClient(cfg, nethttp.NewClient(cfg), nil)
			},
		},
		{
			Lane: "general",
			Server: func(o proxy.ServerOptions, g *proxy.Gateway, log *slog.Logger) proxy.EngineServer {
				return nethttp.NewServer(serverConfig(o), g, log)
			},
			Client: func(o proxy.ClientOptions) proxy.EngineClient { return nethttp.NewClient(clientConfig(o)) },
		},
	}
}

func serverConfig(o proxy.ServerOptions) nethttp.ServerConfig {
	cfg := nethttp.DefaultServerConfig()
	cfg.HeaderTimeout = cmp.Or(o.HeaderTimeout, cfg.HeaderTimeout)
	cfg.IdleTimeout = cmp.Or(o.IdleTimeout, cfg.IdleTimeout)
	cfg.PeerTimeout = cmp.Or(o.PeerTimeout, cfg.PeerTimeout)
	cfg.Linger = cmp.Or(o.Linger, cfg.Linger)
	return cfg
}

func clientConfig(o proxy.ClientOptions) nethttp.ClientConfig {
	cfg := nethttp.DefaultClientConfig()
	cfg.AllowPrivate, cfg.Resolver = o.AllowPrivate, o.Resolver
	return cfg
}
