package e2e_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"
	typemoney "google.golang.org/genproto/googleapis/type/money"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/testenv"
)

func (c *cluster) customers() controlv1connect.CustomerServiceClient {
	client := &http.Client{Transport: bearer{adminToken}}
	return controlv1connect.NewCustomerServiceClient(client, "http://"+c.controlAddr)
}

// welcome has customers created on first sight, with a budget of so many dollars in all.
func (c *cluster) welcome(dollars int64) {
	c.t.Helper()
	client := &http.Client{Transport: bearer{adminToken}}
	api := controlv1connect.NewSettingsServiceClient(client, "http://"+c.controlAddr)
	c.must(api.UpdateSettings(c.t.Context(), &controlv1.UpdateSettingsRequest{Settings: &controlv1.Settings{Customers: &controlv1.CustomerSettings{
		BodyFields: []string{"prompt"}, Create: true,
		Budget: &controlv1.DefaultBudget{Amount: &typemoney.Money{Units: dollars}, Period: controlv1.Period_PERIOD_TOTAL},
	}}}))
	c.awaitLive()
}

// finally calls until the answer is not that something has to be waited for.
func (c *cluster) finally(edge int, key, path string, headers ...string) (status int, code string) {
	c.t.Helper()
	testenv.Eventually(c.t, eventually, func() error {
		resp, body, err := c.call(edge, key, path, headers...)
		if err != nil {
			return err
		}
		if status, code = resp.StatusCode, errorCode(body); status == http.StatusServiceUnavailable {
			return fmt.Errorf("%s %s", resp.Status, body)
		}
		return nil
	})
	return status, code
}

// Guarantee: the first requests of a customer, many at once on two edges, create one customer with one budget, and exactly what that
// budget is for passes; none passes without it.
func TestNewCustomerIsBoundFromItsFirstRequest(t *testing.T) {
	t.Parallel()
	c := start(t, withLeaseAhead(1))
	c.endpoint("bria", "/bria", "1")
	key := c.key("app")
	const passes, calls = 7, 40
	c.welcome(passes)
	var ok, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			switch status, code := c.finally(i%2, key, "/bria/x", "X-Tollgate-Customer", "Acme@Example.com"); {
			case status == http.StatusOK:
				ok.Add(1)
			case code == "budget_exhausted":
				refused.Add(1)
			default:
				t.Errorf("%d %s", status, code)
			}
		})
	}
	wg.Wait()
	if ok.Load() != passes || refused.Load() != calls-passes {
		t.Errorf("%d passed and %d were refused, of %d, by a budget for %d", ok.Load(), refused.Load(), calls, passes)
	}
	list, err := c.customers().ListCustomers(t.Context(), &controlv1.ListCustomersRequest{Filter: "first_sight:yes"})
	if err != nil || len(list.GetCustomers()) != 1 || list.GetCustomers()[0].GetName() != "Acme@Example.com" {
		t.Errorf("%v, %v", list, err)
	}
	budgets, err := c.rpc.budgets.ListBudgets(t.Context(), &controlv1.ListBudgetsRequest{Filter: "customer:Acme@Example.com"})
	if err != nil || len(budgets.GetBudgets()) != 1 {
		t.Errorf("%v, %v", budgets, err)
	}
	// A field of the body names one as well; this one has spaces in it.
	if status, code := c.finally(0, key, "/bria/x"); status != http.StatusBadRequest || code != "label_invalid" {
		t.Errorf("by a field of the body: %d %s", status, code)
	}
}

// Guarantee: with no control plane, requests of customers that are known go on, and those of new ones wait no longer than they may and
// are told why; once it is back, they are created. A customer who is blocked is refused.
func TestNewCustomersWithoutControlPlane(t *testing.T) {
	t.Parallel()
	c := start(t, withEdges(1))
	c.endpoint("bria", "/bria", "1")
	key := c.key("app")
	c.welcome(100)
	if status, code := c.finally(0, key, "/bria/x", "X-Tollgate-Customer", "known"); status != http.StatusOK {
		t.Fatalf("%d %s", status, code)
	}
	c.control.kill()
	resp, body, err := c.call(0, key, "/bria/x", "X-Tollgate-Customer", "new")
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable || errorCode(body) != "customer_unavailable" {
		t.Fatalf("new: %v %v %s", err, resp, body)
	}
	if resp, body, err := c.call(0, key, "/bria/x", "X-Tollgate-Customer", "known"); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("known: %v %v %s", err, resp, body)
	}
	c.control.start()
	c.awaitReady()
	if status, code := c.finally(0, key, "/bria/x", "X-Tollgate-Customer", "new"); status != http.StatusOK {
		t.Fatalf("%d %s", status, code)
	}
	c.must(c.customers().UpdateCustomer(t.Context(), &controlv1.UpdateCustomerRequest{Customer: "new", Blocked: new(true)}))
	c.awaitLive()
	if status, code := c.finally(0, key, "/bria/x", "X-Tollgate-Customer", "new"); status != http.StatusForbidden || code != "customer_blocked" {
		t.Errorf("blocked: %d %s", status, code)
	}
	_, err = c.customers().DeleteCustomer(t.Context(), &controlv1.DeleteCustomerRequest{Customer: "new"})
	if err != nil {
		t.Errorf("deleted: %v, %s", err, connect.CodeOf(err))
	}
}
