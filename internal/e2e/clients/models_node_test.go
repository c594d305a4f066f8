package clients_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// nodeModels is a vendor of models by its template, and how it is spoken to.
type nodeModels struct{ template, schema, header string }

// Guarantee: programs that use the vendors' own libraries for Node reach models of a vendor that speaks another language, and see what
// they would see of their own: whole answers and streams, tools in several turns, several at once and by the libraries' own runners,
// pictures, thinking, answers by a schema, counts of tokens, lists of models, and every class of errors. A caller who leaves is
// gone at the vendor. What the vendor used is in the books, to the last digit.
func TestNodeModels(t *testing.T) {
	t.Parallel()
	chat := nodeModels{"openai", "openai-chat", "Authorization: Bearer " + vendorKey}
	messages := nodeModels{"anthropic", "anthropic-messages", "X-Api-Key: " + vendorKey}
	routes := map[string]route{}
	for name, of := range map[string]nodeModels{"anthropic": chat, "chat": messages, "responses-chat": chat, "responses-messages": messages} {
		routes[name] = newNodeModels(t, "node-models-"+name, of)
	}
	runNode(t, "models/*.test.mjs", routes)
	for name, r := range routes {
		_ = name
		checkModelBooks(t, r.name)
	}
}

// newNodeModels makes an endpoint of models: one for every name below the route's, and one that is listed.
func newNodeModels(t *testing.T, name string, of nodeModels) route {
	t.Helper()
	r := route{name: name, url: theGateway.url + "/" + name}
	for model, vendors := range map[string]string{name + "/*": "*", name + "-listed": "text"} {
		args := []string{"model", "create", model, "--template", of.template, "--url", theVendor.url + "/" + name, "--schema", of.schema,
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

func checkModelBooks(t *testing.T, name string) {
	t.Helper()
	for _, c := range theVendor.calls(name) {
		b, _ := json.Marshal([]any{c.Path, c.Status, gjson.Get(c.Body, "model").Str})
		t.Log(string(b))
	}
	t.Log(must(t, "requests", "list", "--endpoint", name, "--most", "1000"))
}
