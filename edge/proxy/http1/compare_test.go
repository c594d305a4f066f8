package http1_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tollgate/edge/proxy/http1"
)

// heard is one request as another reader than the codec has understood it.
type heard struct {
	method, target string
	length         int64
	told           string // what else it says, as far as it is compared
}

// record is what a reader has heard since somebody last asked.
type record struct {
	mu    sync.Mutex
	heard []heard
	err   error
}

func (r *record) add(h heard) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = append(r.heard, h)
}

func (r *record) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = errors.Join(r.err, err)
}

func (r *record) take() ([]heard, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out, err := r.heard, r.err
	r.heard, r.err = nil, nil
	return out, err
}

// comparison is another reader of requests.
type comparison struct {
	dial    func() (net.Conn, error)
	record  *record
	refuses func(r *http1.Request) bool   // it may refuse what the codec vouches for
	closes  func(r *http1.Request) bool   // it does not read on behind the request
	told    func(r *http1.Request) string // what it should have heard besides
}

// longestBody is how large a body the comparison sends.
const longestBody = 100_000

// follower is a request behind the one that is tried. What is taken for a part of another does not come as this one.
const follower = "GET /follower HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

// compare gives another reader all that the codec vouches for: the cases, and what comes of them by chance.
func compare(t *testing.T, c comparison) {
	t.Helper()
	var last http1.Request
	if _, v := last.Parse([]byte(follower), http1.Limits{}); v != http1.Plain {
		t.Fatal(v)
	}
	cases := http1.PlainRequests()
	for _, plain := range cases {
		if c.try(t, plain.Head, &last) == refused {
			t.Errorf("%s: it is refused", plain.Why)
		}
	}
	const mutations = 10_000
	random := rand.New(rand.NewPCG(9112, 9110)) // the same in each run
	var how [3]int
	for range mutations {
		how[c.try(t, mutated(random, cases[random.IntN(len(cases))].Head), &last)]++
	}
	t.Logf("of %d mutations %d were vouched for and read, %d vouched for and refused", mutations, how[read], how[refused])
	if how[read] < 400 {
		t.Errorf("%d mutations were read, which shows little", how[read])
	}
}

// outcome is what has become of a head.
type outcome uint8

const (
	apart outcome = iota // it is not vouched for, or its body is too large to be sent
	read
	refused
)

// try gives the other reader a head that the codec vouches for, with a body and a request behind it.
func (c *comparison) try(t *testing.T, head []byte, last *http1.Request) outcome {
	t.Helper()
	var r http1.Request
	n, v := r.Parse(head, http1.Limits{Bytes: 4 << 10})
	if v != http1.Plain || r.Length > longestBody {
		return apart
	}
	// The body looks like requests, should somebody take it for some.
	const smuggled = "GET /body HTTP/1.1\r\nHost: a\r\n\r\n"
	body := strings.Repeat(smuggled, int(r.Length)/len(smuggled)+1)[:r.Length]
	conn, err := c.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil { // it has ended, or does not answer
		t.Fatal(err)
	}
	if _, err := conn.Write(slices.Concat(head[:n], []byte(body), []byte(follower))); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) { // which is how it may end when it does not read on
		t.Fatal(err)
	}
	got, err := c.record.take()
	if err != nil {
		t.Fatalf("%q: %v", head[:n], err)
	}
	if len(got) == 0 && strings.HasPrefix(string(answer), "HTTP/1.1 400 ") && c.refuses(&r) {
		return refused
	}
	want := []heard{{r.Method, r.Target, r.Length, c.told(&r)}, {http.MethodGet, last.Target, 0, c.told(last)}}
	if c.closes(&r) {
		want = want[:1]
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%q: read as %+v, want %+v; the answer is %.300q", head[:n], got, want, answer)
	}
	return read
}

// tricks are what mutations put into heads.
var tricks = []string{
	"\r", "\n", "\r\n", "\x00", " ", "\t", ":", ",", ";", "0", "9", "+", "-", "_", "%", "#", "?", "/", "..", "\x7f", "\x80", "\xff",
	"Content-Length: 5\r\n", "content-length:0\r\n", "Transfer-Encoding: chunked\r\n", "Host: b\r\n", "Connection: close\r\n", "HTTP/1.1", "GET ",
}

// mutated puts a few tricks into a head, or in place of a few of its bytes.
func mutated(random *rand.Rand, head []byte) []byte {
	for range 1 + random.IntN(3) {
		at := random.IntN(len(head) + 1)
		behind := min(at+random.IntN(3), len(head))
		head = slices.Concat(head[:at], []byte(tricks[random.IntN(len(tricks))]), head[behind:])
	}
	return head
}
