package fastlane

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"testing"

	"tollgate/edge/proxy/clienttest"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/testenv/pki"
)

// numbered answers each request with the number of its connection and of the request on it, and then does what then says.
func numbered(n int, c *clienttest.Peer, then func(request int)) {
	for request := 1; c.Head() != ""; request++ {
		c.Say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + string(rune('0'+n)) + "." + string(rune('0'+request)))
		if then != nil {
			then(request)
		}
	}
}

// Guarantee: a connection is used again after an answer that has come to its end and says nothing else, and only then.
func TestReuse(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		method, answer string
		reused         bool
		unread         bool
	}{
		"length":                  {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true, false},
		"chunks":                  {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true, false},
		"chunks with trailers":    {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-A: 1\r\n\r\n", true, false},
		"no body":                 {"GET", "HTTP/1.1 204 No Content\r\n\r\n", true, false},
		"not modified":            {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", true, false},
		"HEAD":                    {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true, false},
		"interim answers":         {"GET", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true, false},
		"close":                   {"GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false, false},
		"HTTP/1.0":                {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false, false},
		"more than the answer":    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong", false, false},
		"one byte more":           {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\n", false, false},
		"a body where none is":    {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong", false, false},
		"a head as nobody writes": {"GET", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", false, false},
		"not read to its end":     {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\nok", false, true},
		"not read, but there":     {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := clienttest.TargetAt(t, "http://"+clienttest.Listen(t, func(n int, c *clienttest.Peer) {
				if n == 1 {
					c.Head()
					c.Say(tc.answer)
				}
				numbered(n, c, nil)
			}), routing.Transport{})
			c, went := testClient(t)
			a := clienttest.AttemptAt(target)
			a.Method = tc.method
			if answer, err := c.RoundTrip(t.Context(), a); err != nil {
				t.Fatal(err)
			} else if !tc.unread {
				if _, err := io.ReadAll(answer.Body); err != nil {
					t.Error(err)
				}
				_ = answer.Body.Close()
			} else {
				_ = answer.Body.Close()
			}
			want := "2.1"
			if tc.reused {
				want = "1.1"
			}
			if _, got := clienttest.Do(t, c, clienttest.AttemptAt(target)); got != want {
				t.Errorf("the next answer is %q, want %q", got, want)
			}
			if went.fast != 2 || went.general != 0 {
				t.Errorf("lanes %+v", went)
			}
		})
	}
}

// Guarantee: what a target sends without being asked is never the answer to a later request, also where TLS has read it already.
func TestUnasked(t *testing.T) {
	t.Parallel()
	const unasked = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"
	ca := pki.New(t)
	cert := ca.Issue(t, []string{"127.0.0.1"}).TLS(t)
	for name, version := range map[string]uint16{"plain": 0, "TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		for when, together := range map[string]bool{"together": true, "later": false} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				late, said := make(chan struct{}), make(chan struct{})
				addr := clienttest.Listen(t, func(n int, c *clienttest.Peer) {
					var hold *holding
					if version != 0 {
						hold = &holding{Conn: c.Conn}
						secure := tls.Server(hold, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: version, MaxVersion: version})
						c = &clienttest.Peer{Conn: secure, R: bufio.NewReader(secure)}
					}
					if n > 1 {
						numbered(n, c, nil)
						return
					}
					c.Head()
					if together {
						if hold != nil {
							hold.on = true // so that two records leave in one piece
						}
						c.Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
						c.Say(unasked)
						if hold != nil {
							hold.release()
						}
					} else {
						c.Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
						<-late
						c.Say(unasked)
						close(said)
					}
					c.Rest()
				})
				scheme := "http"
				if version != 0 {
					scheme = "https"
				}
				target := clienttest.TargetAt(t, scheme+"://"+addr, routing.Transport{CA: string(ca.PEM), HTTP: eventv1.TargetHttp_TARGET_HTTP_1_1})
				c, went := testClient(t)
				if _, got := clienttest.Do(t, c, clienttest.AttemptAt(target)); got != "ok" {
					t.Fatalf("got %q", got)
				}
				if !together {
					close(late)
					clienttest.Receive(t, said, "unasked answer")
				}
				if _, got := clienttest.Do(t, c, clienttest.AttemptAt(target)); got != "2.1" {
					t.Errorf("the next answer is %q", got)
				}
				if went.general > 0 {
					t.Errorf("lanes %+v", went)
				}
			})
		}
	}
}

// holding keeps back what is written until release.
type holding struct {
	net.Conn

	on   bool
	kept []byte
}

func (h *holding) Write(p []byte) (int, error) {
	if !h.on {
		return h.Conn.Write(p)
	}
	h.kept = append(h.kept, p...)
	return len(p), nil
}

func (h *holding) release() {
	h.on = false
	_, _ = h.Conn.Write(h.kept)
}
