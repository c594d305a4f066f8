package edge

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/edge/metrics"
	"tollgate/edge/pool"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/telemetry"
)

// lookEvery is how often the edge looks for a new configuration, and so the shortest time between
// two heartbeats.
const lookEvery = 100 * time.Millisecond

// beat describes the edge to the fleet every two seconds, and as soon as it serves another
// configuration. NATS may be away: the next heartbeat says the same.
func (n *Node) beat(ctx context.Context) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	var sent, turned time.Time
	var told contract.Version
	for {
		n.applied()
		version, now := n.sync.Applied(), time.Now()
		if now.Sub(turned) >= time.Second {
			n.metrics.Load.Turn()
			turned = now
		}
		if n.hurry.Swap(false) || version != told || now.Sub(sent) >= contract.HeartbeatEvery {
			if err := n.heartbeat(version, now); err != nil {
				n.log.Debug("heartbeat not sent", "err", err)
			} else {
				told = version
			}
			sent = now
		}
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
	}
}

// beatNow has the next heartbeat come soon, because something about the edge has changed.
func (n *Node) beatNow() { n.hurry.Store(true) }

func (n *Node) heartbeat(version contract.Version, now time.Time) error {
	if !n.conn.Connected() {
		return nil
	}
	events, age := n.spool.Depth()
	h := &eventv1.Heartbeat{
		Edge: n.cfg.Name, Inc: n.spool.Inc(), Epoch: version.Epoch, Revision: version.Revision,
		Version: telemetry.Version(), StartUnixMs: n.started.UnixMilli(), SentUnixMs: now.UnixMilli(),
		SpoolEvents: events, SpoolAgeMs: age.Milliseconds(), Address: n.Addr(), InFlight: n.gateway.InFlight(),
	}
	n.describe(h)
	if table := n.routes.Current(); table != nil {
		h.MissingEnv = table.MissingEnv()
		h.UnresolvedSecrets = n.sync.Unresolved()
	}
	states := n.pools.States()
	for _, s := range brokenTargets(states) {
		h.Breakers = append(h.Breakers, &eventv1.BreakerState{Target: s.Target, State: s.State})
	}
	for _, s := range states {
		t := &eventv1.TargetState{
			Endpoint: s.Endpoint, Target: s.Target, State: s.State,
			Attempts: s.Attempts, Failures: s.Failures, Retries: s.Retries, InFlight: s.InFlight,
		}
		if !s.Until.IsZero() {
			t.UntilUnixMs = s.Until.UnixMilli()
		}
		h.Targets = append(h.Targets, t)
	}
	data, err := proto.Marshal(h)
	if err != nil {
		return err
	}
	return n.conn.NATS().Publish(contract.Fleet(n.cfg.Name), data)
}

// describe fills in how busy the edge is.
func (n *Node) describe(h *eventv1.Heartbeat) {
	h.Region, h.Advertised, h.Draining = n.cfg.Region, n.advertised, n.gateway.Draining()
	h.Requests, h.Errors = n.metrics.Load.Total()
	recent, p50, p99 := n.metrics.Load.Recent()
	h.Requests_10S, h.OverheadP50Us, h.OverheadP99Us = recent, p50.Microseconds(), p99.Microseconds()
	h.SpoolPercent, h.MemoryBytes, h.SeenLost = n.spool.UsedPercent(), residentBytes(), n.seen.Lost()
}

// brokenTargets are those whose breaker is not closed, by name: endpoints may share a target.
func brokenTargets(states []pool.State) []pool.State {
	broken, at := []pool.State(nil), map[string]int{}
	for _, s := range states {
		if s.State != pool.Open && s.State != pool.HalfOpen {
			continue
		}
		if i, seen := at[s.Target]; !seen {
			at[s.Target] = len(broken)
			broken = append(broken, s)
		} else if s.State == pool.Open {
			broken[i] = s // endpoints that judge it in different ways have a breaker each
		}
	}
	return broken
}

// warnOfUnverified says once which targets anybody could pretend to be.
func (n *Node) warnOfUnverified(endpoints []*routing.Endpoint) {
	unverified := map[[2]string]bool{}
	for _, e := range endpoints {
		for _, t := range e.Targets {
			at := [2]string{e.Name, t.Name}
			if !t.Transport.SkipVerify || unverified[at] {
				continue
			}
			unverified[at] = true
			if !n.unverified[at] {
				n.log.Warn("certificates of a target are not verified: whoever is between can read what is sent, the credential too", "endpoint", e.Name, "target", t.Name)
			}
		}
	}
	n.unverified = unverified
}

// applied makes what hangs on the table follow it: the breakers, connections and checks of targets, and
// the counters of endpoints and what was learned of them. A target that has no breaker yet is simply tried.
func (n *Node) applied() {
	table := n.routes.Current()
	if table == nil || table == n.table {
		return
	}
	before := n.table
	n.table = table
	n.pools.Sync(table.Upstreams())
	n.adapters.Sync(table.Adapters())
	n.health.Sync(table.Upstreams())
	n.warnOfUnverified(table.Destinations())
	if before != nil && table.Like(before) {
		return // no connection, series or estimate is of something that is gone
	}
	names, ids := map[string]bool{}, map[string]bool{}
	for _, e := range table.Endpoints() {
		names[e.Name], ids[e.ID] = true, true
	}
	for _, e := range table.Destinations() {
		ids[e.ID] = true
	}
	n.client.Sync(table.Destinations())
	n.metrics.Forget(func(name string) bool { return names[name] })
	if n.gateway != nil { // at the start there is nothing to forget
		n.gateway.Forget(func(id string) bool { return ids[id] })
	}
}

// state is what a scrape is told.
func (n *Node) state() metrics.State {
	version := n.sync.Applied()
	events, age := n.spool.Depth()
	values := n.sync.Stats()
	s := metrics.State{
		ConfigApplied: values.Applied, ConfigStale: values.Stale, ConfigRefused: values.Refused,
		Ready: n.gateway.Ready() == nil, Epoch: version.Epoch, Revision: version.Revision,
		Keys: n.keys.Len(), SpoolEvents: events, SpoolAge: age,
	}
	targets := n.pools.Targets()
	for _, b := range brokenTargets(targets) {
		s.Breakers = append(s.Breakers, metrics.Breaker{Target: b.Target, HalfOpen: b.State == pool.HalfOpen})
	}
	for _, t := range targets {
		s.Targets = append(s.Targets, metrics.Target{
			Endpoint: t.Endpoint, Target: t.Target, State: t.State, SkipVerify: t.SkipVerify,
			Attempts: t.Attempts, Failures: t.Failures, Retries: t.Retries, InFlight: t.InFlight,
		})
	}
	for _, c := range n.pools.Credentials() {
		s.Credentials = append(s.Credentials, metrics.Credential{
			Endpoint: c.Endpoint, Credential: c.Credential, Paused: !c.Until.IsZero(), Refused: c.Refused,
		})
	}
	return s
}
