package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

const (
	// mostLag is how old spend may be that is not booked yet.
	mostLag = 5 * time.Second
	// Parts of the spool's space, in percent: worth a look, and nearly out of room.
	spoolHigh = 70
	spoolFull = 90
	// settling is how long edges get to take over a change that was made a moment ago.
	settling = 2 * time.Second
)

// fleet looks at every edge.
func (x *examination) fleet(ctx context.Context, c clients) {
	nodes, err := x.settledNodes(ctx, c)
	if err != nil {
		x.failing(ctx, "edges", err)
		return
	}
	found := nodes.GetNodes()
	if x.edge != "" {
		found = nil
		for _, n := range nodes.GetNodes() {
			if n.GetId() == x.edge {
				found = append(found, n)
			}
		}
		if len(found) == 0 {
			x.bad("edges", fmt.Sprintf("`%s edge list` shows those that there are.", x.Program), "there is no edge %s that has reported", x.edge)
			return
		}
	}
	if len(found) == 0 {
		x.bad("edges", fmt.Sprintf("Start one: `%s edge join-token NAME` gives the command.", x.Program), "no edge has reported: nobody serves callers")
		return
	}
	for _, n := range found {
		since := len(x.checks)
		x.node(n, nodes.GetRevision())
		x.on(n.GetId(), since)
	}
}

// settledNodes are the edges, which get a moment where they are behind.
func (x *examination) settledNodes(ctx context.Context, c clients) (*controlv1.ListNodesResponse, error) {
	res, err := c.system.ListNodes(ctx, &controlv1.ListNodesRequest{})
	for tries := settling / rolloutPause; tries > 0 && err == nil && behind(res); tries-- {
		if x.Pause(ctx, rolloutPause) != nil {
			break
		}
		var again *controlv1.ListNodesResponse
		if again, err = c.system.ListNodes(ctx, &controlv1.ListNodesRequest{}); err == nil {
			res = again
		}
	}
	return res, err
}

func behind(res *controlv1.ListNodesResponse) bool {
	for _, n := range res.GetNodes() {
		if n.GetStatus() == controlv1.NodeStatus_NODE_STATUS_BEHIND {
			return true
		}
	}
	return false
}

// node looks at one edge.
func (x *examination) node(n *controlv1.Node, newest int64) {
	name := "edge " + n.GetId()
	before := len(x.checks)
	switch n.GetStatus() { //nolint:exhaustive // the others are well
	case controlv1.NodeStatus_NODE_STATUS_SILENT:
		x.bad(name, "Look whether its process runs and reaches NATS. One that will not come back is in no list after a while; its books: `tollgate ledger incarnations`.",
			"not heard of since %s", x.when(n.GetLastSeenTime()))
		return // all else is as old
	case controlv1.NodeStatus_NODE_STATUS_BEHIND:
		x.bad(name, "Look at its log, and whether it reaches NATS; a restart reads everything anew.", "serves revision %d, and the newest is %d", n.GetRevision(), newest)
	}
	if skew := time.Duration(n.GetClockSkewMs()) * time.Millisecond; skew.Abs() > mostSkew {
		way := "ahead of"
		if skew < 0 {
			way = "behind"
		}
		x.bad(name, "Set its clock with NTP. Keys and budgets begin and end at the wrong time there, and tickets are refused.", "its clock is %s %s the control plane's", skew.Abs().Round(100*time.Millisecond), way)
	}
	switch used := n.GetSpoolPercent(); {
	case used >= spoolFull:
		x.bad(name, "See that the ledger and NATS answer: the spool empties by itself then. Meanwhile raise spool_max_bytes; when it is full, what costs something is refused with spool_unavailable.",
			"its spool is full to %d %%", used)
	case used >= spoolHigh:
		x.note(name, "See that the ledger and NATS answer, or raise spool_max_bytes.", "its spool is full to %d %%", used)
	}
	if age := time.Duration(n.GetSpoolAgeMs()) * time.Millisecond; age > mostLag {
		x.bad(name, "See that a ledger runs, reaches NATS and its database: its log says what it waits for.", "%s for %s: the ledger lags", unbooked(n.GetSpoolEvents()), age.Round(time.Second))
	}
	if env := n.GetMissingEnv(); len(env) > 0 {
		x.bad(name, "Set them in the environment of the edge and restart it, or store secrets and refer to these.", "it does not have the variables that endpoints refer to: %s", strings.Join(env, ", "))
	}
	for _, s := range n.GetUnresolvedSecrets() {
		x.bad(name, fmt.Sprintf("`tollgate secret refs %s` shows what needs it; correct the reference, or what it refers to on the edge.", s.GetSecret()), "it cannot read the secret %s: %s", s.GetSecret(), strings.TrimSuffix(s.GetError(), "."))
	}
	for _, t := range n.GetTargets() {
		if s := t.GetState(); s == "open" || s == "ejected" || s == "unhealthy" {
			x.note(name, fmt.Sprintf("`tollgate edge probe %s --edge %s` shows why; `tollgate edge reset-breaker %s` tries it at once.", t.GetTarget(), n.GetId(), t.GetEndpoint()),
				"it leaves target %s of %s alone (%s)", t.GetTarget(), t.GetEndpoint(), s)
		}
	}
	if n.GetDraining() {
		x.note(name, "tollgate edge undrain "+n.GetId(), "it drains: balancers send it nobody")
	}
	if len(x.checks) == before {
		x.good(name, "revision %d, %d in flight", n.GetRevision(), n.GetInFlight())
	}
}

func unbooked(events int64) string {
	if events == 1 {
		return "1 request was not booked"
	}
	return fmt.Sprintf("%d requests were not booked", events)
}
