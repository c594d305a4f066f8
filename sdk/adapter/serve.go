package adapter

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"tollgate/gen/tollgate/adapter/v1/adapterv1connect"
)

// Options are how an adapter is served. The zero value is ready.
type Options struct {
	Log *slog.Logger // of failures; nil for none
	// MaxBytes is the largest message, a whole body or an event; 16 MiB if 0, as gateways have it.
	MaxBytes int
	// Token is what gateways have to present as "Authorization: Bearer TOKEN", configured as a header of the adapter. Empty lets
	// anyone in who reaches the server.
	Token string
	// Grace is how long exchanges that go on may take to end when the server stops; 30 seconds if 0.
	Grace time.Duration
}

func (o *Options) log() *slog.Logger { return cmp.Or(o.Log, slog.New(slog.DiscardHandler)) }

// Healthz is the path that answers 200 while the server takes requests.
const Healthz = "/healthz"

// Handler answers gateways with an adapter, for a server of one's own. That server has to speak HTTP/2, without TLS by
// prior knowledge, because streams are translated as they come.
func Handler(a Adapter, o Options) http.Handler {
	most := cmp.Or(o.MaxBytes, 16<<20)
	s := &service{adapter: a, log: o.log()}
	path, rpc := adapterv1connect.NewAdapterServiceHandler(s,
		connect.WithReadMaxBytes(most), connect.WithSendMaxBytes(most), connect.WithRecover(s.recovered))
	mux := http.NewServeMux()
	mux.Handle(path, guard(o.Token, rpc))
	mux.HandleFunc("GET "+Healthz, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	return mux
}

// guard lets through who knows the token.
func guard(token string, next http.Handler) http.Handler {
	if token == "" {
		return next
	}
	want := sha256.Sum256([]byte("Bearer " + token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			http.Error(w, "the adapter's token is missing or wrong", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ListenAndServe serves an adapter on a TCP address until ctx ends, then lets what goes on end.
func ListenAndServe(ctx context.Context, addr string, a Adapter, o Options) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return Serve(ctx, l, a, o)
}

// Serve is ListenAndServe on a listener, which it closes.
func Serve(ctx context.Context, l net.Listener, a Adapter, o Options) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // for health checks, and for trying an adapter out by hand
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler: Handler(a, o), Protocols: protocols, ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(o.log().Handler(), slog.LevelWarn),
	}
	o.log().Info("adapter is serving", "addr", l.Addr().String())
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(o.Grace, 30*time.Second))
	defer cancel()
	err := server.Shutdown(grace)
	if err != nil {
		err = errors.Join(err, server.Close())
	}
	if stopped := <-served; !errors.Is(stopped, http.ErrServerClosed) {
		err = errors.Join(err, stopped)
	}
	return err
}
