package replay

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/testenv/wire"
)

// listener is a target that keeps every byte of each connection. It answers one request of a connection
// and reads on until the other side closes it, so that a second one would be seen.
type listener struct {
	l     net.Listener
	wg    sync.WaitGroup
	ended chan struct{} // has an element when a connection has ended since it was taken

	mu    sync.Mutex // guards what follows
	open  map[net.Conn]bool
	busy  int      // connections on which something came and that have not ended
	bytes []string // of connections that have ended
}

func newListener(t *testing.T) *listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &listener{l: l, ended: make(chan struct{}, 1), open: map[net.Conn]bool{}}
	v.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			v.mu.Lock()
			v.open[c] = true
			v.mu.Unlock()
			v.wg.Go(func() { v.serve(c) })
		}
	})
	t.Cleanup(v.stop)
	return v
}

func (v *listener) stop() {
	v.l.Close()
	v.mu.Lock()
	for c := range v.open {
		c.Close()
	}
	v.mu.Unlock()
	v.wg.Wait()
}

func (v *listener) serve(c net.Conn) {
	defer c.Close()
	var all strings.Builder
	in := bufio.NewReader(io.TeeReader(c, &all))
	if _, err := in.Peek(1); err == nil {
		v.mu.Lock()
		v.busy++
		v.mu.Unlock()
		if r, err := http.ReadRequest(in); err == nil {
			if _, err := io.Copy(io.Discard, r.Body); err == nil {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n") // it may be gone
			}
		}
		_, _ = io.Copy(io.Discard, in) // whatever comes is kept
		v.mu.Lock()
		v.busy--
		v.mu.Unlock()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.open, c)
	if all.Len() > 0 {
		v.bytes = append(v.bytes, all.String())
	}
	select {
	case v.ended <- struct{}{}:
	default:
	}
}

// take is what came on connections that have ended since the last call, when none is left.
func (v *listener) take() (bytes []string, idle bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.busy > 0 {
		return nil, false
	}
	bytes, v.bytes = v.bytes, nil
	return bytes, true
}

// talk sends bytes as a caller and reads all answers.
func talk(t *rapid.T, addr, data string) string {
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, err = io.WriteString(c, data)
	if half, ok := c.(*net.TCPConn); ok && err == nil {
		_ = half.CloseWrite() // it may have been refused meanwhile
	}
	answers, _ := io.ReadAll(c) // a reset is an answer, too
	return string(answers)
}

// Guarantee (72): what reaches a target is read alike by net/http, by a strict and by a lenient server: the
// same requests with the same bodies; each is one that the caller's bytes hold in the strictest reading.
// Everything that could be read in two ways was refused.
func TestReadingsAgree(t *testing.T) {
	t.Parallel()
	target := newListener(t)
	c := newTally(t)
	addr, _ := c.startEdge([]*eventv1.RouteEndpoint{endpointTo("x", "http://"+target.l.Addr().String()+"/base")})
	served, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		for range rapid.IntRange(1, 8).Draw(t, "connections") {
			var data strings.Builder
			for n := range rapid.IntRange(1, 3).Draw(t, "requests") {
				data.WriteString(ambiguous(t, n))
			}
			answers := talk(t, addr, data.String())
			ok := strings.Count(answers, "HTTP/1.1 200 OK\r\n") + strings.Count(answers, "HTTP/1.0 200 OK\r\n")
			var conns []string
			for quiet := false; !quiet || wholeIn(conns) < ok; {
				var bytes []string
				if bytes, quiet = target.take(); len(bytes) > 0 {
					conns = append(conns, bytes...)
					continue
				}
				if quiet && wholeIn(conns) >= ok {
					break
				}
				select {
				case <-target.ended:
				case <-time.After(patience):
					t.Fatalf("%d requests were answered, the target has %q; the caller sent %q", ok, conns, data.String())
				}
			}
			for _, got := range conns {
				checkReadings(t, data.String(), got)
			}
			if whole := wholeIn(conns); whole > 0 {
				served += whole
			} else {
				refused++
			}
		}
	})
	if served < 100 || refused < 50 {
		t.Errorf("%d requests were served and %d connections refused: too few of one kind", served, refused)
	}
}

// checkReadings compares the readings of what came on one connection.
func checkReadings(t *rapid.T, sent, got string) {
	strict, strictErr := wire.All(wire.Strict, got)
	lenient, lenientErr := wire.All(wire.Lenient, got)
	std, stdErr := wire.All(byNetHTTP, got)
	if len(strict) != len(lenient) || len(strict) != len(std) || (strictErr == nil) != (lenientErr == nil) || (strictErr == nil) != (stdErr == nil) {
		t.Fatalf("of %q the target's readers see %d, %d and %d requests (%v, %v, %v); the caller sent %q",
			got, len(strict), len(lenient), len(std), strictErr, lenientErr, stdErr, sent)
	}
	meant, _ := wire.All(wire.Strict, sent)
	for i := range strict {
		if !strict[i].Same(&lenient[i]) || !strict[i].Same(&std[i]) {
			t.Fatalf("of %q the target's readers see %q, %q and %q", got, strict[i], lenient[i], std[i])
		}
		if len(strict) > 1 || !wasMeant(&strict[i], meant) {
			t.Fatalf("the target got %q, which the caller's %q does not hold", got, sent)
		}
	}
	if strings.Contains(got, key) {
		t.Fatalf("the key reached the target: %q", got)
	}
}

// wasMeant finds the request of a caller that a target's is made of.
func wasMeant(r *wire.Request, meant []wire.Request) bool {
	below, ok := strings.CutPrefix(r.Target, "/base")
	for i := range meant {
		path := meant[i].Target
		if _, rest, absolute := strings.Cut(path, "://"); absolute {
			path = rest[strings.IndexByte(rest, '/'):]
		}
		if ok && path == "/x"+below && meant[i].Method == r.Method && meant[i].Body == r.Body {
			return true
		}
	}
	return false
}

// byNetHTTP is the reading of net/http.
func byNetHTTP(data string) (r wire.Request, rest string, err error) {
	if data == "" {
		return r, "", io.EOF
	}
	left := strings.NewReader(data)
	in := bufio.NewReader(left)
	req, err := http.ReadRequest(in)
	if err != nil {
		return r, "", err
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return r, "", err
	}
	after, err := io.ReadAll(in)
	return wire.Request{Method: req.Method, Target: req.RequestURI, Proto: req.Proto, Body: string(body)}, string(after), err
}

// wholeIn is how many whole requests came on some connections.
func wholeIn(conns []string) (n int) {
	for _, got := range conns {
		all, _ := wire.All(wire.Strict, got)
		n += len(all)
	}
	return n
}
