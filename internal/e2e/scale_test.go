package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/testenv"
)

// size is of a deployment, and says whether what is promised for large ones is to be kept.
type size struct {
	keys, endpoints, teams, samples int
	promised                        bool
}

// What a deployment consists of, written without the rules, which are no matter of scale.
func (s size) fill() (rest, keys []string) {
	rest = []string{
		fmt.Sprintf(`INSERT INTO control.team (id, name, revision, create_time)
			SELECT 'team_' || lpad(i::text, 26, '0'), 'team-' || i, 1, now() FROM generate_series(1, %d) i`, s.teams),
		fmt.Sprintf(`INSERT INTO control.endpoint (id, name, path, exact, methods, targets, headers, forward, key_header, free, price_nanos, price_version,
				timeout_ms, max_body_bytes, forward_trace_context, revision, create_time, update_time, abandoned)
			SELECT 'ep_' || lpad(i::text, 26, '0'), 'vendor-' || i, '/vendors/' || i || '/api', false, '{}', '{https://v.example.com}',
				'[{"name": "api_token", "value": "${secret:vendor}", "mode": 1}]', 1, '', true, 0, 1, 1000, 0, false, 1, now(), now(), 1
			FROM generate_series(1, %d) i`, s.endpoints),
	}
	keys = []string{
		fmt.Sprintf(`INSERT INTO control.key (id, name, prefix, sha256, shard, restricted, revision, create_time, suffix, team_id)
			SELECT 'key_' || lpad(i::text, 26, '0'), 'service-' || i, 'tgk_abcd', h, (get_byte(h, 0) << 8 | get_byte(h, 1)) >> 6, false, 1,
				now() - make_interval(secs => i), right(md5('s' || i), 4), 'team_' || lpad((i %% %d + 1)::text, 26, '0')
			FROM generate_series(1, %d) i, sha256(i::text::bytea) h`, s.teams, s.keys),
		`VACUUM ANALYZE`,
	}
	return rest, keys
}

// scaleEnv has TestScale run at full size and hold what is promised: make bench sets it.
const scaleEnv = "TOLLGATE_SCALE"

// beginEpoch makes a control plane that starts on it publish everything.
const beginEpoch = `UPDATE control.revision SET epoch = epoch + 1, n = n + 1`

// Guarantee: with 100,000 keys, 1,000 endpoints and 200 teams, a change is in force on three edges within 300 ms, pages of lists
// come within 50 ms and what is searched for within 30, everything is published in ten seconds after a new epoch began, and an
// edge takes at most 250 bytes for a key. Without make bench it is tried in small, without a watch.
func TestScale(t *testing.T) {
	s := size{keys: 3000, endpoints: 60, teams: 20, samples: 5}
	if os.Getenv(scaleEnv) == "" {
		t.Parallel()
	} else {
		s = size{keys: 100_000, endpoints: 1000, teams: 200, samples: 100, promised: true}
	}
	c := start(t, withEdges(3), withMetrics)
	c.endpoint("free", "/free", "")
	rest, keys := s.fill()
	c.republish(rest)
	without := c.liveHeap(0)
	took, live := c.republish(keys)
	t.Logf("publish everything: %s, live on all edges after %s", took, live)
	s.promise(t, "publishing everything", took, 10*time.Second)
	perKey := float64(c.liveHeap(0)-without) / float64(s.keys)
	t.Logf("memory of an edge: %.0f bytes a key", perKey)
	if s.promised && (perKey > 250 || perKey < 1) {
		t.Errorf("an edge takes %.0f bytes for a key, and 250 are promised", perKey)
	}
	ctx := t.Context()
	const page, searching, change = 50 * time.Millisecond, 30 * time.Millisecond, 300 * time.Millisecond
	s.measure(t, "first page of keys", page, 95, func(int) error {
		resp, err := c.rpc.keys.ListKeys(ctx, &controlv1.ListKeysRequest{PageSize: 50})
		if err == nil && len(resp.GetKeys()) != 50 {
			err = fmt.Errorf("%d keys", len(resp.GetKeys()))
		}
		return err
	})
	s.measure(t, "first page of endpoints", page, 95, func(int) error {
		resp, err := c.rpc.endpoints.ListEndpoints(ctx, &controlv1.ListEndpointsRequest{PageSize: 50})
		if err == nil && len(resp.GetEndpoints()) != 50 {
			err = fmt.Errorf("%d endpoints", len(resp.GetEndpoints()))
		}
		return err
	})
	s.measure(t, "first page of teams", page, 95, func(int) error {
		resp, err := c.rpc.teams.ListTeams(ctx, &controlv1.ListTeamsRequest{PageSize: 10})
		if err == nil && len(resp.GetTeams()) != 10 {
			err = fmt.Errorf("%d teams", len(resp.GetTeams()))
		}
		return err
	})
	search := controlv1connect.NewSearchServiceClient(&http.Client{Transport: bearer{adminToken}}, "http://"+c.controlAddr)
	words := []string{"service-999", "service", "vendor-7", "/vendors/50", "team-12", "key_000000000000000000000000999", "nothing", "9f4c"}
	s.measure(t, "search", searching, 95, func(i int) error {
		_, err := search.Search(ctx, &controlv1.SearchRequest{Query: words[i%len(words)], Limit: 20})
		return err
	})
	s.measure(t, "a key on 3 edges", change, 99, func(i int) error {
		resp, err := c.rpc.keys.CreateKey(ctx, &controlv1.CreateKeyRequest{Name: "live-" + strconv.Itoa(i)})
		if err != nil {
			return err
		}
		return c.everywhere(ctx, resp.GetSecret(), "/free/x")
	})
	key := c.key("of-endpoints")
	s.measure(t, "an endpoint on 3 edges", change, 99, func(i int) error {
		name := "live-" + strconv.Itoa(i)
		c.endpoint(name, "/"+name, "")
		return c.everywhere(ctx, key, "/"+name)
	})
}

// measure does something a number of times and says how long it takes, of which a percentage must take at most as long as is
// promised.
func (s size) measure(t *testing.T, what string, most time.Duration, percent int, do func(i int) error) {
	t.Helper()
	took := make([]time.Duration, s.samples)
	for i := range took {
		began := time.Now()
		if err := do(i); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	at := func(percent int) time.Duration { return took[min(s.samples*percent/100, s.samples-1)] }
	t.Logf("%s: p50 %s, p%d %s", what, at(50), percent, at(percent))
	s.promise(t, what, at(percent), most)
}

func (s size) promise(t *testing.T, what string, took, most time.Duration) {
	t.Helper()
	if s.promised && took > most {
		t.Errorf("%s took %s, and %s is promised", what, took, most)
	}
}

// republish changes the database behind the control plane's back and has everything published in a new epoch. It says how
// long the publisher took, and how long it was from the start of the process until all edges had it.
func (c *cluster) republish(statements []string) (took, live time.Duration) {
	c.t.Helper()
	c.control.kill()
	conn := c.db()
	for _, sql := range append(statements, beginEpoch) {
		if _, err := conn.Exec(c.t.Context(), sql); err != nil {
			c.t.Fatalf("%s: %v", sql, err)
		}
	}
	began := time.Now()
	c.control.start()
	c.awaitReady()
	var committed time.Duration
	testenv.Eventually(c.t, time.Minute, func() error {
		if c.number(`SELECT count(*) FROM control.revision r JOIN control.published p ON p.epoch = r.epoch AND p.n = r.n`) == 0 {
			return errStillThere
		}
		committed = time.Since(began)
		return nil
	})
	c.awaitLive()
	return committed, time.Since(began)
}

// everywhere returns once every edge lets a key through.
func (c *cluster) everywhere(ctx context.Context, key, path string) error {
	errs := make([]error, len(c.edges))
	var wg sync.WaitGroup
	for edge := range c.edges {
		wg.Go(func() {
			for errs[edge] = errStillThere; errs[edge] != nil && ctx.Err() == nil; {
				resp, body, err := c.call(edge, key, path)
				if err == nil && resp.StatusCode != http.StatusOK {
					err = fmt.Errorf("%s %s", resp.Status, body)
				}
				if errs[edge] = err; err != nil {
					<-time.After(2 * time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// liveHeap is what an edge keeps in memory once it has served a request and collected its garbage.
func (c *cluster) liveHeap(edge int) int64 {
	c.t.Helper()
	key := c.key("heap-" + strconv.FormatInt(time.Now().UnixNano(), 36))
	if err := c.everywhere(c.t.Context(), key, "/free/x"); err != nil {
		c.t.Fatal(err)
	}
	for range 2 { // what pools hold goes with the second collection
		resp, err := http.Get("http://" + c.adminAddrs[edge] + "/-/debug/pprof/heap?gc=1")
		if err != nil {
			c.t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			c.t.Fatal(err)
		}
	}
	return int64(c.gauge(edge, "go_memstats_heap_alloc_bytes"))
}

// gauge is a metric of an edge.
func (c *cluster) gauge(edge int, name string) float64 {
	c.t.Helper()
	resp, err := http.Get("http://" + c.adminAddrs[edge] + "/-/metrics")
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				c.t.Fatal(err)
			}
			return n
		}
	}
	c.t.Fatalf("there is no metric %s", name)
	return 0
}
