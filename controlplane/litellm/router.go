package litellm

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/plan"
)

// router reads router_settings, but for the aliases: they name models.
func (v *conversion) router(f field) error {
	settings, err := v.fields(f.value, f.key)
	if err != nil {
		return err
	}
	for i, s := range settings {
		path := f.key + "." + s.key
		switch s.key {
		case "model_group_alias":
			v.aliasSetting = &settings[i]
		case "routing_strategy":
			switch strategy := scalar(s.value); strategy {
			case "", "simple-shuffle":
			case "least-busy":
				v.balance = controlv1.Balance_BALANCE_LEAST_IN_FLIGHT
			default:
				v.note(s.line, plan.Warning, path, "Tollgate does not choose deployments by %s: it does at random, by their weights.", quote(strategy))
			}
		default:
			v.remark(s, path, routerSettings)
		}
	}
	return nil
}

// aliases gives models their other names.
func (v *conversion) aliases(f field) error {
	if v.aliasSetting == nil {
		return nil
	}
	path := f.key + "." + v.aliasSetting.key
	all, err := v.fields(v.aliasSetting.value, path)
	if err != nil {
		return err
	}
	for _, alias := range all {
		if err := v.alias(alias, path+"."+alias.key); err != nil {
			return err
		}
	}
	return nil
}

func (v *conversion) alias(alias field, path string) error {
	of := scalar(alias.value)
	if n := resolve(alias.value); n != nil && n.Kind == yaml.MappingNode {
		set, err := v.byKey(alias, path)
		if err != nil {
			return err
		}
		of = scalar(set["model"].value)
		if hidden, _ := truth(set["hidden"].value); hidden {
			v.note(alias.line, plan.Warning, path, "It is in the list of models that callers get: no name is hidden.")
		}
	}
	i := slices.IndexFunc(v.plan.Models, func(m *controlv1.Model) bool { return m.GetName() == of })
	switch {
	case i < 0:
		v.note(alias.line, plan.Refused, path, "No imported model is called %s.", quote(of))
	case v.modelNames[alias.key]:
		v.note(alias.line, plan.Refused, path, "A model is called so itself.")
	case !registry.IsModelName(alias.key) || strings.Contains(alias.key, "*"):
		v.note(alias.line, plan.Refused, path, "It cannot be the name of a model.")
	case slices.ContainsFunc(v.plan.Models[i].GetDeployments(), func(d *controlv1.Deployment) bool { return strings.Contains(d.GetModel(), "*") }):
		v.note(alias.line, plan.Refused, path, "%s has a * in its name, which would stand for nothing in another name.", quote(of))
	case len(v.plan.Models[i].GetAliases()) == registry.MaxAliases:
		v.note(alias.line, plan.Refused, path, "A model has at most %d other names.", registry.MaxAliases)
	default:
		v.modelNames[alias.key] = true
		v.plan.Models[i].Aliases = append(v.plan.Models[i].Aliases, alias.key)
	}
	return nil
}

// completionModel reads general_settings.completion_model.
func (v *conversion) completionModel(f field, path string) {
	name := scalar(f.value)
	if name == "" {
		return
	}
	if !v.modelNames[name] {
		v.note(f.line, plan.Refused, path, "No imported model is called %s, so requests go to the model that they name.", quote(name))
		return
	}
	v.fallback = name
	v.note(f.line, plan.Warning, path, "Requests that name no model, or one that nobody knows, go to %s. LiteLLM sends all requests there, whatever they name.", quote(name))
}

// serve makes the endpoints at which LiteLLM serves models, if there are any.
func (v *conversion) serve(list field) {
	if len(v.plan.Models) == 0 {
		return
	}
	prefix := route{"/v1", controlv1.MatchKind_MATCH_KIND_PREFIX}
	exact := func(path string) route { return route{path, controlv1.MatchKind_MATCH_KIND_EXACT} }
	wanted := []struct {
		name string
		at   []route
	}{
		{"models", []route{prefix}},
		{"chat-completions", []route{exact("/chat/completions")}},
		{"responses", []route{exact("/responses")}},
		{"list-of-models", []route{exact("/models")}},
	}
	if len(v.taken[prefix]) > 0 { // an entry of the file has it
		wanted[0].at = []route{exact("/v1/chat/completions"), exact("/v1/responses"), exact("/v1/messages"), exact("/v1/models")}
	}
	var served []string
	for _, w := range wanted {
		for _, at := range w.at {
			if others := v.taken[at]; len(others) > 0 {
				v.note(list.line, plan.Warning, list.key, "The endpoint %s answers %s, where LiteLLM serves models.", others[0].name, at.path)
				continue
			}
			e := &controlv1.Endpoint{
				Name: unique(w.name, v.names), Path: at.path, Match: at.match, KeyHeader: v.keyHeader,
				Models: &controlv1.Models{DefaultModel: v.fallback},
			}
			v.names[e.GetName()] = true
			v.taken[at] = append(v.taken[at], taken{name: e.GetName()})
			v.plan.Endpoints = append(v.plan.Endpoints, e)
			served = append(served, at.path)
		}
	}
	if len(served) > 0 {
		v.note(list.line, plan.Info, list.key, "The models are served at %s, to callers of Chat Completions, Responses and Messages. LiteLLM's other paths, such as /engines and /openai/deployments, are not there.",
			strings.Join(served, ", "))
	}
}
