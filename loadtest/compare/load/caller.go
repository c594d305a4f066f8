package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// patience is how long an answer may take.
const patience = 30 * time.Second

// dial connects to a proxy, in TLS where the job has certificates.
func dial(j Job, protocol string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", j.Address)
	if err != nil || j.CA == "" {
		return c, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(j.CA)) {
		return nil, errors.Join(errors.New("no certificates"), c.Close())
	}
	secure := tls.Client(c, &tls.Config{
		RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519}, NextProtos: []string{protocol},
	})
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if got := secure.ConnectionState().NegotiatedProtocol; got != protocol && (got != "" || protocol != "http/1.1") {
		return nil, errors.Join(fmt.Errorf("the proxy speaks %q where %q was asked for", got, protocol), c.Close())
	}
	return secure, nil
}

// request is the whole of a request, as clients of chats send them: some headers, and a body of so many bytes.
func request(j Job) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: compare/1.0\r\nAccept: application/json\r\n", j.Path)
	if j.Key != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", j.Key)
	}
	fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n", j.Body)
	b.Write(body(j.Body))
	return b.Bytes()
}

// body is JSON of a length.
func body(size int) []byte {
	const before, after = `{"model":"compare-1","messages":[{"role":"user","content":"`, `"}]}`
	fill := max(0, size-len(before)-len(after))
	text := before + string(bytes.Repeat([]byte("word "), fill/5+1)[:fill]) + after
	return []byte(text)[:size]
}

// caller sends a request when the answer to the one before has come.
type caller struct {
	c       net.Conn
	in      *bufio.Reader
	request []byte
	expect  int
}

func newCaller(j Job) (prepared, tally, error) {
	c, err := dial(j, "http/1.1")
	if err != nil {
		return nil, tally{}, err
	}
	one := &caller{c: c, in: bufio.NewReaderSize(c, readSize), request: request(j), expect: j.Expect}
	if err := one.once(); err != nil {
		return nil, tally{}, errors.Join(err, c.Close())
	}
	return one, tally{sent: 1}, nil
}

func (one *caller) close() { _ = one.c.Close() }

func (one *caller) once() error {
	if err := one.c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	return one.exchange()
}

func (one *caller) exchange() error {
	if _, err := one.c.Write(one.request); err != nil {
		return err
	}
	return answer(one.in, one.expect)
}

// start sends until the time is over. What is under way then comes to its end.
func (one *caller) start(_, until time.Time) tally {
	t := tally{late: NewHistogram()}
	if t.err = one.c.SetDeadline(until.Add(patience)); t.err != nil {
		return t
	}
	for began := time.Now(); began.Before(until); {
		t.sent++
		if t.err = one.exchange(); t.err != nil {
			return t
		}
		now := time.Now()
		t.done++
		record(t.late, now.Sub(began))
		began = now
	}
	return t
}

// record keeps how late an answer was. What is longer than can be told counts as the longest.
func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(int64(d), 1), longest)) // it is within bounds
}
