package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/registry"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

const channelColumns = `c.id, c.name, c.kind, c.host, c.events, c.disabled, c.create_time, c.update_time, c.revision`

const (
	selectChannels       = `SELECT ` + channelColumns + ` FROM control.alert_channel c ORDER BY c.name`
	selectChannel        = `SELECT ` + channelColumns + ` FROM control.alert_channel c WHERE c.id = $1 OR c.name = $1`
	selectChannelSealed  = `SELECT c.envelope FROM control.alert_channel c WHERE c.id = $1`
	selectOtherChannels  = `SELECT count(*), coalesce(bool_or(c.name = $2), false) FROM control.alert_channel c WHERE c.id <> $1`
	insertChannel        = `INSERT INTO control.alert_channel (id, name, kind, host, events, disabled, envelope, revision, create_time, update_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)`
	updateChannel        = `UPDATE control.alert_channel SET name = $2, host = $3, events = $4, disabled = $5, envelope = $6, revision = $7, update_time = $8 WHERE id = $1`
	deleteChannel        = `DELETE FROM control.alert_channel WHERE id = $1`
	triesBeforeFailing   = 3
	selectFailingChannel = `
		SELECT c.id, c.name, d.error, d.create_time FROM control.alert_channel c
		CROSS JOIN LATERAL (
			SELECT d.attempts, d.delivered, d.error, d.create_time FROM control.alert_delivery d
			WHERE d.channel_id = c.id AND d.attempts > 0 ORDER BY d.create_time DESC, d.id DESC LIMIT 1
		) d
		WHERE NOT c.disabled AND NOT d.delivered AND d.attempts >= $1 ORDER BY c.name`
)

func scanChannel(row pgx.CollectableRow) (registry.AlertChannel, error) {
	var c registry.AlertChannel
	err := row.Scan(&c.ID, &c.Name, &c.Kind, &c.Host, &c.Events, &c.Disabled, &c.Created, &c.Updated, &c.Revision)
	return c, err
}

// AlertChannel finds a channel by id or name.
func (s *Store) AlertChannel(ctx context.Context, ref string) (registry.AlertChannel, error) {
	c, err := findChannel(ctx, s.db(ctx), ref)
	return c, translate(err)
}

func findChannel(ctx context.Context, db querier, ref string) (registry.AlertChannel, error) {
	return findOne(ctx, db, "alert channel", ref, selectChannel, scanChannel)
}

// AlertChannels lists all channels by name.
func (s *Store) AlertChannels(ctx context.Context) ([]registry.AlertChannel, error) {
	all, err := list(ctx, s.db(ctx), "alert channels", scanChannel, selectChannels)
	return all, translate(err)
}

// AlertChannelEnvelope holds the URL of a channel and what signs.
func (s *Store) AlertChannelEnvelope(ctx context.Context, channelID string) ([]byte, error) {
	envelope, err := findOne(ctx, s.db(ctx), "alert channel", channelID, selectChannelSealed, pgx.RowTo[[]byte])
	return envelope, translate(err)
}

func (c *change) checkChannel(ctx context.Context, ch *registry.AlertChannel, p *registry.Problems) error {
	var facts registry.AlertChannelFacts
	if err := c.QueryRow(ctx, selectOtherChannels, ch.ID, ch.Name).Scan(&facts.Others, &facts.NameTaken); err != nil {
		return fmt.Errorf("read alert channels: %w", err)
	}
	ch.Check(p, facts)
	return p.Err("the channel")
}

// CreateAlertChannel stores a new channel. Its URL never comes here but in the envelope that encrypt makes.
func (s *Store) CreateAlertChannel(ctx context.Context, actor string, ch registry.AlertChannel, encrypt Encrypt, p *registry.Problems) (registry.AlertChannel, error) {
	asked := ch
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		ch = asked
		ch.ID, ch.Created, ch.Updated, ch.Revision = id.New(id.Channel), c.now, c.now, c.revision
		if err := c.checkChannel(ctx, &ch, p.Clone()); err != nil {
			return err
		}
		envelope, err := encrypt(ch.ID)
		if err != nil {
			return fmt.Errorf("encrypt alert channel: %w", err)
		}
		if _, err := c.Exec(ctx, insertChannel, ch.ID, ch.Name, ch.Kind, ch.Host, ch.Events, ch.Disabled, envelope, ch.Revision, ch.Created); err != nil {
			return fmt.Errorf("write alert channel: %w", err)
		}
		c.record("create", "alert", ch.ID, nil, ch)
		return nil
	})
	return ch, err
}

// UpdateAlertChannel replaces what a channel says, but for its host, which is empty where its URL stays. Renew makes its envelope of
// the one that it has.
func (s *Store) UpdateAlertChannel(ctx context.Context, actor, etag string, ch registry.AlertChannel, renew func(channelID string, envelope []byte) ([]byte, error), p *registry.Problems) (registry.AlertChannel, error) {
	asked := ch
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		ref := asked.ID
		if ref == "" {
			ref = asked.Name
		}
		old, err := findChannel(ctx, c, ref)
		if err != nil {
			return err
		}
		if err := compareETag("alert channel", old.Name, etag, old.ETag()); err != nil {
			return err
		}
		problems := p.Clone()
		ch = old
		ch.Name, ch.Events, ch.Disabled, ch.Updated, ch.Revision = asked.Name, asked.Events, asked.Disabled, c.now, c.revision
		if asked.Host != "" {
			ch.Host = asked.Host
		}
		if asked.Kind != old.Kind {
			problems.Add("kind", registry.Forbidden, "The form of a channel stays as it is: create another channel.")
		}
		if err := c.checkChannel(ctx, &ch, problems); err != nil {
			return err
		}
		envelope, err := findOne(ctx, c, "alert channel", ch.ID, selectChannelSealed, pgx.RowTo[[]byte])
		if err != nil {
			return err
		}
		if envelope, err = renew(ch.ID, envelope); err != nil {
			return fmt.Errorf("encrypt alert channel: %w", err)
		}
		if _, err := c.Exec(ctx, updateChannel, ch.ID, ch.Name, ch.Host, ch.Events, ch.Disabled, envelope, ch.Revision, ch.Updated); err != nil {
			return fmt.Errorf("write alert channel: %w", err)
		}
		c.record("update", "alert", ch.ID, old, ch)
		return nil
	})
	return ch, err
}

// DeleteAlertChannel removes a channel with all that was sent to it or is to be.
func (s *Store) DeleteAlertChannel(ctx context.Context, actor, ref, etag string) error {
	return s.change(ctx, actor, func(ctx context.Context, c *change) error {
		ch, err := findChannel(ctx, c, ref)
		if err != nil {
			return err
		}
		if err := compareETag("alert channel", ch.Name, etag, ch.ETag()); err != nil {
			return err
		}
		tag, err := c.Exec(ctx, deleteChannel, ch.ID)
		if err != nil {
			return fmt.Errorf("delete alert channel: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return fault.New(fault.ObjectNotFound, "There is no alert channel %q.", ref)
		}
		c.record("delete", "alert", ch.ID, ch, nil)
		return nil
	})
}

// FailingAlertChannel is a channel of which the last alert did not arrive, however often it was sent.
type FailingAlertChannel struct {
	ID, Name, Error string
	Since           time.Time
}

// FailingAlertChannels lists these by name.
func (s *Store) FailingAlertChannels(ctx context.Context) ([]FailingAlertChannel, error) {
	all, err := list(ctx, s.db(ctx), "alert channels", pgx.RowToStructByPos[FailingAlertChannel], selectFailingChannel, triesBeforeFailing)
	return all, translate(err)
}
