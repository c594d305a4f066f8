package rpc_test

import (
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func aLimit(name, customer string) *controlv1.Limit {
	return &controlv1.Limit{Name: name, Scope: &controlv1.Limit_Customer{Customer: customer}, Kind: controlv1.LimitKind_LIMIT_KIND_REQUESTS, Amount: 60}
}

func (w *world) limit() *controlv1.Limit {
	w.t.Helper()
	name := w.name("lim")
	return must[*controlv1.CreateLimitResponse](w.t)(w.limits.CreateLimit(w.t.Context(), &controlv1.CreateLimitRequest{Limit: aLimit(name, name)})).GetLimit()
}

func (w *world) oldLimit() *controlv1.Limit {
	w.t.Helper()
	l := w.limit()
	must[*controlv1.UpdateLimitResponse](w.t)(w.limits.UpdateLimit(w.t.Context(), &controlv1.UpdateLimitRequest{Limit: l.GetName(), Amount: new(int64(7))}))
	return l
}

var _ = covers("LimitService", map[string]cases{
	"CreateLimit": {
		right: func(w *world) proto.Message {
			return &controlv1.CreateLimitRequest{Limit: aLimit(w.name("l"), w.name("c"))}
		},
		wrong: []wrong{
			{violation: "limit:required", request: is(&controlv1.CreateLimitRequest{})},
			{violation: "limit.key:unknown", request: is(&controlv1.CreateLimitRequest{Limit: &controlv1.Limit{
				Name: "x", Kind: controlv1.LimitKind_LIMIT_KIND_UNITS, Scope: &controlv1.Limit_Key{Key: "nope"},
			}})},
			{violation: "limit.name:taken", code: connect.CodeAlreadyExists, request: func(w *world) proto.Message {
				return &controlv1.CreateLimitRequest{Limit: aLimit(w.limit().GetName(), w.name("c"))}
			}},
			{violation: "limit.kind:taken", code: connect.CodeAlreadyExists, request: func(w *world) proto.Message {
				return &controlv1.CreateLimitRequest{Limit: aLimit(w.name("l"), w.limit().GetCustomer())}
			}},
		},
	},
	"GetLimit": {
		right:    func(w *world) proto.Message { return &controlv1.GetLimitRequest{Limit: w.limit().GetId()} },
		wrong:    []wrong{{violation: "limit:required", request: is(&controlv1.GetLimitRequest{})}},
		notFound: is(&controlv1.GetLimitRequest{Limit: "nope"}),
	},
	"ListLimits": {
		right: is(&controlv1.ListLimitsRequest{Filter: "kind:requests scope:customer", OrderBy: "-create_time"}),
		wrong: []wrong{
			{violation: "filter:filter_field", request: is(&controlv1.ListLimitsRequest{Filter: "color:x"})},
			{violation: "filter:filter_value", request: is(&controlv1.ListLimitsRequest{Filter: "kind:many"})},
			{violation: "order_by:order_by_field", request: is(&controlv1.ListLimitsRequest{OrderBy: "amount"})},
			{violation: "page_token:invalid", request: is(&controlv1.ListLimitsRequest{PageToken: "x"})},
		},
	},
	"UpdateLimit": {
		right: func(w *world) proto.Message {
			l := w.limit()
			return &controlv1.UpdateLimitRequest{Limit: l.GetId(), Amount: new(int64(5)), Etag: l.GetEtag()}
		},
		wrong: []wrong{{violation: "amount:invalid", request: is(&controlv1.UpdateLimitRequest{Limit: "x", Amount: new(int64(-1))})}},
		stale: func(w *world) proto.Message {
			l := w.oldLimit()
			return &controlv1.UpdateLimitRequest{Limit: l.GetName(), Amount: new(int64(5)), Etag: l.GetEtag()}
		},
		notFound: is(&controlv1.UpdateLimitRequest{Limit: "nope", Amount: new(int64(5))}),
	},
	"DeleteLimit": {
		right: func(w *world) proto.Message { return &controlv1.DeleteLimitRequest{Limit: w.limit().GetName()} },
		wrong: []wrong{{violation: "limit:required", request: is(&controlv1.DeleteLimitRequest{})}},
		stale: func(w *world) proto.Message {
			l := w.oldLimit()
			return &controlv1.DeleteLimitRequest{Limit: l.GetName(), Etag: l.GetEtag()}
		},
		notFound: is(&controlv1.DeleteLimitRequest{Limit: "nope"}),
	},
})
