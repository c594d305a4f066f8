package rpc_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Guarantee: an endpoint of every template can be made, with its parameters filled in, and is stored with the price
// that the template has.
func TestEveryTemplateMakesAnEndpoint(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := context.Background()
	listed, err := b.templates.ListTemplates(ctx, &controlv1.ListTemplatesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(listed.GetTemplates()) < 25 {
		t.Fatalf("%d templates", len(listed.GetTemplates()))
	}
	stored := map[string]bool{}
	for _, short := range listed.GetTemplates() {
		if short.GetEndpoint() != nil || short.GetSample() != nil {
			t.Errorf("%s: the list has its endpoint or its sample", short.GetName())
		}
		got, err := b.templates.GetTemplate(ctx, &controlv1.GetTemplateRequest{Name: short.GetName()})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range got.GetTemplate().GetSecrets() {
			if stored[s.GetName()] {
				continue
			}
			stored[s.GetName()] = true
			if _, err := b.secrets.CreateSecret(ctx, &controlv1.CreateSecretRequest{Name: s.GetName(), Value: vendorSecret}); err != nil {
				t.Fatal(err)
			}
		}
		e := filled(t, got.GetTemplate())
		made, err := b.endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: e})
		if err != nil {
			t.Errorf("%s: %v %v", short.GetName(), err, violations(err))
			continue
		}
		if !proto.Equal(made.GetEndpoint().GetPrice(), e.GetPrice()) {
			t.Errorf("%s: the price is stored as another", short.GetName())
		}
	}
}

// filled is the endpoint of a template with its parameters, as a caller fills them in.
func filled(t *testing.T, from *controlv1.Template) *controlv1.Endpoint {
	t.Helper()
	raw, err := protojson.Marshal(from.GetEndpoint())
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]string{"resource": "acme", "url": "https://api.example.com", "price": "2.00"}
	text := string(raw)
	for _, p := range from.GetParameters() {
		value := p.GetDefault()
		if value == "" {
			value = given[p.GetName()]
		}
		text = strings.ReplaceAll(text, "{"+p.GetName()+"}", value)
	}
	e := &controlv1.Endpoint{}
	if err := protojson.Unmarshal([]byte(text), e); err != nil {
		t.Fatal(err)
	}
	return e
}

// violations are the fields that an error names.
func violations(err error) (out []string) {
	var c *connect.Error
	if !errors.As(err, &c) {
		return nil
	}
	for _, d := range c.Details() {
		m, err := d.Value()
		if err != nil {
			continue
		}
		if bad, ok := m.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				out = append(out, v.GetField()+": "+v.GetDescription())
			}
		}
	}
	return out
}

// Guarantee: a name that no template has is answered with those that are near it.
func TestUnknownTemplatesAreAnsweredWithNamesNearIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.templates.GetTemplate(context.Background(), &controlv1.GetTemplateRequest{Name: "azure"})
	if connect.CodeOf(err) != connect.CodeNotFound {
		t.Fatalf("error %v", err)
	}
	var c *connect.Error
	if !errors.As(err, &c) || !slices.ContainsFunc(c.Details(), func(d *connect.ErrorDetail) bool {
		m, err := d.Value()
		info, ok := m.(*errdetails.ErrorInfo)
		return err == nil && ok && strings.Contains(info.GetMetadata()["hint"], "azure-openai")
	}) {
		t.Errorf("the hint does not name azure-openai: %v", err)
	}
}
