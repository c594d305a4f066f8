package cli_test

import (
	"context"
	"strings"

	typemoney "google.golang.org/genproto/googleapis/type/money"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/fault"
)

// explainService is an edge that knows one endpoint.
type explainService struct {
	controlv1connect.UnimplementedExplainServiceHandler
}

func (explainService) Explain(_ context.Context, req *controlv1.ExplainRequest) (*controlv1.ExplainResponse, error) {
	if req.GetEdge() != "" {
		return nil, refuse(fault.New(fault.UnavailableErr, "There is no edge %q connected.", req.GetEdge()))
	}
	x := &controlv1.Explanation{Edge: "edge-1", Revision: 7}
	if !strings.HasPrefix(req.GetPath(), "/bria") {
		text := "No endpoint for " + req.GetMethod() + " " + req.GetPath() + "."
		x.Steps = []*controlv1.ExplainStep{{Stage: "match", Text: text}}
		x.Refusal = &controlv1.ExplainedRefusal{Status: 404, Code: "endpoint_not_found", Message: text, Hint: "Check the path."}
		return &controlv1.ExplainResponse{Explanation: x}, nil
	}
	x.Admitted, x.Endpoint, x.Pattern, x.Host, x.Credential = true, "bria", "/bria/*", "a.example", "one"
	x.Url = req.GetMethod() + " https://a.example" + strings.TrimPrefix(req.GetPath(), "/bria")
	x.Price, x.Hold = "$12.00 for each answer of status 2xx", &typemoney.Money{CurrencyCode: "USD", Units: 12}
	if body := req.GetBody(); len(body) > 0 {
		x.Meter, x.Model, x.HoldReason = "images", "fibo", "the bound of "+strings.TrimSpace(string(body))
		x.Deployment, x.Translation, x.Dropped = "fibo/eu", "Anthropic Messages to Chat Completions", []string{"top_k", "metadata"}
	}
	x.Steps = []*controlv1.ExplainStep{
		{Stage: "match", Passed: true, Text: "endpoint bria"},
		{Stage: "authenticate", Passed: req.GetKey() != "", Text: "key " + req.GetKey()},
	}
	x.Targets = []*controlv1.ExplainedTarget{{Url: "https://a.example", State: "ok", Notes: []string{"its certificate is not verified"}}}
	x.Headers = []*controlv1.ExplainedHeader{{Name: "api_token", Value: "${secret:bria}", Origin: "endpoint"}}
	for _, h := range req.GetHeaders() {
		x.Headers = append(x.Headers, &controlv1.ExplainedHeader{Name: h.GetName(), Removed: "the endpoint forwards none"})
	}
	return &controlv1.ExplainResponse{Explanation: x}, nil
}
