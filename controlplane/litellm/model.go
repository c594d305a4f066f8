package litellm

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/plan"
)

// models reads model_list: items of one model_name are the deployments of one model.
func (v *conversion) models(f field) error {
	list := resolve(f.value)
	if list == nil || list.Kind != yaml.SequenceNode {
		if !null(list) {
			v.note(f.line, plan.Refused, f.key, "It is no list of models.")
		}
		return nil
	}
	groups := map[string][]*deployment{}
	var order []string
	for i, item := range list.Content {
		v.listed++
		d, err := v.deployment(item, fmt.Sprintf("%s[%d]", f.key, i))
		if err != nil {
			return err
		}
		if d == nil {
			continue
		}
		if groups[d.group] == nil {
			order = append(order, d.group)
		}
		if len(groups[d.group]) == registry.MaxDeployments {
			v.note(d.line, plan.Refused, d.path, "The deployment is not imported. A model has at most %d.", registry.MaxDeployments)
			continue
		}
		groups[d.group] = append(groups[d.group], d)
	}
	for _, name := range order {
		v.model(name, groups[name])
	}
	return nil
}

// model makes a model of its deployments.
func (v *conversion) model(name string, all []*deployment) {
	m := &controlv1.Model{Name: name}
	given := map[string]bool{}
	for _, d := range all {
		own := unique(cmp.Or(d.out.GetName(), slug(d.vendor, "deployment")), given)
		given[own] = true
		d.out.Name = own
		d.give()
		m.Deployments = append(m.Deployments, d.out)
	}
	if len(all) > 1 {
		m.Balance = v.balance
		if m.Balance == controlv1.Balance_BALANCE_UNSPECIFIED {
			m.Balance = controlv1.Balance_BALANCE_WEIGHTED // LiteLLM's own default
		}
	}
	v.share(all)
	v.plan.Models = append(v.plan.Models, m)
	v.modelNames[name] = true
}

// deploymentName makes a name of a deployment of an id.
func deploymentName(id string) string {
	id = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-' {
			return r
		}
		return '-'
	}, strings.ToLower(id))
	return strings.Trim(cut(strings.Trim(id, "-._"), maxName), "-._")
}

// share gives deployments their weights and priorities. LiteLLM chooses by weight, else by rpm, else by tpm: by the
// first of them that the first deployment has. Those without it get nothing while another one works.
func (v *conversion) share(all []*deployment) {
	for _, d := range all {
		for _, limit := range []string{"rpm", "tpm"} {
			if f, ok := d.params[limit]; ok && !null(resolve(f.value)) {
				text := "No limit is made of it: more requests may reach the vendor than before."
				if len(all) > 1 && shareBy(all) == limit {
					text = "It is the deployment's share among the others, as with LiteLLM, and no limit: more requests may reach the vendor than before."
				}
				v.note(f.line, plan.Warning, d.path+".litellm_params."+limit, "%s `tollgate limit create` limits a key, a team or an endpoint.", text)
			}
		}
	}
	if len(all) < 2 {
		return
	}
	by := shareBy(all)
	places, weights := make([]place, len(all)), make([]int64, len(all))
	for i, d := range all {
		places[i].order, _ = d.number("order")
		if by == "" {
			continue
		}
		if weights[i], _ = d.number(by); weights[i] == 0 {
			places[i].rest = true
		}
	}
	levels := slices.Clone(places)
	slices.SortFunc(levels, place.compare)
	levels = slices.Compact(levels)
	scale(weights)
	for i, d := range all {
		d.out.Target.Priority = uint32(min(slices.Index(levels, places[i]), registry.MaxPriority))
		d.out.Target.Weight = uint32(weights[i])
	}
}

// place is when a deployment has its turn: by LiteLLM's order, and of those with the same the ones that have no share last.
type place struct {
	order int64
	rest  bool
}

func (p place) compare(q place) int {
	switch {
	case p.order != q.order || p.rest == q.rest:
		return cmp.Compare(p.order, q.order)
	case p.rest:
		return 1
	default:
		return -1
	}
}

// scale makes the smallest whole numbers of weights that keep their proportions, as well as there is room for.
func scale(weights []int64) {
	var common int64
	for _, w := range weights {
		for a, b := common, w; ; a, b = b, a%b {
			if b == 0 {
				common = a
				break
			}
		}
	}
	if common == 0 {
		return
	}
	step := (slices.Max(weights)/common-1)/registry.MaxWeight + 1
	for i, w := range weights {
		if w > 0 {
			weights[i] = max((w/common+step/2)/step, 1)
		}
	}
}

// shareBy is the parameter by which LiteLLM chooses among deployments; empty for none.
func shareBy(all []*deployment) string {
	for _, name := range []string{"weight", "rpm", "tpm"} {
		if _, ok := all[0].number(name); ok {
			return name
		}
	}
	return ""
}

// number reads one of litellm_params, in billionths.
func (d *deployment) number(name string) (int64, bool) {
	f, ok := d.params[name]
	if !ok || null(resolve(f.value)) {
		return 0, false
	}
	n, err := parseDecimal(f.value)
	if err != nil || n.nanos < 0 {
		return 0, false
	}
	return int64(n.nanos), true
}

// sortedByLine are the keys of a mapping in the order of the file.
func sortedByLine(set map[string]field) []string {
	return slices.SortedFunc(maps.Keys(set), func(a, b string) int {
		return cmp.Or(cmp.Compare(set[a].line, set[b].line), cmp.Compare(a, b))
	})
}
