package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show what runs, and what is wrong with it", Args: exactly(), Example: "  tollgate status",
		Long: "Show on one screen what runs: the control plane, what it needs, and every edge. What is wrong is said below; `tollgate doctor` looks closer and says how to mend it.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd, a.status)
		},
	}
}

func (a *app) status(ctx context.Context, c clients) error {
	info, err := c.system.GetInfo(ctx, &controlv1.GetInfoRequest{})
	if err != nil {
		return err
	}
	nodes, err := c.system.ListNodes(ctx, &controlv1.ListNodesRequest{})
	if err != nil {
		return err
	}
	p, err := a.place()
	if err != nil {
		return err
	}
	live, inFlight, waiting := 0, int64(0), int64(0)
	rate := 0.0
	for _, n := range nodes.GetNodes() {
		if n.GetStatus() == controlv1.NodeStatus_NODE_STATUS_LIVE {
			live++
		}
		if n.GetStatus() != controlv1.NodeStatus_NODE_STATUS_SILENT {
			inFlight, rate = inFlight+n.GetInFlight(), rate+n.GetRequestRate()
		}
		waiting += n.GetSpoolEvents()
	}
	data := view(info)
	data.set("server", p.Server)
	data.set("edges", len(nodes.GetNodes()))
	data.set("edgesLive", live)
	data.set("requestRate", rate)
	data.set("inFlight", inFlight)
	data.set("unbooked", waiting)
	r := result{data: data, names: []string{p.Server}}
	add := r.table.add
	add("server", p.Server)
	add("context", first(p.name, "-"))
	add("name", first(info.GetName(), "-"))
	add("gateway", first(info.GetGatewayUrl(), p.Gateway, "-"))
	add("version", info.GetVersion())
	add("revision", count(info.GetRevision())+", published "+count(info.GetPublishedRevision()))
	add("nats", answers(info.GetNats()))
	if info.Ledger != nil {
		add("ledger", answers(info.GetLedger()))
	}
	add("edges", count(int64(live))+" of "+count(int64(len(nodes.GetNodes())))+" live")
	for _, n := range nodes.GetNodes() {
		add("  "+n.GetId(), fmt.Sprintf("%s, rev %d, %.1f req/s, %d in flight", nodeStatus(n), n.GetRevision(), n.GetRequestRate(), n.GetInFlight()))
	}
	add("requests", fmt.Sprintf("%.1f/s, %d in flight, %d to be booked", rate, inFlight, waiting))
	if err := a.print(r); err != nil {
		return err
	}
	a.wrong(info, nodes)
	return nil
}

// wrong says what doctor would find about the same, without how to mend it.
func (a *app) wrong(info *controlv1.GetInfoResponse, nodes *controlv1.ListNodesResponse) {
	x := &examination{app: a}
	x.infrastructure(info)
	if len(nodes.GetNodes()) == 0 {
		x.bad("edges", "", "no edge has reported: nobody serves callers")
	}
	for _, n := range nodes.GetNodes() {
		x.node(n, nodes.GetRevision())
	}
	bad, notes := countBad(x.checks)
	for _, c := range x.checks {
		switch c.status {
		case checkBad:
			a.say("%s %s: %s", a.mark(false), c.name, c.text)
		case checkNote:
			a.say("%s %s: %s", a.paint(yellow, "!"), c.name, c.text)
		}
	}
	if bad+notes > 0 {
		a.say("  next: %s doctor", a.Program)
	}
}

func answers(ok bool) string {
	if ok {
		return "answers"
	}
	return "does not answer"
}
