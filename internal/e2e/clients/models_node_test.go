package clients_test

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// nodeModels is a vendor of models by its template, how it is spoken to, what it charges for an answer, and what it has counted
// when it begins one.
type nodeModels struct {
	template, base, schema, header string
	told                           charge
	begun                          string
}

// Guarantee: programs that use the vendors' own libraries for Node reach models of a vendor that speaks another language, and see what
// they would see of their own: whole answers and streams, tools in several turns, several at once and by the libraries' own runners,
// pictures, thinking, answers by a schema, counts of tokens, lists of models, and every class of errors. A caller who leaves is
// gone at the vendor. What the vendor used is in the books, to the last digit.
func TestNodeModels(t *testing.T) {
	t.Parallel()
	chat := nodeModels{
		template: "openai", base: "/v1", schema: "openai-chat", header: "Authorization: Bearer " + vendorKey,
		told: charge{"chat", saidModelOpenAI, "audio_in=0,audio_out=0,cached=20,completion=30,prompt=120", saidCosts["prompt=120"]},
	}
	messages := nodeModels{
		template: "anthropic", schema: "anthropic-messages", header: "X-Api-Key: " + vendorKey,
		told:  charge{"messages", saidModelAnthropic, "cache_read=20,cache_write=10,input=100,output=30", saidCosts["input=100"]},
		begun: "cache_read=20,cache_write=10,input=100,output=1",
	}
	vendors := map[string]nodeModels{"anthropic": chat, "chat": messages, "responses-chat": chat, "responses-messages": messages}
	routes := map[string]route{}
	for name, of := range vendors {
		routes[name] = newNodeModels(t, "node-models-"+name, of)
	}
	runNode(t, "models/*.test.mjs", routes)
	if t.Failed() {
		return // the calls are not all those that are to be in the books
	}
	for name, of := range vendors {
		calls := theVendor.calls(routes[name].name)
		compareCharges(t, routes[name].name, charges(of, calls, recordedCharges[name]))
	}
}

// newNodeModels makes an endpoint of models: one for every name below the route's, and one that is listed.
func newNodeModels(t *testing.T, name string, of nodeModels) route {
	t.Helper()
	r := route{name: name, url: theGateway.url + "/" + name}
	for model, vendors := range map[string]string{name + "/*": "*", name + "-listed": "text"} {
		args := []string{"model", "create", model, "--template", of.template, "--url", theVendor.url + "/" + name + of.base, "--schema", of.schema,
			"--api-key-env", "VENDOR_KEY", "--vendor-model", vendors, "--deployment-name", name}
		if vendors == "text" {
			args = append(args, "--alias", model+"-too")
		}
		must(t, args...)
	}
	must(t, "endpoint", "create", name, "--path", "/"+name, "--models")
	r.key = strings.TrimSpace(must(t, "key", "create", name, "--endpoint", name, "--models", name+"*"))
	awaitKey(t, name, name)
	header, value, _ := strings.Cut(of.header, ": ")
	theVendor.expect(name, "models", header, value, r.key)
	t.Cleanup(func() { theVendor.check(t, name) })
	return r
}

// Usage of recorded answers, by the prices of the vendors' templates; gpt-3.5-turbo-0125 has none.
var recordedCharges = map[string][]charge{
	"anthropic": {
		{"chat", "gpt-4o-mini-2024-07-18", "audio_in=0,audio_out=0,cached=0,completion=5,prompt=12", "0.0000048"},
		{"chat", "gpt-5-2025-08-07", "audio_in=0,audio_out=0,cached=0,completion=75,prompt=19", "0.00077375"},
		{"chat", "gpt-3.5-turbo-0125", "", "0.05, unpriced"},
	},
	"chat": {
		{"messages", "claude-3-opus-20240229", "input=22,output=15", "0.001455"},
		{"messages", "claude-haiku-4-5-20251001", "cache_read=0,cache_write=0,cache_write_1h=0,input=16,output=28", "0.000156"},
		{"messages", "claude-sonnet-4-20250514", "input=200,output=30", "0.00105"},
		{"messages", "claude-haiku-4-5-20251001", "cache_read=0,cache_write=0,cache_write_1h=0,input=543,output=40", "0.000743"},
	},
}

// charges are what the books must say of what the vendor of a route has answered: its own usage whatever the caller's language is,
// and what the price says where a caller left, or the vendor broke off, before usage was told.
func charges(of nodeModels, calls []call, recorded []charge) []charge {
	var out []charge
	for _, c := range calls {
		model := gjson.Get(c.Body, "model").Str
		what, _, _ := strings.Cut(model, "-")
		switch {
		case strings.HasSuffix(c.Path, "_tokens"):
			out = append(out, charge{"", model, "", "0.00"})
		case c.Status >= 400:
			out = append(out, charge{of.told.meter, model, "", "0.00"})
		case c.Status == 0:
			out = append(out, charge{of.told.meter, model, "", "0.05, unpriced"})
		case what == "endless", what == "torn", what == "failing":
			out = append(out, charge{of.told.meter, of.told.model, of.begun, "0.05, unpriced"})
		case what != "recorded":
			out = append(out, of.told)
		}
	}
	return append(out, recorded...)
}
