package nethttp

import (
	"bytes"
	"context"
	"testing"

	"golang.org/x/net/http2"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
	"tollgate/edge/routing"
)

// Guarantee: a body of any length passes through memory that does not grow with it.
func TestLongUpload(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	framed2 := listen2(t, func(_ int, f *framed) {
		h := f.head()
		for {
			d, ok := f.next().(*http2.DataFrame)
			if !ok || d.StreamEnded() {
				break
			}
			if n := d.Length; n > 0 {
				_ = f.WriteWindowUpdate(0, n)
				_ = f.WriteWindowUpdate(h.StreamID, n)
			}
		}
		f.ok(h.StreamID)
		f.rest()
	})
	for name, target := range map[string]*routing.Target{"HTTP/1.1": clienttest.Swallowing(t), "HTTP/2": framed2} {
		t.Run(name, func(t *testing.T) { clienttest.LongUpload(t, testClient(t), target) }) //nolint:paralleltest // the same
	}
}

// Guarantee: a body counts as arrived only if all of it is there; else it is read as it comes.
func TestArrived(t *testing.T) {
	t.Parallel()
	type seen struct {
		arrived bool
		body    string
	}
	began, got := make(chan bool, 1), make(chan seen, 1)
	p := serve(t, func(_ context.Context, x *proxy.Exchange) {
		began <- x.Arrived
		var all bytes.Buffer
		_, _ = all.ReadFrom(x.Body)
		got <- seen{x.Arrived, all.String()}
		clienttest.Reply(x, "ok")
	}).dial()
	const head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n"
	for name, tc := range map[string]struct {
		first, then string
		want        bool
	}{
		"whole":        {head + "abc", "", true},
		"in pieces":    {head + "a", "bc", false},
		"head alone":   {head, "abc", false},
		"chunked, cut": {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "0\r\n\r\n", false},
	} {
		p.Send(tc.first)
		if early := clienttest.Receive(t, began, "the request"); early != tc.want {
			t.Errorf("%s: arrived is %v", name, early)
		}
		p.Send(tc.then)
		if s := clienttest.Receive(t, got, "the body"); s != (seen{tc.want, "abc"}) {
			t.Errorf("%s: got %+v", name, s)
		}
		if _, text := p.Answer("POST"); text != "ok" {
			t.Errorf("%s: answer %q", name, text)
		}
	}
}
