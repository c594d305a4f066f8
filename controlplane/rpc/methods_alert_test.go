package rpc_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

const (
	webhook = controlv1.AlertChannelKind_ALERT_CHANNEL_KIND_WEBHOOK
	silent  = controlv1.AttentionKind_ATTENTION_KIND_EDGE_SILENT
	usedUp  = controlv1.AttentionKind_ATTENTION_KIND_BUDGET_EXHAUSTED
)

func aChannel(name string) *controlv1.AlertChannel {
	return &controlv1.AlertChannel{Name: name, Kind: webhook, Url: "https://alerts.example.com/hook?token=" + vendorSecret, Events: []controlv1.AttentionKind{silent, usedUp}}
}

func (w *world) channel(m *controlv1.AlertChannel) *controlv1.AlertChannel {
	w.t.Helper()
	return ask[*controlv1.CreateAlertChannelResponse](w.bundle, token, "AlertService", "CreateAlertChannel", &controlv1.CreateAlertChannelRequest{Channel: m}).GetChannel()
}

func (w *world) newChannel() *controlv1.AlertChannel {
	w.t.Helper()
	return w.channel(aChannel(w.name("channel")))
}

// oldChannel has changed since its etag was read.
func (w *world) oldChannel() *controlv1.AlertChannel {
	w.t.Helper()
	c := w.newChannel()
	ask[*controlv1.UpdateAlertChannelResponse](w.bundle, token, "AlertService", "UpdateAlertChannel", &controlv1.UpdateAlertChannelRequest{
		Channel: &controlv1.AlertChannel{Id: c.GetId(), Disabled: true}, UpdateMask: mask("disabled"),
	})
	return c
}

func wrongChannel(edit func(*controlv1.AlertChannel)) func(*world) proto.Message {
	return func(w *world) proto.Message {
		c := aChannel(w.name("channel"))
		edit(c)
		return &controlv1.CreateAlertChannelRequest{Channel: c}
	}
}

func wrongURL(url, code string) wrong {
	return wrong{violation: "channel.url:" + code, request: wrongChannel(func(c *controlv1.AlertChannel) { c.Url = url })}
}

var _ = covers("AlertService", map[string]cases{
	"CreateAlertChannel": {
		right: func(w *world) proto.Message {
			return &controlv1.CreateAlertChannelRequest{Channel: aChannel(w.name("channel"))}
		},
		check: func(w *world, res proto.Message) {
			got := res.(*controlv1.CreateAlertChannelResponse)
			if c := got.GetChannel(); c.GetUrl() != "" || c.GetHost() != "alerts.example.com" || !strings.HasPrefix(got.GetSigningSecret(), "tgs_") || len(c.GetEvents()) != 2 {
				w.t.Errorf("%v", got)
			}
		},
		wrong: []wrong{
			{violation: "channel:required", request: is(&controlv1.CreateAlertChannelRequest{})},
			{violation: "channel.name:taken", code: connect.CodeAlreadyExists, request: func(w *world) proto.Message {
				return &controlv1.CreateAlertChannelRequest{Channel: aChannel(w.newChannel().GetName())}
			}},
			{violation: "channel.kind:invalid", request: wrongChannel(func(c *controlv1.AlertChannel) { c.Kind = 0 })},
			{violation: "channel.events:required", request: wrongChannel(func(c *controlv1.AlertChannel) { c.Events = nil })},
			{violation: "channel.events:forbidden", request: wrongChannel(func(c *controlv1.AlertChannel) {
				c.Events = []controlv1.AttentionKind{controlv1.AttentionKind_ATTENTION_KIND_ALERT_FAILING}
			})},
			wrongURL("", "required"), wrongURL("alerts.example.com", "target_scheme"), wrongURL("ftp://alerts.example.com", "target_scheme"),
			wrongURL("https://me:secret@alerts.example.com", "target_userinfo"), wrongURL("http://169.254.169.254/latest", "target_metadata"),
			wrongURL("http://[fd00:ec2::254]/", "target_metadata"), wrongURL("http://metadata.google.internal/", "target_metadata"), wrongURL("http://2852039166/", "target_form"),
		},
	},
	"GetAlertChannel": {
		right: func(w *world) proto.Message {
			return &controlv1.GetAlertChannelRequest{Channel: w.newChannel().GetName()}
		},
		wrong:    []wrong{{violation: "channel:required", request: is(&controlv1.GetAlertChannelRequest{})}},
		notFound: is(&controlv1.GetAlertChannelRequest{Channel: "nope"}),
	},
	"ListAlertChannels": {
		right: func(w *world) proto.Message {
			w.newChannel()
			return &controlv1.ListAlertChannelsRequest{}
		},
		check: func(w *world, res proto.Message) {
			if got := res.(*controlv1.ListAlertChannelsResponse).GetChannels(); len(got) == 0 || strings.Contains(got[0].String(), vendorSecret) {
				w.t.Errorf("%v", got)
			}
		},
	},
	"ListAlertDeliveries": {
		right: func(w *world) proto.Message {
			return &controlv1.ListAlertDeliveriesRequest{Channel: w.newChannel().GetName(), Limit: 3}
		},
		wrong: []wrong{
			{violation: "limit:invalid", request: is(&controlv1.ListAlertDeliveriesRequest{Limit: -1})},
			{code: connect.CodeNotFound, request: is(&controlv1.ListAlertDeliveriesRequest{Channel: "nope"})},
		},
	},
	"UpdateAlertChannel": {
		right: func(w *world) proto.Message {
			c := w.newChannel()
			return &controlv1.UpdateAlertChannelRequest{
				Channel:    &controlv1.AlertChannel{Id: c.GetId(), Url: "http://other.example.com:8080/x", Events: c.GetEvents()[:1], Etag: c.GetEtag()},
				UpdateMask: mask("url", "events"), NewSigningSecret: true,
			}
		},
		check: func(w *world, res proto.Message) {
			got := res.(*controlv1.UpdateAlertChannelResponse)
			if c := got.GetChannel(); c.GetUrl() != "" || c.GetHost() != "other.example.com:8080" || len(c.GetEvents()) != 1 || got.GetSigningSecret() == "" {
				w.t.Errorf("%v", got)
			}
		},
		wrong: []wrong{
			{violation: "channel:required", request: is(&controlv1.UpdateAlertChannelRequest{})},
			{violation: "channel.url:target_metadata", request: func(w *world) proto.Message {
				return &controlv1.UpdateAlertChannelRequest{Channel: &controlv1.AlertChannel{Id: w.newChannel().GetId(), Url: "http://169.254.169.254"}, UpdateMask: mask("url")}
			}},
			{violation: "channel.kind:forbidden", request: func(w *world) proto.Message {
				return &controlv1.UpdateAlertChannelRequest{Channel: &controlv1.AlertChannel{
					Id: w.newChannel().GetId(), Kind: controlv1.AlertChannelKind_ALERT_CHANNEL_KIND_SLACK,
				}, UpdateMask: mask("kind")}
			}},
			{violation: "update_mask:mask_path", request: func(w *world) proto.Message {
				return &controlv1.UpdateAlertChannelRequest{Channel: &controlv1.AlertChannel{Id: w.newChannel().GetId()}, UpdateMask: mask("host")}
			}},
		},
		stale: func(w *world) proto.Message {
			c := w.oldChannel()
			return &controlv1.UpdateAlertChannelRequest{Channel: &controlv1.AlertChannel{Id: c.GetId(), Name: w.name("channel"), Etag: c.GetEtag()}, UpdateMask: mask("name")}
		},
		notFound: is(&controlv1.UpdateAlertChannelRequest{Channel: aChannel("nope")}),
	},
	"DeleteAlertChannel": {
		right: func(w *world) proto.Message {
			c := w.newChannel()
			return &controlv1.DeleteAlertChannelRequest{Channel: c.GetId(), Etag: c.GetEtag()}
		},
		wrong: []wrong{{violation: "channel:required", request: is(&controlv1.DeleteAlertChannelRequest{})}},
		stale: func(w *world) proto.Message {
			c := w.oldChannel()
			return &controlv1.DeleteAlertChannelRequest{Channel: c.GetId(), Etag: c.GetEtag()}
		},
		notFound: is(&controlv1.DeleteAlertChannelRequest{Channel: "nope"}),
	},
	"TestAlertChannel": {
		right: func(w *world) proto.Message {
			receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if body, _ := io.ReadAll(r.Body); !strings.Contains(string(body), `"event":"test"`) || r.Header.Get("x-tollgate-alert-id") == "" || r.Header.Get("x-tollgate-signature") == "" {
					w.t.Errorf("%s %v", body, r.Header)
				}
				rw.WriteHeader(http.StatusTeapot)
				_, _ = rw.Write([]byte("short and stout"))
			}))
			w.t.Cleanup(receiver.Close)
			c := aChannel(w.name("channel"))
			c.Url = receiver.URL
			return &controlv1.TestAlertChannelRequest{Channel: w.channel(c).GetName()}
		},
		check: func(w *world, res proto.Message) {
			got := res.(*controlv1.TestAlertChannelResponse)
			if got.GetDelivered() || got.GetStatus() != http.StatusTeapot || got.GetAnswer() != "short and stout" || got.GetError() == "" {
				w.t.Errorf("%v", got)
			}
			kept := ask[*controlv1.ListAlertDeliveriesResponse](w.bundle, token, "AlertService", "ListAlertDeliveries", &controlv1.ListAlertDeliveriesRequest{Limit: 1}).GetDeliveries()
			if len(kept) != 1 || kept[0].GetId() != got.GetAlertId() || kept[0].GetState() != controlv1.AlertDeliveryState_ALERT_DELIVERY_STATE_FAILED ||
				kept[0].GetEvent() != controlv1.AlertEvent_ALERT_EVENT_TEST {
				w.t.Errorf("%v", kept)
			}
		},
		wrong:    []wrong{{violation: "channel:required", request: is(&controlv1.TestAlertChannelRequest{})}},
		notFound: is(&controlv1.TestAlertChannelRequest{Channel: "nope"}),
	},
})
