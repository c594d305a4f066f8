package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/registry"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

// EndpointRevision is what one revision of the configuration made of an endpoint.
type EndpointRevision struct {
	Revision      int64
	At            time.Time
	Actor         string
	Action        string // the last of them, where one change did several things
	Before, After []byte // forms that registry.ReadEndpoint reads; nil where there was none
}

const (
	selectEndpointRevisions = `
		SELECT a.revision, max(a.at), (array_agg(a.actor ORDER BY a.id DESC))[1], (array_agg(a.action ORDER BY a.id DESC))[1],
			(array_agg(a.before ORDER BY a.id))[1], (array_agg(a.after ORDER BY a.id DESC))[1]
		FROM control.audit a WHERE a.kind = 'endpoint' AND a.object_id = $1 AND a.revision <= $2
		GROUP BY a.revision ORDER BY a.revision DESC LIMIT $3`
	hasEndpointRevisions = `SELECT EXISTS (SELECT FROM control.audit a WHERE a.kind = 'endpoint' AND a.object_id = $1)`
)

// EndpointRevisions lists what an endpoint was, newest first, also of one that is no more, by its id.
func (s *Store) EndpointRevisions(ctx context.Context, ref string, page Page) ([]EndpointRevision, string, error) {
	after, limit, err := page.open()
	if err != nil {
		return nil, "", err
	}
	newest := int64(math.MaxInt64)
	if after != "" {
		if newest, err = strconv.ParseInt(after, 10, 64); err != nil {
			return nil, "", BadToken()
		}
		newest--
	}
	endpointID, _, err := everEndpoint(ctx, s.db(ctx), ref)
	if err != nil {
		return nil, "", translate(err)
	}
	all, err := list(ctx, s.db(ctx), "revisions of endpoint", pgx.RowToStructByPos[EndpointRevision], selectEndpointRevisions, endpointID, newest, limit)
	if err != nil {
		return nil, "", translate(err)
	}
	all, next := closePage(all, limit, func(r *EndpointRevision) string { return strconv.FormatInt(r.Revision, 10) })
	return all, next, nil
}

// everEndpoint finds an endpoint that there is, by id or name, or the id of one that there was.
func everEndpoint(ctx context.Context, db querier, ref string) (endpointID string, e *registry.Endpoint, err error) {
	found, err := findEndpoint(ctx, db, ref)
	if err == nil {
		return found.ID, &found, nil
	}
	f, missing := errors.AsType[*fault.Error](err)
	if !missing || f.Code != fault.ObjectNotFound || !id.Is(id.Endpoint, ref) {
		return "", nil, err
	}
	var known bool
	if wrong := db.QueryRow(ctx, hasEndpointRevisions, ref).Scan(&known); wrong != nil {
		return "", nil, fmt.Errorf("read revisions of endpoint: %w", wrong)
	}
	if !known {
		return "", nil, err
	}
	return ref, nil, nil
}

// RevertEndpoint gives an endpoint the settings that it had at a revision. One that was deleted comes back under its id. Whether it is
// switched off stays as it is.
func (s *Store) RevertEndpoint(ctx context.Context, actor, ref string, revision int64, etag string) (registry.Endpoint, error) {
	var e registry.Endpoint
	err := s.change(ctx, actor, func(ctx context.Context, c *change) (err error) {
		endpointID, old, err := everEndpoint(ctx, c, ref)
		if err != nil {
			return err
		}
		if old != nil {
			if err := compareETag("endpoint", old.Name, etag, old.ETag()); err != nil {
				return err
			}
		} else if etag != "" {
			return fault.New(fault.StaleETag, "The endpoint %s was deleted since its etag was read.", endpointID)
		}
		if e, err = c.endpointAt(ctx, endpointID, revision); err != nil {
			return err
		}
		return c.revertEndpoint(ctx, old, &e)
	})
	return e, err
}

// endpointAt reads what a revision made of an endpoint.
func (c *change) endpointAt(ctx context.Context, endpointID string, revision int64) (registry.Endpoint, error) {
	at, err := list(ctx, c, "revision of endpoint", pgx.RowToStructByPos[EndpointRevision], selectEndpointRevisions, endpointID, revision, 1)
	if err != nil {
		return registry.Endpoint{}, err
	}
	p := registry.NewProblems("")
	switch {
	case len(at) == 0 || at[0].Revision != revision:
		p.Add("revision", registry.Unknown, "Revision %d did not change endpoint %s: name one of its own revisions.", revision, endpointID)
	case at[0].After == nil:
		p.Add("revision", registry.Forbidden, "Revision %d deleted the endpoint: name one before it.", revision)
	default:
		return registry.ReadEndpoint(at[0].After)
	}
	return registry.Endpoint{}, p.Err("the revision")
}

// revertEndpoint writes e in place of old, which is nil where there is none.
func (c *change) revertEndpoint(ctx context.Context, old, e *registry.Endpoint) error {
	e.Normalize()
	if old != nil {
		e.Disabled, e.ManagedBy = old.Disabled, old.ManagedBy
	}
	secrets, err := c.checkEndpoint(ctx, e, registry.NewProblems("endpoint"))
	if err != nil {
		return err
	}
	e.Revision, e.PriceVersion, e.Updated = c.revision, c.revision, c.now
	if old == nil {
		if err := c.writeEndpoint(ctx, insertEndpoint, e, secrets); err != nil {
			return err
		}
		if err := c.followPublic(ctx, e); err != nil {
			return err
		}
		c.record("revert", "endpoint", e.ID, nil, *e)
		return nil
	}
	if same, err := sameSettings(e, old); err != nil {
		return err
	} else if same {
		*e = *old
		return errNoChange
	}
	e.Created = old.Created
	if e.Price.Equal(&old.Price) {
		e.PriceVersion = old.PriceVersion
	}
	return c.replaceEndpoint(ctx, "revert", old, e, secrets)
}

// replaceEndpoint writes an endpoint that was checked in place of what it was.
func (c *change) replaceEndpoint(ctx context.Context, action string, old, e *registry.Endpoint, secrets []string) error {
	if err := c.writeEndpoint(ctx, updateEndpoint, e, secrets); err != nil {
		return err
	}
	if e.Name != old.Name {
		if err := c.renameEndpoint(ctx, e.ID); err != nil {
			return err
		}
	}
	if err := c.followPublic(ctx, e); err != nil {
		return err
	}
	c.record(action, "endpoint", e.ID, *old, *e)
	return nil
}
