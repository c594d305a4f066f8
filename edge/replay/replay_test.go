package replay

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/testenv/vectors"
)

// variants are the ways in which each exchange is played.
var variants = []struct {
	name string
	make func(p *play) bool // says whether the exchange can be played so
}{
	{"as recorded", func(p *play) bool { return true }},
	{"in pieces", func(p *play) bool {
		p.cuts, p.answer = true, byChunks
		if len(p.x.RequestBody) > 0 {
			p.request = byChunks
		}
		return true
	}},
	{"until the connection ends", func(p *play) bool {
		p.cuts, p.answer = true, byClosing
		return true
	}},
	{"compressed", func(p *play) bool {
		p.encode(compressed(p.body))
		p.answer = framing(p.seed % 2)
		return len(p.x.Body) > 0
	}},
	{"compressed as recorded", func(p *play) bool {
		p.encode(p.x.Gzip)
		p.cuts = true
		return p.x.Gzip != nil
	}},
	{"with CR LF", func(p *play) bool { return p.endLines("\r\n") }},
	{"with CR", func(p *play) bool { return p.endLines("\r") }},
	{"broken off", func(p *play) bool {
		r := rand.New(rand.NewPCG(p.seed, 3))
		p.answer, p.cuts = framing(p.seed%2), r.IntN(2) == 0
		if len(p.body) == 0 {
			return false
		}
		p.cutAt = r.IntN(len(p.body))
		return true
	}},
}

// encode makes body the compressed form of the answer's.
func (p *play) encode(body []byte) {
	p.headers = append(kept(p.headers, "Content-Encoding"), vectors.Header{Name: "Content-Encoding", Value: "gzip"})
	p.body = body
}

// endLines gives the lines of a stream of text another end.
func (p *play) endLines(end string) bool {
	if !p.x.Stream || bytes.IndexByte(p.body, 0) >= 0 {
		return false
	}
	lines := bytes.ReplaceAll(p.body, []byte("\r\n"), []byte("\n"))
	p.body = bytes.ReplaceAll(lines, []byte("\n"), []byte(end))
	p.answer, p.cuts = byChunks, true
	return !bytes.Equal(p.body, p.x.Body)
}

// plays is every exchange in every variant.
func plays(t *testing.T) (all []*play, of map[string]int) {
	t.Helper()
	of = map[string]int{}
	recorded := vectors.All(t)
	for i := range recorded {
		for k, v := range variants {
			p := &play{
				id: fmt.Sprintf("%d-%d", i, k), x: &recorded[i], seed: uint64(i*len(variants) + k), cutAt: -1,
				// What was recorded compressed was stored decoded.
				headers: kept(recorded[i].Headers, "Content-Encoding"), body: recorded[i].Body, arrived: make(chan seen, 10),
			}
			if v.make(p) {
				all = append(all, p)
				of[v.name]++
			}
		}
	}
	return all, of
}

// callers is how many connections there are at a time.
const callers = 8

// Guarantee: every recorded exchange passes through an edge unchanged, in both directions and however its
// bytes are framed, compressed or cut; one that the target breaks off is broken off for the caller; and
// each is settled exactly once.
func TestRecordedExchanges(t *testing.T) {
	t.Parallel()
	all, of := plays(t)
	target := newStage(t)
	vendors := map[string]*eventv1.RouteEndpoint{}
	for _, p := range all {
		target.add(p)
		vendors[p.x.Vendor] = endpointTo(p.x.Vendor, "http://"+target.l.Addr().String())
	}
	c := newTally(t)
	addr, stop := c.startEdge(slices.Collect(maps.Values(vendors)))

	var wg sync.WaitGroup
	queue := make(chan *play)
	requests := make([]map[string]*play, callers)
	for i := range callers {
		requests[i] = map[string]*play{}
		wg.Go(func() {
			who := &caller{t: t, addr: addr}
			defer who.close()
			for p := range queue {
				a, err := who.exchange(p)
				if err != nil {
					t.Errorf("%s: %v", p, err)
					who.close()
					continue
				}
				requests[i][a.headers.Get("X-Tollgate-Request-Id")] = p
				p.check(t, &a)
			}
		})
	}
	for _, p := range all {
		queue <- p
	}
	close(queue)
	wg.Wait()
	stop()

	settled, files := 0, map[string]bool{}
	for _, some := range requests {
		for request, p := range some {
			p.checkSettled(t, c.settled(request))
			settled++
			for _, f := range p.x.Files {
				files[f] = true
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if settled != len(all) || len(c.ends) != len(all) || !c.closed {
		t.Errorf("%d plays, %d with an id, %d settled, closed %t", len(all), settled, len(c.ends), c.closed)
	}
	if least := 579; len(files) < least || of["as recorded"] < 450 || of["in pieces"] != of["as recorded"] || of["with CR LF"] < 90 || of["compressed as recorded"] < 7 || of["broken off"] < 450 {
		t.Errorf("%d files of at least %d were played: %v", len(files), least, of)
	}
	t.Logf("%d plays of %d files: %v", len(all), len(files), of)
}

func (p *play) String() string { return fmt.Sprintf("%s (play %s)", p.x.Name, p.id) }

// check compares what arrived on both sides with what was sent.
func (p *play) check(t *testing.T, a *answer) {
	t.Helper()
	var got seen
	select {
	case got = <-p.arrived:
	default:
		t.Errorf("%s: the target got nothing, the caller %d %.300s", p, a.status, a.body)
		return
	}
	if len(p.arrived) > 0 {
		t.Errorf("%s: the target got the request more than once", p)
	}
	if got.err != nil || got.method != p.x.Method || got.target != p.target() || !bytes.Equal(got.body, p.x.RequestBody) {
		t.Errorf("%s: the target got %s %s with %d bytes (%v), not %s %s with %d", p, got.method, got.target, len(got.body), got.err,
			p.x.Method, p.target(), len(p.x.RequestBody))
	}
	if diff := compare(got.headers, kept(p.requestHeaders(), credentials...)); diff != "" {
		t.Errorf("%s: headers at the target: %s", p, diff)
	}
	if a.status != p.x.Status {
		t.Errorf("%s: status %d, not %d: %.300s", p, a.status, p.x.Status, a.body)
	}
	if diff := compare(a.headers, kept(p.headers, "Server-Timing")); diff != "" {
		t.Errorf("%s: headers of the answer: %s", p, diff)
	}
	switch {
	case p.cutAt >= 0:
		if a.err == nil || !bytes.HasPrefix(p.body, a.body) {
			t.Errorf("%s: broken off at %d of %d, the caller got %d and %v", p, p.cutAt, len(p.body), len(a.body), a.err)
		}
	case a.err != nil || !bytes.Equal(a.body, p.body):
		t.Errorf("%s: the caller got %d bytes (%v), not the %d that were sent", p, len(a.body), a.err, len(p.body))
	}
	if p.answer == byLength && a.length != int64(len(p.body)) {
		t.Errorf("%s: Content-Length is %d, not %d", p, a.length, len(p.body))
	}
}

// compare says in what headers differ from those that were sent, besides what an edge adds and what frames
// the message.
func compare(got http.Header, sent []vectors.Header) string {
	want := http.Header{}
	for _, h := range sent {
		want.Add(h.Name, strings.Trim(h.Value, " \t"))
	}
	var diff []string
	for name, values := range want {
		if !slices.Equal(values, got[name]) {
			diff = append(diff, fmt.Sprintf("%s is %q, not %q", name, got[name], values))
		}
	}
	for name, values := range got {
		ours := strings.HasPrefix(name, "X-Tollgate-") || name == "Server-Timing" || slices.Contains(replaced, name)
		if _, ok := want[name]; !ok && !ours {
			diff = append(diff, fmt.Sprintf("%s is %q, and was not sent", name, values))
		}
	}
	slices.Sort(diff)
	return strings.Join(diff, "; ")
}

func (p *play) checkSettled(t *testing.T, ends []*eventv1.SpendEvent) {
	t.Helper()
	if len(ends) != 1 {
		t.Errorf("%s has %d settlements", p, len(ends))
		return
	}
	want := eventv1.SpendOutcome_SPEND_OUTCOME_OK
	switch {
	case p.x.Status >= 300:
		want = eventv1.SpendOutcome_SPEND_OUTCOME_TARGET_ERROR
	case p.cutAt >= 0:
		want = eventv1.SpendOutcome_SPEND_OUTCOME_INTERRUPTED
	}
	e := ends[0]
	charged := e.GetCostNanos() != 0
	if e.GetOutcome() != want || int(e.GetStatus()) != p.x.Status || charged != (p.x.Status < 300) || e.GetEndpointId() != "ep_"+p.x.Vendor {
		t.Errorf("%s is settled as %v, not %s", p, e, want)
	}
}
