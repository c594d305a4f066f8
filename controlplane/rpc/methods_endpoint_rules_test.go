package rpc_test

import (
	"slices"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// wrongs are requests that are refused.
type wrongs []wrong

// and adds, for each rule of endpoints, a request with an endpoint that breaks it.
func (all wrongs) and(request func(w *world, e *controlv1.Endpoint) proto.Message) []wrong {
	for _, rule := range brokenRules {
		code := connect.CodeInvalidArgument
		if slices.Contains([]string{"endpoint.name:name_taken", "endpoint.path:path_taken", "endpoint.methods:methods_overlap"}, rule.violation) {
			code = connect.CodeAlreadyExists
		}
		all = append(all, wrong{violation: rule.violation, code: code, request: func(w *world) proto.Message {
			e := plain(w.name("ep"))
			rule.breaks(w, e)
			return request(w, e)
		}})
	}
	return all
}

func createsBadEndpoint(_ *world, e *controlv1.Endpoint) proto.Message {
	return &controlv1.CreateEndpointRequest{Endpoint: e}
}

func updatesBadEndpoint(w *world, e *controlv1.Endpoint) proto.Message {
	e.Id = w.newEndpoint().GetId()
	return &controlv1.UpdateEndpointRequest{Endpoint: e}
}

// brokenRules are endpoints that each break one rule, by the violation that they are refused with.
var brokenRules = []struct {
	violation string
	breaks    func(w *world, e *controlv1.Endpoint)
}{
	{"endpoint.name:required", func(_ *world, e *controlv1.Endpoint) { e.Name = "" }},
	{"endpoint.name:name_slug", func(_ *world, e *controlv1.Endpoint) { e.Name = "A b" }},
	{"endpoint.name:name_taken", func(w *world, e *controlv1.Endpoint) { e.Name = w.newEndpoint().GetName() }},
	{"endpoint.path:path_required", func(_ *world, e *controlv1.Endpoint) { e.Path = "" }},
	{"endpoint.path:path_form", func(_ *world, e *controlv1.Endpoint) { e.Path = "bria" }},
	{"endpoint.path:path_form", func(_ *world, e *controlv1.Endpoint) { e.Path = "/a/../b" }},
	{"endpoint.path:path_chars", func(_ *world, e *controlv1.Endpoint) { e.Path = "/a b" }},
	{"endpoint.path:path_query", func(_ *world, e *controlv1.Endpoint) { e.Path = "/a?x=1" }},
	{"endpoint.path:path_reserved", func(_ *world, e *controlv1.Endpoint) { e.Path = "/-/health" }},
	{"endpoint.path:out_of_range", func(_ *world, e *controlv1.Endpoint) { e.Path = "/" + strings.Repeat("x", 1024) }},
	{"endpoint.path:path_taken", func(w *world, e *controlv1.Endpoint) { e.Path = w.newEndpoint().GetPath() }},
	{"endpoint.methods:methods_overlap", func(w *world, e *controlv1.Endpoint) {
		other := plain(w.name("ep"))
		other.Methods = []string{"GET", "POST"}
		e.Path, e.Methods = w.create(other).GetPath(), []string{"POST", "PUT"}
	}},
	{"endpoint.methods[0]:invalid", func(_ *world, e *controlv1.Endpoint) { e.Methods = []string{"post"} }},
	{"endpoint.methods:forbidden", func(_ *world, e *controlv1.Endpoint) { e.Methods = []string{"TRACE"} }},
	{"endpoint.targets:required", func(_ *world, e *controlv1.Endpoint) { e.Targets = nil }},
	{"endpoint.targets[0].url:target_required", func(_ *world, e *controlv1.Endpoint) { e.Targets[0].Url = "" }},
	{"endpoint.targets[0].url:target_form", func(_ *world, e *controlv1.Endpoint) { e.Targets[0].Url = "https://" }},
	{"endpoint.targets[0].url:target_scheme", func(_ *world, e *controlv1.Endpoint) { e.Targets[0].Url = "ftp://x.example.com" }},
	{"endpoint.targets[0].url:target_userinfo", func(_ *world, e *controlv1.Endpoint) { e.Targets[0].Url = "https://u:p@x.example.com" }},
	{"endpoint.targets[0].url:target_fragment", func(_ *world, e *controlv1.Endpoint) { e.Targets[0].Url = "https://x.example.com#f" }},
	{"endpoint.targets[0].url:target_metadata", func(_ *world, e *controlv1.Endpoint) { e.Targets[0].Url = "http://169.254.169.254" }},
	{"endpoint.targets[0].url:target_loop", func(w *world, e *controlv1.Endpoint) {
		w.gatewayURL("https://gw.example.com")
		e.Targets[0].Url = "https://gw.example.com/x"
	}},
	{"endpoint.targets[1].url:duplicate", func(_ *world, e *controlv1.Endpoint) { e.Targets = append(e.Targets, e.GetTargets()[0]) }},
	{"endpoint.headers[0].name:header_name", func(_ *world, e *controlv1.Endpoint) { e.Headers = header("a b", "x") }},
	{"endpoint.headers[1].name:header_dup", func(_ *world, e *controlv1.Endpoint) { e.Headers = append(header("a", "x"), header("A", "y")...) }},
	{"endpoint.headers[0].name:header_hop", func(_ *world, e *controlv1.Endpoint) { e.Headers = header("Transfer-Encoding", "x") }},
	{"endpoint.headers[0].name:header_host", func(_ *world, e *controlv1.Endpoint) { e.Headers = header("host", "x") }},
	{"endpoint.headers[0].value:header_value_nl", func(_ *world, e *controlv1.Endpoint) { e.Headers = header("a", "b\r\nc: d") }},
	{"endpoint.headers[0].value:secret_missing", func(_ *world, e *controlv1.Endpoint) { e.Headers = header("a", "${secret:none}") }},
	{"endpoint.headers[0].value:invalid", func(_ *world, e *controlv1.Endpoint) { e.Headers = header("a", "${secret:") }},
	{"endpoint.query[0].name:required", func(_ *world, e *controlv1.Endpoint) { e.Query = []*controlv1.QueryParameter{{Value: "x"}} }},
	{"endpoint.key_header:forbidden", func(_ *world, e *controlv1.Endpoint) { e.KeyHeader = "content-type" }},
	{"endpoint.price:required", func(_ *world, e *controlv1.Endpoint) { e.Price = nil }},
	{"endpoint.price.fixed.per_request:price_negative", func(_ *world, e *controlv1.Endpoint) { e.Price = fixed(usd(-1, 0)) }},
	{"endpoint.price.fixed.per_request:out_of_range", func(_ *world, e *controlv1.Endpoint) { e.Price = fixed(usd(1_000_001, 0)) }},
	{"endpoint.price.fixed.per_request:invalid", func(_ *world, e *controlv1.Endpoint) { e.Price = fixed(usd(1, -1)) }},
	{"endpoint.price.metered.meters[0].prices[0].rates[0].price:price_negative", func(_ *world, e *controlv1.Endpoint) {
		e.Price = byMeters()
		e.Price.GetMetered().Meters[0].Prices[0].Rates[0].Price = "-1"
	}},
	{"endpoint.price.metered.meters[0].prices[0].rates[0].price:price_precision", func(_ *world, e *controlv1.Endpoint) {
		e.Price = byMeters()
		e.Price.GetMetered().Meters[0].Prices[0].Rates[0].Price = "0.0000000000001"
	}},
	{"endpoint.price.metered.meters[0].model[0].frame:meter_path", func(_ *world, e *controlv1.Endpoint) {
		e.Price = byMeters()
		e.Price.GetMetered().Meters[0].Model[0] = &controlv1.Source{Place: &controlv1.Source_Frame{Frame: "a..b"}}
	}},
	{"endpoint.timeout:invalid", func(_ *world, e *controlv1.Endpoint) { e.Timeout = seconds(-1) }},
	{"endpoint.max_body_bytes:invalid", func(_ *world, e *controlv1.Endpoint) { e.MaxBodyBytes = -1 }},
	{"endpoint.description:invalid", func(_ *world, e *controlv1.Endpoint) { e.Description = strings.Repeat("x", 1025) }},
}

func header(name, value string) []*controlv1.Header {
	return []*controlv1.Header{{Name: name, Value: value}}
}

// gatewayURL says where callers reach the edges.
func (w *world) gatewayURL(text string) {
	w.t.Helper()
	ask[*controlv1.UpdateSettingsResponse](w.bundle, token, "SettingsService", "UpdateSettings", &controlv1.UpdateSettingsRequest{
		Settings: &controlv1.Settings{GatewayUrl: text}, UpdateMask: mask("gateway_url"),
	})
}
