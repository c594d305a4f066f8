package fastlane

import (
	"cmp"
	"testing"

	"tollgate/edge/proxy/clienttest"
	"tollgate/edge/proxy/nethttp"
)

// lanes counts by which lane attempts went.
type lanes struct{ fast, general int }

func (l *lanes) count(fast bool) {
	if fast {
		l.fast++
	} else {
		l.general++
	}
}

func testClient(t *testing.T, change ...func(*nethttp.ClientConfig)) (*Client, *lanes) {
	t.Helper()
	cfg := nethttp.DefaultClientConfig()
	cfg.AllowPrivate = true
	for _, f := range change {
		f(&cfg)
	}
	l := &lanes{}
	c := NewClient(cfg, nethttp.NewClient(cfg), l.count)
	t.Cleanup(c.Close)
	return c, l
}

// Guarantee: an engine's calling side keeps what all of them promise.
func TestClient(t *testing.T) {
	t.Parallel()
	clienttest.Run(t, func(s clienttest.Settings) clienttest.Client {
		cfg := nethttp.DefaultClientConfig()
		cfg.AllowPrivate = !s.Public
		cfg.MaxHeader, cfg.MaxLines = cmp.Or(s.MaxHeader, cfg.MaxHeader), cmp.Or(s.MaxLines, cfg.MaxLines)
		return NewClient(cfg, nethttp.NewClient(cfg), nil)
	})
}

// Guarantee: a body of any length passes through memory that does not grow with it.
func TestLongUpload(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	c, _ := testClient(t)
	clienttest.LongUpload(t, c, clienttest.Swallowing(t))
}
