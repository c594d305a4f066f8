package rpc_test

import (
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/id"
)

// aModel refers to nothing that has to be made first.
func aModel(name string) *controlv1.Model {
	m := ofChat(name)
	m.Deployments[0].ApiKey = "${env:VENDOR_KEY}"
	return m
}

func (w *world) newModel() *controlv1.Model {
	w.t.Helper()
	return w.model(aModel(w.name("model")))
}

// oldModel makes a model that has changed since its etag was read.
func (w *world) oldModel() *controlv1.Model {
	w.t.Helper()
	m := w.newModel()
	must[*controlv1.UpdateModelResponse](w.t)(w.models.UpdateModel(w.t.Context(), &controlv1.UpdateModelRequest{
		Model: &controlv1.Model{Id: m.GetId(), Aliases: []string{w.name("alias")}}, UpdateMask: mask("aliases"),
	}))
	return m
}

// newModelWith is a request to make a model that is not as it should be.
func newModelWith(edit func(m *controlv1.Model, d *controlv1.Deployment)) func(*world) proto.Message {
	return func(w *world) proto.Message {
		m := aModel(w.name("model"))
		edit(m, m.Deployments[0])
		return &controlv1.CreateModelRequest{Model: m}
	}
}

var _ = covers("ModelService", map[string]cases{
	"CreateModel": {
		right: newModelWith(func(m *controlv1.Model, _ *controlv1.Deployment) { m.Aliases = []string{m.GetName() + "-alias"} }),
		check: func(w *world, res proto.Message) {
			made := res.(*controlv1.CreateModelResponse).GetModel()
			for _, ref := range []string{made.GetId(), made.GetName(), made.GetAliases()[0]} {
				read := must[*controlv1.GetModelResponse](w.t)(w.models.GetModel(w.t.Context(), &controlv1.GetModelRequest{Model: ref})).GetModel()
				if !proto.Equal(made, read) {
					w.t.Errorf("made %v, read by %s %v", made, ref, read)
				}
			}
		},
		wrong: []wrong{
			{violation: "model:required", request: is(&controlv1.CreateModelRequest{})},
			{violation: "model.name:invalid", request: newModelWith(func(m *controlv1.Model, _ *controlv1.Deployment) { m.Name = "-" })},
			{violation: "model.name:invalid", request: newModelWith(func(m *controlv1.Model, _ *controlv1.Deployment) { m.Name = "a*b*" })},
			{violation: "model.name:reserved", request: newModelWith(func(m *controlv1.Model, _ *controlv1.Deployment) { m.Name = id.New(id.Model) })},
			{violation: "model.name:taken", code: connect.CodeAlreadyExists, request: func(w *world) proto.Message {
				return &controlv1.CreateModelRequest{Model: aModel(w.newModel().GetName())}
			}},
			{violation: "model.aliases:taken", code: connect.CodeAlreadyExists, request: func(w *world) proto.Message {
				m := aModel(w.name("model"))
				m.Aliases = []string{w.newModel().GetName()}
				return &controlv1.CreateModelRequest{Model: m}
			}},
			{violation: "model.aliases:duplicate", request: newModelWith(func(m *controlv1.Model, _ *controlv1.Deployment) { m.Aliases = []string{m.GetName()} })},
			{violation: "model.aliases[0]:invalid", request: newModelWith(func(m *controlv1.Model, _ *controlv1.Deployment) { m.Aliases = []string{"a*"} })},
			{violation: "model.deployments:required", request: newModelWith(func(m *controlv1.Model, _ *controlv1.Deployment) { m.Deployments = nil })},
			{violation: "model.deployments[0].name:invalid", request: newModelWith(func(_ *controlv1.Model, d *controlv1.Deployment) { d.Name = "A b" })},
			{violation: "model.deployments[1].name:duplicate", request: newModelWith(func(m *controlv1.Model, d *controlv1.Deployment) {
				d.Name = "one"
				m.Deployments = append(m.Deployments, proto.CloneOf(d))
			})},
			{violation: "model.deployments[0].target:required", request: newModelWith(func(_ *controlv1.Model, d *controlv1.Deployment) { d.Target = nil })},
			{violation: "model.deployments[0].schemas:required", request: newModelWith(func(_ *controlv1.Model, d *controlv1.Deployment) { d.Schemas = nil })},
			{violation: "model.deployments[0].schemas:forbidden", request: newModelWith(func(_ *controlv1.Model, d *controlv1.Deployment) {
				d.Schemas = []controlv1.Schema{controlv1.Schema_SCHEMA_OPENAI_RESPONSES}
			})},
			{violation: "model.deployments[0].adapter:unknown", request: newModelWith(func(_ *controlv1.Model, d *controlv1.Deployment) { d.Schemas, d.Adapter = nil, "none" })},
			{violation: "model.deployments[0].adapter:forbidden", request: newModelWith(func(_ *controlv1.Model, d *controlv1.Deployment) { d.Adapter = "none" })},
			{violation: "model.deployments[0].model:invalid", request: newModelWith(func(_ *controlv1.Model, d *controlv1.Deployment) { d.Model = "a*b*" })},
			{violation: "model.deployments[0].model:forbidden", request: newModelWith(func(_ *controlv1.Model, d *controlv1.Deployment) { d.Model = "gpt-*" })},
			{violation: "model.deployments[0].api_key:forbidden", request: newModelWith(func(_ *controlv1.Model, d *controlv1.Deployment) { d.ApiKey = "sk-plain" })},
			{violation: "model.deployments[0].api_key:duplicate", request: newModelWith(func(_ *controlv1.Model, d *controlv1.Deployment) {
				d.Headers = []*controlv1.Header{{Name: "authorization", Value: "x"}}
			})},
			{violation: "model.deployments[0].timeout:invalid", request: newModelWith(func(_ *controlv1.Model, d *controlv1.Deployment) { d.Timeout = seconds(-1) })},
			{violation: "model.deployments[0].options.default_max_tokens:invalid", request: newModelWith(func(_ *controlv1.Model, d *controlv1.Deployment) {
				d.Options = &controlv1.VendorOptions{DefaultMaxTokens: -1}
			})},
		},
	},
	"GetModel": {
		right:    func(w *world) proto.Message { return &controlv1.GetModelRequest{Model: w.newModel().GetName()} },
		wrong:    []wrong{{violation: "model:required", request: is(&controlv1.GetModelRequest{})}},
		notFound: is(&controlv1.GetModelRequest{Model: "nothing"}),
	},
	"ListModels": {
		right: is(&controlv1.ListModelsRequest{Filter: "model", OrderBy: "-name"}),
		check: func(w *world, res proto.Message) {
			all := res.(*controlv1.ListModelsResponse).GetModels()
			if len(all) < 2 || all[0].GetName() < all[1].GetName() {
				w.t.Errorf("%v", all)
			}
		},
		wrong: []wrong{
			{violation: "page_size:invalid", request: is(&controlv1.ListModelsRequest{PageSize: -1})},
			{violation: "filter:filter_value", request: is(&controlv1.ListModelsRequest{Filter: "managed:perhaps"})},
		},
	},
	"UpdateModel": {
		right: func(w *world) proto.Message {
			return &controlv1.UpdateModelRequest{Model: &controlv1.Model{Id: w.newModel().GetId(), Aliases: []string{w.name("alias")}}, UpdateMask: mask("aliases")}
		},
		check: func(w *world, res proto.Message) {
			if m := res.(*controlv1.UpdateModelResponse).GetModel(); len(m.GetAliases()) != 1 || len(m.GetDeployments()) != 1 {
				w.t.Errorf("%v", m)
			}
		},
		wrong: []wrong{
			{violation: "model:required", request: is(&controlv1.UpdateModelRequest{})},
			{violation: "update_mask:mask_path", request: func(w *world) proto.Message {
				return &controlv1.UpdateModelRequest{Model: w.newModel(), UpdateMask: mask("id")}
			}},
			{violation: "model.name:taken", code: connect.CodeAlreadyExists, request: func(w *world) proto.Message {
				return &controlv1.UpdateModelRequest{Model: &controlv1.Model{Id: w.newModel().GetId(), Name: w.newModel().GetName()}, UpdateMask: mask("name")}
			}},
			{violation: "model.deployments:required", request: func(w *world) proto.Message {
				return &controlv1.UpdateModelRequest{Model: &controlv1.Model{Id: w.newModel().GetId()}, UpdateMask: mask("deployments")}
			}},
		},
		stale:    func(w *world) proto.Message { return &controlv1.UpdateModelRequest{Model: w.oldModel()} },
		notFound: is(&controlv1.UpdateModelRequest{Model: aModel("nothing")}),
	},
	"DeleteModel": {
		right: func(w *world) proto.Message { return &controlv1.DeleteModelRequest{Model: w.newModel().GetName()} },
		wrong: []wrong{{violation: "model:required", request: is(&controlv1.DeleteModelRequest{})}},
		stale: func(w *world) proto.Message {
			m := w.oldModel()
			return &controlv1.DeleteModelRequest{Model: m.GetId(), Etag: m.GetEtag()}
		},
		notFound: is(&controlv1.DeleteModelRequest{Model: "nothing"}),
	},
})
