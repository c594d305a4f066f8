package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/fault"
)

// Origin is where a change comes from, beside who makes it. The zero value is a call of the API.
type Origin struct {
	Via       string // "api", "cli", "console", "file", "litellm" or "system"; empty for "api"
	Address   string // of the caller; empty if not known
	RequestID string // of the call
	Owner     string // of the file that is being applied; empty for none
	Override  bool   // also what a file owns may be changed
}

func (o *Origin) via() string {
	if o.Via == "" {
		return "api"
	}
	return o.Via
}

type originKey struct{}

// WithOrigin says where the changes come from that are made with the context.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf is where changes come from that are made with a context.
func OriginOf(ctx context.Context) Origin { return originOf(ctx) }

func originOf(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	return o
}

const (
	selectOwners = `
		SELECT m.kind, m.name, m.owner FROM control.managed m JOIN unnest($1::text[], $2::text[], $3::text[]) AS u (kind, id, owner)
		ON m.kind = u.kind AND m.object_id = u.id WHERE m.owner <> u.owner ORDER BY m.kind, m.name LIMIT 1`
	forgetOwners = `DELETE FROM control.managed m USING unnest($1::text[], $2::text[]) AS u (kind, id) WHERE m.kind = u.kind AND m.object_id = u.id`
)

// guard keeps what a file owns from being changed by other means, unless the caller insists; it would show as drift.
func (c *change) guard(ctx context.Context) error {
	var kinds, ids, owners, goneKinds, goneIDs []string
	for _, e := range c.audit {
		if !e.origin.Override {
			kinds, ids, owners = append(kinds, e.kind), append(ids, e.id), append(owners, e.origin.Owner)
		}
		// What somebody deleted by force stays its file's, which makes it again: until then it is missing.
		if e.after == nil && e.before != nil && (e.origin.Owner != "" || !e.origin.Override) {
			goneKinds, goneIDs = append(goneKinds, e.kind), append(goneIDs, e.id)
		}
	}
	if len(kinds) > 0 {
		type owned struct{ Kind, Name, Owner string }
		held, err := list(ctx, c, "owners", pgx.RowToStructByPos[owned], selectOwners, kinds, ids, owners)
		if err != nil {
			return err
		}
		for _, o := range held {
			return fault.New(fault.ManagedByFile, "The %s %s is managed by the file %s: what is changed here would be undone when it is applied again.", o.Kind, o.Name, o.Owner)
		}
	}
	if len(goneKinds) > 0 {
		if _, err := c.Exec(ctx, forgetOwners, goneKinds, goneIDs); err != nil {
			return fmt.Errorf("forget owners: %w", err)
		}
	}
	return nil
}
