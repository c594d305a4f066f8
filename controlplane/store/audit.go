package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/filter"
)

// AuditEntry is one thing that somebody did.
type AuditEntry struct {
	ID            string
	Time          time.Time
	Actor         string
	Via           string
	Address       string
	Action        string
	Kind          string
	ObjectID      string
	ObjectName    string
	Revision      int64
	Before, After []byte // as JSON; nil for none
	RequestID     string
}

// AuditQuery asks for a page of entries, the newest first.
type AuditQuery struct {
	Page

	Filter   string
	From, To time.Time // zero for no bound; To itself is outside
}

const (
	selectAudit = `SELECT a.id, a.at, a.actor, a.via, a.address, a.action, a.kind, a.object_id, a.object_name, a.revision,
		a.before, a.after, a.request_id FROM control.audit a`
	selectAuditEntry = selectAudit + ` WHERE a.id = $1`
)

func scanAudit(row pgx.CollectableRow) (AuditEntry, error) {
	var e AuditEntry
	err := row.Scan(&e.ID, &e.Time, &e.Actor, &e.Via, &e.Address, &e.Action, &e.Kind, &e.ObjectID, &e.ObjectName, &e.Revision,
		&e.Before, &e.After, &e.RequestID)
	if e.ObjectName == "" { // of a version that did not write it
		e.ObjectName = nameIn(e.After, e.Before)
	}
	return e, err
}

var auditList = listing[AuditEntry]{
	list: &filter.Audit, what: "audit entries", sql: selectAudit, scan: scanAudit,
	words: []string{`lower(a.object_name)`, `lower(a.actor)`},
	fields: map[string]condition{
		"kind":       anyOf(`a.kind`),
		"action":     anyOf(`a.action`),
		"actor":      anyOf(`a.actor`),
		"via":        anyOf(`a.via`),
		"address":    anyOf(`a.address`),
		"request_id": anyOf(`a.request_id`),
		"object": func(a *arguments, values []string) string {
			v := a.add(values)
			return `a.object_id = ANY(` + v + `::text[]) OR a.object_name = ANY(` + v + `::text[])`
		},
	},
	orders: map[string]ordering[AuditEntry]{
		"time": byTime(`a.at`, func(e *AuditEntry) time.Time { return e.Time }),
	},
	unique: `a.id`,
	ident:  func(e *AuditEntry) string { return e.ID },
}

// AuditEntries lists what was done.
func (s *Store) AuditEntries(ctx context.Context, q AuditQuery) ([]AuditEntry, string, error) {
	var bounds []func(*arguments) string
	if !q.From.IsZero() {
		bounds = append(bounds, func(a *arguments) string { return `a.at >= ` + a.add(q.From) })
	}
	if !q.To.IsZero() {
		bounds = append(bounds, func(a *arguments) string { return `a.at < ` + a.add(q.To) })
	}
	return auditList.read(ctx, s.db(ctx), ListQuery{Page: q.Page, Filter: q.Filter, OrderBy: "-time"}, bounds...)
}

// AuditEntry finds one entry.
func (s *Store) AuditEntry(ctx context.Context, id string) (AuditEntry, error) {
	e, err := findOne(ctx, s.db(ctx), "audit entry", id, selectAuditEntry, scanAudit)
	return e, translate(err)
}
