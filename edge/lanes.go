package edge

import (
	"context"
	"net"

	"github.com/prometheus/client_golang/prometheus"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/fastlane"
	"tollgate/edge/proxy/nethttp"
	"tollgate/edge/routing"
)

// server is what takes callers' connections.
type server interface {
	Serve(l net.Listener) error
	Shutdown(ctx context.Context) error
}

// newServer makes the lanes that callers come over.
func (n *Node) newServer(cfg nethttp.ServerConfig) server {
	lanes := &n.metrics.Lanes
	general := nethttp.NewServer(cfg, &counted{n.gateway, lanes.CallerGeneral}, n.log)
	if !n.cfg.FastLane {
		return general
	}
	return fastlane.NewServer(cfg, &counted{n.gateway, lanes.CallerFast}, general, n.log)
}

// client is what makes attempts at targets.
type client interface {
	proxy.Upstream
	Sync(endpoints []*routing.Endpoint)
	Close()
}

// newClient makes the lanes that attempts go over, and the one of them that probes as well.
func (n *Node) newClient(cfg nethttp.ClientConfig) (client, *nethttp.Client) {
	general, lanes := nethttp.NewClient(cfg), &n.metrics.Lanes
	if !n.cfg.FastLane {
		return countedClient{general, lanes.TargetGeneral}, general
	}
	return fastlane.NewClient(cfg, general, func(fast bool) {
		if fast {
			lanes.TargetFast.Inc()
		} else {
			lanes.TargetGeneral.Inc()
		}
	}), general
}

// countedClient is the general lane where it is the only one.
type countedClient struct {
	*nethttp.Client
	attempts prometheus.Counter
}

// RoundTrip counts the attempt and makes it.
func (c countedClient) RoundTrip(ctx context.Context, a *proxy.Attempt) (*proxy.Answer, error) {
	c.attempts.Inc()
	return c.Client.RoundTrip(ctx, a)
}

// counted is the gateway as one lane sees it.
type counted struct {
	*proxy.Gateway
	requests prometheus.Counter
}

// Serve counts the exchange and has it served.
func (c *counted) Serve(ctx context.Context, x *proxy.Exchange) {
	c.requests.Inc()
	c.Gateway.Serve(ctx, x)
}
