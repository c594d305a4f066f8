package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv"
)

// secretTraffic is callers that go on with one secret on every edge.
type secretTraffic struct {
	c      *cluster
	secret func() string
	ok     atomic.Int64
	failed atomic.Pointer[string]
	stop   chan struct{}
	wg     sync.WaitGroup
}

func (s *secretTraffic) run(edge int) {
	s.wg.Go(func() {
		for {
			select {
			case <-s.stop:
				return
			default:
			}
			secret := s.secret()
			resp, body, err := s.c.call(edge, secret, "/rot", "User-Agent", "old-client/1")
			var wrong string
			switch {
			case err != nil:
				wrong = err.Error()
			case resp.StatusCode != http.StatusOK:
				wrong = fmt.Sprintf("edge %d: %d %s", edge, resp.StatusCode, body)
			}
			if wrong != "" {
				s.failed.CompareAndSwap(nil, &wrong)
				return
			}
			s.ok.Add(1)
		}
	})
}

func (s *secretTraffic) end() {
	s.c.t.Helper()
	close(s.stop)
	s.wg.Wait()
	if why := s.failed.Load(); why != nil {
		s.c.t.Errorf("a request failed: %s", *why)
	}
}

func (c *cluster) traffic(secret func() string) *secretTraffic {
	s := &secretTraffic{c: c, secret: secret, stop: make(chan struct{})}
	for edge := range c.edgeAddrs {
		s.run(edge)
	}
	return s
}

// answered waits until every edge answers a secret with a status and a code.
func (c *cluster) answered(secret string, status int, code string) {
	c.t.Helper()
	for edge := range c.edgeAddrs {
		testenv.Eventually(c.t, 10*time.Second, func() error {
			resp, body, err := c.call(edge, secret, "/rot")
			if err != nil {
				return err
			}
			if resp.StatusCode != status || !strings.Contains(string(body), code) {
				return fmt.Errorf("edge %d: %d %s", edge, resp.StatusCode, body)
			}
			return nil
		})
	}
}

func (c *cluster) keyUse(key string) (current, old *controlv1.KeySecretUse, err error) {
	resp, err := c.rpc.keys.GetKeyUse(c.t.Context(), &controlv1.GetKeyUseRequest{Key: key})
	for _, s := range resp.GetSecrets() {
		if s.GetCurrent() {
			current = s
		} else {
			old = s
		}
	}
	return current, old, err
}

// Guarantee: while a key is rotated no caller is refused, neither those with the old secret nor those with the new one, and the old
// ones are told when theirs stops; how often each was used adds up over the edges, also of one that was killed; when the overlap is
// ended every edge refuses the old secret and says why, and so with a key that is blocked.
func TestKeysAreRotatedUnderTraffic(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.endpoint("rot", "/rot", "")
	first := c.key("ci-bot")
	c.awaitLive()
	before := c.traffic(func() string { return first })

	made, err := c.rpc.keys.RotateKey(t.Context(), &controlv1.RotateKeyRequest{Key: "ci-bot", Overlap: durationpb.New(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	c.awaitLive()
	end := made.GetKey().GetOverlapEndTime().AsTime().Format(time.RFC3339)
	for edge := range c.edgeAddrs {
		for secret, want := range map[string]string{first: end, made.GetSecret(): ""} {
			resp, body, err := c.call(edge, secret, "/rot")
			if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("X-Tollgate-Key-Sunset") != want {
				t.Errorf("edge %d: %v %s %v, want sunset %q", edge, resp, body, err, want)
			}
		}
	}
	after := c.traffic(func() string { return made.GetSecret() })
	testenv.Eventually(t, 20*time.Second, func() error {
		current, old, err := c.keyUse("ci-bot")
		if err == nil && (current.GetRequests() < 20 || old.GetRequests() < 20) {
			err = fmt.Errorf("used %d and %d times", current.GetRequests(), old.GetRequests())
		}
		return err
	})
	before.end()
	after.end()
	want := after.ok.Load() + int64(len(c.edgeAddrs)) // the traffic, and the one request on each edge
	addsUp := func() error {
		current, old, err := c.keyUse("ci-bot")
		switch {
		case err != nil:
			return err
		case current.GetRequests() != want:
			return fmt.Errorf("the new secret was used %d times, %d are told", want, current.GetRequests())
		case old.GetLastAgent() == "" || old.GetLastAddress() != "127.0.0.1" || old.GetLastEdge() == "":
			return fmt.Errorf("the old secret's last use is %v", old)
		}
		return nil
	}
	testenv.Eventually(t, 20*time.Second, addsUp)

	c.edges[0].kill()
	c.edges[0].start()
	for range 5 {
		testenv.Eventually(t, 15*time.Second, func() error { // what it refuses until it is there is not counted
			resp, body, err := c.call(0, made.GetSecret(), "/rot")
			if err == nil && resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("%d %s", resp.StatusCode, body)
			}
			return err
		})
	}
	want += 5
	testenv.Eventually(t, 20*time.Second, addsUp)

	if _, err := c.rpc.keys.EndKeyOverlap(t.Context(), &controlv1.EndKeyOverlapRequest{Key: "ci-bot"}); err != nil {
		t.Fatal(err)
	}
	ended := time.Now()
	c.answered(first, http.StatusUnauthorized, "key_revoked")
	t.Logf("the old secret was refused everywhere %s after its overlap was ended", time.Since(ended))
	if resp, body, err := c.call(0, first, "/rot"); err != nil || !strings.Contains(string(body), "was rotated") {
		t.Errorf("it is told %v %s %v", resp, body, err)
	}
	if _, err := c.rpc.keys.BlockKey(t.Context(), &controlv1.BlockKeyRequest{Key: "ci-bot", Blocked: true}); err != nil {
		t.Fatal(err)
	}
	blocked := time.Now()
	c.answered(made.GetSecret(), http.StatusForbidden, "key_blocked")
	t.Logf("the key was refused everywhere %s after it was blocked", time.Since(blocked))
	if _, err := c.rpc.keys.BlockKey(t.Context(), &controlv1.BlockKeyRequest{Key: "ci-bot"}); err != nil {
		t.Fatal(err)
	}
	c.answered(made.GetSecret(), http.StatusOK, "")
}
