package fastlane

import (
	"errors"
	"io"
	"testing"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
	"tollgate/edge/proxy/nethttp"
)

// BenchmarkRoundTrip is an attempt with a body of 1 KB and an answer of 1.5 KB on a kept connection, on both lanes.
func BenchmarkRoundTrip(b *testing.B) {
	a := shortAttempt(b)
	cfg := nethttp.DefaultClientConfig()
	cfg.AllowPrivate = true
	general := nethttp.NewClient(cfg)
	lane := NewClient(cfg, nethttp.NewClient(cfg), nil)
	b.Cleanup(func() { general.Close(); lane.Close() })
	for name, c := range map[string]proxy.Upstream{"fast": lane, "general": general} {
		b.Run(name, func(b *testing.B) {
			ctx := &teller{Context: b.Context()}
			b.ReportAllocs()
			for b.Loop() {
				got, err := c.RoundTrip(ctx, a)
				if err != nil {
					b.Fatal(err)
				}
				if pieces, ok := got.Body.(proxy.Pieces); ok {
					for err == nil {
						_, err = pieces.Next(clienttest.Patience)
					}
				} else {
					_, err = io.Copy(io.Discard, got.Body)
				}
				if err != nil && !errors.Is(err, io.EOF) {
					b.Fatal(err)
				}
				_ = got.Body.Close()
			}
		})
	}
}
