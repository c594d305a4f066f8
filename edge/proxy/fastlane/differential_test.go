package fastlane

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
	"tollgate/edge/proxy/http1"
	"tollgate/edge/proxy/nethttp"
	"tollgate/edge/routing"
)

// outcome is what comes of an attempt, as far as anybody can see.
type outcome struct {
	Interims []string
	Failure  proxy.Failure
	Text     string
	Status   int
	Headers  []string
	Length   int64
	Body     string
	Broken   bool
	Trailers []string
	chunk    bool // the lane did not like a chunk
}

// sorted is a list of headers whose order and spelling do not matter.
func sorted(headers []proxy.Header) []string {
	var out []string
	for _, h := range headers {
		name := http.CanonicalHeaderKey(h.Name)
		if name == "Trailer" {
			continue // net/http lists the names anew
		}
		out = append(out, name+": "+h.Value)
	}
	slices.Sort(out)
	return out
}

func try(t *testing.T, c proxy.Upstream, target *routing.Target, method string) (o outcome) {
	t.Helper()
	a := clienttest.AttemptAt(target)
	a.Method = method
	a.Interim = func(status int, headers []proxy.Header) {
		o.Interims = append(o.Interims, fmt.Sprint(status, sorted(headers)))
	}
	answer, err := c.RoundTrip(t.Context(), a)
	if err != nil {
		failed, ok := errors.AsType[*proxy.AttemptError](err)
		if !ok || !failed.Sent || !failed.Whole {
			t.Fatalf("error %v", err)
		}
		o.Failure, o.Text = failed.Failure, failed.Text
		return o
	}
	o.Status, o.Headers, o.Length = answer.Status, sorted(answer.Headers), answer.Length
	body, err := io.ReadAll(answer.Body)
	o.Body, o.Broken, o.chunk = string(body), err != nil, errors.Is(err, http1.ErrChunk)
	if answer.Trailers != nil && err == nil {
		o.Trailers = sorted(answer.Trailers())
	}
	_ = answer.Body.Close()
	return o
}

// mostHead is how long heads may be here.
const mostHead = 8 << 10

// FuzzAnswer shows that whatever a target sends comes to the same on both lanes. Only chunks are read more strictly on the fast one,
// which then breaks off what it has passed on correctly so far.
func FuzzAnswer(f *testing.F) {
	for _, head := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "HTTP/1.1 200\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n2\r\nok\r\n0\r\nX-A: 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nok",
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 099 What\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nX A: 1\r\n\r\n", "HTTP/1.1 200 OK\r\n: 1\r\n\r\n", "hello\r\n\r\n", "",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nX-A: \x01\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nwrong", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: 1\r\n", 40) + "\r\n",
		"HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("x", 9000) + "\r\n\r\n", "HTTP/1.1 103 Early\r\nContent-Length: 2\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
	} {
		f.Add(head, false)
		f.Add(head, true)
	}
	var text atomic.Pointer[string]
	targets, fast, general := pair(f, &text)
	next := 0
	f.Fuzz(func(t *testing.T, answer string, head bool) {
		text.Store(&answer)
		method := http.MethodGet
		if head {
			method = http.MethodHead
		}
		target := targets[next%len(targets)]
		next++
		want, got := try(t, general, target, method), try(t, fast, target, method)
		if got.chunk && strings.HasPrefix(want.Body, got.Body) {
			got.Body, got.Broken, got.Trailers = want.Body, want.Broken, want.Trailers
		}
		want.chunk, got.chunk = false, false
		if len(answer) > mostHead && want.Failure == got.Failure {
			want.Text = got.Text // which of two things is wrong with a head that is also too large depends on what came at once
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("fast lane:\n%+v\ngeneral lane:\n%+v", got, want)
		}
	})
}

// pair is targets that answer with a text, and a client of each lane. There are many targets, because the system keeps the name of
// every connection for a while.
func pair(f *testing.F, text *atomic.Pointer[string]) (targets []*routing.Target, fast, general proxy.Upstream) {
	f.Helper()
	cfg := nethttp.DefaultClientConfig()
	cfg.AllowPrivate, cfg.MaxHeader, cfg.MaxLines = true, mostHead, 32
	g, lane := nethttp.NewClient(cfg), NewClient(cfg, nethttp.NewClient(cfg), nil)
	f.Cleanup(func() { g.Close(); lane.Close() })
	for range 32 {
		addr := clienttest.Listen(f, func(_ int, c *clienttest.Peer) {
			if c.Head() != "" {
				c.Say(*text.Load())
			}
		})
		targets = append(targets, clienttest.TargetAt(f, "http://"+addr, routing.Transport{}))
	}
	return targets, lane, g
}
