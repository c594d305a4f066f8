package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (a *app) limitNoun() noun[*controlv1.Limit] {
	return noun[*controlv1.Limit]{
		name: "limit", plural: "limits", short: "Requests or units per minute, and requests at a time", sample: "ci-rpm", console: "/limits",
		columns: []column[*controlv1.Limit]{
			{"NAME", (*controlv1.Limit).GetName, plain},
			{"SCOPE", func(l *controlv1.Limit) string { return scope(l) }, plain},
			{"LIMIT", limitText, plain},
			{"BURST", burstText, right},
			{"WITHOUT LEDGER", fallbackText, plain},
			{"ID", (*controlv1.Limit).GetId, wide},
			{"UPDATED", func(l *controlv1.Limit) string { return a.when(l.GetUpdateTime()) }, wide},
			{"MANAGED BY", func(l *controlv1.Limit) string { return first(l.GetManagedBy(), "-") }, wide},
		},
		id: (*controlv1.Limit).GetName,
		page: func(ctx context.Context, c clients, q query) ([]*controlv1.Limit, string, error) {
			page, err := c.limits.ListLimits(ctx, &controlv1.ListLimitsRequest{PageSize: q.size, PageToken: q.token, Filter: q.filter, OrderBy: q.order})
			return page.GetLimits(), page.GetNextPageToken(), err
		},
		filters: "team:search", ordered: true,
		empty: "There are no limits. Make one with `%s limit create`.",
		get: func(ctx context.Context, c clients, name string) (*controlv1.Limit, error) {
			res, err := c.limits.GetLimit(ctx, &controlv1.GetLimitRequest{Limit: name})
			return res.GetLimit(), err
		},
		details: func(t *table, l *controlv1.Limit) {
			t.add("name", l.GetName())
			t.add("id", l.GetId())
			t.add("scope", scope(l))
			t.add("limit", limitText(l))
			t.add("burst", burstText(l))
			t.add("without ledger", fallbackText(l))
			addManaged(t, l.GetManagedBy())
		},
		remove: func(ctx context.Context, c clients, name string) error {
			_, err := c.limits.DeleteLimit(ctx, &controlv1.DeleteLimitRequest{Limit: name})
			return err
		},
	}
}

func (a *app) limitCommand() *cobra.Command {
	verbs := []*cobra.Command{a.limitCreate(), a.limitSet()}
	a.writes(verbs...)
	return a.limitNoun().command(a, verbs...)
}

func limitResult(l *controlv1.Limit) result {
	return result{data: view(l), names: []string{l.GetName()}}
}

var limitKinds = map[string]controlv1.LimitKind{
	"requests":   controlv1.LimitKind_LIMIT_KIND_REQUESTS,
	"units":      controlv1.LimitKind_LIMIT_KIND_UNITS,
	"concurrent": controlv1.LimitKind_LIMIT_KIND_CONCURRENT,
}

var limitFallbacks = map[string]controlv1.LimitFallback{
	"share":  controlv1.LimitFallback_LIMIT_FALLBACK_SHARE,
	"open":   controlv1.LimitFallback_LIMIT_FALLBACK_OPEN,
	"closed": controlv1.LimitFallback_LIMIT_FALLBACK_CLOSED,
}

// limitText is what a limit allows, in words.
func limitText(l *controlv1.Limit) string {
	amount := count(l.GetAmount())
	switch l.GetKind() {
	case controlv1.LimitKind_LIMIT_KIND_REQUESTS:
		return amount + " requests/min"
	case controlv1.LimitKind_LIMIT_KIND_UNITS:
		return amount + " units/min"
	case controlv1.LimitKind_LIMIT_KIND_CONCURRENT:
		return amount + " at a time"
	default:
		return amount + " of a kind that this version does not know"
	}
}

func burstText(l *controlv1.Limit) string {
	switch {
	case l.GetKind() == controlv1.LimitKind_LIMIT_KIND_CONCURRENT:
		return "-"
	case l.GetBurst() == 0:
		return "auto" // what a second brings
	default:
		return count(l.GetBurst())
	}
}

// limitDifference tells what has changed of a limit.
func limitDifference(old, l *controlv1.Limit) string {
	var parts []string
	if was, is := limitText(old), limitText(l); was != is {
		parts = append(parts, was+" → "+is)
	}
	if was, is := burstText(old), burstText(l); was != is {
		parts = append(parts, "burst "+was+" → "+is)
	}
	if was, is := fallbackText(old), fallbackText(l); was != is {
		parts = append(parts, "without ledger "+was+" → "+is)
	}
	return first(strings.Join(parts, ", "), "unchanged")
}

func fallbackText(l *controlv1.Limit) string {
	return strings.ToLower(strings.TrimPrefix(l.GetFallback().String(), "LIMIT_FALLBACK_"))
}

func (a *app) limitCreate() *cobra.Command {
	var on scopeFlags
	var kind, fallback string
	var amount, burst int64
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a limit on a key, a team, a customer, a tag, an endpoint or everything", Args: exactly("NAME"),
		Example: `  tollgate limit create ci-rpm --key ci-bot --kind requests --amount 600
  tollgate limit create search-parallel --team search --kind concurrent --amount 20 --without-ledger closed`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := on.check(cmd, "limit"); err != nil {
				return err
			}
			l := &controlv1.Limit{Name: args[0], Amount: amount, Burst: burst}
			on.onLimit(l)
			var ok bool
			if l.Kind, ok = limitKinds[kind]; !ok {
				return usage(cmd, "--kind is requests, units or concurrent, not %q.", kind)
			}
			if l.Fallback, ok = limitFallbacks[fallback]; !ok {
				return usage(cmd, "--without-ledger is share, open or closed, not %q.", fallback)
			}
			if !cmd.Flags().Changed("amount") {
				return usage(cmd, "--amount is missing.")
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.limits.CreateLimit(ctx, &controlv1.CreateLimitRequest{Limit: l})
				if err != nil {
					return err
				}
				made := res.GetLimit()
				return a.done(limitResult(made), a.Program+" limit get "+made.GetName(), "limit %s created (rev %d): %s on %s",
					made.GetName(), made.GetRevision(), limitText(made), scope(made))
			})
		},
	}
	on.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&kind, "kind", "", "requests or units (per minute), or concurrent (requests at a time)")
	flags.Int64Var(&amount, "amount", 0, "how many")
	flags.Int64Var(&burst, "burst", 0, "most that may pass at once after a pause; a sixtieth of the amount, and at least 1, if not given")
	flags.StringVar(&fallback, "without-ledger", "share", "what an edge does when it cannot reach the ledger: admit its share, all (open) or none (closed)")
	return cmd
}

func (a *app) limitSet() *cobra.Command {
	var amount, burst int64
	var fallback string
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Change a limit", Args: exactly("NAME"),
		Long:    "Change what is given and leave the rest. Edges follow within a second.",
		Example: `  tollgate limit set ci-rpm --amount 1200 --burst 50`,
		RunE: func(cmd *cobra.Command, args []string) error {
			given := cmd.Flags().Changed
			req := &controlv1.UpdateLimitRequest{}
			if given("amount") {
				req.Amount = new(amount)
			}
			if given("burst") {
				req.Burst = new(burst)
			}
			if given("without-ledger") {
				var ok bool
				if req.Fallback, ok = limitFallbacks[fallback]; !ok {
					return usage(cmd, "--without-ledger is share, open or closed, not %q.", fallback)
				}
			}
			if proto.Size(req) == 0 {
				return usage(cmd, "Say what to change with --amount, --burst or --without-ledger.")
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				got, err := c.limits.GetLimit(ctx, &controlv1.GetLimitRequest{Limit: args[0]})
				if err != nil {
					return err
				}
				req.Limit, req.Etag = got.GetLimit().GetId(), got.GetLimit().GetEtag()
				res, err := c.limits.UpdateLimit(ctx, req)
				if err != nil {
					return err
				}
				l := res.GetLimit()
				return a.done(limitResult(l), "", "limit %s: %s (rev %d)", l.GetName(), limitDifference(got.GetLimit(), l), l.GetRevision())
			})
		},
	}
	flags := cmd.Flags()
	flags.Int64Var(&amount, "amount", 0, "how many")
	flags.Int64Var(&burst, "burst", 0, "most that may pass at once after a pause; 0 for a sixtieth of the amount, and at least 1")
	flags.StringVar(&fallback, "without-ledger", "", "what an edge does when it cannot reach the ledger: share, open or closed")
	return cmd
}
