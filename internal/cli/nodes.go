package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/telemetry"
)

func (a *app) nodesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "nodes", Aliases: []string{"edges"}, Short: "List the edges and what each of them serves", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.system.ListNodes(ctx, &controlv1.ListNodesRequest{})
				if err != nil {
					return err
				}
				r := result{table: table{
					head:  []string{"NAME", "STATUS", "REVISION", "SEEN", "UNBOOKED", "OLDEST", "VERSION", "ADDRESS"},
					right: []string{"REVISION", "UNBOOKED", "OLDEST"},
				}}
				data := []any{}
				for _, n := range res.GetNodes() {
					data, r.names = append(data, view(n)), append(r.names, n.GetId())
					r.table.add(n.GetId(), nodeStatus(n.GetStatus()), strconv.FormatInt(n.GetRevision(), 10)+"/"+strconv.FormatInt(res.GetRevision(), 10),
						a.when(n.GetLastSeenTime()), count(n.GetSpoolEvents()), (time.Duration(n.GetSpoolAgeMs()) * time.Millisecond).String(),
						first(n.GetVersion(), "-"), first(n.GetAddress(), "-"))
				}
				r.data = data
				if err := a.print(r); err != nil {
					return err
				}
				a.nodeTroubles(res.GetNodes())
				return nil
			})
		},
	}
}

// nodeTroubles names what does not fit into a table and needs somebody's hand.
func (a *app) nodeTroubles(nodes []*controlv1.Node) {
	if len(nodes) == 0 {
		a.say("No edge has reported yet.")
	}
	for _, n := range nodes {
		if len(n.GetMissingEnv()) > 0 {
			a.say("! %s does not have the variables that endpoints refer to: %s", n.GetId(), strings.Join(n.GetMissingEnv(), ", "))
		}
		for _, b := range n.GetBreakers() {
			a.say("! %s: the breaker of %s is %s", n.GetId(), b.GetTarget(), b.GetState())
		}
		for _, t := range n.GetTargets() {
			if s := t.GetState(); s == "ejected" || s == "unhealthy" {
				a.say("! %s: target %s of endpoint %s is %s", n.GetId(), t.GetTarget(), t.GetEndpoint(), s)
			}
		}
	}
}

func nodeStatus(s controlv1.NodeStatus) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "NODE_STATUS_"))
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the version of this command", Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			data := &object{}
			data.set("version", telemetry.Version())
			r := result{data: data, names: []string{telemetry.Version()}}
			r.table.add("tollgate " + telemetry.Version())
			return a.print(r)
		},
	}
}
