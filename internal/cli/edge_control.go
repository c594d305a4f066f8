package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (a *app) edgeCommand() *cobra.Command {
	n := a.nodes()
	cmd := n.command(a, a.edgeDrain(false), a.edgeDrain(true), a.edgeResetBreaker(), a.edgeProbe(), a.edgeRollout(), a.edgeJoinToken())
	// `edges` alone lists them.
	lister := n.list(a)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 && cmd.CalledAs() != "edge" {
			lister.SetContext(cmd.Context())
			return lister.RunE(lister, nil)
		}
		return group(cmd, args)
	}
	return cmd
}

// edgeDrain is drain or undrain.
func (a *app) edgeDrain(end bool) *cobra.Command {
	use, short := "drain", "Have an edge tell its load balancer to send nobody any more; it goes on serving who comes"
	if end {
		use, short = "undrain", "Let an edge that drains serve again"
	}
	cmd := &cobra.Command{
		Use: use + " NAME", Short: short, Args: exactly("NAME"), Example: "  tollgate edge " + use + " fra-1",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.edges.DrainNode(ctx, &controlv1.DrainNodeRequest{Node: args[0], End: end})
				if err != nil {
					return err
				}
				r := result{data: view(res), names: []string{args[0]}}
				if end {
					return a.done(r, "", "edge %s serves again", args[0])
				}
				return a.done(r, a.Program+" edge get "+args[0], "edge %s drains; %s in flight", args[0], several(int(res.GetInFlight()), "request"))
			})
		},
	}
	if end {
		a.writes(cmd)
	} else {
		a.destroys(cmd)
	}
	return cmd
}

func (a *app) edgeResetBreaker() *cobra.Command {
	var req controlv1.ResetBreakerRequest
	cmd := &cobra.Command{
		Use: "reset-breaker ENDPOINT", Short: "Send requests to a target again that was left alone because it failed", Args: exactly("ENDPOINT"),
		Example: "  tollgate edge reset-breaker bria --edge fra-1",
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Endpoint = args[0]
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.edges.ResetBreaker(ctx, &req)
				if err != nil {
					return err
				}
				r := result{table: table{head: []string{"EDGE", "RESET", "ERROR"}, right: []string{"RESET"}}}
				data, failed := []any{}, 0
				for _, one := range res.GetResults() {
					data, r.names = append(data, view(one)), append(r.names, one.GetNode())
					r.table.add(one.GetNode(), count(int64(one.GetChanged())), first(one.GetError(), "-"))
					if one.GetError() != "" {
						failed++
					}
				}
				r.data = data
				if err := a.print(r); err != nil {
					return err
				}
				return unfinished(failed, len(res.GetResults()))
			})
		},
	}
	cmd.Flags().StringVar(&req.Node, "edge", "", "this edge only")
	cmd.Flags().StringVar(&req.Target, "target", "", "URL of this target only")
	a.writes(cmd)
	return cmd
}

// unfinished is what is wrong where some edges did not do what they were told.
func unfinished(failed, all int) error {
	if failed == 0 {
		return nil
	}
	return &failure{exit: ExitPending, message: fmt.Sprintf("%d of %s did not do it.", failed, several(all, "edge")), typed: true}
}

func (a *app) edgeProbe() *cobra.Command {
	var req controlv1.ProbeTargetRequest
	cmd := &cobra.Command{
		Use: "probe URL", Short: "Have edges connect to a target, and show how far each gets", Args: exactly("URL"),
		Example: "  tollgate edge probe https://engine.prod.bria-api.com --edge fra-1",
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Url = args[0]
			return a.with(cmd, func(ctx context.Context, c clients) error { return a.probe(ctx, c, &req) })
		},
	}
	cmd.Flags().StringVar(&req.Node, "edge", "", "from this edge only")
	return cmd
}

// probe shows what edges find where they connect. A target that some cannot reach is a failure.
func (a *app) probe(ctx context.Context, c clients, req *controlv1.ProbeTargetRequest) error {
	res, err := c.edges.ProbeTarget(ctx, req)
	if err != nil {
		return err
	}
	r := result{table: table{
		head:  []string{"EDGE", "REACHED", "STATUS", "DNS", "CONNECT", "TLS", "FIRST BYTE", "PROTOCOL", "ADDRESSES", "CERTIFICATE ENDS"},
		right: []string{"STATUS", "DNS", "CONNECT", "TLS", "FIRST BYTE"}, wide: []string{"ADDRESSES", "CERTIFICATE ENDS"},
	}}
	data := []any{}
	away := 0
	took := func(d *durationpb.Duration) string {
		if d == nil {
			return "-"
		}
		return d.AsDuration().Round(100 * time.Microsecond).String()
	}
	for _, p := range res.GetResults() {
		data, r.names = append(data, view(p)), append(r.names, p.GetNode())
		status := "-"
		if p.GetStatus() != 0 {
			status = count(int64(p.GetStatus()))
		}
		r.table.add(p.GetNode(), yesNo(p.GetReached()), status, took(p.GetDns()), took(p.GetConnect()), took(p.GetTls()), took(p.GetFirstByte()),
			first(p.GetProtocol(), "-"), list(p.GetAddresses(), "-"), a.when(p.GetCertificateExpireTime()))
	}
	r.data = data
	if err := a.print(r); err != nil {
		return err
	}
	for _, p := range res.GetResults() {
		if p.GetReached() {
			continue
		}
		away++
		a.say("%s %s: %s: %s %s", a.paint(yellow, "!"), p.GetNode(), p.GetStage(), p.GetError(), p.GetSuggestion())
	}
	if away > 0 {
		return &failure{exit: ExitUnreachable, message: fmt.Sprintf("%d of %s cannot reach it.", away, several(len(res.GetResults()), "edge")), typed: true}
	}
	return nil
}

func (a *app) edgeRollout() *cobra.Command {
	var wait time.Duration
	var revision int64
	cmd := &cobra.Command{
		Use: "rollout", Short: "Show which edges serve a revision", Args: exactly(),
		Long:    "Show which edges serve the newest revision, or the one of --revision. With --wait it waits until all do, and ends with 8 if they do not in time.",
		Example: "  tollgate edge rollout\n  tollgate edge rollout --revision 185 --wait 30s",
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.timeout = max(a.timeout, wait+a.timeout)
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.edges.GetRollout(ctx, &controlv1.GetRolloutRequest{Revision: revision})
				for end := a.Now().Add(wait); err == nil && res.GetLive() < res.GetTotal() && a.Now().Before(end); {
					if err := a.Pause(ctx, rolloutPause); err != nil {
						return err
					}
					res, err = c.edges.GetRollout(ctx, &controlv1.GetRolloutRequest{Revision: res.GetRevision()})
				}
				if err != nil {
					return err
				}
				return a.printRollout(res, wait > 0)
			})
		},
	}
	cmd.Flags().DurationVar(&wait, "wait", 0, "how long to wait until all edges serve it")
	cmd.Flags().Int64Var(&revision, "revision", 0, "which revision; 0 for the newest")
	return cmd
}

// rolloutPause is how long to wait before edges are looked at again.
const rolloutPause = 250 * time.Millisecond

func (a *app) printRollout(res *controlv1.GetRolloutResponse, waited bool) error {
	r := result{data: view(res), table: table{head: []string{"EDGE", "LIVE", "SERVES", "SINCE"}, right: []string{"SERVES"}}}
	for _, n := range res.GetNodes() {
		r.names = append(r.names, n.GetNode())
		r.table.add(n.GetNode(), yesNo(n.GetLive()), count(n.GetRevision()), a.when(n.GetLiveTime()))
	}
	if err := a.print(r); err != nil {
		return err
	}
	a.say("rev %d is live on %d/%d edges", res.GetRevision(), res.GetLive(), res.GetTotal())
	if waited && res.GetLive() < res.GetTotal() {
		return &failure{exit: ExitPending, message: fmt.Sprintf("Revision %d is live on %d of %d edges.", res.GetRevision(), res.GetLive(), res.GetTotal()), typed: true}
	}
	return nil
}

func (a *app) edgeJoinToken() *cobra.Command {
	var req controlv1.CreateJoinTokenRequest
	cmd := &cobra.Command{
		Use: "join-token NAME", Aliases: []string{"token"}, Short: "Let a new edge join; the token is printed once, alone, on stdout", Args: exactly("NAME"),
		Example: "  tollgate edge join-token fra-2 --region eu",
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Node = args[0]
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.edges.CreateJoinToken(ctx, &req)
				if err != nil {
					return err
				}
				if !a.forPeople() {
					return a.print(result{data: view(res), names: []string{args[0]}})
				}
				a.say("%s edge %s may join, once, until %s", a.mark(true), args[0], a.when(res.GetExpireTime()))
				if command := strings.ReplaceAll(res.GetCommand(), res.GetToken(), "TOKEN"); command != "" {
					a.say("  next: %s", command)
				}
				fmt.Fprintln(a.Stdout, res.GetToken())
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&req.Region, "region", "", "where it stands")
	a.writes(cmd)
	return cmd
}
