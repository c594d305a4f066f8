package litellm

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"tollgate/controlplane/declare"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/plan"
)

// deferred are settings that depend on others, which may stand anywhere in the file.
type deferred struct {
	budget, every, customerBudget, customerBudgetID *field
	userBudget, userEvery                           *field
	parallel, bodySize, ips, generated, bound       *field
	tags                                            *field
}

// setting reads one of general_settings or litellm_settings that means something here. It says whether it did.
func (v *conversion) setting(f field, path string) bool {
	keep := func(into **field) bool {
		if !null(resolve(f.value)) {
			*into = &f
		}
		return true
	}
	switch path {
	case "litellm_settings.callbacks", "litellm_settings.success_callback", "litellm_settings.failure_callback", "litellm_settings.service_callback":
		v.callbacks(f, path)
	case "litellm_settings.max_budget":
		return keep(&v.later.budget)
	case "litellm_settings.budget_duration":
		return keep(&v.later.every)
	case "litellm_settings.max_end_user_budget":
		return keep(&v.later.customerBudget)
	case "litellm_settings.max_end_user_budget_id":
		return keep(&v.later.customerBudgetID)
	case "litellm_settings.max_internal_user_budget", "litellm_settings.default_max_internal_user_budget":
		return keep(&v.later.userBudget)
	case "litellm_settings.internal_user_budget_duration":
		return keep(&v.later.userEvery)
	case "litellm_settings.tag_budget_config":
		return keep(&v.later.tags)
	case "litellm_settings.default_key_generate_params":
		return keep(&v.later.generated)
	case "litellm_settings.upperbound_key_generate_params":
		return keep(&v.later.bound)
	case "general_settings.max_parallel_requests":
		return keep(&v.later.parallel)
	case "general_settings.max_request_size_mb":
		return keep(&v.later.bodySize)
	case "general_settings.allowed_ips":
		return keep(&v.later.ips)
	case "general_settings.global_max_parallel_requests":
		before := len(v.plan.Limits)
		v.placed(f.line, path, func() {
			v.limit(subject{what: "setting", row: path}, scalar(f.value), controlv1.LimitKind_LIMIT_KIND_CONCURRENT, "concurrent")
		})
		if len(v.plan.Limits) > before {
			v.note(f.line, plan.Info, path, "It becomes a limit on all requests, over all edges together.")
		}
	case "general_settings.user_header_name", "general_settings.user_header_mappings":
		v.customerHeaders(f, path)
	case "general_settings.enforce_user_param":
		if on, _ := truth(f.value); on {
			v.namesCustomers(f.line, path)
			v.plan.Settings.Set("customers", func(s *controlv1.Settings) { s.Customers.Required = true })
			v.note(f.line, plan.Warning, path, "Requests that name no customer are refused, on every endpoint; LiteLLM asks it of calls of models only.")
		}
	case "general_settings.skip_user_budget_on_team_key":
		v.userOnly, _ = truth(f.value)
		v.note(f.line, plan.Info, path, "Keys of teams do not count against the budgets of their users, if it is true.")
	case "general_settings.apply_user_budget_to_team_keys":
		on, ok := truth(f.value)
		v.userOnly = ok && !on
		v.note(f.line, plan.Info, path, "Keys of teams do not count against the budgets of their users, if it is false.")
	case "litellm_settings.timezone":
		v.timezone(f, path)
	default:
		return false
	}
	return true
}

// timezone is that of budgets, and so of every budget that is made here.
func (v *conversion) timezone(f field, path string) {
	name := scalar(f.value)
	if _, err := time.LoadLocation(name); err != nil || name == "" || name == "Local" {
		v.note(f.line, plan.Refused, path, "%s is no time zone; budgets begin anew by UTC.", quote(name))
		return
	}
	v.zone = name
	v.plan.Settings.Set("time_zone", func(s *controlv1.Settings) { s.TimeZone = name })
	v.note(f.line, plan.Info, path, "Budgets begin anew at midnight of %s.", name)
}

// Where LiteLLM looks for an end user in every request.
var (
	customerHeaders = []string{"x-litellm-customer-id", "x-litellm-end-user-id"}
	customerFields  = []string{"user", "litellm_metadata.user", "metadata.user_id", "safety_identifier"}
)

// namesCustomers has requests name customers as they do to LiteLLM.
func (v *conversion) namesCustomers(line int, path string) {
	if v.customersNamed {
		return
	}
	v.customersNamed = true
	v.plan.Settings.Set("customers", func(s *controlv1.Settings) {
		if s.Customers == nil {
			s.Customers = &controlv1.CustomerSettings{}
		}
		s.Customers.Headers = dedupe(append(s.Customers.GetHeaders(), customerHeaders...))
		s.Customers.BodyFields = customerFields
	})
	v.note(line, plan.Info, path, "Requests name customers in the headers %s and in the fields %s of JSON bodies, as with LiteLLM, beside x-tollgate-customer.",
		strings.Join(customerHeaders, ", "), strings.Join(customerFields, ", "))
}

// customerHeaders reads further headers that name the end user.
func (v *conversion) customerHeaders(f field, path string) {
	var names []string
	if n := resolve(f.value); n != nil && n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			set, err := v.byKey(field{value: item, line: item.Line}, path)
			if err != nil {
				return
			}
			name, role := scalar(set["header_name"].value), scalar(set["litellm_user_role"].value)
			if role != "customer" && role != "" {
				v.note(item.Line, plan.Warning, path, "The header %s names a user of LiteLLM (%s), and is not imported: people are known by their keys' tags.", quote(name), role)
				continue
			}
			names = append(names, name)
		}
	} else if name := scalar(f.value); name != "" {
		names = append(names, name)
	}
	for _, name := range names {
		if !headerName(name) {
			v.note(f.line, plan.Refused, path, "%s is not a header name.", quote(name))
			continue
		}
		v.plan.Settings.Set("customers", func(s *controlv1.Settings) {
			if s.Customers == nil {
				s.Customers = &controlv1.CustomerSettings{}
			}
			s.Customers.Headers = dedupe(append([]string{name}, s.Customers.GetHeaders()...))
		})
		v.note(f.line, plan.Info, path, "Requests may name a customer in the header %s.", name)
	}
	if len(names) > 0 {
		v.namesCustomers(f.line, path)
	}
}

// callbacks says what becomes of calls of others: metrics are there anyway, and Python may have had a say in requests.
func (v *conversion) callbacks(f field, path string) {
	names := []*yaml.Node{f.value}
	if n := resolve(f.value); n != nil && n.Kind == yaml.SequenceNode {
		names = n.Content
	}
	var python, others []string
	for _, n := range names {
		switch name := scalar(n); {
		case name == "" || name == "prometheus" || name == "prometheus_system":
		case strings.Contains(name, "."):
			python = append(python, quote(name))
		default:
			others = append(others, quote(name))
		}
	}
	if len(python) > 0 {
		v.note(f.line, plan.Refused, path, "Callbacks that are Python code are not imported, because Tollgate does not run it (%s). Requests are no longer seen or refused by it.", strings.Join(python, ", "))
	}
	if len(others) > 0 {
		v.note(f.line, plan.Warning, path, "Callbacks are not imported (%s): Tollgate sends requests to no third party. Spend is in its ledger.", strings.Join(others, ", "))
	}
	if len(python)+len(others) == 0 {
		v.note(f.line, plan.Info, path, "Metrics for Prometheus are always on.")
	}
}

// placed gives what is noted meanwhile of no place the place of a setting.
func (v *conversion) placed(line int, path string, do func()) {
	before := len(v.plan.Notes)
	do()
	for i := before; i < len(v.plan.Notes); i++ {
		if n := &v.plan.Notes[i]; n.Line == 0 {
			n.Line, n.Path = line, path
		}
	}
}

// settle makes what depends on several settings, before records are read.
func (v *conversion) settle() {
	if f := v.later.userBudget; f != nil {
		v.userBudget = scalar(f.value)
		if e := v.later.userEvery; e != nil {
			v.userEvery = scalar(e.value)
		}
		v.note(f.line, plan.Warning, "litellm_settings."+f.key, "Each user of LiteLLM who is imported and has no budget gets one of %s, on the tag of their keys. Users who come later get none.", quote(v.userBudget))
	} else if e := v.later.userEvery; e != nil {
		v.note(e.line, plan.Info, "litellm_settings."+e.key, "There is no max_internal_user_budget that it is about.")
	}
	if f := v.later.parallel; f != nil {
		v.parallel = scalar(f.value)
		v.note(f.line, plan.Warning, "general_settings."+f.key, "Each key that is imported and has no limit of requests at a time gets one of %s. Keys that are made later get none.", quote(v.parallel))
	}
	v.allowedIPs()
}

// finishSettings makes the rest, when the records are read: what is spent of everything stands there.
func (v *conversion) finishSettings() {
	v.everything()
	v.firstCustomers()
	v.tagBudgets()
	v.newKeys()
	v.bodySize()
	for i, k := range v.plan.Keys {
		if k.Name == MasterKeyName {
			if v.networks != nil {
				v.plan.Keys[i].Settings = &controlv1.Key{Networks: v.networks}
			}
			if v.parallel != "" {
				v.placed(v.later.parallel.line, "general_settings."+v.later.parallel.key, func() {
					v.limit(subject{declare.Key, k.Name, "key", k.Name}, v.parallel, controlv1.LimitKind_LIMIT_KIND_CONCURRENT, "concurrent")
				})
			}
		}
	}
}

func (v *conversion) everything() {
	f := v.later.budget
	if f == nil {
		if e := v.later.every; e != nil {
			v.note(e.line, plan.Info, "litellm_settings."+e.key, "There is no max_budget that it is about.")
		}
		return
	}
	every := ""
	if e := v.later.every; e != nil {
		every = scalar(e.value)
	}
	path := "litellm_settings." + f.key
	var b *controlv1.Budget
	v.placed(f.line, path, func() {
		b = v.budget(subject{what: "setting", row: path}, scalar(f.value), every, "", false, v.proxySpent)
	})
	if b == nil {
		v.note(f.line, plan.Refused, path, "No budget is made of it, so nothing limits the spend of all together.")
		return
	}
	v.note(f.line, plan.Info, path, "It becomes the budget %s on everything. LiteLLM's master key escapes it; nothing does here.", b.GetName())
}

// firstCustomers reads what end users may spend who are seen for the first time.
func (v *conversion) firstCustomers() {
	f := v.later.customerBudget
	var amount, every string
	switch {
	case f != nil:
		amount = scalar(f.value)
		if id := v.later.customerBudgetID; id != nil {
			v.note(id.line, plan.Warning, "litellm_settings."+id.key, "Nothing is made of it: max_end_user_budget says what new customers may spend.")
		}
	case v.later.customerBudgetID != nil:
		f = v.later.customerBudgetID
		row := v.budgets[scalar(f.value)]
		if row == nil {
			v.note(f.line, plan.Refused, "litellm_settings."+f.key, "The budget %s is in LiteLLM's database: import it from there, or give new customers a budget with `tollgate settings`. Until then theirs have none.", quote(scalar(f.value)))
			return
		}
		amount, every = row.Text("max_budget"), row.Text("budget_duration")
	default:
		return
	}
	path := "litellm_settings." + f.key
	budget, err := defaultBudget(amount, every)
	if err != nil {
		v.note(f.line, plan.Refused, path, "No budget of new customers is made of it: %v.", err)
		return
	}
	v.namesCustomers(f.line, path)
	v.plan.Settings.Set("customers", func(s *controlv1.Settings) {
		s.Customers.Create, s.Customers.Budget = true, budget
	})
	v.note(f.line, plan.Info, path, "A customer that a request names for the first time is created with this budget.")
}

func defaultBudget(amount, every string) (*controlv1.DefaultBudget, error) {
	limit, err := dollars(amount, false)
	if err != nil {
		return nil, err
	}
	last, err := lasting(every)
	if err != nil {
		return nil, err
	}
	if limit < 0 {
		return nil, fmt.Errorf("%s is negative", quote(amount))
	}
	return &controlv1.DefaultBudget{
		Amount: contract.MoneyToProto(limit), Period: last.period, RollingDays: last.days, Enforcement: controlv1.Enforcement_ENFORCEMENT_HARD,
	}, nil
}

// tagBudgets reads tag_budget_config.
func (v *conversion) tagBudgets() {
	f := v.later.tags
	if f == nil {
		return
	}
	path := "litellm_settings." + f.key
	all, err := v.fields(f.value, path)
	if err != nil {
		return
	}
	for _, t := range all {
		set, err := v.byKey(t, path+"."+t.key)
		if err != nil {
			return
		}
		name, same := label(t.key)
		if !same {
			v.note(t.line, plan.Warning, path+"."+t.key, "The tag is called %s here; requests that name it otherwise are not counted there.", name)
		}
		var b *controlv1.Budget
		v.placed(t.line, path+"."+t.key, func() {
			b = v.budget(subject{declare.Tag, name, "tag", t.key}, scalar(set["max_budget"].value), scalar(set["budget_duration"].value), "", false, spent{})
		})
		if b != nil {
			v.note(t.line, plan.Info, path+"."+t.key, "It becomes the budget %s. Requests name tags in the header x-tollgate-tags, and keys have some.", b.GetName())
		}
	}
}

// newKeys reads what keys are made with.
func (v *conversion) newKeys() {
	if f := v.later.generated; f != nil {
		path := "litellm_settings." + f.key
		set, err := v.byKey(*f, path)
		if err != nil {
			return
		}
		if amount := scalar(set["max_budget"].value); amount != "" {
			if b, err := defaultBudget(amount, scalar(set["budget_duration"].value)); err != nil {
				v.note(f.line, plan.Refused, path, "No budget of new keys is made of it: %v.", err)
			} else {
				v.plan.Settings.Set("new_keys", func(s *controlv1.Settings) { newKeys(s).Budget = b })
				v.note(f.line, plan.Info, path, "A new key gets this budget, unless it is asked for without.")
			}
		}
		v.days(set["duration"], path, "A new key expires after %d days, unless it is asked for otherwise.", func(k *controlv1.KeyDefaults, days int32) { k.ExpireDays = days })
		for _, key := range sortedByLine(set) {
			if !slices.Contains([]string{"max_budget", "budget_duration", "duration"}, key) {
				v.note(set[key].line, plan.Warning, path+"."+key, "A new key of Tollgate's has no such default.")
			}
		}
	}
	if f := v.later.bound; f != nil {
		path := "litellm_settings." + f.key
		set, err := v.byKey(*f, path)
		if err != nil {
			return
		}
		v.days(set["duration"], path, "A new key is valid for %d days at most.", func(k *controlv1.KeyDefaults, days int32) { k.MostExpireDays = days })
		for _, key := range sortedByLine(set) {
			if key != "duration" {
				v.note(set[key].line, plan.Refused, path+"."+key, "Nothing bounds it here: who may make keys may give them any.")
			}
		}
	}
}

func newKeys(s *controlv1.Settings) *controlv1.KeyDefaults {
	if s.NewKeys == nil {
		s.NewKeys = &controlv1.KeyDefaults{}
	}
	return s.NewKeys
}

func (v *conversion) days(f field, path, text string, set func(*controlv1.KeyDefaults, int32)) {
	if scalar(f.value) == "" {
		return
	}
	days, err := validity(scalar(f.value))
	if err != nil || days == 0 {
		v.note(f.line, plan.Refused, path+"."+f.key, "%s is no duration.", quote(scalar(f.value)))
		return
	}
	v.plan.Settings.Set("new_keys", func(s *controlv1.Settings) { set(newKeys(s), days) })
	v.note(f.line, plan.Info, path+"."+f.key, text, days)
}

// allowedIPs are networks of every key that is imported.
func (v *conversion) allowedIPs() {
	f := v.later.ips
	if f == nil {
		return
	}
	path := "general_settings." + f.key
	n := resolve(f.value)
	if n.Kind != yaml.SequenceNode {
		v.note(f.line, plan.Refused, path, "It is no list of addresses, so that no key is bound to any.")
		return
	}
	for _, item := range n.Content {
		text := scalar(item)
		network, err := netip.ParsePrefix(text)
		if addr, aerr := netip.ParseAddr(text); aerr == nil {
			addr = addr.Unmap()
			network, err = addr.Prefix(addr.BitLen())
		}
		if err != nil || network.Addr().Zone() != "" || network.Addr().Is4In6() {
			v.note(item.Line, plan.Refused, path, "%s is no address and no network.", quote(text))
			continue
		}
		v.networks = append(v.networks, network.Masked().String())
	}
	v.networks = dedupe(v.networks)
	if len(v.networks) > 64 {
		v.note(f.line, plan.Refused, path, "A key may have 64 networks at most, and these are %d: no key is bound to any.", len(v.networks))
		v.networks = nil
		return
	}
	v.note(f.line, plan.Warning, path, "Each key that is imported may be used from there only. Keys that are made later, and endpoints without a key, may be used from anywhere.")
}

// bodySize bounds the bodies that pass-through endpoints take.
func (v *conversion) bodySize() {
	f := v.later.bodySize
	if f == nil {
		return
	}
	path := "general_settings." + f.key
	mb, err := dollars(scalar(f.value), false)
	size := int64(mb) / 1000 * (1 << 20) / 1_000_000
	if err != nil || size <= 0 || size > 1<<40 {
		v.note(f.line, plan.Refused, path, "%s is no size of a body.", quote(scalar(f.value)))
		return
	}
	n := 0
	for _, e := range v.plan.Endpoints {
		if e.GetModels() == nil {
			e.MaxBodyBytes = size
			n++
		}
	}
	v.note(f.line, plan.Info, path, "%d endpoints take bodies of up to %d bytes.", n, size)
}

// totals says what became of records, in numbers.
func (v *conversion) totals() {
	if v.opened > 0 {
		v.note(0, plan.Info, "budgets", "Budgets that begin with what is spent of them in LiteLLM: %d. What LiteLLM's callers spend from now on is not counted: switch them over soon, or import into an empty Tollgate again.", v.opened)
	}
	if v.taggedUsers > 0 {
		how := "keys of teams too, as LiteLLM does from 1.94 on; earlier versions leave them out, for which skip_user_budget_on_team_key stands"
		if v.userOnly {
			how = "but not keys of teams, as skip_user_budget_on_team_key says"
		}
		v.note(0, plan.Warning, "users", "Tollgate has no budgets of people. %s may spend what the budget on the tag user:ID says, which their keys have: %s.", cmp.Or(people(v.taggedUsers), "Users"), how)
	}
	if v.nameless > 0 {
		v.note(0, plan.Warning, "people", "Members of teams without an e-mail address are not invited: %d.", v.nameless)
	}
}

func people(n int) string {
	if n == 1 {
		return "One user of LiteLLM"
	}
	return fmt.Sprintf("%d users of LiteLLM", n)
}
