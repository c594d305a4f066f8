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

// Guarantee: an answer means the same wherever the network cuts it, read in pieces or as a stream, and what was found in it is never
// lost behind a wait.
func TestCutAnswers(t *testing.T) {
	t.Parallel()
	const (
		length = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n\r\nhello there"
		chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n there\r\n0\r\nX-Sum: 7\r\n\r\n"
	)
	for name, text := range map[string]string{"length": length, "chunks": chunks} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			goOn := make(chan struct{})
			target := clienttest.TargetAt(t, "http://"+clienttest.Listen(t, func(_ int, c *clienttest.Peer) {
				for cut := 1; c.Head() != ""; cut++ {
					c.Say(text[:cut])
					<-goOn
					c.Say(text[cut:])
				}
			}), routing.Transport{})
			c, _ := testClient(t)
			for cut := 1; cut < len(text); cut++ {
				done := make(chan struct{})
				go func() {
					defer close(done)
					a := clienttest.AttemptAt(target)
					answer, err := c.RoundTrip(t.Context(), a)
					if err != nil {
						t.Errorf("cut at %d: %v", cut, err)
						return
					}
					defer answer.Body.Close()
					got, err := all(answer.Body, cut%2 == 0)
					if got != "hello there" || err != nil {
						t.Errorf("cut at %d: %q, %v", cut, got, err)
					}
					if name == "chunks" && !clienttest.Has(answer.Trailers(), "X-Sum", "7") {
						t.Errorf("cut at %d: trailers %v", cut, answer.Trailers())
					}
				}()
				goOn <- struct{}{}
				clienttest.Receive(t, done, "end of an answer")
			}
		})
	}
}

// all reads a body, in one of two ways.
func all(body io.Reader, pieces bool) (string, error) {
	if !pieces {
		b, err := io.ReadAll(body)
		return string(b), err
	}
	var b strings.Builder
	for {
		piece, err := body.(proxy.Pieces).Next(clienttest.Patience)
		b.Write(piece)
		switch {
		case errors.Is(err, io.EOF):
			return b.String(), nil
		case err != nil:
			return b.String(), err
		}
	}
}

// Guarantee: an answer whose head is written as only some would is passed on as the general lane does.
func TestOddAnswers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer, body string
		status       int
		header       string
	}{
		"bare line feeds":       {"HTTP/1.1 200 OK\nX-A: 1\nContent-Length: 2\n\nok", "ok", 200, "1"},
		"folded header":         {"HTTP/1.1 200 OK\r\nX-A: 1\r\n  2\r\nContent-Length: 2\r\n\r\nok", "ok", 200, "1 2"},
		"one length twice":      {"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", "ok", 200, "1"},
		"chunks of another day": {"HTTP/1.1 200 OK\nX-A: 1\nTransfer-Encoding: chunked\n\n2\r\nok\r\n0\r\n\r\n", "ok", 200, "1"},
		"until the end":         {"HTTP/1.1 200 OK\nX-A: 1\n\nok", "ok", 200, "1"},
		"interim":               {"HTTP/1.1 103 Early Hints\nLink: </a>\n\nHTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok", "ok", 200, "1"},
	} {
		for _, pieces := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				target := clienttest.TargetAt(t, "http://"+clienttest.Listen(t, func(_ int, c *clienttest.Peer) {
					c.Head()
					c.Say(tc.answer)
				}), routing.Transport{})
				c, went := testClient(t)
				a := clienttest.AttemptAt(target)
				var interims []int
				a.Interim = func(status int, _ []proxy.Header) { interims = append(interims, status) }
				answer, err := c.RoundTrip(t.Context(), a)
				if err != nil {
					t.Fatal(err)
				}
				defer answer.Body.Close()
				got, err := all(answer.Body, pieces)
				if err != nil || got != tc.body || answer.Status != tc.status || !clienttest.Has(answer.Headers, "X-A", tc.header) {
					t.Errorf("%d %v %q, %v", answer.Status, answer.Headers, got, err)
				}
				if (len(interims) == 1) != (name == "interim") || went.fast != 1 {
					t.Errorf("interims %v, lanes %+v", interims, went)
				}
			})
		}
	}
}

// Guarantee: a piece that has come is there before anything else is waited for, and a silence ends a body only while it is waited for.
func TestSilence(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{"plain": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "odd": "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := clienttest.TargetAt(t, "http://"+clienttest.Listen(t, func(_ int, c *clienttest.Peer) {
				c.Head()
				c.Say(head + "5\r\nhello\r\n")
				c.Rest()
			}), routing.Transport{})
			c, _ := testClient(t)
			answer, err := c.RoundTrip(t.Context(), clienttest.AttemptAt(target))
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			body := answer.Body.(proxy.Pieces)
			if piece, err := body.Next(clienttest.Patience); string(piece) != "hello" || err != nil {
				t.Errorf("got %q, %v", piece, err)
			}
			if body.Ready() {
				t.Error("ready with nothing there")
			}
			if piece, err := body.Next(time.Millisecond); len(piece) > 0 || !errors.Is(err, errSilent) {
				t.Errorf("got %q, %v", piece, err)
			}
			if _, err := body.Next(time.Millisecond); !errors.Is(err, errSilent) && err == nil {
				t.Error("it goes on behind its end")
			}
		})
	}
}
