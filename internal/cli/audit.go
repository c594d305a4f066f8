package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// auditPage is how many entries are listed unless told otherwise: there may be very many.
const auditPage = 50

func (a *app) auditEntries(req *controlv1.ListAuditEntriesRequest) noun[*controlv1.AuditEntry] {
	return noun[*controlv1.AuditEntry]{
		name: "audit", plural: "audits", things: "what was done, newest first", arg: "ID", short: "Who changed what, and who looked at what is sensitive", sample: "aud_1", console: "/audit",
		columns: []column[*controlv1.AuditEntry]{
			{"TIME", func(e *controlv1.AuditEntry) string { return a.when(e.GetTime()) }, plain},
			{"WHO", (*controlv1.AuditEntry).GetActor, plain},
			{"DID", (*controlv1.AuditEntry).GetAction, plain},
			{"KIND", (*controlv1.AuditEntry).GetKind, plain},
			{"NAME", (*controlv1.AuditEntry).GetObjectName, plain},
			{"WHAT", func(e *controlv1.AuditEntry) string { return first(e.GetSummary(), "-") }, plain},
			{"ID", (*controlv1.AuditEntry).GetId, wide},
			{"VIA", (*controlv1.AuditEntry).GetVia, wide},
			{"FROM", func(e *controlv1.AuditEntry) string { return first(e.GetAddress(), "-") }, wide},
			{"REVISION", func(e *controlv1.AuditEntry) string { return count(e.GetRevision()) }, rightWide},
			{"REQUEST", func(e *controlv1.AuditEntry) string { return first(e.GetRequestId(), "-") }, wide},
		},
		id: (*controlv1.AuditEntry).GetId,
		page: func(ctx context.Context, c clients, q query) ([]*controlv1.AuditEntry, string, error) {
			page, err := c.audit.ListAuditEntries(ctx, &controlv1.ListAuditEntriesRequest{
				PageSize: q.size, PageToken: q.token, Filter: q.filter, FromTime: req.GetFromTime(), ToTime: req.GetToTime(),
			})
			return page.GetEntries(), page.GetNextPageToken(), err
		},
		filters: "kind:key action:create,revoke", most: auditPage,
		get: func(ctx context.Context, c clients, id string) (*controlv1.AuditEntry, error) {
			res, err := c.audit.GetAuditEntry(ctx, &controlv1.GetAuditEntryRequest{Entry: id})
			return res.GetEntry(), err
		},
		details: func(t *table, e *controlv1.AuditEntry) {
			t.add("id", e.GetId())
			t.add("time", a.when(e.GetTime()))
			t.add("who", e.GetActor())
			t.add("via", e.GetVia())
			t.add("from", first(e.GetAddress(), "-"))
			t.add("did", e.GetAction())
			t.add("to", e.GetKind()+" "+first(e.GetObjectName(), e.GetObjectId()))
			t.add("revision", count(e.GetRevision()))
			t.add("request", first(e.GetRequestId(), "-"))
			addChanges(t, e.GetChanges())
		},
	}
}

func addChanges(t *table, changes []*controlv1.FieldChange) {
	for _, f := range changes {
		t.add("  "+f.GetPath(), first(f.GetBefore(), "(none)")+" → "+first(f.GetAfter(), "(none)"))
	}
}

func (a *app) auditCommand() *cobra.Command {
	var req controlv1.ListAuditEntriesRequest
	var since, from, to string
	n := a.auditEntries(&req)
	cmd := n.command(a)
	for _, c := range cmd.Commands() {
		if c.Name() != "list" {
			continue
		}
		c.Flags().StringVar(&since, "since", "", "within this time, such as 15m or 7d")
		c.Flags().StringVar(&from, "from", "", "at this time or later: 2026-11-01 or 2026-11-01T13:00:00Z")
		c.Flags().StringVar(&to, "to", "", "before this time")
		c.PreRunE = func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(exclusive(cmd, "since", "from"), exclusive(cmd, "since", "to")); err != nil {
				return err
			}
			if since != "" {
				d, ok := span(since)
				if !ok {
					return usage(cmd, "--since %q is no length of time such as 15m or 7d.", since)
				}
				req.FromTime = timestamppb.New(a.Now().Add(-d))
			}
			for text, bound := range map[string]**timestamppb.Timestamp{from: &req.FromTime, to: &req.ToTime} {
				if text == "" {
					continue
				}
				at, ok := instant(text)
				if !ok {
					return usage(cmd, "%q is no time such as 2026-11-01 or 2026-11-01T13:00:00Z.", text)
				}
				*bound = timestamppb.New(at)
			}
			return nil
		}
	}
	return cmd
}

func (a *app) searchCommand() *cobra.Command {
	var req controlv1.SearchRequest
	cmd := &cobra.Command{
		Use: "search TEXT", Aliases: []string{"find"}, Short: "Find things by a part of their name, an id, a path or the end of a key", Args: exactly("TEXT"),
		Example: "  tollgate search bria\n  tollgate search ci --kind key,team",
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Query = args[0]
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.search.Search(ctx, &req)
				if err != nil {
					return err
				}
				r := result{table: table{head: []string{"KIND", "NAME", "WHAT", "ID"}, wide: []string{"ID"}}}
				data := []any{}
				for _, f := range res.GetResults() {
					data, r.names = append(data, view(f)), append(r.names, f.GetKind()+"/"+f.GetName())
					r.table.add(f.GetKind(), f.GetName(), first(f.GetDetail(), "-"), f.GetId())
				}
				r.data = data
				if err := a.print(r); err != nil {
					return err
				}
				if len(res.GetResults()) == 0 {
					a.say("Nothing is found.")
				}
				return nil
			})
		},
	}
	cmd.Flags().StringSliceVar(&req.Kinds, "kind", nil, "only these kinds, such as endpoint or key")
	cmd.Flags().Int32Var(&req.Limit, "limit", 20, "how many at most")
	return cmd
}

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "What files own, and whether it is still as they say", Args: cobra.ArbitraryArgs, RunE: group}
	cmd.AddCommand(a.configDrift(), a.configRelease())
	return cmd
}

func (a *app) configDrift() *cobra.Command {
	var owner string
	var code bool
	cmd := &cobra.Command{
		Use: "drift", Short: "List what a file owns and somebody changed by other means since", Args: exactly(),
		Example: "  tollgate config drift\n  tollgate config drift --owner platform/gateway",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.config.ListDrift(ctx, &controlv1.ListDriftRequest{Owner: owner})
				if err != nil {
					return err
				}
				r := result{table: table{head: []string{"OWNER", "KIND", "NAME", "FIELD", "IN THE FILE", "NOW", "BY", "WHEN"}}}
				data := []any{}
				for _, d := range res.GetDrift() {
					data, r.names = append(data, view(d)), append(r.names, d.GetKind()+"/"+d.GetName())
					if d.GetDeleted() {
						r.table.add(d.GetOwner(), d.GetKind(), d.GetName(), "-", "there", "deleted", d.GetActor(), a.when(d.GetTime()))
					}
					for _, f := range d.GetFields() {
						r.table.add(d.GetOwner(), d.GetKind(), d.GetName(), f.GetPath(), first(f.GetBefore(), "-"), first(f.GetAfter(), "-"), d.GetActor(), a.when(d.GetTime()))
					}
				}
				r.data = data
				if err := a.print(r); err != nil {
					return err
				}
				switch {
				case len(res.GetDrift()) == 0:
					a.say("All that files own is as they say.")
				case code:
					return &failure{exit: ExitDifferent, message: several(len(res.GetDrift()), "object") + " not as its file says.", typed: true}
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&owner, "owner", "", "only what this owner has")
	cmd.Flags().BoolVar(&code, "exit-code", false, "end with 10 if there is any")
	return cmd
}

func (a *app) configRelease() *cobra.Command {
	cmd := &cobra.Command{
		Use: "release OWNER", Short: "Give up a file's ownership of objects, which stay as they are", Args: exactly("OWNER"),
		Example: "  tollgate config release platform/gateway",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.config.Release(ctx, &controlv1.ReleaseRequest{Owner: args[0]})
				if err != nil {
					return err
				}
				return a.done(result{data: view(res)}, "", "%s of %s belong to no file any more", several(int(res.GetObjects()), "object"), args[0])
			})
		},
	}
	a.destroys(cmd)
	return cmd
}
