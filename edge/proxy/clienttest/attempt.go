package clienttest

import (
	"context"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"

	"tollgate/edge/proxy"
	"tollgate/edge/routing"
)

// Client is the calling side of an engine.
type Client interface {
	proxy.Upstream
	Sync(endpoints []*routing.Endpoint)
	Close()
}

// Settings are what a client is made with; the zero value of each is the client's own, but for addresses: private ones are allowed.
type Settings struct {
	MaxHeader int64
	MaxLines  int
	Public    bool // private addresses are not allowed
}

// New makes a client, which is closed by who asks for it.
type New func(s Settings) Client

func (n New) client(t *testing.T, s ...Settings) Client {
	t.Helper()
	c := n(append(s, Settings{})[0])
	t.Cleanup(c.Close)
	return c
}

// TargetAt is a target at a base URL.
func TargetAt(tb testing.TB, base string, transport routing.Transport) *routing.Target {
	tb.Helper()
	u, err := url.Parse(base)
	if err != nil {
		tb.Fatal(err)
	}
	return &routing.Target{Scheme: u.Scheme, Host: u.Host, Key: base, Transport: transport}
}

// AttemptAt is a GET that a case changes.
func AttemptAt(target *routing.Target) *proxy.Attempt {
	return &proxy.Attempt{
		Target: target, Method: "GET", URI: "/", HeaderTimeout: Patience, Interim: func(int, []proxy.Header) {},
	}
}

// Do makes an attempt that must succeed, and reads its body.
func Do(t *testing.T, c proxy.Upstream, a *proxy.Attempt) (*proxy.Answer, string) {
	t.Helper()
	answer, err := c.RoundTrip(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("body: %v", err)
	}
	return answer, string(b)
}

// Fail makes an attempt that must fail.
func Fail(t *testing.T, c proxy.Upstream, a *proxy.Attempt) *proxy.AttemptError {
	t.Helper()
	return FailIn(t.Context(), t, c, a)
}

// FailIn does so within ctx.
func FailIn(ctx context.Context, t *testing.T, c proxy.Upstream, a *proxy.Attempt) *proxy.AttemptError {
	t.Helper()
	answer, err := c.RoundTrip(ctx, a)
	e, ok := errors.AsType[*proxy.AttemptError](err)
	if !ok {
		if answer != nil && answer.Body != nil {
			answer.Body.Close()
		}
		t.Fatalf("got %v, %v", answer, err)
	}
	return e
}

// Want says what an attempt should have failed with.
func Want(t *testing.T, e *proxy.AttemptError, failure proxy.Failure, sent bool, text string) {
	t.Helper()
	if e.Failure != failure || e.Sent != sent || !strings.Contains(e.Text, text) {
		t.Errorf("failure %d (%s), sent %t, %v; want %d (%s), %t", e.Failure, e.Text, e.Sent, e.Err, failure, text, sent)
	}
}

// Has says whether there is such a header.
func Has(headers []proxy.Header, name, value string) bool {
	for _, h := range headers {
		if strings.EqualFold(h.Name, name) && h.Value == value {
			return true
		}
	}
	return false
}
