package edge

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"tollgate/edge/pool"
	"tollgate/edge/routing"
)

// Guarantee: a target whose certificates are not verified is warned of once, and again when it has been
// verified in between.
func TestUnverifiedTargets(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	n := &Node{log: slog.New(slog.NewTextHandler(&log, nil))}
	apply := func(want int, unverified ...bool) {
		t.Helper()
		log.Reset()
		e := &routing.Endpoint{Name: "bria"}
		for i, skip := range unverified {
			e.Targets = append(e.Targets, &routing.Target{Name: "https://" + string(rune('a'+i)), Transport: routing.Transport{SkipVerify: skip}})
		}
		n.warnOfUnverified([]*routing.Endpoint{e})
		if got := strings.Count(log.String(), "not verified"); got != want {
			t.Errorf("%d warnings, want %d:\n%s", got, want, log.String())
		}
	}
	apply(1, false, true)
	if !strings.Contains(log.String(), "endpoint=bria target=https://b") {
		t.Errorf("the warning is %s", log.String())
	}
	apply(0, false, true)
	apply(1, true, true)
	apply(0)
	apply(2, true, true)
}

// Guarantee: a target that several endpoints share is listed once among those whose breaker is not closed, with
// the worst that is known of it.
func TestBrokenTargets(t *testing.T) {
	t.Parallel()
	got := brokenTargets([]pool.State{
		{Endpoint: "x", Target: "a", State: pool.HalfOpen}, {Endpoint: "y", Target: "b", State: pool.Ejected},
		{Endpoint: "y", Target: "a", State: pool.Open}, {Endpoint: "z", Target: "a", State: pool.HalfOpen}, {Endpoint: "z", Target: "c", State: pool.OK},
	})
	if len(got) != 1 || got[0].Target != "a" || got[0].State != pool.Open {
		t.Errorf("%+v", got)
	}
}
