package litellm

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/declare"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/plan"
)

// Objects are what a plan creates, as a file of Tollgate's says it, and the values of its secrets by their names.
func Objects(file string, p *plan.Plan) ([]*declare.Object, map[string]string) {
	var all []*declare.Object
	add := func(kind declare.Kind, name string, m proto.Message) *declare.Object {
		o := &declare.Object{Kind: kind, Name: name, Message: m, Place: declare.Place{File: file}}
		all = append(all, o)
		return o
	}
	secrets := map[string]string{}
	for _, s := range p.Secrets {
		add(declare.Secret, s.Name, &controlv1.CreateSecretRequest{Name: s.Name}).From = SecretSource(s.Name)
		secrets[s.Name] = s.Value.Reveal()
	}
	for _, m := range p.Adapters {
		add(declare.Adapter, m.GetName(), m)
	}
	for _, m := range p.Models {
		add(declare.Model, m.GetName(), m)
	}
	for _, m := range p.Endpoints {
		add(declare.Endpoint, m.GetName(), m)
	}
	for _, m := range p.Teams {
		add(declare.Team, m.GetName(), m)
	}
	for _, m := range p.Customers {
		add(declare.Customer, m.GetName(), m)
	}
	for _, m := range p.Tags {
		add(declare.Tag, m.GetName(), m)
	}
	for _, k := range p.Keys {
		add(declare.Key, k.Name, k.Message()).SHA256 = k.SHA256
	}
	for _, m := range p.Budgets {
		add(declare.Budget, m.GetName(), m)
	}
	for _, m := range p.Limits {
		add(declare.Limit, m.GetName(), m)
	}
	if p.Settings.Values != nil {
		add(declare.Settings, declare.SettingsName, p.Settings.Values).Given = p.Settings.Given
	}
	return all, secrets
}

// SecretSource is where tollgate.yaml has the value of a secret that stood in LiteLLM's file: a variable that is called so.
func SecretSource(name string) string {
	return "env/" + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(name))
}
