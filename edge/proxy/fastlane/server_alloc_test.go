//go:build !race

// Under the race detector pools keep less than they are given.

package fastlane

import (
	"context"
	"strings"
	"testing"

	"tollgate/edge/proxy"
)

// Guarantee: a request costs the lane one piece of memory, for the texts of its head.
func TestServerAllocates(t *testing.T) { //nolint:paralleltest // it counts what the process allocates
	headers := []proxy.Header{{Name: "Content-Type", Value: "application/json"}, {Name: "X-A", Value: "b"}}
	text := make([]byte, 1500)
	for name, send := range map[string]string{
		"GET":  "GET /x HTTP/1.1\r\nHost: h\r\nA: b\r\nC: d\r\n\r\n",
		"POST": "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\nA: b\r\n\r\n" + strings.Repeat("a", 1000),
	} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // the same
			e := serveFast(t, handle(func(_ context.Context, x *proxy.Exchange) {
				if b, ok := x.Body.(proxy.Borrowed); x.Body != nil && (!ok || len(b.Bytes()) != 1000) {
					t.Error("the body is not there")
				}
				x.Out.Begin(200, headers, int64(len(text)))
				_, _ = x.Out.Write(text)
			}))
			conn := e.dial().Conn
			request, got := []byte(send), make([]byte, 4096)
			once := func() {
				if _, err := conn.Write(request); err != nil {
					t.Fatal(err)
				}
				// The head is as long as it is the first time.
				for n := 0; n < len(text); {
					m, err := conn.Read(got)
					if err != nil {
						t.Fatal(err)
					}
					n += m
				}
			}
			once()
			if n := testing.AllocsPerRun(200, once); n > 1 {
				t.Errorf("%v allocations per request", n)
			}
		})
	}
}
