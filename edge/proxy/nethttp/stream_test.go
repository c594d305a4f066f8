package nethttp

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
	"tollgate/edge/routing"
)

// Guarantee: what HTTP/1.1 could not say, or could say in two ways, is refused of HTTP/2 as well, and the
// connection goes on.
func TestMalformedStream(t *testing.T) {
	t.Parallel()
	e := serve(t, echo)
	s := e.dial2()
	id := uint32(1)
	for name, fields := range map[string][]string{
		"a request line as a method":  {":method", "GET /smuggled HTTP/1.1", ":authority", "h"},
		"a space in the authority":    {":method", "GET", ":authority", "h h"},
		"two hosts":                   {":method", "GET", ":authority", "h", "host", "other"},
		"two hosts without authority": {":method", "GET", "host", "a", "host", "b"},
		"a length and no body":        {":method", "POST", ":authority", "h", "content-length", "5"},
		"a length that is no number":  {":method", "POST", ":authority", "h", "content-length", "+0"},
		"two lengths":                 {":method", "POST", ":authority", "h", "content-length", "0", "content-length", "0"},
		"an expectation nobody knows": {":method", "POST", ":authority", "h", "expect", "payment"},
	} {
		s.headers(id, true, append([]string{fields[0], fields[1], ":scheme", "http", ":path", "/x"}, fields[2:]...)...)
		id += 2
		if head := s.next(); !strings.Contains(head, ":status=400") || !strings.Contains(head, "application/json") {
			t.Errorf("%s: %s", name, head)
		}
		if body := s.next(); !strings.Contains(body, "request_malformed") || strings.Contains(body, "was closed") {
			t.Errorf("%s: %s", name, body)
		}
	}
	s.headers(id, true, ":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/x", "host", "H", "content-length", "0")
	if head := s.next(); !strings.Contains(head, ":status=200") {
		t.Errorf("a good one: %s", head)
	}
}

// Guarantee: a body on a stream is read also when the answer began before anybody had asked for it; a caller
// who waits to be asked is not asked then.
func TestStreamBodyAfterTheAnswerBegan(t *testing.T) {
	t.Parallel()
	e := serve(t, func(_ context.Context, x *proxy.Exchange) {
		x.Out.Begin(200, nil, -1)
		if err := x.Out.Flush(); err != nil {
			t.Errorf("flush: %v", err)
		}
		body, err := io.ReadAll(x.Body)
		if err != nil {
			t.Errorf("read: %v", err)
		}
		_, _ = x.Out.Write(body)
	})
	s := e.dial2()
	for i, fields := range [][]string{nil, {"expect", "100-continue"}} {
		id := uint32(2*i + 1)
		s.request(id, "POST", "/x", false, fields...)
		s.want(fmt.Sprintf("head %d :status=200", id))
		if err := s.f.WriteData(id, true, []byte("abc")); err != nil {
			t.Fatal(err)
		}
		s.want(fmt.Sprintf("data %d %q end", id, "abc"))
	}
}

// Guarantee: what cannot be sent to a target because of what the caller has sent is told apart from what is
// the target's fault.
func TestUnwritable(t *testing.T) {
	t.Parallel()
	c := testClient(t)
	a := clienttest.AttemptAt(clienttest.TargetAt(t, "http://"+clienttest.Listen(t, func(_ int, p *clienttest.Peer) { p.Head() }), routing.Transport{}))
	a.Method = "GET /smuggled HTTP/1.1"
	clienttest.Want(t, clienttest.Fail(t, c, a), proxy.FailRequest, false, "cannot be written")

	small := listen2(t, func(_ int, f *framed) {
		_ = f.WriteSettings(http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: 300})
		if head := f.head(); head != nil {
			f.ok(head.StreamID)
			f.rest()
		}
	})
	answer, err := c.RoundTrip(t.Context(), clienttest.AttemptAt(small)) // after it the target's settings are known
	if err != nil {
		t.Fatal(err)
	}
	if _, err = io.Copy(io.Discard, answer.Body); err != nil {
		t.Error(err)
	}
	answer.Body.Close()
	a = clienttest.AttemptAt(small)
	a.Headers = []proxy.Header{{Name: "X-Long", Value: strings.Repeat("x", 1000)}}
	clienttest.Want(t, clienttest.Fail(t, c, a), proxy.FailRequest, false, "larger than the target takes")
}
