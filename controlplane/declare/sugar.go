package declare

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// expandTarget: an endpoint of one target has "target".
func expandTarget(r *reader, n *yaml.Node, all []pair, path string) []pair {
	one, rest := take(all, "target")
	if one == nil {
		return all
	}
	if has(rest, "targets") {
		r.problem(one.key, join(path, "target"), codeDuplicate, "target and targets exclude each other.")
		return rest
	}
	return append(rest, entry(one.key, "targets", sequence(one.value, one.value)))
}

func foldTarget(n *yaml.Node) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if all := n.Content[i+1]; n.Content[i].Value == "targets" && len(all.Content) == 1 {
			n.Content[i].Value, n.Content[i+1] = "target", foldURL(all.Content[0])
		}
	}
	return n
}

// foldURL is a target of nothing but its URL as that alone.
func foldURL(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 && n.Content[0].Value == "url" {
		return n.Content[1]
	}
	return n
}

// expandRestricted: endpoints that are named restrict, also if there are none.
func expandRestricted(r *reader, n *yaml.Node, all []pair, path string) []pair {
	if one, rest := take(all, "restricted"); one != nil {
		r.problem(one.key, join(path, "restricted"), codeUnknown, "There is no field \"restricted\" in files: endpoints restrict where they are named, and endpoints: [] allows none.")
		all = rest
	}
	if one, _ := take(all, "endpoints"); one != nil && r.resolve(one.value, path) != nil && one.value.Tag != "!!null" {
		on := word(one.key, "true")
		on.Tag = "!!bool"
		all = append(all, entry(one.key, "restricted", on))
	}
	return all
}

func foldRestricted(n *yaml.Node) *yaml.Node {
	restricted := lookup(n, "restricted") != nil
	drop(n, "restricted")
	switch {
	case !restricted:
		drop(n, "endpoints")
	case lookup(n, "endpoints") == nil:
		n.Content = append(n.Content, word(n, "endpoints"), &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle})
	}
	return n
}

// expandRolling: the days of a rolling period say that it is one.
func expandRolling(_ *reader, _ *yaml.Node, all []pair, _ string) []pair {
	if days, _ := take(all, "rolling_days"); days != nil && !has(all, "every", "period") {
		all = append(all, entry(days.key, "every", word(days.key, "rolling")))
	}
	return all
}

func foldRolling(n *yaml.Node) *yaml.Node {
	if every := lookup(n, "every"); every != nil && every.Value == "rolling" && lookup(n, "rolling_days") != nil {
		drop(n, "every")
	}
	return n
}

// expandRow: a row of prices names its list beside its model.
func expandRow(_ *reader, n *yaml.Node, all []pair, _ string) []pair {
	list, rest := take(all, "list")
	out := []pair{entry(n, "price", mapping(n, rest...))}
	if list != nil {
		out = append(out, *list)
	}
	return out
}

func foldRow(n *yaml.Node) *yaml.Node {
	out := mapping(n)
	if list := lookup(n, "list"); list != nil {
		out.Content = append(out.Content, word(n, "list"), list)
	}
	if price := lookup(n, "price"); price != nil {
		out.Content = append(out.Content, price.Content...)
	}
	return out
}

// priceKeys say by one of their fields which kind a price is.
var priceKeys = []struct{ key, kind string }{
	{"meters", "metered"},
	{"rates", "usage"},
	{"ceiling", "reported"},
	{"per_request", "fixed"},
}

// expandPrice: the fields of a price say which kind it is.
func expandPrice(_ *reader, n *yaml.Node, all []pair, _ string) []pair {
	if has(all, "free", "fixed", "usage", "metered", "reported") {
		if one, rest := take(all, "metered"); one != nil && one.value.Kind == yaml.MappingNode {
			inner := *one.value
			inner.Content = withDefaults(&inner)
			return append(rest, pair{one.key, &inner})
		}
		return all
	}
	for _, k := range priceKeys {
		if has(all, k.key) {
			inner := mapping(n, all...)
			if k.kind == "metered" {
				inner.Content = withDefaults(inner)
			}
			return []pair{entry(n, k.kind, inner)}
		}
	}
	return all
}

// withDefaults fills in what a metered price does where nothing is known: it refuses, and charges all that was held.
func withDefaults(n *yaml.Node) []*yaml.Node {
	out := append([]*yaml.Node{}, n.Content...)
	for _, d := range [][2]string{{"unmatched", "refuse"}, {"fallback", "held"}} {
		if lookup(n, d[0]) == nil {
			out = append(out, word(n, d[0]), word(n, d[1]))
		}
	}
	return out
}

func foldPrice(n *yaml.Node) *yaml.Node {
	if len(n.Content) != 2 {
		return n
	}
	kind, inner := n.Content[0].Value, n.Content[1]
	switch kind {
	case "free":
		return word(n, "free")
	case "metered":
		for _, d := range [][2]string{{"unmatched", "refuse"}, {"fallback", "held"}} {
			if v := lookup(inner, d[0]); v != nil && v.Value == d[1] {
				drop(inner, d[0])
			}
		}
		return inner
	case "fixed":
		return inner
	default:
		return n
	}
}

// sources are the beginnings of a meter's "from", and where they look.
var sources = []struct{ prefix, field string }{
	{"response.header.", "header"},
	{"response.trailer.", "trailer"},
	{"response.", "frame"},
	{"request.header.", "request_header"},
	{"request.form.", "form"},
	{"request.query.", "query"},
	{"request.", "request"},
}

// expandMeter: a meter of one number says where it is and what one of it costs.
func expandMeter(r *reader, n *yaml.Node, all []pair, path string) []pair {
	from, rest := take(all, "from")
	if from == nil {
		return all
	}
	unit, rest := take(rest, "unit")
	per, rest := take(rest, "per")
	name, _ := take(rest, "name")
	switch {
	case name == nil:
		r.problem(n, join(path, "name"), codeRequired, "A meter needs a name.")
		return rest
	case unit == nil:
		r.problem(from.key, join(path, "unit"), codeRequired, "A meter with from says with unit what one of what it counts costs.")
		return rest
	case has(rest, "counters", "units", "prices"):
		r.problem(from.key, join(path, "from"), codeDuplicate, "from stands for counters, units and prices: leave these out, or write all of them.")
		return rest
	}
	text := r.text(from.value, join(path, "from"))
	for _, s := range sources {
		place, ok := strings.CutPrefix(text, s.prefix)
		if !ok || place == "" {
			continue
		}
		at := from.value
		source := mapping(at, entry(at, s.field, word(at, place)))
		counter := mapping(at, entry(at, "name", name.value), entry(at, "sources", sequence(at, source)))
		rate := mapping(unit.value, entry(at, "unit", name.value), entry(at, "price", unit.value))
		if per != nil {
			rate.Content = append(rate.Content, per.key, per.value)
		}
		price := mapping(at, entry(at, "model", word(at, "*")), entry(at, "rates", sequence(at, rate)))
		return append(rest,
			entry(at, "counters", sequence(at, counter)),
			entry(at, "units", sequence(at, mapping(at, entry(at, "name", name.value)))),
			entry(at, "prices", sequence(at, price)))
	}
	r.problem(from.value, join(path, "from"), codeInvalid, "%q says no place: begin with response., response.header., request., request.header., request.query. or request.form.", clip(text))
	return rest
}

// foldMeter writes a meter of one number as such, if nothing else is said of it.
func foldMeter(n *yaml.Node) *yaml.Node {
	name, counters, units, prices := lookup(n, "name"), lookup(n, "counters"), lookup(n, "units"), lookup(n, "prices")
	counter, unit, price := only(counters, "name", "sources"), only(units, "name"), only(prices, "model", "rates")
	if name == nil || counter == nil || unit == nil || price == nil || lookup(price, "model").Value != "*" {
		return n
	}
	rate := only(lookup(price, "rates"), "unit", "price", "per")
	if rate == nil {
		rate = only(lookup(price, "rates"), "unit", "price")
	}
	sourceList := lookup(counter, "sources")
	if rate == nil || sourceList == nil || len(sourceList.Content) != 1 || len(sourceList.Content[0].Content) != 2 ||
		lookup(counter, "name").Value != name.Value || lookup(unit, "name").Value != name.Value || lookup(rate, "unit").Value != name.Value {
		return n
	}
	source := sourceList.Content[0]
	from := ""
	for _, s := range sources {
		if s.field == source.Content[0].Value {
			from = s.prefix + source.Content[1].Value
		}
	}
	if from == "" || !sameSource(from, source.Content[0].Value, source.Content[1].Value) {
		return n
	}
	for _, key := range []string{"counters", "units", "prices"} {
		drop(n, key)
	}
	n.Content = append(n.Content, word(n, "from"), word(n, from), word(n, "unit"), lookup(rate, "price"))
	if per := lookup(rate, "per"); per != nil {
		n.Content = append(n.Content, word(n, "per"), per)
	}
	return n
}

// sameSource says whether a "from" is read as the source that it was made of: a path may begin like another prefix.
func sameSource(from, field, place string) bool {
	for _, s := range sources {
		if rest, ok := strings.CutPrefix(from, s.prefix); ok && rest != "" {
			return s.field == field && rest == place
		}
	}
	return false
}

// only is the one item of a list, if it has these keys and no others.
func only(list *yaml.Node, keys ...string) *yaml.Node {
	if list == nil || len(list.Content) != 1 || len(list.Content[0].Content) != 2*len(keys) {
		return nil
	}
	for _, key := range keys {
		if lookup(list.Content[0], key) == nil {
			return nil
		}
	}
	return list.Content[0]
}
