package cli_test

import (
	"context"
	"strconv"
	"strings"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/fault"
)

// templateService has one template.
type templateService struct {
	controlv1connect.UnimplementedTemplateServiceHandler
}

func theTemplate() *controlv1.Template {
	return &controlv1.Template{
		Name: "openai", Title: "OpenAI", Summary: "Chat of api.openai.com.", Links: []string{"https://platform.openai.com/docs"},
		Secrets: []*controlv1.TemplateSecret{{Name: "openai", Summary: "API key", Env: "OPENAI_API_KEY"}},
		Parameters: []*controlv1.TemplateParameter{
			{Name: "region", Summary: "Region of the target", Default: "eu"},
			{Name: "project", Summary: "Project that pays"},
		},
		Endpoint: &controlv1.Endpoint{
			Name: "openai", Path: "/openai", Targets: []*controlv1.Target{{Url: "https://{region}.api.openai.com"}},
			Headers: []*controlv1.Header{
				{Name: "Authorization", Value: "Bearer ${secret:openai}"},
				{Name: "OpenAI-Project", Value: "{project}"},
			},
			Price: &controlv1.Price{Kind: &controlv1.Price_Metered{Metered: &controlv1.Metered{
				Unmatched: "refuse", Fallback: "0.05",
				Meters: []*controlv1.Meter{
					{
						Name: "chat", Match: &controlv1.MeterMatch{Methods: []string{"POST"}, Path: "^/v1/chat/completions$"}, Book: "openai",
						Models: map[string]string{"mine": "gpt-{region}"}, Units: []*controlv1.Unit{{Name: "input", Add: []string{"prompt"}}},
					},
					{Name: "reads", Match: &controlv1.MeterMatch{Methods: []string{"GET"}, Path: "^/v1/models(/|$){0,1}"}, Free: true},
				},
			}}},
		},
		Deployment: &controlv1.Deployment{
			Target: &controlv1.Target{Url: "https://{region}.api.openai.com/v1"}, ApiKey: "${secret:openai}",
			Schemas: []controlv1.Schema{controlv1.Schema_SCHEMA_OPENAI_CHAT, controlv1.Schema_SCHEMA_OPENAI_RESPONSES},
			Headers: []*controlv1.Header{{Name: "OpenAI-Project", Value: "{project}"}},
			Price: &controlv1.Price{Kind: &controlv1.Price_Metered{Metered: &controlv1.Metered{
				Unmatched: "refuse", Fallback: "0.05", Meters: []*controlv1.Meter{{Name: "chat", Book: "openai", Units: []*controlv1.Unit{{Name: "input"}}}},
			}}},
		},
		Sample: &controlv1.Sample{
			Method: "POST", Path: "/v1/chat/completions", RequestHeaders: []*controlv1.SampleHeader{{Name: "content-type", Value: "application/json"}},
			RequestBody: []byte(`{"model":"gpt-4o-mini"}`),
		},
		Notes: []string{"Prices come from the list openai of the price book."},
	}
}

func (templateService) ListTemplates(context.Context, *controlv1.ListTemplatesRequest) (*controlv1.ListTemplatesResponse, error) {
	t := theTemplate()
	t.Endpoint, t.Sample = nil, nil
	return &controlv1.ListTemplatesResponse{Templates: []*controlv1.Template{t}}, nil
}

func (templateService) GetTemplate(_ context.Context, req *controlv1.GetTemplateRequest) (*controlv1.GetTemplateResponse, error) {
	if req.GetName() == "azure" { // whose key has a header of its own
		t := theTemplate()
		t.Name, t.Deployment.ApiKey = "azure", ""
		t.Deployment.Headers = append(t.Deployment.Headers, &controlv1.Header{Name: "api-key", Value: "${secret:openai}"})
		return &controlv1.GetTemplateResponse{Template: t}, nil
	}
	if req.GetName() != "openai" {
		return nil, refuse(fault.New(fault.ObjectNotFound, "There is no template %q.", req.GetName()).WithHint("There is: openai."))
	}
	return &controlv1.GetTemplateResponse{Template: theTemplate()}, nil
}

// priceService bills what it is given in one way, and says in notes what that was.
type priceService struct {
	controlv1connect.UnimplementedPriceServiceHandler
}

func (priceService) TestPrice(_ context.Context, req *controlv1.TestPriceRequest) (*controlv1.TestPriceResponse, error) {
	s := req.GetSample()
	if strings.Contains(string(s.GetBody()), "nothing") {
		return &controlv1.TestPriceResponse{Meter: "chat", Total: usd(0, 0), Notes: []string{"status " + strconv.Itoa(int(s.GetStatus()))}}, nil
	}
	subject := req.GetEndpoint()
	if m := req.GetPrice().GetMetered(); m != nil {
		subject = m.GetMeters()[0].GetName() + " of " + m.GetUnmatched()
	}
	notes := []string{"tried: " + subject, s.GetMethod() + " " + s.GetPath(), "request " + string(s.GetRequestBody())}
	for _, h := range s.GetHeaders() {
		notes = append(notes, h.GetName()+": "+h.GetValue())
	}
	return &controlv1.TestPriceResponse{
		Charged: true, Meter: "chat", Model: "gpt-4o",
		Counters: []*controlv1.TestedCounter{{Name: "prompt", Value: "1420", Source: "frame usage.prompt_tokens"}, {Name: "cached"}},
		Lines: []*controlv1.TestedLine{
			{Unit: "input", Quantity: "1420", Price: "2.50", Per: 1000000, Amount: "0.00355"},
			{Unit: "fallback", Amount: "0.05"},
		},
		Total: usd(0, 53550000), Hold: usd(1, 0), HoldReason: "the least that is held", Unpriced: []string{"cached was not found"},
		Job: "j1", JobState: "pending", Notes: notes,
	}, nil
}
