package rpc

import (
	"context"
	"time"

	"tollgate/controlplane/audit"
	"tollgate/controlplane/diff"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

type auditService struct {
	controlv1connect.UnimplementedAuditServiceHandler

	store *store.Store
}

func (s *auditService) ListAuditEntries(ctx context.Context, req *controlv1.ListAuditEntriesRequest) (*controlv1.ListAuditEntriesResponse, error) {
	p := problems("")
	q := store.AuditQuery{
		Page: store.Page{Size: int(req.GetPageSize()), Token: req.GetPageToken()}, Filter: req.GetFilter(),
		From: timeFrom(req.GetFromTime(), "from_time", "beginning", p),
		To:   timeFrom(req.GetToTime(), "to_time", "end", p),
	}
	if !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To) && !p.Has("from_time") && !p.Has("to_time") {
		p.Add("to_time", "out_of_range", "The end %s is not after the beginning %s.", q.To.UTC().Format(time.RFC3339), q.From.UTC().Format(time.RFC3339))
	}
	if err := p.Err("the request"); err != nil {
		return nil, err
	}
	all, next, err := s.store.AuditEntries(ctx, q)
	if err != nil {
		return nil, err
	}
	out := each(all, auditTo)
	for _, e := range out {
		e.Changes = nil
	}
	return &controlv1.ListAuditEntriesResponse{Entries: out, NextPageToken: next}, nil
}

func (s *auditService) GetAuditEntry(ctx context.Context, req *controlv1.GetAuditEntryRequest) (*controlv1.GetAuditEntryResponse, error) {
	e, err := s.store.AuditEntry(ctx, req.GetEntry())
	if err != nil {
		return nil, err
	}
	return &controlv1.GetAuditEntryResponse{Entry: auditTo(&e)}, nil
}

func auditTo(e *store.AuditEntry) *controlv1.AuditEntry {
	changes := audit.Changes(e.Before, e.After)
	return &controlv1.AuditEntry{
		Id: e.ID, Time: timeTo(e.Time), Actor: e.Actor, Via: e.Via, Address: e.Address, Action: e.Action, Kind: e.Kind,
		ObjectId: e.ObjectID, ObjectName: e.ObjectName, Revision: e.Revision, RequestId: e.RequestID,
		Summary: audit.Summary(changes, e.Before != nil, e.After != nil),
		Changes: each(changes, func(c *diff.Change) *controlv1.FieldChange {
			return &controlv1.FieldChange{Path: c.Path, Before: c.Before, After: c.After}
		}),
	}
}
