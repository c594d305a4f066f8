package rpc_test

import (
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func aBudget(name, customer string) *controlv1.Budget {
	return &controlv1.Budget{Name: name, Scope: &controlv1.Budget_Customer{Customer: customer}, Amount: usd(5, 0), Period: controlv1.Period_PERIOD_MONTH}
}

func (w *world) newBudget() *controlv1.Budget {
	w.t.Helper()
	name := w.name("bud")
	return w.budget(aBudget(name, name))
}

func (w *world) oldBudget() *controlv1.Budget {
	w.t.Helper()
	b := w.newBudget()
	must[*controlv1.UpdateBudgetResponse](w.t)(w.budgets.UpdateBudget(w.t.Context(), &controlv1.UpdateBudgetRequest{Budget: b.GetName(), Amount: usd(7, 0)}))
	return b
}

var reset = &controlv1.RaiseBudgetRequest_UntilReset{UntilReset: true}

var _ = covers("BudgetService", map[string]cases{
	"CreateBudget": {
		right: func(w *world) proto.Message {
			return &controlv1.CreateBudgetRequest{Budget: aBudget(w.name("b"), w.name("c"))}
		},
		wrong: []wrong{
			{violation: "budget:required", request: is(&controlv1.CreateBudgetRequest{})},
			{violation: "budget.name:taken", code: connect.CodeAlreadyExists, request: func(w *world) proto.Message {
				return &controlv1.CreateBudgetRequest{Budget: aBudget(w.newBudget().GetName(), w.name("c"))}
			}},
			{violation: "budget.period:taken", code: connect.CodeAlreadyExists, request: func(w *world) proto.Message {
				return &controlv1.CreateBudgetRequest{Budget: aBudget(w.name("b"), w.newBudget().GetCustomer())}
			}},
		},
	},
	"GetBudget": {
		right:    func(w *world) proto.Message { return &controlv1.GetBudgetRequest{Budget: w.newBudget().GetId()} },
		wrong:    []wrong{{violation: "budget:required", request: is(&controlv1.GetBudgetRequest{})}},
		notFound: is(&controlv1.GetBudgetRequest{Budget: "nope"}),
	},
	"GetBudgetState": {
		right: func(w *world) proto.Message { return &controlv1.GetBudgetStateRequest{Budget: w.newBudget().GetName()} },
		check: func(w *world, res proto.Message) {
			if s := res.(*controlv1.GetBudgetStateResponse).GetState(); s.GetLimit().GetUnits() != 5 || s.GetRemaining().GetUnits() != 5 || s.GetPeriodEnd() == nil {
				w.t.Errorf("%v", s)
			}
		},
		wrong:    []wrong{{violation: "budget:required", request: is(&controlv1.GetBudgetStateRequest{})}},
		notFound: is(&controlv1.GetBudgetStateRequest{Budget: "nope"}),
	},
	"ListBudgets": {
		right: is(&controlv1.ListBudgetsRequest{Filter: "period:month -enforcement:soft", OrderBy: "-update_time", WithStates: true}),
		wrong: []wrong{
			{violation: "filter:filter_field", request: is(&controlv1.ListBudgetsRequest{Filter: "status:ok"})},
			{violation: "filter:filter_value", request: is(&controlv1.ListBudgetsRequest{Filter: "period:year"})},
			{violation: "order_by:order_by_field", request: is(&controlv1.ListBudgetsRequest{OrderBy: "amount"})},
			{violation: "page_token:invalid", request: is(&controlv1.ListBudgetsRequest{PageToken: "x"})},
		},
	},
	"UpdateBudget": {
		right: func(w *world) proto.Message {
			b := w.newBudget()
			return &controlv1.UpdateBudgetRequest{Budget: b.GetId(), Amount: usd(9, 0), Etag: b.GetEtag()}
		},
		wrong: []wrong{{violation: "amount:out_of_range", request: func(w *world) proto.Message {
			return &controlv1.UpdateBudgetRequest{Budget: w.newBudget().GetId(), Amount: usd(-1, 0)}
		}}},
		stale: func(w *world) proto.Message {
			b := w.oldBudget()
			return &controlv1.UpdateBudgetRequest{Budget: b.GetName(), Amount: usd(9, 0), Etag: b.GetEtag()}
		},
		notFound: is(&controlv1.UpdateBudgetRequest{Budget: "nope", Amount: usd(9, 0)}),
	},
	"DeleteBudget": {
		right: func(w *world) proto.Message { return &controlv1.DeleteBudgetRequest{Budget: w.newBudget().GetName()} },
		wrong: []wrong{{violation: "budget:required", request: is(&controlv1.DeleteBudgetRequest{})}},
		stale: func(w *world) proto.Message {
			b := w.oldBudget()
			return &controlv1.DeleteBudgetRequest{Budget: b.GetName(), Etag: b.GetEtag()}
		},
		notFound: is(&controlv1.DeleteBudgetRequest{Budget: "nope"}),
	},
	"RaiseBudget": {
		right: func(w *world) proto.Message {
			return &controlv1.RaiseBudgetRequest{Budget: w.newBudget().GetName(), By: usd(1, 0), End: reset}
		},
		wrong: []wrong{
			{violation: "by:required", request: is(&controlv1.RaiseBudgetRequest{Budget: "x", End: reset})},
			{violation: "until:out_of_range", request: func(w *world) proto.Message {
				return &controlv1.RaiseBudgetRequest{Budget: w.newBudget().GetName(), By: usd(1, 0), End: &controlv1.RaiseBudgetRequest_Until{Until: &timestamppb.Timestamp{Seconds: 5}}}
			}},
		},
		stale: func(w *world) proto.Message {
			b := w.oldBudget()
			return &controlv1.RaiseBudgetRequest{Budget: b.GetName(), By: usd(1, 0), End: reset, Etag: b.GetEtag()}
		},
		notFound: is(&controlv1.RaiseBudgetRequest{Budget: "nope", By: usd(1, 0), End: reset}),
	},
	"ResetBudget": {
		right: func(w *world) proto.Message { return &controlv1.ResetBudgetRequest{Budget: w.newBudget().GetName()} },
		wrong: []wrong{{violation: "budget:required", request: is(&controlv1.ResetBudgetRequest{})}},
		stale: func(w *world) proto.Message {
			b := w.oldBudget()
			return &controlv1.ResetBudgetRequest{Budget: b.GetName(), Etag: b.GetEtag()}
		},
		notFound: is(&controlv1.ResetBudgetRequest{Budget: "nope"}),
	},
})
