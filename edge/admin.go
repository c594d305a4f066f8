package edge

import (
	"context"
	"errors"
	"net/http"
	"net/http/pprof"
	"time"

	"tollgate/internal/fault"
	"tollgate/internal/lifecycle"
)

// adminPart answers metrics, probes and questions about where time and memory go, on a listener of their own, which stays
// until the traffic has been drained.
func (n *Node) adminPart() lifecycle.Part {
	mux := http.NewServeMux()
	mux.Handle("GET /-/metrics", n.metrics.Handler(n.log))
	mux.HandleFunc("GET /-/healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /-/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := n.gateway.Ready(); err != nil {
			f := fault.From(err)
			w.WriteHeader(f.Status())
			_, _ = w.Write([]byte(string(f.Code) + ": " + f.Message + "\n"))
			return
		}
		_, _ = w.Write([]byte("ready\n"))
	})
	// Those paths are below /debug/pprof/ wherever they are.
	mux.Handle("GET /-/debug/pprof/", http.StripPrefix("/-", http.HandlerFunc(pprof.Index)))
	mux.HandleFunc("GET /-/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /-/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /-/debug/pprof/symbol", pprof.Symbol)
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10,
	}
	return lifecycle.Part{
		Name: "admin",
		Run: func(context.Context) error {
			if err := server.Serve(n.admin); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		},
		Stop: server.Shutdown,
	}
}
