package routing

import (
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Customers is how requests name customers, and what becomes of names that are new. It never changes.
type Customers struct {
	Headers    []string // after x-tollgate-customer, in this order
	Fields     []string // of JSON bodies, looked at after headers
	Create     bool     // the control plane is told of customers that are new
	WithBudget bool     // and their requests wait until this edge has their budget
	Required   bool     // requests that name none are refused
	blocked    map[string]bool
	unbounded  map[string]bool
}

func newCustomers(from *eventv1.CustomerRules) *Customers {
	return &Customers{
		Headers: from.GetHeaders(), Fields: from.GetBodyFields(), Create: from.GetCreate(),
		WithBudget: from.GetCreate() && from.GetWithBudget(), Required: from.GetRequired(),
		blocked: setOf(from.GetBlocked()), unbounded: setOf(from.GetUnbounded()),
	}
}

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// Customers is how requests name customers.
func (t *Table) Customers() *Customers { return t.customers }

// Blocked says whether requests of a customer are refused.
func (c *Customers) Blocked(name string) bool { return c.blocked[name] }

// Matter says whether anything in them makes a difference to a request.
func (c *Customers) Matter() bool {
	return c.Create || c.Required || len(c.Headers)+len(c.Fields)+len(c.blocked) > 0
}

// Knows says whether it shows in the snapshot that a customer is there. One that has neither a budget nor a block shows only where
// new customers get a budget: elsewhere it makes no difference.
func (t *Table) Knows(customer string) bool {
	if b := t.scopes.customers[customer]; b != nil && len(b.Accounts) > 0 {
		return true
	}
	return t.customers.unbounded[customer] || t.customers.blocked[customer]
}
