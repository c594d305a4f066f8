package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/telemetry"
)

func (a *app) nodes() noun[*controlv1.Node] {
	var newest int64
	return noun[*controlv1.Node]{
		name: "edge", plural: "edges", aliases: []string{"node", "nodes"}, short: "What serves callers, and what each of them has", sample: "fra-1", console: "/edges",
		columns: []column[*controlv1.Node]{
			{"NAME", (*controlv1.Node).GetId, plain},
			{"STATUS", nodeStatus, plain},
			{"REVISION", func(n *controlv1.Node) string { return count(n.GetRevision()) + "/" + count(newest) }, right},
			{"SEEN", func(n *controlv1.Node) string { return a.when(n.GetLastSeenTime()) }, plain},
			{"UNBOOKED", func(n *controlv1.Node) string { return count(n.GetSpoolEvents()) }, right},
			{"OLDEST", func(n *controlv1.Node) string { return milliseconds64(n.GetSpoolAgeMs()) }, right},
			{"VERSION", func(n *controlv1.Node) string { return first(n.GetVersion(), "-") }, plain},
			{"ADDRESS", func(n *controlv1.Node) string { return first(n.GetAddress(), "-") }, plain},
			{"REGION", func(n *controlv1.Node) string { return first(n.GetRegion(), "-") }, wide},
			{"IN FLIGHT", func(n *controlv1.Node) string { return count(n.GetInFlight()) }, rightWide},
			{"REQUESTS", func(n *controlv1.Node) string { return count(n.GetRequests()) }, rightWide},
			{"ERRORS", func(n *controlv1.Node) string { return count(n.GetErrors()) }, rightWide},
			{"STARTED", func(n *controlv1.Node) string { return a.when(n.GetStartTime()) }, wide},
		},
		id: (*controlv1.Node).GetId,
		page: func(ctx context.Context, c clients, _ query) ([]*controlv1.Node, string, error) {
			res, err := c.system.ListNodes(ctx, &controlv1.ListNodesRequest{})
			newest = res.GetRevision()
			return res.GetNodes(), "", err
		},
		empty: "No edge has reported yet; `%s edge join-token` lets one join.",
		note:  a.nodeTroubles,
		get: func(ctx context.Context, c clients, name string) (*controlv1.Node, error) {
			res, err := c.edges.GetNode(ctx, &controlv1.GetNodeRequest{Node: name})
			newest = res.GetRevision()
			return res.GetNode(), err
		},
		details: func(t *table, n *controlv1.Node) {
			t.add("name", n.GetId())
			t.add("status", nodeStatus(n))
			t.add("region", first(n.GetRegion(), "-"))
			t.add("address", first(n.GetAdvertised(), n.GetAddress(), "-"))
			t.add("version", first(n.GetVersion(), "-"))
			t.add("revision", count(n.GetRevision())+" of "+count(newest))
			t.add("started", a.when(n.GetStartTime()))
			t.add("seen", a.when(n.GetLastSeenTime()))
			t.add("in flight", count(n.GetInFlight()))
			t.add("requests", count(n.GetRequests())+", "+count(n.GetErrors())+" with errors")
			t.add("overhead", fmt.Sprintf("p50 %s, p99 %s", time.Duration(n.GetOverheadP50Us())*time.Microsecond, time.Duration(n.GetOverheadP99Us())*time.Microsecond))
			t.add("clock", fmt.Sprintf("%+d ms from the control plane's", n.GetClockSkewMs()))
			t.add("unbooked", count(n.GetSpoolEvents())+", oldest "+milliseconds64(n.GetSpoolAgeMs())+fmt.Sprintf(", %d %% of the spool", n.GetSpoolPercent()))
			for _, target := range n.GetTargets() {
				t.add("target", target.GetEndpoint()+" "+target.GetTarget()+": "+target.GetState())
			}
		},
	}
}

func milliseconds64(ms int64) string { return (time.Duration(ms) * time.Millisecond).String() }

// nodeTroubles names what does not fit into a table and needs somebody's hand.
func (a *app) nodeTroubles(n *controlv1.Node) {
	say := func(format string, args ...any) { a.say("%s "+format, append([]any{a.paint(yellow, "!")}, args...)...) }
	if len(n.GetMissingEnv()) > 0 {
		say("%s does not have the variables that endpoints refer to: %s", n.GetId(), strings.Join(n.GetMissingEnv(), ", "))
	}
	for _, s := range n.GetUnresolvedSecrets() {
		say("%s cannot read secret %s: %s", n.GetId(), s.GetSecret(), s.GetError())
	}
	for _, b := range n.GetBreakers() {
		say("%s: the breaker of %s is %s", n.GetId(), b.GetTarget(), b.GetState())
	}
	for _, t := range n.GetTargets() {
		if s := t.GetState(); s == "ejected" || s == "unhealthy" {
			say("%s: target %s of endpoint %s is %s", n.GetId(), t.GetTarget(), t.GetEndpoint(), s)
		}
	}
}

func nodeStatus(n *controlv1.Node) string {
	status := enumWord(n.GetStatus(), "NODE_STATUS_")
	if n.GetDraining() {
		status += ", draining"
	}
	return status
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the version of this command", Args: exactly(), Example: "  tollgate version",
		RunE: func(*cobra.Command, []string) error {
			data := &object{}
			data.set("version", telemetry.Version())
			r := result{data: data, names: []string{telemetry.Version()}}
			r.table.add("tollgate " + telemetry.Version())
			return a.print(r)
		},
	}
}
