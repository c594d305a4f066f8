package replay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/internal/testenv/vectors"
)

// framing is how the end of a body is told.
type framing uint8

const (
	byLength framing = iota
	byChunks
	byClosing
)

// play is one exchange on its way through the edge and back.
type play struct {
	id      string
	x       *vectors.Exchange
	seed    uint64
	request framing
	answer  framing
	cuts    bool // both sides write in pieces of random sizes
	headers []vectors.Header
	body    []byte
	cutAt   int // where the target closes the connection; -1 for nowhere

	arrived chan seen // what the target got
}

// seen is a request as the target got it.
type seen struct {
	method, target string
	headers        http.Header
	body           []byte
	err            error
}

// target is the path and the query of an exchange, byte for byte. A fragment, which some clients have in
// their addresses, is never sent.
func (p *play) target() string {
	_, rest, _ := strings.Cut(p.x.URL, "://")
	rest, _, _ = strings.Cut(rest, "#")
	return rest[strings.IndexByte(rest, '/'):]
}

// replaced are headers of recordings that belong to one connection, or that framing makes anew.
var replaced = []string{
	"Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length", "Host", "Trailer", "Te", "Upgrade",
	"Proxy-Authenticate", "Proxy-Connection",
}

// kept are the headers of one side of a recording that are played.
func kept(headers []vectors.Header, but ...string) []vectors.Header {
	var out []vectors.Header
	for _, h := range headers {
		name := http.CanonicalHeaderKey(h.Name)
		if !slices.Contains(replaced, name) && !slices.Contains(but, name) {
			out = append(out, h)
		}
	}
	return out
}

// credentials are headers in which vendors take theirs, and an edge its keys.
var credentials = []string{"Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key"}

// requestHeaders are what the caller sends, with the edge's key where the vendor's credential was.
func (p *play) requestHeaders() []vectors.Header {
	out := kept(p.x.RequestHeaders, credentials...)
	where := vectors.Header{Name: "Authorization", Value: "Bearer " + key}
	for _, h := range p.x.RequestHeaders {
		if slices.Contains(credentials[1:], http.CanonicalHeaderKey(h.Name)) {
			where = vectors.Header{Name: h.Name, Value: key}
		}
	}
	return append(out, where, vectors.Header{Name: "X-Replay", Value: p.id})
}

func list(headers []vectors.Header) string {
	var out strings.Builder
	for _, h := range headers {
		fmt.Fprintf(&out, "%s: %s\r\n", h.Name, h.Value)
	}
	return out.String()
}

// framed is a body behind the header that tells its end.
func framed(how framing, body []byte, r *rand.Rand) (header string, out []byte) {
	switch how {
	case byClosing:
		return "Connection: close\r\n", body
	case byLength:
		return fmt.Sprintf("Content-Length: %d\r\n", len(body)), body
	case byChunks:
	}
	var b bytes.Buffer
	for len(body) > 0 {
		n := piece(len(body), len(body), r)
		extension := ""
		if r.IntN(8) == 0 {
			extension = `;a="b c"`
		}
		fmt.Fprintf(&b, "%x%s\r\n%s\r\n", n, extension, body[:n])
		body = body[n:]
	}
	b.WriteString("0\r\n\r\n")
	return "Transfer-Encoding: chunked\r\n", b.Bytes()
}

// piece is how much of what is left goes next: often a single byte, and of large bodies more, so that
// the number of pieces stays below some hundred.
func piece(left, whole int, r *rand.Rand) int {
	if r.IntN(3) == 0 {
		return 1
	}
	return 1 + r.IntN(min(left, 1+whole/40))
}

// send writes all of p, in pieces if it is to.
func send(c net.Conn, p []byte, cuts bool, r *rand.Rand) error {
	whole := len(p)
	for len(p) > 0 {
		n := len(p)
		if cuts {
			n = min(piece(n, whole, r), n)
		}
		if _, err := c.Write(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// compressed is p in gzip.
func compressed(p []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(p) // to memory
	_ = w.Close()
	return out.Bytes()
}

// stage is a target that answers each request with what its play says.
type stage struct {
	t *testing.T
	l net.Listener

	wg    sync.WaitGroup
	mu    sync.Mutex // guards what follows
	plays map[string]*play
	open  map[net.Conn]bool
	ended bool
}

func newStage(t *testing.T) *stage {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, l: l, plays: map[string]*play{}, open: map[net.Conn]bool{}}
	s.wg.Go(s.accept)
	t.Cleanup(s.stop)
	return s
}

func (s *stage) stop() {
	s.l.Close()
	s.mu.Lock()
	s.ended = true
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *stage) accept() {
	for {
		c, err := s.l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.open[c] = true
		if s.ended {
			c.Close()
		}
		s.mu.Unlock()
		s.wg.Go(func() {
			s.serve(c)
			c.Close()
			s.mu.Lock()
			delete(s.open, c)
			s.mu.Unlock()
		})
	}
}

func (s *stage) add(p *play) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plays[p.id] = p
}

func (s *stage) play(id string) *play {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.plays[id]
}

func (s *stage) serve(c net.Conn) {
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		p := s.play(r.Header.Get("X-Replay"))
		if p == nil {
			s.t.Errorf("a request of nobody's: %s %s", r.Method, r.RequestURI)
			return
		}
		p.arrived <- seen{r.Method, r.RequestURI, r.Header, body, err}
		if err != nil || !p.reply(c) {
			return
		}
	}
}

// reply sends the answer, and says whether the connection goes on.
func (p *play) reply(c net.Conn) bool {
	r := rand.New(rand.NewPCG(p.seed, 2))
	header, body := framed(p.answer, p.body, r)
	head := fmt.Sprintf("HTTP/1.1 %d %s\r\n%s%s\r\n", p.x.Status, http.StatusText(p.x.Status), list(p.headers), header)
	if p.cutAt >= 0 {
		body = body[:min(p.cutAt, len(body)-1)]
	}
	if send(c, append([]byte(head), body...), p.cuts, r) != nil {
		return false
	}
	return p.cutAt < 0 && p.answer != byClosing
}

// caller is a client with one connection at a time.
type caller struct {
	t    *testing.T
	addr string
	conn net.Conn
	in   *bufio.Reader
}

func (c *caller) connect() error {
	if c.conn != nil {
		return nil
	}
	conn, err := new(net.Dialer).DialContext(c.t.Context(), "tcp", c.addr)
	if err != nil {
		return err
	}
	c.conn, c.in = conn, bufio.NewReader(conn)
	return nil
}

func (c *caller) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// answer is what a caller got.
type answer struct {
	status  int
	headers http.Header
	length  int64
	body    []byte
	err     error // how the body ended, nil if it was complete
}

// exchange sends the request of a play and reads the answer.
func (c *caller) exchange(p *play) (a answer, err error) {
	if err := c.connect(); err != nil {
		return a, err
	}
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return a, err
	}
	r := rand.New(rand.NewPCG(p.seed, 1))
	header, body := framed(p.request, p.x.RequestBody, r)
	if len(p.x.RequestBody) == 0 {
		header, body = "", nil
	}
	head := fmt.Sprintf("%s /%s%s HTTP/1.1\r\nHost: edge\r\n%s%s\r\n", p.x.Method, p.x.Vendor, p.target(), list(p.requestHeaders()), header)
	if err := send(c.conn, append([]byte(head), body...), p.cuts, r); err != nil {
		return a, err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	a = answer{status: resp.StatusCode, headers: resp.Header, length: resp.ContentLength}
	a.body, a.err = io.ReadAll(resp.Body)
	if a.err != nil || resp.Close {
		c.close()
	}
	return a, nil
}
