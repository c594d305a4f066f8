package publish

import (
	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// models says how an endpoint serves models; nil where it has targets.
func models(m *registry.Models) *eventv1.RouteModels {
	if m == nil {
		return nil
	}
	return &eventv1.RouteModels{Schemas: schemas(m.Schemas), Adapter: m.Adapter, DefaultModel: m.Default}
}

func schemas(all []registry.Schema) (out []controlv1.Schema) {
	for _, s := range all {
		out = append(out, controlv1.Schema(s))
	}
	return out
}

// routeModel is a model as edges serve it: each deployment is reached as an endpoint with one target would be.
func routeModel(m *registry.Model) *eventv1.RouteModel {
	out := &eventv1.RouteModel{
		Id: m.ID, Name: m.Name, Aliases: m.Aliases, Balance: balance(m.Balance), CreateUnix: m.Created.Unix(),
		Retry: retrying(m.Retry), Hedge: hedge(m.Hedge), Breaker: breaker(m.Breaker), Outlier: outlier(m.Outlier),
	}
	for i := range m.Deployments {
		d, upstream := &m.Deployments[i], m.Upstream(i)
		r := &eventv1.RouteDeployment{
			Name: d.Name, Schemas: schemas(d.Schemas), Adapter: d.Adapter, Model: d.Model, Upstream: route(&upstream),
		}
		if d.Options != nil {
			r.Options = d.Options.Message
		}
		out.Deployments = append(out.Deployments, r)
	}
	return out
}

func routeAdapter(a *registry.Adapter) *eventv1.RouteAdapter {
	upstream := a.Upstream()
	return &eventv1.RouteAdapter{Name: a.Name, Upstream: route(&upstream), TimeoutMs: a.Timeout.Milliseconds(), MaxBytes: a.MaxBytes}
}
