package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"tollgate/controlplane/alert"
	"tollgate/controlplane/attention"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/id"
)

// Alerts sends an alert at once.
type Alerts interface {
	Send(ctx context.Context, channelID string, kind registry.AlertChannelKind, envelope []byte, a *registry.Alert) alert.Result
}

type alertService struct {
	controlv1connect.UnimplementedAlertServiceHandler

	store *store.Store
	vault Vault
	send  Alerts
}

func (s *alertService) CreateAlertChannel(ctx context.Context, req *controlv1.CreateAlertChannelRequest) (*controlv1.CreateAlertChannelResponse, error) {
	p := problems("channel")
	ch := channelFrom(req.GetChannel())
	ch.ID = ""
	to := alert.Destination{URL: req.GetChannel().GetUrl()}
	ch.Host = registry.CheckAlertURL(p, to.URL)
	if ch.Kind == registry.AlertWebhook {
		to.Signing = alert.NewSigning()
	}
	stored, err := s.store.CreateAlertChannel(ctx, actor(ctx), ch, func(channelID string) ([]byte, error) { return s.seal(channelID, to) }, p)
	if err != nil {
		return nil, err
	}
	return &controlv1.CreateAlertChannelResponse{Channel: channelTo(&stored), SigningSecret: to.Signing}, nil
}

func (s *alertService) seal(channelID string, to alert.Destination) ([]byte, error) {
	raw, err := json.Marshal(to)
	if err != nil {
		return nil, err
	}
	return s.vault.Encrypt(channelID, string(raw))
}

func (s *alertService) GetAlertChannel(ctx context.Context, req *controlv1.GetAlertChannelRequest) (*controlv1.GetAlertChannelResponse, error) {
	ch, err := s.store.AlertChannel(ctx, req.GetChannel())
	if err != nil {
		return nil, err
	}
	m := channelTo(&ch)
	last, err := s.store.Deliveries(ctx, ch.ID, 1)
	for i := range last {
		m.LastDelivery = deliveryTo(&last[i])
	}
	return &controlv1.GetAlertChannelResponse{Channel: m}, err
}

func (s *alertService) ListAlertChannels(ctx context.Context, _ *controlv1.ListAlertChannelsRequest) (*controlv1.ListAlertChannelsResponse, error) {
	all, err := s.store.AlertChannels(ctx)
	if err != nil {
		return nil, err
	}
	last, err := s.store.LastDeliveries(ctx)
	if err != nil {
		return nil, err
	}
	out := &controlv1.ListAlertChannelsResponse{}
	for i := range all {
		m := channelTo(&all[i])
		if d, ok := last[all[i].ID]; ok {
			m.LastDelivery = deliveryTo(&d)
		}
		out.Channels = append(out.Channels, m)
	}
	return out, nil
}

func (s *alertService) UpdateAlertChannel(ctx context.Context, req *controlv1.UpdateAlertChannelRequest) (*controlv1.UpdateAlertChannelResponse, error) {
	out := &controlv1.UpdateAlertChannelResponse{}
	read := func(ctx context.Context) (*controlv1.AlertChannel, error) {
		old, err := s.store.AlertChannel(ctx, ref(req.GetChannel().GetId(), req.GetChannel().GetName()))
		return channelTo(&old), err
	}
	err := update(ctx, s.store, req, channelSetByServer, read, func(ctx context.Context, req *controlv1.UpdateAlertChannelRequest) error {
		p := problems("channel")
		ch, target := channelFrom(req.GetChannel()), req.GetChannel().GetUrl()
		ch.Host = ""
		if target != "" {
			ch.Host = registry.CheckAlertURL(p, target)
		}
		var fresh string
		if req.GetNewSigningSecret() {
			fresh = alert.NewSigning()
			if ch.Kind != registry.AlertWebhook {
				p.Add("kind", registry.Forbidden, "Only alerts to a webhook are signed.")
			}
		}
		stored, err := s.store.UpdateAlertChannel(ctx, actor(ctx), req.GetChannel().GetEtag(), ch, func(channelID string, envelope []byte) ([]byte, error) {
			if target == "" && fresh == "" {
				return envelope, nil
			}
			return s.reseal(channelID, envelope, target, fresh)
		}, p)
		if err != nil {
			return err
		}
		out.Channel, out.SigningSecret = channelTo(&stored), fresh
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// reseal puts another URL or another secret in the place of one, or both, and leaves what is not given.
func (s *alertService) reseal(channelID string, envelope []byte, target, signing string) ([]byte, error) {
	var to alert.Destination
	if target == "" || signing == "" { // something of it stays
		raw, err := s.vault.Open(channelID, envelope)
		if err != nil {
			return nil, err
		}
		defer clear(raw)
		if err := json.Unmarshal(raw, &to); err != nil {
			return nil, errors.New("the envelope holds no destination")
		}
	}
	if target != "" {
		to.URL = target
	}
	if signing != "" {
		to.Signing = signing
	}
	return s.seal(channelID, to)
}

func (s *alertService) DeleteAlertChannel(ctx context.Context, req *controlv1.DeleteAlertChannelRequest) (*controlv1.DeleteAlertChannelResponse, error) {
	if err := s.store.DeleteAlertChannel(ctx, actor(ctx), req.GetChannel(), req.GetEtag()); err != nil {
		return nil, err
	}
	return &controlv1.DeleteAlertChannelResponse{}, nil
}

func (s *alertService) TestAlertChannel(ctx context.Context, req *controlv1.TestAlertChannelRequest) (*controlv1.TestAlertChannelResponse, error) {
	ch, err := s.store.AlertChannel(ctx, req.GetChannel())
	if err != nil {
		return nil, err
	}
	envelope, err := s.store.AlertChannelEnvelope(ctx, ch.ID)
	if err != nil {
		return nil, err
	}
	settings, err := s.store.Settings(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	a := registry.Alert{
		ID: id.New(id.Alert), Event: registry.AlertTest, Kind: "test", Severity: "info", Since: now, Time: now, Deployment: settings.Name,
		Sentence: "This is a test of the alert channel " + ch.Name + ". Nothing is wrong.",
		Object:   registry.AlertObject{Kind: "alert", ID: ch.ID, Name: ch.Name},
	}
	r := s.send.Send(ctx, ch.ID, ch.Kind, envelope, &a)
	d := store.Delivery{ID: a.ID, ChannelID: ch.ID, Alert: a, Created: now, Delivered: r.Delivered, Status: r.Status, Error: r.Error}
	if err := s.store.RecordDelivery(ctx, &d); err != nil {
		return nil, err
	}
	return &controlv1.TestAlertChannelResponse{
		Delivered: r.Delivered, Status: int32(r.Status), Answer: r.Answer, Error: r.Error, Took: durationpb.New(r.Took), AlertId: a.ID,
	}, nil
}

const (
	usualDeliveries = 50
	mostDeliveries  = 500
)

func (s *alertService) ListAlertDeliveries(ctx context.Context, req *controlv1.ListAlertDeliveriesRequest) (*controlv1.ListAlertDeliveriesResponse, error) {
	channel := ""
	if req.GetChannel() != "" {
		ch, err := s.store.AlertChannel(ctx, req.GetChannel())
		if err != nil {
			return nil, err
		}
		channel = ch.ID
	}
	limit := int(req.GetLimit())
	if limit == 0 {
		limit = usualDeliveries
	}
	all, err := s.store.Deliveries(ctx, channel, min(limit, mostDeliveries))
	if err != nil {
		return nil, err
	}
	return &controlv1.ListAlertDeliveriesResponse{Deliveries: each(all, deliveryTo)}, nil
}

// channelSetByServer are fields that no update changes.
var channelSetByServer = []string{"id", "host", "etag", "revision", "create_time", "update_time", "last_delivery"}

func channelFrom(m *controlv1.AlertChannel) registry.AlertChannel {
	ch := registry.AlertChannel{ID: m.GetId(), Name: m.GetName(), Kind: registry.AlertChannelKind(m.GetKind()), Disabled: m.GetDisabled()}
	for _, e := range m.GetEvents() {
		ch.Events = append(ch.Events, attention.Name(e))
	}
	return ch
}

func channelTo(ch *registry.AlertChannel) *controlv1.AlertChannel {
	m := &controlv1.AlertChannel{
		Id: ch.ID, Name: ch.Name, Kind: controlv1.AlertChannelKind(ch.Kind), Host: ch.Host, Disabled: ch.Disabled,
		Etag: ch.ETag(), Revision: ch.Revision, CreateTime: timeTo(ch.Created), UpdateTime: timeTo(ch.Updated),
	}
	for _, e := range ch.Events {
		if k := attention.KindOf(e); k != 0 { // of a newer version, after a downgrade
			m.Events = append(m.Events, k)
		}
	}
	slices.Sort(m.GetEvents())
	return m
}

var alertEvents = map[string]controlv1.AlertEvent{
	registry.AlertBegin: controlv1.AlertEvent_ALERT_EVENT_BEGIN,
	registry.AlertEnd:   controlv1.AlertEvent_ALERT_EVENT_END,
	registry.AlertTest:  controlv1.AlertEvent_ALERT_EVENT_TEST,
}

func deliveryTo(d *store.Delivery) *controlv1.AlertDelivery {
	m := &controlv1.AlertDelivery{
		Id: d.ID, ChannelId: d.ChannelID, ChannelName: d.ChannelName, Event: alertEvents[d.Alert.Event], Kind: attention.KindOf(d.Alert.Kind),
		ObjectKind: d.Alert.Object.Kind, ObjectId: d.Alert.Object.ID, ObjectName: d.Alert.Object.Name, Sentence: d.Alert.Sentence,
		State: controlv1.AlertDeliveryState_ALERT_DELIVERY_STATE_FAILED, Attempts: int32(d.Attempts), Status: int32(d.Status), Error: d.Error,
		CreateTime: timeTo(d.Created),
	}
	switch {
	case d.Delivered:
		m.State = controlv1.AlertDeliveryState_ALERT_DELIVERY_STATE_DELIVERED
	case !d.Next.IsZero():
		m.State, m.NextTime = controlv1.AlertDeliveryState_ALERT_DELIVERY_STATE_PENDING, timeTo(d.Next)
	}
	if !d.Ended.IsZero() {
		m.EndTime = timeTo(d.Ended)
	}
	return m
}
