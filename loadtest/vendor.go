package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/loadtest/deployment"
)

// vendor is the target of the test: it answers with the body that it got, and counts. What it counts
// is what a real one would put on the bill.
type vendor struct {
	listener net.Listener
	server   *http.Server
	done     chan struct{}
	served   atomic.Int64
	leaked   atomic.Int64
	secret   atomic.Pointer[string]

	mu   sync.Mutex
	came map[string]int // requests that were counted, by their number
}

// maxBody bounds what is echoed.
const maxBody = 1 << 20

func startVendor(ctx context.Context) (*vendor, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("vendor: %w", err)
	}
	v := &vendor{listener: l, done: make(chan struct{}), came: map[string]int{}}
	v.server = &http.Server{Handler: v, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		defer close(v.done)
		_ = v.server.Serve(l) // it ends when stop closes it
	}()
	return v, nil
}

func (v *vendor) url() string { return "http://" + v.listener.Addr().String() }

func (v *vendor) stop() {
	_ = v.server.Close()
	<-v.done
}

// count is how many requests it has answered with 200.
func (v *vendor) count() int64 { return v.served.Load() }

// guard makes the vendor look for a caller's key in what it gets.
func (v *vendor) guard(secret string) { v.secret.Store(&secret) }

// leakedKeys is how many requests carried a guarded key.
func (v *vendor) leakedKeys() int64 { return v.leaked.Load() }

func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(deployment.Marker, "1")
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		status := http.StatusBadRequest
		if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, "the body cannot be read", status)
		return
	}
	if secret := v.secret.Load(); secret != nil && carries(r, *secret) {
		v.leaked.Add(1)
	}
	v.served.Add(1)
	v.note(r.Header.Get(numberHeader))
	if strings.HasSuffix(r.URL.Path, "/slow") && !deployment.Pause(r.Context(), slowly) {
		return
	}
	if strings.HasSuffix(r.URL.Path, "/events") {
		stream(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

// note keeps the number of a request that has one.
func (v *vendor) note(number string) {
	if number == "" {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.came[number]++
}

// cameHere says how often a request with a number was counted.
func (v *vendor) cameHere(number int64) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.came[strconv.FormatInt(number, 10)]
}

// cameTwice is how many requests with a number were counted more than once.
func (v *vendor) cameTwice() (n int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, times := range v.came {
		if times > 1 {
			n++
		}
	}
	return n
}

// slowly is how long the answer to a slow request takes.
const slowly = 300 * time.Millisecond

const (
	events     = 20
	eventEvery = 50 * time.Millisecond
)

// stream answers with events.
func stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(eventEvery)
	defer tick.Stop()
	for n := range events {
		fmt.Fprintf(w, "data: {\"n\":%d}\n\n", n)
		_ = http.NewResponseController(w).Flush() // the edge may be gone
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
	fmt.Fprint(w, "data: [DONE]\n\n")
}

// carries says whether a caller's key stands anywhere but in the body, which is the caller's own.
func carries(r *http.Request, secret string) bool {
	for _, values := range r.Header {
		for _, value := range values {
			if strings.Contains(value, secret) {
				return true
			}
		}
	}
	return strings.Contains(r.RequestURI, secret)
}
