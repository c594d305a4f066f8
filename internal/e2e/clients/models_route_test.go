package clients_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/openai/openai-go"
)

// models is an endpoint that serves models of scripted vendors, and a key that may ask for them. What is asked for as NAME/openai/X is
// OpenAI's model X, by one that knows Chat Completions and Responses; NAME/anthropic/X is Anthropic's and NAME/chat/X is that of a
// server which speaks nothing but Chat Completions and thinks aloud.
type models struct {
	name, url, key string
}

// newModels makes one with the tools that people use, and checks the books when the test has ended.
func newModels(t *testing.T, name string) models {
	t.Helper()
	m := models{name: name, url: theGateway.url + "/" + name}
	must(t, "endpoint", "create", name, "--path", "/"+name, "--models")
	m.key = newKey(t, name, name)
	m.add(t, "openai/*", "openai", "Authorization: Bearer "+vendorKey, "--template", "openai", "--url", theVendor.url+"/"+name+"-openai/v1",
		"--vendor-model", "*", "--api-key-env", "VENDOR_KEY")
	m.add(t, "anthropic/*", "anthropic", "X-Api-Key: "+vendorKey, "--template", "anthropic", "--url", theVendor.url+"/"+name+"-anthropic",
		"--vendor-model", "*", "--api-key-env", "VENDOR_KEY")
	m.add(t, "chat/*", "chat", "Authorization: Bearer "+vendorKey, "--schema", "openai-chat", "--url", theVendor.url+"/"+name+"-chat/v1",
		"--vendor-model", "*", "--api-key-env", "VENDOR_KEY", "--price-per-request", price)
	m.await(t, "openai/x", "anthropic/x", "chat/x")
	t.Cleanup(func() {
		for _, vendor := range []string{"openai", "anthropic", "chat"} {
			m.checkVendor(t, vendor)
		}
		if !t.Failed() {
			m.checkBooks(t)
		}
	})
	return m
}

// add makes a model NAME/model with one deployment, called after its vendor, whose route at the scripted vendor is NAME-vendor.
func (m models) add(t *testing.T, model, vendor, header string, deployment ...string) {
	t.Helper()
	headerName, value, _ := strings.Cut(header, ": ")
	theVendor.expect(m.name+"-"+vendor, "models", headerName, value, m.key)
	must(t, append([]string{"model", "create", m.name + "/" + model, "--deployment-name", vendor}, deployment...)...)
}

// await returns once an edge serves models.
func (m models) await(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := eventually(func() error {
			_, err := ptr(openaiClient(t, m.url, m.key, 0)).Models.Get(t.Context(), m.name+"/"+name)
			return err
		}); err != nil {
			t.Fatalf("model %s: %v", name, err)
		}
	}
}

func (m models) anthropic(t *testing.T) *anthropic.Client { return anthropicClient(t, m.url, m.key) }

func (m models) openai(t *testing.T) openai.Client { return openaiClient(t, m.url, m.key, 0) }

// sent is the last request that a vendor has got.
func (m models) sent(t *testing.T, vendor string) call {
	t.Helper()
	all := theVendor.calls(m.name + "-" + vendor)
	if len(all) == 0 {
		t.Fatalf("%s got no request", vendor)
	}
	return all[len(all)-1]
}

// checkVendor fails the test for what a vendor got that was not as it must be. Not every test calls every vendor.
func (m models) checkVendor(t *testing.T, vendor string) {
	t.Helper()
	theVendor.mu.Lock()
	defer theVendor.mu.Unlock()
	for _, p := range theVendor.routes[m.name+"-"+vendor].problems {
		t.Errorf("the vendor %s: %s", vendor, p)
	}
}

// What an answer of the scripted vendor costs by the prices of its template, exactly, by the tokens that it counts.
var saidCosts = map[string]string{
	"120+30": "0.0000345", // 100 fresh at 0.15, 20 cached at 0.075 and 30 out at 0.60 for a million
	"100+30": "0.0002645", // 100 fresh at 1, 20 read at 0.10, 10 written at 1.25 and 30 out at 5 for a million
}

// checkBooks compares what the vendors have seen with what was booked: every call by its deployment with its status once, and
// everything that was counted at the vendor's own price.
func (m models) checkBooks(t *testing.T) {
	t.Helper()
	var seen []string
	theVendor.mu.Lock()
	for route, r := range theVendor.routes {
		vendor, ok := strings.CutPrefix(route, m.name+"-")
		if !ok || strings.Contains(vendor, "-") {
			continue // of another test
		}
		for _, c := range r.calls {
			seen = append(seen, fmt.Sprint(vendor, " ", c.Status))
		}
	}
	theVendor.mu.Unlock()
	slices.Sort(seen)
	err := eventually(func() error {
		// The test's context has ended when its books are closed.
		out, err := theGateway.cli(context.WithoutCancel(t.Context()), "requests", "list", "--endpoint", m.name, "--limit", "1000", "-o", "json")
		if err != nil {
			return err
		}
		var booked []record
		if err := json.Unmarshal([]byte(out), &booked); err != nil {
			return err
		}
		var have []string
		counted := 0
		for _, b := range booked {
			vendor := b.Deployment[strings.LastIndex(b.Deployment, "/")+1:]
			have = append(have, fmt.Sprint(vendor, " ", b.Status))
			used := b.Counts["prompt"] + b.Counts["input"] + "+" + b.Counts["completion"] + b.Counts["output"]
			if want, ok := saidCosts[used]; ok {
				counted++
				if b.Cost.Amount != want {
					return permanent{fmt.Errorf("%s in place of %s: %+v", b.Cost.Amount, want, b)}
				}
			}
		}
		slices.Sort(have)
		if !slices.Equal(seen, have) {
			return fmt.Errorf("the vendors saw %q and the books have %q", seen, have)
		}
		if counted == 0 && len(seen) > 0 {
			return errors.New("nothing was counted: " + out)
		}
		return nil
	})
	if err != nil {
		t.Errorf("the books: %v", err)
	}
}
