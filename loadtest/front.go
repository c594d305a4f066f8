package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"tollgate/loadtest/deployment"
)

const (
	// numberHeader tells requests apart, so that it can be said of each whether it came to the vendor.
	numberHeader = "X-Load-Number"
	// lostHeader stands in the answer to a request that an edge took with it when it was killed.
	lostHeader = "X-Load-Lost"
)

// front is a balancer as callers see it: a server in front of the edges. Each request has a connection of its own to an edge. One that is
// kept may be chosen just before it is seen that its other end is gone, and nobody can say then whether the request was taken; of a
// connection that was made, it is known that the edge was there.
type front struct {
	balancer *deployment.Balancer
	server   *http.Server
	listener net.Listener
	done     chan struct{}

	mu       sync.Mutex // guards what follows
	last     int64      // number of a request
	inFlight map[string]int
	answered map[string]int64
	killed   string // URL of the edge
	dead     time.Time
	lost     []int64  // numbers of requests that were on the edge that was killed
	wrong    []string // other failures
}

func startFront(ctx context.Context, b *deployment.Balancer) (*front, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("balancer: %w", err)
	}
	f := &front{balancer: b, listener: l, done: make(chan struct{}), inFlight: map[string]int{}, answered: map[string]int64{}}
	f.server = &http.Server{Handler: f, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		defer close(f.done)
		_ = f.server.Serve(l) // it ends when stop closes it
	}()
	return f, nil
}

func (f *front) url() string { return "http://" + f.listener.Addr().String() }

func (f *front) stop() {
	_ = f.server.Close()
	<-f.done
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	f.last++
	number := f.last
	f.mu.Unlock()
	t := try{front: f}
	got, err := f.send(r, body, number, &t)
	t.leave(err == nil)
	if refused := (*deployment.RefusedError)(nil); errors.As(err, &refused) {
		f.blame("%s %s: %v", r.Method, r.URL.Path, err)
		w.WriteHeader(refused.Status)
		return
	}
	if err != nil {
		if f.excused(t, number) {
			w.Header().Set(lostHeader, "1")
		} else {
			f.blame("%s %s: %v", r.Method, r.URL.Path, err)
		}
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	for _, name := range []string{"Content-Type", "X-Tollgate-Cost", "X-Tollgate-Request-Id"} {
		w.Header().Set(name, got.header.Get(name))
	}
	w.WriteHeader(got.status)
	_, _ = w.Write(got.text) // the caller notices
}

// whole is an answer that has come to its end.
type whole struct {
	status int
	header http.Header
	text   []byte
}

// send has an edge answer, and returns when the answer is whole.
func (f *front) send(r *http.Request, body []byte, number int64, t *try) (whole, error) {
	resp, err := f.balancer.Do(r.Context(), false, func(base string) (*http.Request, error) {
		t.enter(base)
		req, err := http.NewRequest(r.Method, base+r.URL.RequestURI(), bytes.NewReader(body)) //nolint:noctx // the balancer adds it
		if err != nil {
			return nil, err
		}
		req.Header = r.Header.Clone()
		req.Header.Set(numberHeader, strconv.FormatInt(number, 10))
		req.Close = true
		return req, nil
	})
	if err != nil {
		return whole{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return whole{resp.StatusCode, resp.Header, text}, err
}

// try is a request on its way to one edge after the other.
type try struct {
	front *front
	base  string // of the present edge
	began time.Time
}

func (t *try) enter(base string) {
	t.leave(false)
	t.front.mu.Lock()
	defer t.front.mu.Unlock()
	t.front.inFlight[base]++
	t.base, t.began = base, time.Now()
}

func (t *try) leave(answered bool) {
	t.front.mu.Lock()
	defer t.front.mu.Unlock()
	if t.base == "" {
		return
	}
	t.front.inFlight[t.base]--
	if answered {
		t.front.answered[t.base]++
	}
}

// excused says whether a request failed because its edge was killed while it had it.
func (f *front) excused(t try, number int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t.base == "" || t.base != f.killed || (!f.dead.IsZero() && !t.began.Before(f.dead)) {
		return false
	}
	f.lost = append(f.lost, number)
	return true
}

// kill kills the edge at base, and returns how many requests it had.
func (f *front) kill(base string, kill func()) (had int) {
	f.mu.Lock()
	f.killed, had = base, f.inFlight[base]
	f.mu.Unlock()
	kill()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = time.Now()
	return had
}

// has is how many requests an edge has, and how many it has answered.
func (f *front) has(base string) (inFlight int, answered int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.inFlight[base], f.answered[base]
}

func (f *front) blame(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.wrong) < 10 {
		f.wrong = append(f.wrong, fmt.Sprintf(format, args...))
	}
}
