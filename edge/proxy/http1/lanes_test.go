package http1_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/http1"
	"tollgate/edge/proxy/nethttp"
)

// recorder is the handler of a general lane that answers all requests alike.
type recorder struct{ record }

// Serve records an exchange.
func (r *recorder) Serve(_ context.Context, x *proxy.Exchange) {
	var length int64
	if x.Body != nil {
		n, err := io.Copy(io.Discard, x.Body)
		if err != nil {
			r.fail(err)
		}
		length = n
	}
	if x.Length != length || x.Continue || x.Upgrade != "" || x.TrailerNames != nil || x.Proto != proxy.HTTP11 {
		r.fail(fmt.Errorf("not an ordinary request, with a body of %d: %+v", length, x))
	}
	r.add(heard{x.Method, x.Target, length, told(x.Host, x.EmptyBody, x.Headers)})
	x.Out.Begin(http.StatusOK, nil, 0)
}

// Stop does nothing.
func (*recorder) Stop() {}

// told is what a request says besides its method, its target and how long its body is. The general lane knows no order between
// headers, and no spelling of names.
func told(host string, empty bool, headers []proxy.Header) string {
	uncached, sorted := false, []proxy.Header{}
	for _, h := range headers {
		h.Name = http.CanonicalHeaderKey(h.Name)
		uncached = uncached || h.Name == "Pragma"
		sorted = append(sorted, h)
	}
	if uncached { // net/http adds the newer name of it
		sorted = slices.DeleteFunc(sorted, func(h proxy.Header) bool { return h.Name == "Cache-Control" })
	}
	slices.SortStableFunc(sorted, func(a, b proxy.Header) int { return strings.Compare(a.Name, b.Name) })
	return fmt.Sprintf("%s, empty %t, %q", host, empty, sorted)
}

// Guarantee: What the codec vouches for is the same exchange on the general lane, which refuses none of it.
func TestGeneralLaneReadsTheSame(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	server := nethttp.NewServer(nethttp.DefaultServerConfig(), r, slog.New(slog.DiscardHandler))
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	compare(t, comparison{
		dial:    func() (net.Conn, error) { return new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String()) },
		record:  &r.record,
		refuses: func(*http1.Request) bool { return false },
		closes:  func(r *http1.Request) bool { return r.Close },
		told: func(r *http1.Request) string {
			return told(r.Host, r.Sized && r.Length == 0, r.Headers)
		},
	})
}
