package clienttest

import (
	"errors"
	"strings"
	"testing"

	"tollgate/edge/proxy"
	"tollgate/edge/routing"
)

// Guarantee: a body that has come leaves in one piece with the headers, as it came.
func (n New) arrivedBody(t *testing.T) {
	t.Helper()
	got := make(chan string, 1)
	target := TargetAt(t, "http://"+Listen(t, func(_ int, c *Peer) {
		buf := make([]byte, 64<<10)
		n, err := c.Read(buf)
		if err != nil {
			t.Error(err)
		}
		got <- string(buf[:n])
		c.Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		c.Rest()
	}), routing.Transport{})
	sent := strings.Repeat("x", 3000)
	a := AttemptAt(target)
	a.Method, a.Body, a.Length = "POST", ArrivedBody(sent), int64(len(sent))
	if _, text := Do(t, n.client(t), a); text != "ok" {
		t.Errorf("answer %q", text)
	}
	head, body, _ := strings.Cut(Receive(t, got, "the request"), "\r\n\r\n")
	if body != sent || !strings.Contains(head, "\r\nContent-Length: 3000") {
		t.Errorf("%q with %d bytes of body", head, len(body))
	}
}

// Guarantee: nothing of a request leaves whose body cannot be had.
func (n New) arrivedBodyFails(t *testing.T) {
	t.Helper()
	a := AttemptAt(TargetAt(t, "http://"+Listen(t, func(int, *Peer) { t.Error("connected") }), routing.Transport{}))
	a.Method, a.Body, a.Length = "POST", &Arrived{BodyOf("abc"), nil, errors.New("cannot be paid")}, 3
	Want(t, Fail(t, n.client(t), a), proxy.FailBody, false, "could not be read")
}
