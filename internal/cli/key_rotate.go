package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (a *app) keyRotate(n noun[*controlv1.Key]) *cobra.Command {
	var overlap, hash string
	cmd := &cobra.Command{
		Use: "rotate NAME", Short: "Give a key a new secret; the old one goes on working for a while", Args: exactly("NAME"),
		Long: "Give a key a new secret, which is printed once, alone, on stdout. The old one goes on working for 24 hours, or as long as --overlap says, so that callers can change over; `key use` shows whether anybody still presents it.",
		Example: `  KEY=$(tollgate key rotate ci-bot)
  tollgate key rotate ci-bot --overlap 7d
  tollgate key rotate ci-bot --overlap 0`,
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &controlv1.RotateKeyRequest{Key: args[0]}
			if overlap != "" {
				d, ok := span(overlap)
				if !ok && overlap != "0" {
					return usage(cmd, "--overlap %q is no length of time such as 24h or 7d, and not 0.", overlap)
				}
				req.Overlap = durationpb.New(d)
			}
			var err error
			if req.SecretSha256, err = hashFlag(cmd, hash); err != nil {
				return err
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.Keys.RotateKey(ctx, req)
				if err != nil {
					return err
				}
				k := res.GetKey()
				old := "the old secret stopped working"
				if k.GetOverlapEndTime() != nil {
					old = "the old secret works until " + k.GetOverlapEndTime().AsTime().UTC().Format(time.RFC3339)
				}
				return a.keySecret(n, k, res.GetSecret(), "key %s rotated (rev %d); %s", k.GetName(), k.GetRevision(), old)
			})
		},
	}
	cmd.Flags().StringVar(&overlap, "overlap", "", "how long the old secret goes on working, such as 7d; 0 ends it at once (24h if not given)")
	cmd.Flags().StringVar(&hash, "sha256", "", "take over an existing secret by its SHA-256, in hexadecimal")
	a.destroys(cmd)
	return cmd
}

func (a *app) keyEndOverlap(n noun[*controlv1.Key]) *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use: "end-overlap NAME", Short: "End the old secret of a key that was rotated, or say when", Args: exactly("NAME"),
		Example: `  tollgate key end-overlap ci-bot
  tollgate key end-overlap ci-bot --at 3d`,
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &controlv1.EndKeyOverlapRequest{Key: args[0]}
			if at != "" {
				end, ok := moment(at, a.Now())
				if !ok {
					return usage(cmd, "--at %q is neither a time ahead such as 3d or 12h, nor a date to come such as 2027-01-31.", at)
				}
				req.EndTime = timestamppb.New(end)
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.Keys.EndKeyOverlap(ctx, req)
				if err != nil {
					return err
				}
				k := res.GetKey()
				if k.GetOverlapEndTime() == nil {
					return a.done(n.result(k), "", "key %s: the old secret stopped working (rev %d)", k.GetName(), k.GetRevision())
				}
				return a.done(n.result(k), "", "key %s: the old secret works until %s (rev %d)", k.GetName(),
					k.GetOverlapEndTime().AsTime().UTC().Format(time.RFC3339), k.GetRevision())
			})
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "when it stops working: 3d, 12h or 2027-01-31; now if not given")
	a.destroys(cmd)
	return cmd
}

// keyBlock is block or unblock.
func (a *app) keyBlock(n noun[*controlv1.Key], blocked bool) *cobra.Command {
	use, short, said := "unblock", "Let a blocked key in again", "is let in again"
	if blocked {
		use, short, said = "block", "Refuse a key until it is unblocked", "is refused"
	}
	cmd := &cobra.Command{
		Use: use + " NAME", Short: short, Args: exactly("NAME"), Example: "  tollgate key " + use + " ci-bot",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.Keys.BlockKey(ctx, &controlv1.BlockKeyRequest{Key: args[0], Blocked: blocked})
				if err != nil {
					return err
				}
				k := res.GetKey()
				return a.done(n.result(k), "", "key %s %s (rev %d)", k.GetName(), said, k.GetRevision())
			})
		},
	}
	if blocked {
		a.destroys(cmd)
	} else {
		a.writes(cmd)
	}
	return cmd
}

func (a *app) keyUse() *cobra.Command {
	return &cobra.Command{
		Use: "use NAME", Short: "Show how the secrets of a key are used", Args: exactly("NAME"), Example: "  tollgate key use ci-bot",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.Keys.GetKeyUse(ctx, &controlv1.GetKeyUseRequest{Key: args[0]})
				if err != nil {
					return err
				}
				r := result{table: table{
					head:  []string{"SECRET", "WHICH", "REQUESTS", "LAST HOUR", "LAST USE", "FROM", "ENDS", "AGENT", "EDGE", "FIRST USE", "CREATED"},
					right: []string{"REQUESTS", "LAST HOUR"}, wide: []string{"AGENT", "EDGE", "FIRST USE", "CREATED"},
				}}
				data := []any{}
				for _, s := range res.GetSecrets() {
					which := "old"
					if s.GetCurrent() {
						which = "current"
					}
					name := first(s.GetPrefix(), "-")
					if s.GetSuffix() != "" {
						name += "…" + s.GetSuffix()
					}
					data, r.names = append(data, view(s)), append(r.names, name)
					r.table.add(name, which, count(s.GetRequests()), count(s.GetRequestsLastHour()), a.when(s.GetLastUseTime()), first(s.GetLastAddress(), "-"),
						a.when(s.GetEndTime()), first(s.GetLastAgent(), "-"), first(s.GetLastEdge(), "-"), a.when(s.GetFirstUseTime()), a.when(s.GetCreateTime()))
				}
				r.data = data
				return a.print(r)
			})
		},
	}
}
