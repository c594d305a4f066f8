package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/registry"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

const (
	selectOwnedLimit = `SELECT ` + limitColumns + limitTables + `WHERE o.owner_id = $1`
	// The limits that stand in the way of a public endpoint's own.
	selectLimitsInTheWay = `
		SELECT o.name, o.endpoint_id IS NOT DISTINCT FROM $2 AND o.kind = 1 FROM control.traffic_limit o
		WHERE o.owner_id IS DISTINCT FROM $2 AND (o.name = $1 OR o.endpoint_id = $2 AND o.kind = 1)`
	followLimit = `
		UPDATE control.traffic_limit SET name = $2, amount = $3, burst = $4, revision = $5, update_time = $6
		WHERE id = $1`
)

// publicFacts finds out what stands in the way of the limit of a public endpoint.
func (c *change) publicFacts(ctx context.Context, e *registry.Endpoint, facts *registry.EndpointFacts) error {
	l := e.PublicLimit()
	if l == nil || strings.ContainsRune(l.Name, 0) { // the database has no text with a NUL in it
		return nil
	}
	others, err := list(ctx, c, "limits in the way", pgx.RowToStructByPos[like], selectLimitsInTheWay, l.Name, e.ID)
	for _, o := range others {
		facts.PublicName = facts.PublicName || o.Name == l.Name
		if o.Same {
			facts.RequestLimit = o.Name
		}
	}
	return err
}

// followPublic makes the limit that belongs to an endpoint what the endpoint says: there is one as long
// as it is public.
func (c *change) followPublic(ctx context.Context, e *registry.Endpoint) error {
	want := e.PublicLimit()
	have, err := list(ctx, c, "the limit of a public endpoint", scanLimit, selectOwnedLimit, e.ID)
	if err != nil {
		return err
	}
	if len(have) == 0 {
		if want == nil {
			return nil
		}
		want.ID = id.New(id.Limit)
		return c.addLimit(ctx, want)
	}
	old := &have[0]
	if want == nil {
		if _, err := c.Exec(ctx, deleteLimit, old.ID); err != nil {
			return fmt.Errorf("delete limit: %w", err)
		}
		return c.touchLimit(ctx, old)
	}
	if old.Name == want.Name && old.Amount == want.Amount && old.Burst == want.Burst {
		return nil
	}
	if _, err := c.Exec(ctx, followLimit, old.ID, want.Name, want.Amount, want.Burst, c.revision, c.now); err != nil {
		return fmt.Errorf("write limit: %w", err)
	}
	return c.touchLimit(ctx, old)
}

// refuseOwned keeps a limit that belongs to a public endpoint from being changed by itself.
func refuseOwned(l *registry.Limit) error {
	if l.Owner == "" {
		return nil
	}
	return fault.New(fault.FailedPrecondition, "Limit %s belongs to public endpoint %s: change it there.", l.Name, l.ScopeName).
		WithHint("Set how many requests pass in a minute with the endpoint's access.")
}
