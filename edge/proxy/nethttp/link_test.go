package nethttp

import (
	"io"
	"testing"

	"tollgate/edge/proxy/clienttest"
)

// Guarantee: a shared connection in HTTP/2 of a target that is gone is closed with its last stream.
func TestSyncHTTP2(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{})
	goOn := make(chan struct{})
	target := listen2(t, func(_ int, f *framed) {
		h := f.head()
		f.say(h.StreamID, false, ":status", "200")
		<-goOn
		_ = f.WriteData(h.StreamID, true, []byte("ok"))
		f.rest()
		close(closed)
	})
	c := testClient(t)
	answer, err := c.RoundTrip(t.Context(), clienttest.AttemptAt(target))
	if err != nil {
		t.Fatal(err)
	}
	c.Sync(nil)
	close(goOn)
	if b, err := io.ReadAll(answer.Body); string(b) != "ok" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	answer.Body.Close()
	clienttest.Receive(t, closed, "end of the connection")
}
