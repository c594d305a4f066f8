// Package vendor is the vendor behind all proxies of a comparison: a server on plain sockets whose answers are
// made before it starts, so that it takes little of the machine that it shares with what is measured. It serves
// what the load in package load asks for and no other client: it reads HTTP/1.1 with a Content-Length, and says
// 501 to the rest.
package vendor

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
)

// Addresses are where a vendor listens.
type Addresses struct {
	Plain string
	TLS   string
}

// Vendor serves until it is closed.
type Vendor struct {
	Addresses

	listeners []net.Listener
	running   sync.WaitGroup

	mu     sync.Mutex
	open   map[net.Conn]struct{} // nil when closed
	closed bool
}

// Start listens in plain text and, with the certificate, in TLS.
func Start(ctx context.Context, certificate tls.Certificate) (*Vendor, error) {
	v := &Vendor{open: map[net.Conn]struct{}{}}
	config := &tls.Config{
		Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519}, NextProtos: []string{"http/1.1"},
	}
	for _, where := range []*string{&v.Plain, &v.TLS} {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(fmt.Errorf("vendor: %w", err), v.Close())
		}
		*where = l.Addr().String()
		if where == &v.TLS {
			l = tls.NewListener(l, config)
		}
		v.listeners = append(v.listeners, l)
		v.running.Go(func() { v.accept(l) })
	}
	return v, nil
}

func (v *Vendor) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		if !v.add(c) {
			_ = c.Close()
			return
		}
		v.running.Go(func() {
			defer v.remove(c)
			serve(c)
		})
	}
}

func (v *Vendor) add(c net.Conn) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return false
	}
	v.open[c] = struct{}{}
	return true
}

func (v *Vendor) remove(c net.Conn) {
	_ = c.Close()
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.open, c)
}

// Close ends all connections.
func (v *Vendor) Close() error {
	var errs []error
	for _, l := range v.listeners {
		errs = append(errs, l.Close())
	}
	v.mu.Lock()
	v.closed = true
	for c := range v.open {
		_ = c.Close()
	}
	v.mu.Unlock()
	v.running.Wait()
	return errors.Join(errs...)
}

// readSize holds every head and every body but those of uploads, which are read in pieces of it.
const readSize = 32 << 10

// serve answers the requests of one connection until its peer leaves, or asks for what is not served.
func serve(c net.Conn) {
	in := bufio.NewReaderSize(c, readSize)
	for {
		r, err := readHead(in)
		switch {
		case errors.Is(err, errUnserved):
			_, _ = c.Write([]byte("HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
			return
		case err != nil:
			return
		}
		if err := answer(c, in, r); err != nil {
			return
		}
	}
}

func answer(c net.Conn, in *bufio.Reader, r request) error {
	if r.what == Socket {
		return echo(c, in, r.socketKey)
	}
	if _, err := in.Discard(r.length); err != nil {
		return err
	}
	switch r.what {
	case Paced, AtOnce:
		return stream(c, r.what == Paced)
	case Silent:
		return silence(c, in)
	}
	whole, ok := answers[r.what]
	if !ok {
		whole = notFound
	}
	_, err := c.Write(whole)
	return err
}
