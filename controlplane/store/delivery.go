package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/registry"
)

// Delivery is one alert on its way to one channel.
type Delivery struct {
	ID          string
	ChannelID   string
	ChannelName string
	Alert       registry.Alert
	Created     time.Time
	Attempts    int
	Next        time.Time // zero: nothing more is tried
	Ended       time.Time // zero: it was neither taken nor given up
	Delivered   bool
	Status      int    // of the last answer; 0 for none
	Error       string // of the last attempt
}

// DueDelivery is one that somebody has taken to send it now.
type DueDelivery struct {
	Delivery

	Kind     registry.AlertChannelKind
	Envelope []byte
}

const (
	// One that another process has taken comes again when its time is over, in case that process has died. What tells of a
	// condition goes in its order: the end never comes before the beginning.
	claimDeliveries = `
		UPDATE control.alert_delivery d SET attempts = d.attempts + 1, next_time = clock_timestamp() + $2::interval
		FROM control.alert_channel c WHERE c.id = d.channel_id AND d.id IN (
			SELECT x.id FROM control.alert_delivery x JOIN control.alert_channel o ON o.id = x.channel_id AND NOT o.disabled
			WHERE x.next_time <= clock_timestamp() AND NOT EXISTS (
				SELECT FROM control.alert_delivery e WHERE e.channel_id = x.channel_id AND e.condition_id = x.condition_id AND e.next_time IS NOT NULL
					AND (e.create_time, e.id) < (x.create_time, x.id))
			ORDER BY x.next_time LIMIT $1 FOR UPDATE OF x SKIP LOCKED)
		RETURNING d.id, d.channel_id, d.alert, d.create_time, d.attempts, c.name, c.kind, c.envelope`
	// Whoever took it later knows better.
	settleDelivery = `
		UPDATE control.alert_delivery SET next_time = $3, end_time = CASE WHEN $3::timestamptz IS NULL THEN clock_timestamp() END,
			delivered = $4, status = $5, error = $6
		WHERE id = $1 AND attempts = $2`
	recordDelivery = `
		INSERT INTO control.alert_delivery (id, channel_id, condition_id, alert, create_time, attempts, end_time, delivered, status, error)
		VALUES ($1, $2, '', $3, $4, 1, clock_timestamp(), $5, $6, $7)`
	deliveryColumns  = `d.id, d.channel_id, c.name, d.alert, d.create_time, d.attempts, d.next_time, d.end_time, d.delivered, d.status, d.error`
	selectDeliveries = `
		SELECT ` + deliveryColumns + ` FROM control.alert_delivery d JOIN control.alert_channel c ON c.id = d.channel_id
		WHERE $1 = '' OR d.channel_id = $1 ORDER BY d.create_time DESC, d.id DESC LIMIT $2`
	selectLastTried = `
		SELECT ` + deliveryColumns + ` FROM control.alert_channel c CROSS JOIN LATERAL (
			SELECT d.* FROM control.alert_delivery d WHERE d.channel_id = c.id AND d.attempts > 0 ORDER BY d.create_time DESC, d.id DESC LIMIT 1
		) d`
)

func scanDelivery(row pgx.CollectableRow) (Delivery, error) {
	var d Delivery
	var raw []byte
	var next, ended *time.Time
	err := row.Scan(&d.ID, &d.ChannelID, &d.ChannelName, &raw, &d.Created, &d.Attempts, &next, &ended, &d.Delivered, &d.Status, &d.Error)
	if err != nil {
		return d, err
	}
	d.Next, d.Ended = timeOr(next), timeOr(ended)
	return d, json.Unmarshal(raw, &d.Alert)
}

func scanDue(row pgx.CollectableRow) (DueDelivery, error) {
	var d DueDelivery
	var raw []byte
	err := row.Scan(&d.ID, &d.ChannelID, &raw, &d.Created, &d.Attempts, &d.ChannelName, &d.Kind, &d.Envelope)
	if err != nil {
		return d, err
	}
	return d, json.Unmarshal(raw, &d.Alert)
}

// ClaimDeliveries takes what is due. Nobody else takes it until the claim is over.
func (s *Store) ClaimDeliveries(ctx context.Context, most int, claim time.Duration) ([]DueDelivery, error) {
	all, err := list(ctx, s.pool, "alerts that are due", scanDue, claimDeliveries, most, claim)
	return all, translate(err)
}

// SettleDelivery writes what came of sending a delivery that was claimed: it is tried again at Next, or never if that is zero.
func (s *Store) SettleDelivery(ctx context.Context, d *Delivery) error {
	_, err := s.pool.Exec(ctx, settleDelivery, d.ID, d.Attempts, orNull(d.Next), d.Delivered, d.Status, d.Error)
	if err != nil {
		return translate(fmt.Errorf("write what came of an alert: %w", err))
	}
	return nil
}

// RecordDelivery keeps an alert that was sent at once.
func (s *Store) RecordDelivery(ctx context.Context, d *Delivery) error {
	_, err := s.writer(ctx).Exec(ctx, recordDelivery, d.ID, d.ChannelID, d.Alert, d.Created, d.Delivered, d.Status, d.Error)
	if err != nil {
		return translate(fmt.Errorf("keep an alert: %w", err))
	}
	return nil
}

// Deliveries lists alerts, the newest first: to one channel, or to all for an empty id.
func (s *Store) Deliveries(ctx context.Context, channelID string, most int) ([]Delivery, error) {
	all, err := list(ctx, s.db(ctx), "alerts", scanDelivery, selectDeliveries, channelID, most)
	return all, translate(err)
}

// LastDeliveries are the last alerts that were tried, by id of their channel.
func (s *Store) LastDeliveries(ctx context.Context) (map[string]Delivery, error) {
	all, err := list(ctx, s.db(ctx), "alerts", scanDelivery, selectLastTried)
	if err != nil {
		return nil, translate(err)
	}
	out := make(map[string]Delivery, len(all))
	for _, d := range all {
		out[d.ChannelID] = d
	}
	return out, nil
}
