package litellmapi

import (
	"maps"
	"slices"
	"strings"

	"tollgate/controlplane/litellm/mapping"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
)

// customer finds a customer by user_id or end_user_id.
func (c *call) customer(ref string) (*controlv1.Customer, error) {
	if ref == "" {
		return nil, missing("user_id")
	}
	got, err := c.customers.GetCustomer(c.ctx, &controlv1.GetCustomerRequest{Customer: ref})
	if is(err, fault.ObjectNotFound) {
		return nil, notFound("End User Id=%s does not exist in db", clip(ref))
	}
	return got.GetCustomer(), err
}

// customerAsk reads what customer/new and customer/update have in common.
func (c *call) customerAsk(old *controlv1.Customer, a *allowance) (notes, error) {
	b, note := c.body, notesOf(old.GetMetadata())
	if planID := b.text("budget_id"); planID != "" {
		if b.fields["max_budget"] != nil {
			b.wrong("budget_id", "Set either max_budget or budget_id, not both.")
		} else if err := c.fromPlan(planID, a); err != nil {
			return note, err
		}
		note.set("budget_id", planID)
	} else if b.has("budget_id") {
		note.set("budget_id", "")
	}
	if n := b.amount("spend"); n != nil && *n != 0 {
		b.wrong("spend", "spend is what the ledger has booked and cannot be set.")
	}
	note.read(b)
	a.keep(note.kept)
	b.rest()
	return note, b.err()
}

func (c *call) customerNew() (any, error) {
	b := c.body
	name, alias, blocked, a := b.text("user_id"), b.text("alias"), b.flag("blocked"), b.allowance()
	if name == "" {
		return nil, missing("user_id")
	}
	if mapping.Tag("", name) != name {
		b.wrong("user_id", "user_id %q cannot name a customer: use letters, digits and . _ @ : -, as requests do.", clip(name))
	}
	note, err := c.customerAsk(nil, a)
	if err != nil {
		return nil, err
	}
	m := &controlv1.Customer{Name: name, DisplayName: alias, Blocked: blocked != nil && *blocked}
	if m.Metadata, err = note.proto(); err != nil {
		return nil, err
	}
	_, err = c.createCustomer(m, a.max == nil)
	if is(err, fault.AlreadyExists) {
		return nil, fault.New(fault.AlreadyExists, "Customer already exists, passed user_id=%s. Please pass a new user_id.", clip(name))
	} else if err != nil {
		return nil, err
	}
	if err := c.allow(owner{"customer", name}, a); err != nil {
		return nil, err
	}
	return c.finishCustomer(name)
}

// createCustomer makes a customer, with the budget that the settings have for new ones if they have one.
func (c *call) createCustomer(m *controlv1.Customer, budget bool) (*controlv1.Customer, error) {
	got, err := c.customers.CreateCustomer(c.ctx, &controlv1.CreateCustomerRequest{Customer: m, DefaultBudget: budget})
	if err != nil && budget && slices.ContainsFunc(faultOf(err).Violations, func(v fault.Violation) bool { return strings.HasSuffix(v.Field, "default_budget") }) {
		return c.createCustomer(m, false)
	}
	return got.GetCustomer(), err
}

func (c *call) finishCustomer(name string) (any, error) {
	out := object{}
	c.after = func() error {
		m, err := c.customer(name)
		if err != nil {
			return err
		}
		info, err := c.describeCustomers([]*controlv1.Customer{m})
		if err != nil {
			return err
		}
		c.etag = m.GetEtag()
		maps.Copy(out, info[0])
		return nil
	}
	return out, nil
}

func (c *call) customerUpdate() (any, error) {
	b := c.body
	m, err := c.customer(b.text("user_id"))
	if err != nil {
		return nil, err
	}
	u := &controlv1.UpdateCustomerRequest{Customer: m.GetName(), Etag: c.match(), Blocked: b.flag("blocked")}
	if b.has("alias") {
		alias := b.text("alias")
		u.DisplayName = &alias
	}
	a := b.allowance()
	note, err := c.customerAsk(m, a)
	if err != nil {
		return nil, err
	}
	if u.Metadata, err = note.proto(); err != nil {
		return nil, err
	}
	if _, err := c.customers.UpdateCustomer(c.ctx, u); err != nil {
		return nil, err
	}
	if err := c.allow(owner{"customer", m.GetName()}, a); err != nil {
		return nil, err
	}
	return c.finishCustomer(m.GetName())
}

func (c *call) customerDelete() (any, error) {
	names := c.body.texts("user_ids")
	c.body.rest()
	if err := c.body.err(); err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, missing("user_ids")
	}
	for _, name := range names {
		m, err := c.customer(name)
		if err != nil {
			return nil, err
		}
		if err := c.disallow(owner{"customer", name}); err != nil {
			return nil, err
		}
		if _, err := c.customers.DeleteCustomer(c.ctx, &controlv1.DeleteCustomerRequest{Customer: m.GetName()}); err != nil {
			return nil, err
		}
	}
	return object{"deleted_customers": len(names), "message": "Successfully deleted customers"}, nil
}

// customerBlock blocks customers, also such as nobody has seen yet.
func customerBlock(blocked bool) func(*call) (any, error) {
	return func(c *call) (any, error) {
		names := c.body.texts("user_ids")
		c.body.rest()
		if err := c.body.err(); err != nil {
			return nil, err
		}
		if len(names) == 0 {
			return nil, missing("user_ids")
		}
		var all []*controlv1.Customer
		for _, name := range names {
			got, err := c.customers.UpdateCustomer(c.ctx, &controlv1.UpdateCustomerRequest{Customer: name, Blocked: &blocked})
			m := got.GetCustomer()
			if is(err, fault.ObjectNotFound) {
				m, err = c.createCustomer(&controlv1.Customer{Name: name, Blocked: blocked}, true)
			}
			if err != nil {
				return nil, err
			}
			all = append(all, m)
		}
		if !blocked {
			return object{"blocked_users": []any{}, "unblocked_users": names}, nil
		}
		rows := []any{}
		for _, m := range all {
			rows = append(rows, object{"user_id": m.GetName(), "alias": nullable(m.GetDisplayName()), "blocked": true})
		}
		return object{"blocked_users": rows}, nil
	}
}

// nullable is null for an empty text.
func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (c *call) describeCustomers(all []*controlv1.Customer) ([]object, error) {
	names := make([]string, len(all))
	for i, m := range all {
		names[i] = m.GetName()
	}
	holdings, err := c.holdings("customer", names, true)
	if err != nil {
		return nil, err
	}
	spent := &ever{c: c, by: controlv1.UsageDimension_USAGE_DIMENSION_CUSTOMER}
	if len(all) == 1 {
		spent.only = &controlv1.QueryUsageRequest{Customer: names[0]}
	}
	out := make([]object, len(all))
	for i, m := range all {
		h, note := holdings[m.GetName()], notesOf(m.GetMetadata())
		n, err := spent.of(h, m.GetName())
		if err != nil {
			return nil, err
		}
		table := object{"budget_id": nullable(note.text("budget_id"))}
		if err := h.describe(table, note.kept); err != nil {
			return nil, err
		}
		out[i] = object{
			"user_id": m.GetName(), "alias": nullable(m.GetDisplayName()), "blocked": m.GetBlocked(), "spend": amountOf(n),
			"allowed_model_region": nil, "default_model": nil, "budget_id": nullable(note.text("budget_id")),
			"litellm_budget_table": nil, "metadata": note.own, "object_permission": nil,
		}
		if h.main != nil || h.soft != nil || len(h.limits) > 0 {
			out[i]["litellm_budget_table"] = table
		}
	}
	return out, nil
}

func (c *call) customerInfo() (any, error) {
	ref := c.r.URL.Query().Get("end_user_id")
	if ref == "" {
		return nil, missing("end_user_id")
	}
	m, err := c.customer(ref)
	if err != nil {
		return nil, err
	}
	info, err := c.describeCustomers([]*controlv1.Customer{m})
	if err != nil {
		return nil, err
	}
	c.etag = m.GetEtag()
	return info[0], nil
}

func (c *call) allCustomers() ([]*controlv1.Customer, error) {
	var all []*controlv1.Customer
	req := &controlv1.ListCustomersRequest{PageSize: 1000}
	for range mostPages {
		page, err := c.customers.ListCustomers(c.ctx, req)
		if err != nil {
			return nil, err
		}
		all = append(all, page.GetCustomers()...)
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	return all, nil
}

func (c *call) customerList() (any, error) {
	all, err := c.allCustomers()
	if err != nil {
		return nil, err
	}
	return c.describeCustomers(all)
}
