package rpc_test

import (
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func anAdapter(name string) *controlv1.Adapter {
	return &controlv1.Adapter{Name: name, Target: &controlv1.Target{Url: "http://adapter:8080"}}
}

// oldAdapter makes an adapter that has changed since its etag was read.
func (w *world) oldAdapter() *controlv1.Adapter {
	w.t.Helper()
	a := w.adapter(w.name("adp"))
	next := proto.CloneOf(a)
	next.MaxBytes = 1 << 20
	must[*controlv1.UpdateAdapterResponse](w.t)(w.adapters.UpdateAdapter(w.t.Context(), &controlv1.UpdateAdapterRequest{Adapter: next}))
	return a
}

// usedAdapter is one that a model needs.
func (w *world) usedAdapter() *controlv1.Adapter {
	w.t.Helper()
	a := w.adapter(w.name("adp"))
	m := aModel(w.name("model"))
	m.Deployments[0].Schemas, m.Deployments[0].Adapter = nil, a.GetName()
	w.model(m)
	return a
}

func newAdapter(edit func(*controlv1.Adapter)) func(*world) proto.Message {
	return func(w *world) proto.Message {
		a := anAdapter(w.name("adp"))
		edit(a)
		return &controlv1.CreateAdapterRequest{Adapter: a}
	}
}

var _ = covers("AdapterService", map[string]cases{
	"CreateAdapter": {
		right: newAdapter(func(a *controlv1.Adapter) { a.Timeout = seconds(3) }),
		check: func(w *world, res proto.Message) {
			made := res.(*controlv1.CreateAdapterResponse).GetAdapter()
			read := must[*controlv1.GetAdapterResponse](w.t)(w.adapters.GetAdapter(w.t.Context(), &controlv1.GetAdapterRequest{Adapter: made.GetId()})).GetAdapter()
			if !proto.Equal(made, read) || made.GetTimeout().GetSeconds() != 3 {
				w.t.Errorf("made %v, read %v", made, read)
			}
		},
		wrong: []wrong{
			{violation: "adapter:required", request: is(&controlv1.CreateAdapterRequest{})},
			{violation: "adapter.name:invalid", request: is(&controlv1.CreateAdapterRequest{Adapter: anAdapter("A b")})},
			{violation: "adapter.name:taken", code: connect.CodeAlreadyExists, request: func(w *world) proto.Message {
				return &controlv1.CreateAdapterRequest{Adapter: anAdapter(w.adapter(w.name("adp")).GetName())}
			}},
			{violation: "adapter.target:required", request: newAdapter(func(a *controlv1.Adapter) { a.Target = nil })},
			{violation: "adapter.target.url:invalid", request: newAdapter(func(a *controlv1.Adapter) { a.Target.Url = "http://adapter:8080?x=1" })},
			{violation: "adapter.target.http_version:forbidden", request: newAdapter(func(a *controlv1.Adapter) {
				a.Target.HttpVersion = controlv1.HttpVersion_HTTP_VERSION_1_1
			})},
			{violation: "adapter.timeout:invalid", request: newAdapter(func(a *controlv1.Adapter) { a.Timeout = seconds(0) })},
			{violation: "adapter.max_bytes:invalid", request: newAdapter(func(a *controlv1.Adapter) { a.MaxBytes = -1 })},
			{violation: "adapter.headers:invalid", request: newAdapter(func(a *controlv1.Adapter) { a.Headers = manyHeaders(17) })},
		},
	},
	"GetAdapter": {
		right: func(w *world) proto.Message {
			return &controlv1.GetAdapterRequest{Adapter: w.adapter(w.name("adp")).GetName()}
		},
		wrong:    []wrong{{violation: "adapter:required", request: is(&controlv1.GetAdapterRequest{})}},
		notFound: is(&controlv1.GetAdapterRequest{Adapter: "nothing"}),
	},
	"ListAdapters": {
		right: is(&controlv1.ListAdaptersRequest{Filter: "adp", OrderBy: "-name"}),
		check: func(w *world, res proto.Message) {
			all := res.(*controlv1.ListAdaptersResponse).GetAdapters()
			if len(all) < 2 || all[0].GetName() < all[1].GetName() {
				w.t.Errorf("%v", all)
			}
		},
		wrong: []wrong{
			{violation: "page_size:invalid", request: is(&controlv1.ListAdaptersRequest{PageSize: -1})},
			{violation: "filter:filter_value", request: is(&controlv1.ListAdaptersRequest{Filter: "managed:perhaps"})},
		},
	},
	"UpdateAdapter": {
		right: func(w *world) proto.Message {
			return &controlv1.UpdateAdapterRequest{Adapter: &controlv1.Adapter{Id: w.adapter(w.name("adp")).GetId(), MaxBytes: 1 << 20}, UpdateMask: mask("max_bytes")}
		},
		check: func(w *world, res proto.Message) {
			if a := res.(*controlv1.UpdateAdapterResponse).GetAdapter(); a.GetMaxBytes() != 1<<20 || a.GetTarget().GetUrl() == "" {
				w.t.Errorf("%v", a)
			}
		},
		wrong: []wrong{
			{violation: "adapter:required", request: is(&controlv1.UpdateAdapterRequest{})},
			{violation: "update_mask:mask_path", request: func(w *world) proto.Message {
				return &controlv1.UpdateAdapterRequest{Adapter: w.adapter(w.name("adp")), UpdateMask: mask("colour")}
			}},
			{violation: "adapter.name:taken", code: connect.CodeAlreadyExists, request: func(w *world) proto.Message {
				a := w.adapter(w.name("adp"))
				return &controlv1.UpdateAdapterRequest{Adapter: &controlv1.Adapter{Id: a.GetId(), Name: w.adapter(w.name("adp")).GetName()}, UpdateMask: mask("name")}
			}},
			{code: connect.CodeFailedPrecondition, request: func(w *world) proto.Message {
				return &controlv1.UpdateAdapterRequest{Adapter: &controlv1.Adapter{Id: w.usedAdapter().GetId(), Name: w.name("adp")}, UpdateMask: mask("name")}
			}},
		},
		stale:    func(w *world) proto.Message { return &controlv1.UpdateAdapterRequest{Adapter: w.oldAdapter()} },
		notFound: is(&controlv1.UpdateAdapterRequest{Adapter: anAdapter("nothing")}),
	},
	"DeleteAdapter": {
		right: func(w *world) proto.Message {
			return &controlv1.DeleteAdapterRequest{Adapter: w.adapter(w.name("adp")).GetName()}
		},
		wrong: []wrong{
			{violation: "adapter:required", request: is(&controlv1.DeleteAdapterRequest{})},
			{code: connect.CodeFailedPrecondition, request: func(w *world) proto.Message {
				return &controlv1.DeleteAdapterRequest{Adapter: w.usedAdapter().GetName()}
			}},
		},
		stale: func(w *world) proto.Message {
			a := w.oldAdapter()
			return &controlv1.DeleteAdapterRequest{Adapter: a.GetName(), Etag: a.GetEtag()}
		},
		notFound: is(&controlv1.DeleteAdapterRequest{Adapter: "nothing"}),
	},
})
