package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"tollgate/internal/money"
	"tollgate/loadtest/deployment"
)

// Vendor credentials. What comes with none of them did not come from an endpoint as it was configured.
const (
	credentialHeader = "X-Vendor-Token"
	credentialPrefix = "vendor-credential-"
)

// vendors are servers that serve alike and count together, as one that has several addresses.
type vendors struct {
	servers []*http.Server
	urls    []string
	wg      sync.WaitGroup

	silence    chan struct{} // closed when silent streams are to end
	endSilence func()

	mu     sync.Mutex // guards what follows
	owed   map[string]money.Nanos
	counts map[string]int64 // answers that are paid for, by kind
	failed int64            // answers of 4xx and 5xx that a caller had asked for
	seen   map[uint64]bool  // requests that come twice by intention
	wrong  []string         // what no vendor should see
}

func startVendors(ctx context.Context, n int) (*vendors, error) {
	v := &vendors{owed: map[string]money.Nanos{}, counts: map[string]int64{}, seen: map[uint64]bool{}, silence: make(chan struct{})}
	v.endSilence = sync.OnceFunc(func() { close(v.silence) })
	for range n {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			v.stop()
			return nil, err
		}
		var protocols http.Protocols
		protocols.SetHTTP1(true)
		protocols.SetUnencryptedHTTP2(true)
		server := &http.Server{
			Handler: v, ReadHeaderTimeout: 20 * time.Second, Protocols: &protocols,
			HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 1000},
		}
		v.servers, v.urls = append(v.servers, server), append(v.urls, "http://"+l.Addr().String())
		v.wg.Go(func() { _ = server.Serve(l) }) // ends with stop
	}
	return v, nil
}

func (v *vendors) stop() {
	for _, s := range v.servers {
		_ = s.Close()
	}
	v.wg.Wait()
}

// closeIdle makes edges have no connections that are merely kept.
func (v *vendors) closeIdle() {
	for _, s := range v.servers {
		s.SetKeepAlivesEnabled(false)
	}
}

// pay counts an answer that is about to begin.
func (v *vendors) pay(kind string, amount money.Nanos) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.counts[kind]++
	v.owed[kind] += amount
}

// first says whether a request is seen for the first time.
func (v *vendors) first(seed uint64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seen[seed] {
		delete(v.seen, seed)
		return false
	}
	v.seen[seed] = true
	return true
}

func (v *vendors) blame(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.wrong) < 20 {
		v.wrong = append(v.wrong, fmt.Sprintf(format, args...))
	}
}

// ask is what a caller wants of the vendor.
type ask struct {
	kind string
	seed uint64
	n    int
}

func asked(r *http.Request) ask {
	q := r.URL.Query()
	a := ask{kind: kindOf(r.URL.Path)}
	a.seed, _ = strconv.ParseUint(q.Get("seed"), 10, 64)
	a.n, _ = strconv.Atoi(q.Get("n"))
	return a
}

// kindOf is the kind of traffic of a path: its first segment without the number of an endpoint.
func kindOf(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	kind, _, _ := strings.Cut(first, "-")
	return kind
}

func (v *vendors) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(deployment.Marker, "1")
	if strings.HasSuffix(r.URL.Path, "/healthz") {
		return
	}
	if !strings.HasPrefix(r.Header.Get(credentialHeader), credentialPrefix) {
		v.blame("%s %s came without a credential", r.Method, r.RequestURI)
	}
	for name, values := range r.Header {
		if strings.Contains(strings.Join(values, " "), "tgk_") {
			v.blame("%s %s brought a caller's key in %s", r.Method, r.RequestURI, name)
		}
	}
	a := asked(r)
	serve := handlers[a.kind]
	if serve == nil {
		v.blame("%s %s is nothing that a caller sends", r.Method, r.RequestURI)
		w.WriteHeader(http.StatusNotFound)
		return
	}
	serve(v, w, r, a)
}

// handlers are what the vendor has to offer, by kind.
var handlers = map[string]func(v *vendors, w http.ResponseWriter, r *http.Request, a ask){
	"post": answerBody, "upload": answerBody, "dyn": answerBody, "metered": answerMetered, "stream": answerEvents, "silent": answerSilently, "socket": answerSocket,
	"grpc": answerGRPC, "blob": answerBlob, "errors": answerError, "retry": answerSecond, "hedge": answerSlowly,
}

// answerBody takes a body and answers with its sum.
func answerBody(v *vendors, w http.ResponseWriter, r *http.Request, a ask) {
	h := sha256.New()
	n, err := io.Copy(h, r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the caller has left
	}
	v.pay(a.kind, prices[a.kind])
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(reply(a.seed, [sha256.Size]byte(h.Sum(nil)), n))
}

// answerMetered says what a request has used, which is what it costs.
func answerMetered(v *vendors, w http.ResponseWriter, r *http.Request, a ask) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	v.pay(a.kind, prices[a.kind]+money.Nanos(a.n)*unitPrice)
	w.Header().Set("X-Units", strconv.Itoa(a.n))
	_, _ = w.Write(reply(a.seed, sha256.Sum256(body), int64(len(body))))
}

// answerEvents streams one event after the other.
func answerEvents(v *vendors, w http.ResponseWriter, r *http.Request, a ask) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
	v.pay(a.kind, prices[a.kind])
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w)
	for i := range a.n {
		if i > 0 && !deployment.Pause(r.Context(), eventEvery) {
			return
		}
		if _, err := w.Write(event(a.seed, i)); err != nil || flush.Flush() != nil {
			return
		}
	}
	_, _ = w.Write(lastEvent)
}

// answerSilently streams an event, and then nothing until the end.
func answerSilently(v *vendors, w http.ResponseWriter, r *http.Request, a ask) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
	v.pay(a.kind, prices[a.kind])
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = w.Write(event(a.seed, 0))
	_ = http.NewResponseController(w).Flush() // the caller notices what is missing
	select {
	case <-v.silence:
		_, _ = w.Write(lastEvent)
	case <-r.Context().Done():
	}
}

// answerGRPC answers a message in pieces, and tells their sum in a trailer.
func answerGRPC(v *vendors, w http.ResponseWriter, r *http.Request, a ask) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if r.ProtoMajor != 2 || r.Header.Get("Te") != "trailers" {
		v.blame("a call of gRPC came over %s with TE %q", r.Proto, r.Header.Get("Te"))
	}
	v.pay(a.kind, prices[a.kind])
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status, X-Sum")
	w.WriteHeader(http.StatusOK)
	for piece := range 3 {
		_, _ = w.Write(body[len(body)*piece/3 : len(body)*(piece+1)/3])
		_ = http.NewResponseController(w).Flush() // the caller notices what is missing
	}
	w.Header().Set("Grpc-Status", "0")
	w.Header().Set("X-Sum", fmt.Sprintf("%x", sha256.Sum256(body)))
}

// answerBlob answers HEAD and ranges.
func answerBlob(v *vendors, w http.ResponseWriter, r *http.Request, a ask) {
	v.pay(a.kind, prices[a.kind])
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(content(a.seed, a.n))))
}

// answerError answers with the status that is asked for.
func answerError(v *vendors, w http.ResponseWriter, _ *http.Request, a ask) {
	v.mu.Lock()
	v.failed++
	v.mu.Unlock()
	w.WriteHeader(a.n)
	_, _ = w.Write(content(a.seed, 200))
}

// answerSecond fails half of what it sees for the first time.
func answerSecond(v *vendors, w http.ResponseWriter, r *http.Request, a ask) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if a.seed%2 == 0 && v.first(a.seed) {
		answerError(v, w, r, ask{n: http.StatusServiceUnavailable, seed: a.seed})
		return
	}
	v.pay(a.kind, prices[a.kind])
	_, _ = w.Write(reply(a.seed, sha256.Sum256(body), int64(len(body))))
}

// tooSlow is how long the vendor takes that a second attempt is to overtake.
const tooSlow = 20 * time.Second

// answerSlowly leaves what it sees for the first time until nobody waits for it any more.
func answerSlowly(v *vendors, w http.ResponseWriter, r *http.Request, a ask) {
	if v.first(a.seed) && !deployment.Pause(r.Context(), tooSlow) {
		return
	}
	v.pay(a.kind, prices[a.kind])
	_, _ = w.Write(reply(a.seed, sha256.Sum256(nil), 0))
}

// answerSocket echoes messages.
func answerSocket(v *vendors, w http.ResponseWriter, r *http.Request, a ask) {
	key := r.Header.Get("Sec-Websocket-Key")
	if r.Header.Get("Upgrade") != "websocket" || key == "" {
		v.blame("a WebSocket came as %v", r.Header)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		v.blame("hijack: %v", err)
		return
	}
	defer conn.Close()
	v.pay(a.kind, prices[a.kind])
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%s: 1\r\nSec-WebSocket-Accept: %s\r\n\r\n", deployment.Marker, accepted(key))
	for {
		f, err := readFrame(buf.Reader)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				v.blame("a WebSocket ended without a close frame: %v", err)
			}
			return
		}
		if !f.masked {
			v.blame("a caller's frame came unmasked")
		}
		answer := frame{op: f.op, payload: f.payload}
		if f.op == opPing {
			answer.op = opPong
		}
		if answer.writeTo(conn) != nil || f.op == opClose {
			return
		}
	}
}
