package health_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"tollgate/edge/proxy"
	"tollgate/edge/routing"
	"tollgate/internal/fault"
)

// Guarantee: checks of an endpoint that signs its requests are signed as well, each anew; one that cannot be is
// a failure, with the reason.
func TestChecksAreSigned(t *testing.T) {
	t.Parallel()
	inBubble(t, func(c *checked) {
		signed := map[string]bool{}
		var refused atomic.Bool
		next := 0
		c.checker.SignWith(func(_ context.Context, e *routing.Endpoint, a *proxy.Attempt, body []byte) error {
			switch {
			case refused.Load():
				return fault.New(fault.UpstreamUnreachable, "AWS refused.")
			case e.Signing.Service != "bedrock" || len(body) > 0:
				t.Errorf("%+v, %d bytes", e.Signing, len(body))
			}
			next++
			a.Headers = append(slices.Clone(a.Headers), proxy.Header{Name: "Authorization", Value: strings.Repeat("i", next)})
			return nil
		})
		c.inspect = func(a *proxy.Attempt) { // one target is checked by one goroutine
			of := slices.IndexFunc(a.Headers, func(h proxy.Header) bool { return h.Name == "Authorization" })
			if of < 0 || signed[a.Headers[of].Value] {
				t.Errorf("sent %q", a.Headers)
				return
			}
			signed[a.Headers[of].Value] = true
		}
		e := endpoint("a", "one")
		e.Signing = &routing.Signing{Service: "bedrock"}
		c.set("one", 200)
		c.serve(e)
		c.until("one", 3)
		c.want("one ok")
		refused.Store(true)
		for asked := range 4 {
			pass(e.Health.Interval * 2)
			synctest.Wait()
			if asked == 3 && !strings.Contains(c.log.String(), "it could not be signed: AWS refused.") {
				t.Errorf("the log says\n%s", c.log.String())
			}
		}
		c.want("one unhealthy")
	})
}
