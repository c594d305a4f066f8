package nethttp

import (
	"cmp"
	"testing"

	"tollgate/edge/proxy/clienttest"
)

func testClient(t *testing.T, change ...func(*ClientConfig)) *Client {
	t.Helper()
	cfg := DefaultClientConfig()
	cfg.AllowPrivate = true
	for _, f := range change {
		f(&cfg)
	}
	c := NewClient(cfg)
	t.Cleanup(c.Close)
	return c
}

// Guarantee: an engine's calling side keeps what all of them promise.
func TestClient(t *testing.T) {
	t.Parallel()
	clienttest.Run(t, func(s clienttest.Settings) clienttest.Client {
		cfg := DefaultClientConfig()
		cfg.AllowPrivate = !s.Public
		cfg.MaxHeader, cfg.MaxLines = cmp.Or(s.MaxHeader, cfg.MaxHeader), cmp.Or(s.MaxLines, cfg.MaxLines)
		return NewClient(cfg)
	})
}
