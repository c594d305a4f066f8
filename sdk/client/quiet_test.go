package client

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

// hangs says something once and never again.
type hangs struct {
	controlv1connect.UnimplementedRequestServiceHandler

	calls atomic.Int32
}

func (h *hangs) TailRequests(ctx context.Context, _ *controlv1.TailRequestsRequest, to *connect.ServerStream[controlv1.TailRequestsResponse]) error {
	h.calls.Add(1)
	if err := to.Send(&controlv1.TailRequestsResponse{ResumeToken: "t"}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// Guarantee: a connection that says nothing for too long is taken for dead and made again.
func TestQuietStreamsAreMadeAgain(t *testing.T) {
	t.Parallel()
	h := &hangs{}
	mux := http.NewServeMux()
	mux.Handle(controlv1connect.NewRequestServiceHandler(h))
	on := httptest.NewServer(mux)
	t.Cleanup(on.Close)
	to := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(to.CloseIdleConnections)
	c, err := New(on.URL, WithHTTPClient(to), WithRetry(Retry{Attempts: 1 << 20, First: time.Millisecond, Most: time.Millisecond}))
	if err != nil {
		t.Fatal(err)
	}
	c.quiet = 50 * time.Millisecond
	n := 0
	for _, err := range c.Tail(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 3 {
			break
		}
	}
	if got := h.calls.Load(); n != 3 || got < 3 {
		t.Errorf("%d messages of %d connections", n, got)
	}
}
