package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tollgate/internal/money"
	"tollgate/internal/testenv"
	"tollgate/internal/testenv/vendor"
)

// Guarantee: a stream flows: the first event arrives before the vendor sends the second; a caller
// that leaves takes the vendor's connection with it, and the request is settled once.
func TestStreamFlowsAndEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.endpoint("sse", "/sse", "0.50")
	key := c.key("ci-bot")
	c.budget("ten", "ci-bot", "10.00")
	c.awaitLive()
	stream, answer := vendor.SSE()
	c.vendor.Next(answer)

	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.edgeAddrs[0]+"/sse/v1/chat", strings.NewReader(`{"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if ct := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || !strings.HasPrefix(ct, "text/event-stream") {
		t.Fatalf("%s %s", resp.Status, ct)
	}
	lines := bufio.NewScanner(resp.Body)
	for i := range 3 {
		// The vendor sends the next event only now, after the one before has been read here.
		stream.Event(t, fmt.Sprintf("event %d", i))
		if !lines.Scan() || lines.Text() != fmt.Sprintf("data: event %d", i) {
			t.Fatalf("read %q, %v", lines.Text(), lines.Err())
		}
		if !lines.Scan() || lines.Text() != "" {
			t.Fatalf("an event ends with %q", lines.Text())
		}
	}
	leave()
	stream.AwaitGone(t)
	c.awaitSpent(nanos(t, "0.50"))
	testenv.Eventually(t, eventually, func() error {
		_, row, err := c.spent()
		if err != nil {
			return err
		}
		if row.GetRequests() != 1 {
			return fmt.Errorf("%d settlements", row.GetRequests())
		}
		return nil
	})
	// Another call settles beside it, and the first is not settled again.
	if resp, body, err := c.call(0, key, "/sse/none"); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v %v %s", err, resp, body)
	}
	c.awaitSpent(money.Dollar)
}
