package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"tollgate/loadtest/deployment"
)

// seed is a new one.
func seed() uint64 { return rand.Uint64() >> 1 }

// client is the balancer of a caller.
func (c *caller) client() *deployment.Balancer {
	if c.own != nil {
		return c.own
	}
	return c.t.b
}

// ask sends a request with the present key to the endpoint of the caller's kind. body is made anew for
// each edge that is tried; of length -1 it is chunked.
func (c *caller) ask(ctx context.Context, method, query string, body func() io.Reader, length int64, change ...func(http.Header)) (*http.Response, error) {
	key := c.t.changes.keys.take()
	path := "/" + c.kind
	give := func() { key.give() }
	if c.kind == "dyn" {
		e := c.t.changes.dyn.take()
		path = "/" + e.value
		give = func() { key.give(); e.give() }
	}
	resp, err := c.client().Do(ctx, c.h2, func(base string) (*http.Request, error) {
		var r io.Reader
		if body != nil {
			r = body()
		}
		req, err := http.NewRequest(method, base+path+"/v1/it?"+query, r) //nolint:noctx // the balancer adds it
		if err != nil {
			return nil, err
		}
		if body != nil {
			req.ContentLength = length
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(body()), nil }
		}
		req.Header.Set("Authorization", "Bearer "+key.value)
		for _, f := range change {
			f(req.Header)
		}
		return req, nil
	})
	if err != nil {
		give()
		return nil, err
	}
	resp.Body = &giving{resp.Body, give}
	return resp, nil
}

// giving gives back what a request has used when its answer is closed.
type giving struct {
	io.ReadCloser
	give func()
}

func (g *giving) Close() error {
	defer g.give()
	return g.ReadCloser.Close()
}

// whole reads an answer to its end and checks it.
func whole(resp *http.Response, err error, status int, want []byte) error {
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return fmt.Errorf("the answer broke off after %d bytes: %w", len(got), err)
	case resp.StatusCode != status:
		return fmt.Errorf("the answer was %s instead of %d: %.200q", resp.Status, status, got)
	case !bytes.Equal(got, want):
		return fmt.Errorf("the answer has other bytes: %.200q instead of %.200q", got, want)
	}
	return nil
}

func post(ctx context.Context, c *caller) error {
	s := seed()
	body := question(s)
	resp, err := c.ask(ctx, http.MethodPost, fmt.Sprintf("seed=%d", s), func() io.Reader { return bytes.NewReader(body) }, int64(len(body)), asJSON)
	return whole(resp, err, http.StatusOK, reply(s, sha256.Sum256(body), int64(len(body))))
}

func asJSON(h http.Header) { h.Set("Content-Type", "application/json") }

func metered(ctx context.Context, c *caller) error {
	s := seed()
	body := question(s)
	resp, err := c.ask(ctx, http.MethodPost, fmt.Sprintf("seed=%d&n=%d", s, s%900), func() io.Reader { return bytes.NewReader(body) }, int64(len(body)), asJSON)
	return whole(resp, err, http.StatusOK, reply(s, sha256.Sum256(body), int64(len(body))))
}

// open begins a stream of n events.
func (c *caller) open(ctx context.Context, s uint64, n int) (*http.Response, error) {
	resp, err := c.ask(ctx, http.MethodPost, fmt.Sprintf("seed=%d&n=%d", s, n), func() io.Reader { return bytes.NewReader(question(s)) }, int64(len(question(s))), asJSON)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("the stream began with %s", resp.Status)
	}
	return resp, nil
}

// expect reads exactly what must come next.
func expect(r io.Reader, want []byte) error {
	got := make([]byte, len(want))
	n, err := io.ReadFull(r, got)
	if err != nil {
		return fmt.Errorf("broke off: %w", err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("has other bytes: %.120q instead of %.120q", got[:n], want)
	}
	return nil
}

func stream(ctx context.Context, c *caller) error {
	s, o := seed(), c.t.o
	n := int((o.shortest + rand.N(o.longest-o.shortest+1)) / eventEvery)
	resp, err := c.open(ctx, s, n)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	c.t.streams(1)
	defer c.t.streams(-1)
	for i := range n {
		if err := expect(resp.Body, event(s, i)); err != nil {
			return fmt.Errorf("a stream at event %d of %d %w", i, n, err)
		}
	}
	if err := expect(resp.Body, lastEvent); err != nil {
		return fmt.Errorf("a stream at its end %w", err)
	}
	if err := atEnd(resp.Body); err != nil {
		return fmt.Errorf("a stream at its end %w", err)
	}
	return nil
}

// leave goes in the middle of a stream.
func leave(ctx context.Context, c *caller) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := seed()
	resp, err := c.open(ctx, s, 10)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for i := range 1 + int(s%3) {
		if err := expect(resp.Body, event(s, i)); err != nil {
			return fmt.Errorf("a stream at event %d %w", i, err)
		}
	}
	return errLeft
}

func upload(ctx context.Context, c *caller) error {
	s := seed()
	n := 1<<20 + int64(s%(7<<20))
	length := n
	if s&1 == 0 {
		length = -1
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.LimitReader(noise(s), n)); err != nil {
		return err
	}
	resp, err := c.ask(ctx, http.MethodPut, fmt.Sprintf("seed=%d", s), func() io.Reader { return io.LimitReader(noise(s), n) }, length)
	return whole(resp, err, http.StatusOK, reply(s, [sha256.Size]byte(sum.Sum(nil)), n))
}

// leaveUpload goes in the middle of an upload.
func leaveUpload(ctx context.Context, c *caller) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body := func() io.Reader { return io.MultiReader(io.LimitReader(noise(1), 1<<20), leaving(cancel)) }
	resp, err := c.ask(ctx, http.MethodPut, "seed=1", body, 4<<20)
	if err == nil {
		defer resp.Body.Close()
		return fmt.Errorf("half an upload was answered with %s", resp.Status)
	}
	if ctx.Err() == nil {
		return err
	}
	return errLeft
}

// leaving is a reader that makes the caller leave.
type leaving context.CancelFunc

func (f leaving) Read([]byte) (int, error) {
	f()
	return 0, errLeft
}

func grpcCall(ctx context.Context, c *caller) error {
	s := seed()
	body := append([]byte{0, 0, 0, 0, 200}, content(s, 200)...)
	resp, err := c.ask(ctx, http.MethodPost, fmt.Sprintf("seed=%d", s), func() io.Reader { return bytes.NewReader(body) }, int64(len(body)), func(h http.Header) {
		h.Set("Content-Type", "application/grpc")
		h.Set("Te", "trailers")
	})
	if err := whole(resp, err, http.StatusOK, body); err != nil {
		return err
	}
	if got, want := resp.Trailer.Get("X-Sum"), fmt.Sprintf("%x", sha256.Sum256(body)); got != want || resp.Trailer.Get("Grpc-Status") != "0" {
		return fmt.Errorf("the trailers were %v", resp.Trailer)
	}
	return nil
}

const blobSize = 256 << 10

// blob asks for a part of a file, or how long it is.
func blob(ctx context.Context, c *caller) error {
	s := seed()
	from := int(s % (blobSize - 1000))
	if s&1 == 0 {
		resp, err := c.ask(ctx, http.MethodHead, fmt.Sprintf("seed=%d&n=%d", s, from), nil, 0)
		if err == nil && resp.ContentLength != int64(from) {
			err = fmt.Errorf("HEAD told a length of %d instead of %d", resp.ContentLength, from)
		}
		return whole(resp, err, http.StatusOK, nil)
	}
	resp, err := c.ask(ctx, http.MethodGet, fmt.Sprintf("seed=%d&n=%d", s, blobSize), nil, 0, func(h http.Header) {
		h.Set("Range", fmt.Sprintf("bytes=%d-%d", from, from+999))
	})
	return whole(resp, err, http.StatusPartialContent, content(s, blobSize)[from:from+1000])
}

// idle asks over a connection that nobody else uses, and that has been idle for some time.
func idle(ctx context.Context, c *caller) error {
	s := seed()
	resp, err := c.ask(ctx, http.MethodGet, fmt.Sprintf("seed=%d&n=%d", s, 2000), nil, 0)
	return whole(resp, err, http.StatusOK, content(s, 2000))
}

// failing asks for an error, which is then no failure.
func failing(ctx context.Context, c *caller) error {
	s := seed()
	status := []int{400, 404, 409, 422, 429, 500, 501, 503}[s%8]
	resp, err := c.ask(ctx, http.MethodGet, fmt.Sprintf("seed=%d&n=%d", s, status), nil, 0)
	if err := whole(resp, err, status, content(s, 200)); err != nil {
		return err
	}
	c.t.vendorFailed()
	return nil
}

// hedged asks what only a second attempt answers in time.
func hedged(ctx context.Context, c *caller) error {
	s := seed()
	resp, err := c.ask(ctx, http.MethodGet, fmt.Sprintf("seed=%d", s), nil, 0)
	return whole(resp, err, http.StatusOK, reply(s, sha256.Sum256(nil), 0))
}

// socket has a conversation over a WebSocket.
func socket(ctx context.Context, c *caller) error {
	key := c.t.changes.keys.take()
	defer key.give()
	s := seed()
	talk, err := deployment.Find(ctx, c.client(), func(back *deployment.Backend) (*conversation, error) {
		return converse(ctx, back.Edge.Addr, key.value, s)
	})
	if err != nil {
		return err
	}
	defer talk.Close()
	for i := range 5 + s%10 {
		f := frame{op: opBinary, masked: true, payload: content(s+i, int((s+i*977)%70_000))}
		want := f.op
		if i%3 == 0 {
			f.op, f.payload = opPing, content(s+i, 50)
			want = opPong
		}
		if err := talk.exchange(f, want); err != nil {
			return fmt.Errorf("a WebSocket at message %d: %w", i, err)
		}
		if !deployment.Pause(ctx, eventEvery) {
			return context.Cause(ctx)
		}
	}
	if err := talk.exchange(frame{op: opClose, masked: true, payload: []byte{3, 232}}, opClose); err != nil {
		return fmt.Errorf("a WebSocket at its end: %w", err)
	}
	if _, err := talk.r.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("after its end a WebSocket had a byte or %w", err)
	}
	return nil
}

// conversation is the caller's side of a WebSocket.
type conversation struct {
	net.Conn
	r *bufio.Reader
}

func converse(ctx context.Context, addr, key string, s uint64) (_ *conversation, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = conn.Close()
		}
	}()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return nil, err
	}
	hello := base64.StdEncoding.EncodeToString(content(s, 16))
	if _, err := fmt.Fprintf(conn, "GET /socket/v1/it?seed=%d HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n", s, addr, key, hello); err != nil {
		return nil, err
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil) //nolint:bodyclose // what is no handshake is closed below, or by Own
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		if resp, err = deployment.Own(resp); err != nil {
			return nil, err
		}
		return nil, errors.Join(fmt.Errorf("a WebSocket was answered with %s", resp.Status), resp.Body.Close())
	}
	if got := resp.Header.Get("Sec-Websocket-Accept"); got != accepted(hello) {
		return nil, fmt.Errorf("a WebSocket was accepted with %q", got)
	}
	return &conversation{conn, r}, nil
}

// exchange sends a frame and checks the answer.
func (t *conversation) exchange(f frame, op byte) error {
	if err := f.writeTo(t); err != nil {
		return err
	}
	got, err := readFrame(t.r)
	if err != nil {
		return err
	}
	if got.op != op || got.masked || !bytes.Equal(got.payload, f.payload) {
		return fmt.Errorf("opcode %d with %d bytes came back for opcode %d with %d bytes", got.op, len(got.payload), f.op, len(f.payload))
	}
	return nil
}
