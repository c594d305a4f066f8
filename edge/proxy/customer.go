package proxy

import (
	"context"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/internal/fault"
	"tollgate/internal/meter/frame"
)

// customer finds the customer in the body where nothing before it has named one, and sees to it that the customer is known. Of a
// request for a model that happens when its body is read; whatever lists models is charged to nobody.
func (c *call) customer(ctx context.Context) error {
	rules := c.table.Customers()
	if !rules.Matter() || c.key == publicKey || c.ask != nil {
		return nil
	}
	if len(rules.Fields) > 0 && c.labels.customer == "" && c.mayName() {
		body, err := c.peek(ctx)
		if err != nil {
			return err
		}
		return c.customerIn(ctx, body)
	}
	return c.meet(ctx)
}

// mayName says whether there is a body that could name a customer.
func (c *call) mayName() bool {
	if c.x.Body == nil || c.x.Length == 0 || c.x.Upgrade != "" {
		return false
	}
	kind, _, _ := strings.Cut(get(c.x.Headers, "Content-Type"), ";")
	kind = strings.ToLower(strings.Trim(kind, " \t"))
	return kind == "application/json" || strings.HasSuffix(kind, "+json")
}

// peek is the body as far as it is read for a meter, without a content encoding; nil if that is not all of it.
func (c *call) peek(ctx context.Context) ([]byte, error) {
	most := c.meterBody()
	if total := c.endpoint.Total; total > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, total, errTotal)
		defer stop()
	}
	whole, err := c.beginning(ctx, most)
	if err != nil {
		return nil, err
	}
	body := c.kept.bytes()
	if !whole && int64(len(body)) < most {
		return nil, noRoom()
	}
	if !whole {
		return nil, nil
	}
	if uncoded(c.x.Headers) {
		return body, nil
	}
	room := func(n int64) bool { return c.kept.reserve(int64(len(body)) + n) }
	plain, whole := frame.Plain(body, joined(c.x.Headers, "Content-Encoding"), 4*most, room)
	if !whole {
		return nil, nil
	}
	return plain, nil
}

// customerIn looks for the customer in a body, unless it is named already. What is no JSON names nobody.
func (c *call) customerIn(ctx context.Context, body []byte) error {
	rules := c.table.Customers()
	if !rules.Matter() || c.key == publicKey {
		return nil
	}
	if c.labels.customer == "" && len(rules.Fields) > 0 && frame.Valid(body) {
		for _, field := range rules.Fields {
			name, err := customerAt(body, field)
			if err != nil {
				return err
			}
			if name != "" {
				if err := c.labels.nameCustomer("the field "+field, name, c.key); err != nil {
					return err
				}
				break
			}
		}
	}
	return c.meet(ctx)
}

// customerAt is what a field of a body names; empty if it is not there.
func customerAt(body []byte, field string) (string, error) {
	switch v := gjson.GetBytes(body, field); v.Type {
	case gjson.Null:
		return "", nil
	case gjson.String:
		return v.Str, nil
	case gjson.Number:
		return v.Raw, nil
	default:
		return "", fault.New(fault.LabelInvalid, "The field %s of the body names no customer: it is neither a text nor a number.", field).
			WithHint("Send the name of the customer there, or leave the field out.")
	}
}

// meet lets a request through to whose customer nothing is to be objected, and which is known where that makes a difference.
func (c *call) meet(ctx context.Context) error {
	rules, name := c.table.Customers(), c.labels.customer
	switch {
	case name == "" && rules.Required:
		return customerRequired(rules.Headers, rules.Fields)
	case name == "":
		return nil
	case rules.Blocked(name):
		return customerBlocked(name)
	case !rules.Create || c.table.Knows(name) || c.g.d.Customers == nil || c.asked:
		return nil
	case !rules.WithBudget:
		c.g.d.Customers.Tell(name)
		return nil
	}
	table, err := c.g.d.Customers.Await(ctx, name)
	if ctx.Err() != nil {
		return c.ended(ctx)
	}
	if err != nil {
		return err
	}
	if table.Customers().Blocked(name) {
		return customerBlocked(name)
	}
	c.met = table.Customer(name)
	return nil
}

// isNew says whether the customer of a request would be created by it.
func (c *call) isNew() bool {
	rules, name := c.table.Customers(), c.labels.customer
	return name != "" && rules.Create && !c.table.Knows(name)
}

func customerBlocked(name string) error {
	return fault.New(fault.CustomerBlocked, "Customer %s is blocked.", name)
}

func customerRequired(headers, fields []string) error {
	err := fault.New(fault.CustomerRequired, "The request names no customer.")
	places := append([]string{HeaderCustomer}, headers...)
	hint := "Name the customer in the header " + strings.Join(places, " or ")
	if len(fields) > 0 {
		hint += ", or in the field " + strings.Join(fields, " or ") + " of a JSON body"
	}
	return err.WithHint("%s.", hint)
}
