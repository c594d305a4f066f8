package keyuse

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// stream keeps what was told last.
type stream struct {
	mu      sync.Mutex // guards the fields below
	subject string
	last    *eventv1.KeyUses
	sent    int
	err     error
}

func (s *stream) send(_ context.Context, subject string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent++
	if s.err != nil {
		return s.err
	}
	s.subject, s.last = subject, &eventv1.KeyUses{}
	return proto.Unmarshal(data, s.last)
}

func (s *stream) uses(hash [32]byte) *eventv1.KeyUse {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.last.GetSecrets() {
		if [32]byte(u.GetSha256()) == hash {
			return u
		}
	}
	return nil
}

func (s *stream) fail(err error) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	return s.sent
}

func always([32]byte) bool { return true }

// Guarantee: what was counted is told within two seconds, again and again until the stream has it, and not when nothing changed; the
// last of it when the edge stops; an hour later nothing is of the last hour.
func TestTelling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stream{}
		c := New("lon-1", 7, s.send, always, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		hash := [32]byte{1}
		began := time.Now()
		for range 3 {
			c.Count(hash, time.Now(), netip.MustParseAddr("10.1.2.3"), "curl/8")
		}
		s.fail(errors.New("away"))
		time.Sleep(2*every + time.Second)
		if s.uses(hash) != nil || s.fail(nil) != 2 {
			t.Error("it was told while the stream was away, or not tried again")
		}
		time.Sleep(every)
		want := &eventv1.KeyUse{
			Sha256: hash[:], Requests: 3, RequestsLastHour: 3, FirstUnixMs: began.UnixMilli(), LastUnixMs: began.UnixMilli(),
			LastAddress: "10.1.2.3", LastAgent: "curl/8",
		}
		if got := s.uses(hash); !proto.Equal(got, want) || s.subject != "tollgate.v1.keyuse.lon-1.7" || s.last.GetEdge() != "lon-1" || s.last.GetInc() != 7 {
			t.Errorf("told %v on %s, want %v", got, s.subject, want)
		}
		before := s.fail(nil)
		time.Sleep(10 * every)
		if after := s.fail(nil); after != before {
			t.Errorf("told %d times that nothing changed", after-before)
		}
		time.Sleep(59 * time.Minute)
		c.Count(hash, time.Now(), netip.Addr{}, strings.Repeat("x", 1000)+"\xff")
		time.Sleep(every)
		if got := s.uses(hash); got.GetRequests() != 4 || got.GetRequestsLastHour() != 4 && got.GetRequestsLastHour() != 1 || len(got.GetLastAgent()) != longestAgent || got.GetLastAddress() != "" {
			t.Errorf("told %v", got)
		}
		time.Sleep(2 * time.Hour)
		c.Count(hash, time.Now(), netip.Addr{}, "")
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := c.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if got := s.uses(hash); got.GetRequests() != 5 || got.GetRequestsLastHour() != 1 {
			t.Errorf("told at the end %v", got)
		}
	})
}

// Guarantee: many requests at once are all counted, and a secret that is counted no more begins anew.
func TestCounting(t *testing.T) {
	t.Parallel()
	s := &stream{}
	var mu sync.Mutex
	kept := true
	c := New("a", 1, s.send, func([32]byte) bool {
		mu.Lock()
		defer mu.Unlock()
		return kept
	}, slog.New(slog.DiscardHandler))
	hash, now := [32]byte{1}, time.Now()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				c.Count(hash, now, netip.Addr{}, "")
			}
		})
	}
	wg.Wait()
	c.tellChanges(t.Context())
	if got := s.uses(hash).GetRequests(); got != 8000 {
		t.Errorf("%d of 8000 requests were counted", got)
	}
	mu.Lock()
	kept = false
	mu.Unlock()
	c.tellChanges(t.Context())
	if s.uses(hash) != nil {
		t.Error("what is counted no more is told")
	}
	c.Count(hash, now, netip.Addr{}, "")
	mu.Lock()
	kept = true
	mu.Unlock()
	c.tellChanges(t.Context())
	if got := s.uses(hash).GetRequests(); got != 1 {
		t.Errorf("%d requests since it is counted again", got)
	}
}

// Guarantee: however many keys are rotated at a time, what is told stays one message of a bounded size.
func TestBound(t *testing.T) {
	t.Parallel()
	size := 0
	c := New(strings.Repeat("e", 63), 1, func(_ context.Context, _ string, data []byte) error {
		size = len(data)
		return nil
	}, always, slog.New(slog.DiscardHandler))
	long := netip.MustParseAddr("2001:db8:1111:2222:3333:4444:5555:6666")
	for i := range 2 * most {
		c.Count([32]byte{byte(i), byte(i >> 8)}, time.Now(), long, strings.Repeat("x", 1000))
	}
	c.tellChanges(t.Context())
	if len(c.all) != most || size > 1<<20 {
		t.Errorf("%d secrets are told in %d bytes", len(c.all), size)
	}
}

// Guarantee: counting a use allocates nothing.
func TestCountAllocatesNothing(t *testing.T) {
	c := New("a", 1, nil, always, slog.New(slog.DiscardHandler))
	now, from := time.Now(), netip.MustParseAddr("10.1.2.3")
	c.Count([32]byte{1}, now, from, "curl/8")
	if n := testing.AllocsPerRun(100, func() { c.Count([32]byte{1}, now, from, "curl/8") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
