package clienttest

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/routing"
)

// Guarantee: what leaves over HTTP/1.1 is what the attempt says, byte for byte in the request line, and
// with the framing of the caller.
func (n New) requestBytes(t *testing.T) {
	t.Helper()
	cases := []struct {
		name      string
		change    func(a *proxy.Attempt)
		line      string
		has, lack []string
		body      string
	}{
		{name: "path as it stands", change: func(a *proxy.Attempt) { a.URI = `/a%2Fb//c/../d%20e;x="<>|^` }, line: `GET /a%2Fb//c/../d%20e;x="<>|^ HTTP/1.1`},
		{name: "query as it stands", change: func(a *proxy.Attempt) { a.URI = "/x?x=1;y=2&z&q=a+b%2B&a=%zz" }, line: "GET /x?x=1;y=2&z&q=a+b%2B&a=%zz HTTP/1.1"},
		{name: "empty query", change: func(a *proxy.Attempt) { a.URI = "/x?" }, line: "GET /x? HTTP/1.1"},
		{name: "two slashes", change: func(a *proxy.Attempt) { a.URI = "//evil.example/%2F?" }, line: "GET //evil.example/%2F? HTTP/1.1"},
		{name: "two slashes and no escape", change: func(a *proxy.Attempt) { a.URI = "//evil.example/%zz" }, line: "GET http://HOST//evil.example/%zz HTTP/1.1"},
		{name: "two slashes and odd characters", change: func(a *proxy.Attempt) { a.URI = `//evil.example/"` }, line: `GET http://HOST//evil.example/" HTTP/1.1`},
		{name: "custom method", change: func(a *proxy.Attempt) { a.Method = "PURGE" }, line: "PURGE / HTTP/1.1", lack: []string{"Content-Length", "Transfer-Encoding", "User-Agent", "Accept-Encoding"}},
		{name: "DELETE with an empty body", change: func(a *proxy.Attempt) { a.Method, a.EmptyBody = "DELETE", true }, line: "DELETE / HTTP/1.1", has: []string{"Content-Length: 0"}},
		{name: "DELETE without", change: func(a *proxy.Attempt) { a.Method = "DELETE" }, line: "DELETE / HTTP/1.1", lack: []string{"Content-Length"}},
		{name: "GET with a body", change: func(a *proxy.Attempt) { a.Body, a.Length = BodyOf("abc"), 3 }, line: "GET / HTTP/1.1", has: []string{"Content-Length: 3"}, body: "abc"},
		{name: "unknown length", change: func(a *proxy.Attempt) { a.Method, a.Body, a.Length = "POST", BodyOf("abc"), -1 }, line: "POST / HTTP/1.1", has: []string{"Transfer-Encoding: chunked"}, lack: []string{"Content-Length"}, body: "3\r\nabc\r\n0\r\n\r\n"},
		{name: "trailers", change: func(a *proxy.Attempt) {
			b := BodyOf("abc")
			b.Sent = []proxy.Header{{Name: "x-sum", Value: "1"}, {Name: "X-Late", Value: "2"}, {Name: "Content-Length", Value: "7"}}
			a.Method, a.Body, a.Length, a.TrailerNames = "POST", b, -1, []string{"x-sum", "Transfer-Encoding"}
		}, line: "POST / HTTP/1.1", has: []string{"Trailer: X-Sum", "Transfer-Encoding: chunked"}, lack: []string{"Content-Length", "Trailer: Transfer"}, body: "3\r\nabc\r\n0\r\nX-Late: 2\r\nX-Sum: 1\r\n\r\n"},
		{name: "no trailers behind a length", change: func(a *proxy.Attempt) {
			b := BodyOf("abc")
			b.Sent = []proxy.Header{{Name: "x-sum", Value: "1"}}
			a.Method, a.Body, a.Length, a.TrailerNames = "POST", b, 3, []string{"x-sum"}
		}, line: "POST / HTTP/1.1", has: []string{"Content-Length: 3"}, lack: []string{"Trailer", "Transfer-Encoding"}, body: "abc"},
		{name: "host", change: func(a *proxy.Attempt) { a.HostHeader = "other.example" }, line: "GET / HTTP/1.1", has: []string{"Host: other.example"}},
		{name: "repeated headers", change: func(a *proxy.Attempt) {
			a.Headers = []proxy.Header{{Name: "X-Two", Value: "1"}, {Name: "X-Two", Value: ""}, {Name: "Te", Value: "trailers"}}
		}, line: "GET / HTTP/1.1", has: []string{"X-Two: 1\r\nX-Two: \r\n", "Te: trailers"}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, rest := make(chan string, 1), make(chan string, 1)
			addr := Listen(t, func(_ int, c *Peer) {
				got <- c.Head()
				b := make([]byte, len(tc.body))
				_, _ = io.ReadFull(c.R, b)
				rest <- string(b)
				c.Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				c.Rest()
			})
			a := AttemptAt(TargetAt(t, "http://"+addr, routing.Transport{}))
			tc.change(a)
			if _, b := Do(t, n.client(t), a); b != "ok" {
				t.Errorf("answer %q", b)
			}
			head := Receive(t, got, "request")
			line, _, _ := strings.Cut(head, "\r\n")
			if line != strings.Replace(tc.line, "HOST", addr, 1) {
				t.Errorf("request line %q", line)
			}
			for _, s := range tc.has {
				if !strings.Contains(head, s) {
					t.Errorf("no %q in %q", s, head)
				}
			}
			for _, s := range tc.lack {
				if strings.Contains(head, s) {
					t.Errorf("%q in %q", s, head)
				}
			}
			if b := Receive(t, rest, "body"); b != tc.body {
				t.Errorf("body %q, want %q", b, tc.body)
			}
		})
	}
}

// mostInterims is how many 1xx answers of one attempt are passed on.
const mostInterims = 64

// Guarantee: what is not an answer is told as such, with what was sent, and nothing is waited for longer
// than it was asked for.
func (n New) badAnswers(t *testing.T) {
	t.Helper()
	many := strings.Repeat("X-A: 1\r\n", 40)
	for name, tc := range map[string]struct{ answer, text string }{
		"nothing":              {"", "closed the connection"},
		"half a head":          {"HTTP/1.1 200 OK\r\nX-A: 1\r\n", "closed the connection"},
		"garbage":              {"hello, who is there?\r\n\r\n", "not HTTP"},
		"HTTP/2":               {"\x00\x00\x00\x04\x00\x00\x00\x00\x00", "not HTTP"},
		"headers too large":    {"HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("x", 70<<10) + "\r\n\r\n", "headers are too large"},
		"too many headers":     {"HTTP/1.1 200 OK\r\n" + many + "\r\n", "more than 32 headers"},
		"endless 1xx":          {strings.Repeat("HTTP/1.1 103 Early\r\n\r\n", mostInterims+1) + "HTTP/1.1 200 OK\r\n\r\n", "too many interim answers"},
		"endless 100":          {strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", mostInterims+1) + "HTTP/1.1 200 OK\r\n\r\n", "too many interim answers"},
		"switch without asked": {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "status 101"},
		"status below 100":     {"HTTP/1.1 099 What\r\nContent-Length: 0\r\n\r\n", "status 99"},
		"two lengths":          {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "not HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := Listen(t, func(_ int, c *Peer) {
				c.Head()
				c.Say(tc.answer)
			})
			c := n.client(t, Settings{MaxHeader: 64 << 10, MaxLines: 32})
			e := Fail(t, c, AttemptAt(TargetAt(t, "http://"+addr, routing.Transport{})))
			Want(t, e, proxy.FailAnswer, true, tc.text)
			if !e.Whole {
				t.Error("the request was not whole")
			}
		})
	}
}

// Guarantee: bodies that end before their time are told from those that are complete.
func (n New) brokenBodies(t *testing.T) {
	t.Helper()
	for name, tc := range map[string]struct {
		answer, body string
		complete     bool
	}{
		"short":            {"Content-Length: 9\r\n\r\nabc", "abc", false},
		"chunk cut":        {"Transfer-Encoding: chunked\r\n\r\n5\r\nabc", "abc", false},
		"no last chunk":    {"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "abc", false},
		"trailers cut":     {"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-", "abc", false},
		"until it closes":  {"\r\nabc", "abc", true},
		"all of its chunk": {"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := Listen(t, func(_ int, c *Peer) {
				c.Head()
				c.Say("HTTP/1.1 200 OK\r\n" + tc.answer)
			})
			answer, err := n.client(t).RoundTrip(t.Context(), AttemptAt(TargetAt(t, "http://"+addr, routing.Transport{})))
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if b, err := io.ReadAll(answer.Body); string(b) != tc.body || (err == nil) != tc.complete {
				t.Errorf("got %q, %v", b, err)
			}
		})
	}
}

// Guarantee: trailers of an answer arrive whether or not they were announced, and 1xx answers before it.
func (n New) trailersAndInterims(t *testing.T) {
	t.Helper()
	addr := Listen(t, func(_ int, c *Peer) {
		c.Head()
		c.Say("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" +
			"HTTP/1.1 200 OK\r\nTrailer: X-Said, X-Never\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Said: 1\r\nX-Unsaid: 2\r\n\r\n")
		c.Rest()
	})
	a := AttemptAt(TargetAt(t, "http://"+addr, routing.Transport{}))
	var interims []int
	a.Interim = func(status int, h []proxy.Header) {
		if status == 103 && !Has(h, "Link", "</a>") {
			t.Errorf("103 with %v", h)
		}
		interims = append(interims, status)
	}
	answer, b := Do(t, n.client(t), a)
	if b != "ok" || len(interims) != 2 {
		t.Errorf("got %q after %v", b, interims)
	}
	if got := answer.Trailers(); len(got) != 2 || !Has(got, "X-Said", "1") || !Has(got, "X-Unsaid", "2") {
		t.Errorf("trailers %v", got)
	}
}

// Guarantee: a request that may have effects is never written twice, whatever it says of itself, and one
// without effects at most twice; what was not sent is told as not sent.
func (n New) closedKeptConnection(t *testing.T) {
	t.Helper()
	for name, tc := range map[string]struct {
		change   func(a *proxy.Attempt)
		requests int64
	}{
		"POST":          {func(a *proxy.Attempt) { a.Method, a.Body, a.Length = "POST", BodyOf("abc"), 3 }, 1},
		"POST, no body": {func(a *proxy.Attempt) { a.Method = "POST" }, 1},
		"idempotency key": {func(a *proxy.Attempt) {
			a.Method, a.Headers = "POST", []proxy.Header{{Name: "Idempotency-Key", Value: "1"}}
		}, 1},
		"DELETE":          {func(a *proxy.Attempt) { a.Method = "DELETE" }, 1},
		"GET":             {func(*proxy.Attempt) {}, 2},
		"GET with a body": {func(a *proxy.Attempt) { a.Body, a.Length = BodyOf("abc"), 3 }, 1},
		"POST, arrived":   {func(a *proxy.Attempt) { a.Method, a.Body, a.Length = "POST", ArrivedBody("abc"), 3 }, 1},
		"GET, arrived":    {func(a *proxy.Attempt) { a.Body, a.Length = ArrivedBody("abc"), 3 }, 2},
		"idempotency key, arrived": {func(a *proxy.Attempt) {
			a.Method, a.Body, a.Length = "POST", ArrivedBody("abc"), 3
			a.Headers = []proxy.Header{{Name: "Idempotency-Key", Value: "1"}}
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			addr := Listen(t, func(at int, c *Peer) {
				// The first connections answer one request, so that they are kept, and close with the
				// second.
				if at <= 8 {
					c.Head()
					c.Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
				if c.Head() != "" {
					requests.Add(1)
				}
			})
			c := n.client(t)
			target := TargetAt(t, "http://"+addr, routing.Transport{})
			// Several kept connections, of which the Transport could use one after the other.
			var open []*proxy.Answer
			for range 8 {
				answer, err := c.RoundTrip(t.Context(), AttemptAt(target))
				if err != nil {
					t.Fatal(err)
				}
				open = append(open, answer)
			}
			for _, a := range open {
				if _, err := io.ReadAll(a.Body); err != nil {
					t.Error(err)
				}
				a.Body.Close()
			}
			a := AttemptAt(target)
			tc.change(a)
			e := Fail(t, c, a)
			Want(t, e, proxy.FailAnswer, true, "closed the connection")
			if n := requests.Load(); n > tc.requests || n == 0 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// Guarantee: an answer that comes while the body is being sent is passed on, and the body is left alone.
func (n New) earlyAnswer(t *testing.T) {
	t.Helper()
	addr := Listen(t, func(_ int, c *Peer) {
		c.Head()
		c.Say("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
		c.Rest()
	})
	a := AttemptAt(TargetAt(t, "http://"+addr, routing.Transport{}))
	b := SlowBody()
	b.Pieces <- "some"
	a.Method, a.Body, a.Length = "POST", b, -1
	answer, text := Do(t, n.client(t), a)
	if answer.Status != 413 || text != "big" {
		t.Errorf("got %d %q", answer.Status, text)
	}
	b.Interrupt() // as the end of an exchange does
}

// Guarantee: with 100 Continue the body is read when the target asks for it, and never if it does not want
// it.
func (n New) waitsToBeAsked(t *testing.T) {
	t.Helper()
	for name, answer := range map[string]string{"refused": "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", "asked": "HTTP/1.1 100 Continue\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := Listen(t, func(_ int, c *Peer) {
				if !strings.Contains(c.Head(), "Expect: 100-continue") {
					return
				}
				c.Say(answer)
				if b := make([]byte, 3); strings.Contains(answer, "100") {
					if _, err := io.ReadFull(c.R, b); err == nil {
						c.Say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + string(b))
					}
				}
				c.Rest()
			})
			a := AttemptAt(TargetAt(t, "http://"+addr, routing.Transport{}))
			b := BodyOf("abc")
			a.Method, a.Body, a.Length, a.Continue = "POST", b, 3, true
			a.Interim = func(status int, _ []proxy.Header) { t.Errorf("interim %d", status) }
			got, text := Do(t, n.client(t), a)
			switch {
			case name == "asked" && (got.Status != 200 || text != "abc"):
				t.Errorf("got %d %q", got.Status, text)
			case name == "refused" && (got.Status != 401 || len(b.Pieces) != 1):
				t.Errorf("got %d; pieces left: %d", got.Status, len(b.Pieces))
			}
		})
	}
}

// Guarantee: the ways not to reach a target are told apart, and nothing was sent.
func (n New) unreachable(t *testing.T) {
	t.Helper()
	dead, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	c := n.client(t)
	Want(t, Fail(t, c, AttemptAt(TargetAt(t, "http://"+dead.Addr().String(), routing.Transport{}))), proxy.FailConnect, false, "connection refused")
	Want(t, Fail(t, c, AttemptAt(TargetAt(t, "http://169.254.169.254", routing.Transport{}))), proxy.FailRefused, false, "does not connect to")
	strict := n.client(t, Settings{Public: true})
	for _, version := range []routing.Transport{{}, {HTTP: 1}, {HTTP: 2}} {
		for _, scheme := range []string{"http", "https"} {
			base := scheme + "://" + dead.Addr().String()
			target := TargetAt(t, base, version)
			target.Key += version.HTTP.String()
			Want(t, Fail(t, strict, AttemptAt(target)), proxy.FailRefused, false, "does not connect to")
		}
	}
	stall := Listen(t, func(_ int, c *Peer) { c.Rest() })
	slow := TargetAt(t, "https://"+stall, routing.Transport{Connect: 50 * time.Millisecond})
	Want(t, Fail(t, c, AttemptAt(slow)), proxy.FailTLS, false, "timed out")
	a := AttemptAt(TargetAt(t, "http://"+stall, routing.Transport{}))
	a.HeaderTimeout = 50 * time.Millisecond
	Want(t, Fail(t, c, a), proxy.FailTimeout, true, "50ms")
	broken := BodyOf("abc")
	broken.End = errors.New("the caller is gone")
	a = AttemptAt(TargetAt(t, "http://"+stall, routing.Transport{}))
	a.Method, a.Body, a.Length = "POST", broken, -1
	Want(t, Fail(t, c, a), proxy.FailBody, true, "could not be read")
}
