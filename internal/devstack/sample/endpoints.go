package sample

import (
	"context"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/contract"
	"tollgate/internal/meter/document"
	"tollgate/internal/money"
)

// makeSecrets makes the credentials of vendors, one of which is wrong.
func (d *Data) makeSecrets(ctx context.Context) error {
	client := controlv1connect.NewSecretServiceClient(d.o.Client, d.o.URL)
	for name, value := range map[string]string{briaSecret: d.o.Token, wantsSecret: wrongToken} {
		if _, err := client.CreateSecret(ctx, &controlv1.CreateSecretRequest{Name: name, Value: value}); exists(err) != nil {
			return err
		}
	}
	return nil
}

// Prices by what answers tell.
const (
	chatPrice = `
unmatched: refuse
fallback: "0.01"
meters:
  - name: chat
    match: {methods: [POST], path: '^/v1/chat/completions$'}
    model: [{frame: model}, {request: model}]
    counters:
      - {name: prompt, sources: [{frame: usage.prompt_tokens}]}
      - {name: completion, sources: [{frame: usage.completion_tokens}]}
    units:
      - {name: input, add: [prompt]}
      - {name: output, add: [completion]}
    prices:
      - {model: demo-chat, rates: [{unit: input, price: "2.50", per: 1000000}, {unit: output, price: "10", per: 1000000}]}
    hold:
      bounds:
        - {unit: input, sources: [{measure: request_bytes}]}
        - {unit: output, sources: [{request: max_completion_tokens}], assume: "4096", enforce: max_completion_tokens}
      least: "0.0001"
    inject:
      - {when: {source: {request: stream}, in: ["true"]}, field: stream_options.include_usage, value: "true", strip: usage_only}
`
	ocrPrice = `
unmatched: refuse
fallback: "0.01"
meters:
  - name: ocr
    match: {methods: [POST], path: '^/v1/ocr$'}
    counters:
      - {name: pages, sources: [{frame: usage.pages}]}
    units:
      - {name: pages}
    prices:
      - {model: "*", rates: [{unit: pages, price: "0.002", per: 1}]}
    hold: {least: "0.02"}
`
)

func perRequest(n money.Nanos) *controlv1.Price {
	return &controlv1.Price{Kind: &controlv1.Price_Fixed_{Fixed: &controlv1.Price_Fixed{PerRequest: contract.MoneyToProto(n)}}}
}

func metered(text string) (*controlv1.Price, error) {
	m := &controlv1.Metered{}
	err := document.Parse([]byte(text), m)
	return &controlv1.Price{Kind: &controlv1.Price_Metered{Metered: m}}, err
}

// endpoints are all of them, as they were before anybody changed one.
func (d *Data) endpoints() ([]*controlv1.Endpoint, error) {
	chat, err := metered(chatPrice)
	if err != nil {
		return nil, err
	}
	ocr, err := metered(ocrPrice)
	if err != nil {
		return nil, err
	}
	nothing := &controlv1.Price{Kind: &controlv1.Price_Free_{Free: &controlv1.Price_Free{}}}
	endpoint := func(name, about, below string, price *controlv1.Price, headers ...*controlv1.Header) *controlv1.Endpoint {
		return &controlv1.Endpoint{
			Name: name, Description: about, Path: "/" + name, Match: controlv1.MatchKind_MATCH_KIND_PREFIX, Price: price, Headers: headers,
			Targets: []*controlv1.Target{{Url: "http://" + d.o.Vendor + below}},
		}
	}
	header := func(name, value string) *controlv1.Header { return &controlv1.Header{Name: name, Value: value} }
	flaky := endpoint("flaky", "A vendor with bad days", "/flaky", perRequest(flakyPrice))
	flaky.Breaker = &controlv1.Breaker{MinAttempts: 5, FailPercent: 50, Window: durationpb.New(breakerWindow), OpenFor: durationpb.New(breakerOpen)}
	return []*controlv1.Endpoint{
		endpoint("bria", "Pictures from text", "", perRequest(briaWas), header("api_token", "${secret:"+briaSecret+"}")),
		endpoint("rerank", "Puts search results in order", "", perRequest(rerankPrice)),
		endpoint("ocr", "Reads scanned pages", "", ocr),
		endpoint("llm", "The chat behind the assistant", "", chat, header("Authorization", "Bearer ${secret:"+briaSecret+"}")),
		flaky,
		endpoint("slow", "Takes three seconds", "/slow", nothing),
		endpoint("wants-token", "Partner API with a token of its own", "/wants-token", perRequest(tokenPrice), header("Authorization", "Bearer ${secret:"+wantsSecret+"}")),
	}, nil
}

func (d *Data) makeEndpoints(ctx context.Context) error {
	client := controlv1connect.NewEndpointServiceClient(d.o.Client, d.o.URL)
	wanted, err := d.endpoints()
	if err != nil {
		return err
	}
	for _, e := range wanted {
		var have *controlv1.Endpoint
		got, err := client.GetEndpoint(ctx, &controlv1.GetEndpointRequest{Endpoint: e.GetName()})
		if have = got.GetEndpoint(); connect.CodeOf(err) == connect.CodeNotFound {
			var made *controlv1.CreateEndpointResponse
			made, err = client.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: e})
			have = made.GetEndpoint()
		}
		if err != nil {
			return err
		}
		d.ids.endpoints[e.GetName()], d.ids.revisions[e.GetName()] = have.GetId(), have.GetRevision()
	}
	return nil
}

// change writes one field of an endpoint unless it is as wanted.
func change(ctx context.Context, client controlv1connect.EndpointServiceClient, name, field string, to func(*controlv1.Endpoint) bool) error {
	got, err := client.GetEndpoint(ctx, &controlv1.GetEndpointRequest{Endpoint: name})
	if err != nil || !to(got.GetEndpoint()) {
		return err
	}
	_, err = client.UpdateEndpoint(ctx, &controlv1.UpdateEndpointRequest{
		Endpoint: got.GetEndpoint(), UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{field}},
	})
	return err
}
