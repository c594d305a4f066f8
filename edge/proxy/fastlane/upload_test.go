package fastlane

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/clienttest"
	"tollgate/edge/routing"
)

// Guarantee: a body of a known length is sent as it comes; an answer that comes before its end is passed on, what the caller sends
// later is not for that target, and a body that ends early is no request.
func TestUpload(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	addr := clienttest.Listen(t, func(n int, c *clienttest.Peer) {
		for {
			head := c.Head()
			switch {
			case head == "":
				return
			case strings.HasPrefix(head, "POST /early "):
				c.Say("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
			case strings.HasPrefix(head, "POST /gone "):
				return
			default:
				b := make([]byte, 5)
				_, err := io.ReadFull(c.R, b)
				if err != nil {
					return
				}
				got <- string(b)
				c.Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}
		}
	})
	target := clienttest.TargetAt(t, "http://"+addr, routing.Transport{})
	c, went := testClient(t)
	post := func(uri string, b *clienttest.Body) *proxy.Attempt {
		a := clienttest.AttemptAt(target)
		a.Method, a.URI, a.Body, a.Length = "POST", uri, b, 5
		return a
	}
	// It waits for the caller longer than it would for an answer.
	slow := clienttest.SlowBody()
	a := post("/", slow)
	a.HeaderTimeout = time.Second
	slow.Pieces <- "he"
	time.AfterFunc(1200*time.Millisecond, func() { slow.Pieces <- "llo"; close(slow.Pieces) })
	if answer, text := clienttest.Do(t, c, a); answer.Status != 200 || text != "ok" || clienttest.Receive(t, got, "body") != "hello" {
		t.Errorf("got %d %q", answer.Status, text)
	}
	early := clienttest.SlowBody()
	early.Pieces <- "he"
	if answer, text := clienttest.Do(t, c, post("/early", early)); answer.Status != 413 || text != "big" {
		t.Errorf("got %d %q", answer.Status, text)
	}
	early.Interrupt() // as the end of an exchange does
	if _, text := clienttest.Do(t, c, post("/", clienttest.BodyOf("hel", "lo"))); text != "ok" || clienttest.Receive(t, got, "body") != "hello" {
		t.Errorf("got %q", text)
	}
	clienttest.Want(t, clienttest.Fail(t, c, post("/", clienttest.BodyOf("hel"))), proxy.FailBody, true, "could not be read")
	clienttest.Want(t, clienttest.Fail(t, c, post("/", clienttest.BodyOf("hello", "!"))), proxy.FailBody, true, "could not be read")
	broken := clienttest.BodyOf("hel")
	broken.End = errors.New("the caller is gone")
	clienttest.Want(t, clienttest.Fail(t, c, post("/", broken)), proxy.FailBody, true, "could not be read")
	clienttest.Want(t, clienttest.Fail(t, c, post("/gone", clienttest.BodyOf("hello"))), proxy.FailAnswer, true, "closed the connection")
	if went.general > 0 {
		t.Errorf("lanes %+v", went)
	}
}
