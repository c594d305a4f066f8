package rpc_test

import (
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

func (w *world) customers() controlv1connect.CustomerServiceClient {
	return controlv1connect.NewCustomerServiceClient(w.http, w.url, connect.WithInterceptors(withToken{}))
}

// customer makes one.
func (w *world) customer() *controlv1.Customer {
	w.t.Helper()
	return must[*controlv1.CreateCustomerResponse](w.t)(w.customers().CreateCustomer(w.t.Context(), &controlv1.CreateCustomerRequest{
		Customer: &controlv1.Customer{Name: w.name("c")},
	})).GetCustomer()
}

// oldCustomer is one that changed since.
func (w *world) oldCustomer() *controlv1.Customer {
	w.t.Helper()
	c := w.customer()
	must[*controlv1.UpdateCustomerResponse](w.t)(w.customers().UpdateCustomer(w.t.Context(), &controlv1.UpdateCustomerRequest{Customer: c.GetName(), Blocked: new(true)}))
	return c
}

var _ = covers("CustomerService", map[string]cases{
	"CreateCustomer": {
		right: func(w *world) proto.Message {
			return &controlv1.CreateCustomerRequest{Customer: &controlv1.Customer{Name: w.name("acme@example.com"), DisplayName: "Acme"}}
		},
		wrong: []wrong{
			{violation: "customer:required", request: is(&controlv1.CreateCustomerRequest{})},
			{violation: "customer.name:invalid", request: is(&controlv1.CreateCustomerRequest{Customer: &controlv1.Customer{Name: "a b"}})},
			{violation: "customer.name:taken", code: connect.CodeAlreadyExists, request: func(w *world) proto.Message {
				return &controlv1.CreateCustomerRequest{Customer: &controlv1.Customer{Name: w.customer().GetName()}}
			}},
			{violation: "customer.default_budget:forbidden", request: is(&controlv1.CreateCustomerRequest{Customer: &controlv1.Customer{Name: "x"}, DefaultBudget: true})},
		},
	},
	"GetCustomer": {
		right:    func(w *world) proto.Message { return &controlv1.GetCustomerRequest{Customer: w.customer().GetName()} },
		wrong:    []wrong{{violation: "customer:required", request: is(&controlv1.GetCustomerRequest{})}},
		notFound: is(&controlv1.GetCustomerRequest{Customer: "nobody"}),
	},
	"ListCustomers": {
		right: is(&controlv1.ListCustomersRequest{Filter: "first_sight:no blocked:yes c-"}),
		check: func(w *world, res proto.Message) {
			for _, c := range res.(*controlv1.ListCustomersResponse).GetCustomers() {
				if !c.GetBlocked() || c.GetFirstSight() {
					w.t.Errorf("%v", c)
				}
			}
		},
		wrong: []wrong{
			{violation: "filter:filter_field", request: is(&controlv1.ListCustomersRequest{Filter: "team:x"})},
			{violation: "filter:filter_value", request: is(&controlv1.ListCustomersRequest{Filter: "blocked:maybe"})},
			{violation: "page_token:invalid", request: is(&controlv1.ListCustomersRequest{PageToken: "x"})},
		},
	},
	"UpdateCustomer": {
		right: func(w *world) proto.Message {
			c := w.customer()
			return &controlv1.UpdateCustomerRequest{Customer: c.GetName(), Blocked: new(true), Etag: c.GetEtag()}
		},
		check: func(w *world, res proto.Message) {
			if !res.(*controlv1.UpdateCustomerResponse).GetCustomer().GetBlocked() {
				w.t.Errorf("%v", res)
			}
		},
		wrong: []wrong{{violation: "display_name:invalid", request: func(w *world) proto.Message {
			return &controlv1.UpdateCustomerRequest{Customer: w.customer().GetName(), DisplayName: new("a\nb")}
		}}},
		stale: func(w *world) proto.Message {
			c := w.oldCustomer()
			return &controlv1.UpdateCustomerRequest{Customer: c.GetName(), Blocked: new(false), Etag: c.GetEtag()}
		},
		notFound: is(&controlv1.UpdateCustomerRequest{Customer: "nobody", Blocked: new(true)}),
	},
	"DeleteCustomer": {
		right: func(w *world) proto.Message {
			return &controlv1.DeleteCustomerRequest{Customer: w.customer().GetName()}
		},
		wrong: []wrong{{violation: "customer:required", request: is(&controlv1.DeleteCustomerRequest{})}},
		stale: func(w *world) proto.Message {
			c := w.oldCustomer()
			return &controlv1.DeleteCustomerRequest{Customer: c.GetName(), Etag: c.GetEtag()}
		},
		notFound: is(&controlv1.DeleteCustomerRequest{Customer: "nobody"}),
	},
})
