package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"tollgate/internal/money"
	"tollgate/internal/testenv"
	"tollgate/internal/testenv/vendor"
)

const (
	jobBegun    = "0.25"        // what the template charges for a prediction as long as nobody knows how it ended
	jobDone     = "0.000632557" // what the recorded one has cost
	recordedJob = "vdcbnszbj37qhlzgoergjj5dsa"
)

// workshop is a vendor that works on things that were begun until the test lets them end.
type workshop struct {
	*vendor.Vendor
	begun atomic.Int64
	ends  atomic.Pointer[func(id string) string] // what it says to those who ask; nil as long as work goes on
}

func newWorkshop(c *cluster) *workshop {
	w := &workshop{Vendor: vendor.New(c.t)}
	w.Handle(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			id := recordedJob
			if n := w.begun.Add(1); n > 1 {
				id = fmt.Sprintf("%s%d", recordedJob, n)
			}
			vendor.JSON(http.StatusCreated, `{"id":"`+id+`","model":"stability-ai/stable-diffusion","status":"starting"}`)(rw, r)
			return
		}
		id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		answer := `{"id":"` + id + `","status":"processing"}`
		if ends := w.ends.Load(); ends != nil {
			answer = (*ends)(id)
		}
		vendor.JSON(http.StatusOK, answer)(rw, r)
	})
	return w
}

// finish has work end as it did when it was recorded.
func (w *workshop) finish(c *cluster) {
	x := recording(c.t, "replicate/succeeded--test-replicate-image-generation-with-events-with-content-e789ba.json")
	w.ends.Store(new(func(id string) string { return strings.ReplaceAll(string(x.Body), recordedJob, id) }))
}

// fail has work end in vain.
func (w *workshop) fail() {
	w.ends.Store(new(func(id string) string { return `{"id":"` + id + `","status":"failed","error":"out of memory"}` }))
}

// begin begins work by a request to an edge, and gives where others ask after it.
func (w *workshop) begin(c *cluster, edge int, key, name string) (path string) {
	c.t.Helper()
	resp, body := c.post(edge, key, "/"+name+"/v1/predictions", `{"version":"1","input":{"prompt":"robots"}}`)
	if resp.StatusCode != http.StatusCreated {
		c.t.Fatalf("%s %s", resp.Status, body)
	}
	_, id, _ := strings.Cut(body, `"id":"`)
	id, _, _ = strings.Cut(id, `"`)
	return "/" + name + "/v1/predictions/" + id
}

// polls asks so many times, by these keys in turn and on both edges at once.
func (c *cluster) polls(n int, path, says string, keys ...string) {
	c.t.Helper()
	var all sync.WaitGroup
	for edge := range c.edges {
		all.Go(func() {
			for i := range n / len(c.edges) {
				resp, body := c.do(edge, http.MethodGet, keys[(i+edge)%len(keys)], path, "")
				if resp.StatusCode != http.StatusOK || !strings.Contains(body, `"status":"`+says+`"`) || resp.Header.Get("X-Tollgate-Cost") != "0.00" {
					c.t.Errorf("edge %d: %s, costs %q: %s", edge+1, resp.Status, resp.Header.Get("X-Tollgate-Cost"), body)
				}
			}
		})
	}
	all.Wait()
}

// job is the sum of an endpoint's records, how many there are, and how many are corrections, by the name of their key.
func (c *cluster) job(endpoint string, n int) (sums map[string]money.Nanos, corrections int) {
	c.t.Helper()
	sums = map[string]money.Nanos{}
	for _, r := range c.records(endpoint, n) {
		sums[r.GetKeyName()] += c.dollars(r.GetCost())
		if r.GetCorrects() != "" {
			corrections++
		}
	}
	return sums, corrections
}

// Work that one key has begun and three ask after, on all edges and again and again after its end, is charged once: to
// the one who began it, at what it has used. Asking is free, also for a key that has no money.
func jobsAreChargedOnce(c *cluster) {
	t := c.t
	w := newWorkshop(c)
	c.fromTemplate("replicate", "jobs", w.Vendor)
	keys := []string{c.key("jobs-a"), c.key("jobs-b"), c.key("jobs-c")}
	for name, amount := range map[string]string{"jobs-a": "0.30", "jobs-b": "0.01", "jobs-c": "0.000000001"} {
		c.budget(name, name, amount)
	}
	c.awaitLive()
	path := w.begin(c, 0, keys[0], "jobs")
	c.polls(20, path, "processing", keys...)
	if spent := c.usageOf("jobs", nanos(t, jobBegun)).GetRequests(); spent == 0 {
		t.Error("nothing is booked")
	}
	w.finish(c)
	c.polls(30, path, "succeeded", keys...)
	c.usageOf("jobs", nanos(t, jobDone))
	sums, corrections := c.job("jobs", 1+50+1)
	if sums["jobs-a"] != nanos(t, jobDone) || sums["jobs-b"] != 0 || sums["jobs-c"] != 0 || corrections != 1 {
		t.Errorf("%d corrections; the keys were charged %v", corrections, sums)
	}
	for name, want := range map[string]string{"jobs-a": jobDone, "jobs-b": "0", "jobs-c": "0"} {
		testenv.Eventually(t, eventually, func() error {
			if spent := c.dollars(c.state(name).GetSpent()); spent != nanos(t, want) {
				return fmt.Errorf("budget %s has spent %s, want %s", name, spent, want)
			}
			return nil
		})
	}
	// What the correction gave back can be spent: 0.30 is enough for one at a time.
	w.begin(c, 1, keys[0], "jobs")
}

// Work that fails is given back, to whoever began it.
func failedJobsAreRefunded(c *cluster) {
	t := c.t
	w := newWorkshop(c)
	c.fromTemplate("replicate", "fails", w.Vendor)
	a, b := c.key("fails-a"), c.key("fails-b")
	c.budget("fails-a", "fails-a", "0.30")
	c.awaitLive()
	path := w.begin(c, 1, a, "fails")
	c.usageOf("fails", nanos(t, jobBegun))
	w.fail()
	c.polls(4, path, "failed", b)
	c.usageOf("fails", 0)
	if sums, corrections := c.job("fails", 1+4+1); sums["fails-a"] != 0 || corrections != 1 {
		t.Errorf("%d corrections; the keys were charged %v", corrections, sums)
	}
	testenv.Eventually(t, eventually, func() error {
		if spent := c.dollars(c.state("fails-a").GetSpent()); spent != 0 {
			return fmt.Errorf("the budget has spent %s", spent)
		}
		return nil
	})
}

// An edge that dies between the beginning of work and its end, while somebody asks after it there, loses nothing: it is
// charged once, at what it has used, by what the other edge is told.
func jobsOutliveAnEdge(c *cluster) {
	t := c.t
	w := newWorkshop(c)
	c.fromTemplate("replicate", "outlives", w.Vendor)
	a, b := c.key("outlives-a"), c.key("outlives-b")
	c.awaitLive()
	path := w.begin(c, 0, a, "outlives")
	c.usageOf("outlives", nanos(t, jobBegun))
	held, stalled := vendor.Stall(vendor.Status(http.StatusOK))
	w.Next(stalled)
	asked := make(chan error, 1)
	go func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.edgeAddrs[0]+path, http.NoBody)
		if err == nil {
			req.Header.Set("Authorization", "Bearer "+b)
			var resp *http.Response
			if resp, err = plain.Do(req); err == nil {
				resp.Body.Close()
				err = errors.New("it was answered: " + resp.Status)
			} else {
				err = nil
			}
		}
		asked <- err
	}()
	held.AwaitOpened(t)
	c.edges[0].kill()
	if err := <-asked; err != nil {
		t.Error(err)
	}
	w.finish(c)
	if resp, body := c.do(1, http.MethodGet, b, path, ""); resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s", resp.Status, body)
	}
	c.edges[0].start()
	c.edges[0].awaitHTTP("http://" + c.edgeAddrs[0] + "/-/readyz")
	sums, corrections := c.job("outlives", 4) // what began it, who asked in vain, who was told, and the correction
	if sums["outlives-a"] != nanos(t, jobDone) || sums["outlives-b"] != 0 || corrections != 1 {
		t.Errorf("%d corrections; the keys were charged %v", corrections, sums)
	}
	c.usageOf("outlives", nanos(t, jobDone))
	if stdout, stderr, code := c.books("verify"); code != 0 {
		t.Errorf("ledger verify exited %d:\n%s%s", code, stdout, stderr)
	}
}
