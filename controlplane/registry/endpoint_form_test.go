package registry_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/controlplane/registry"
)

// Guarantee: the form of an endpoint is read as it was written by every version: by this one, by those that knew no settings of targets
// but their URLs, and by those that had no descriptions, with what was not there as its default.
func TestOlderFormsAreRead(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	whole := registry.Endpoint{
		ID: "ep_1", Name: "bria", Path: "/bria", Methods: []string{"POST"}, Targets: []registry.Target{{URL: "https://a.example.com"}, {URL: "https://b.example.com", Weight: 2}},
		Headers: []registry.Header{{Name: "api_token", Value: "${secret:bria}"}}, Price: registry.Price{PerRequest: 12_000_000_000}, PriceVersion: 3,
		Timeout: time.Minute, Revision: 4, Created: at, Updated: at, Disabled: true, Description: "Pictures.",
	}
	whole.FillIn()
	raw, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	first := whole
	first.Disabled, first.Description, first.Targets = false, "", []registry.Target{{URL: "https://a.example.com"}, {URL: "https://b.example.com"}}
	for name, c := range map[string]struct {
		form string
		want registry.Endpoint
	}{
		"this version": {string(raw), whole},
		"the first": {`{"id":"ep_1","name":"bria","path":"/bria","exact":false,"methods":["POST"],"targets":["https://a.example.com","https://b.example.com"],
			"headers":[{"name":"api_token","value":"${secret:bria}"}],"forward":1,"key_header":"","price":{"free":false,"per_request_nanos":12000000000},"price_version":3,
			"timeout_ns":60000000000,"max_body_bytes":0,"forward_trace_context":false,"revision":4,"create_time":"2026-11-01T12:00:00Z","update_time":"2026-11-01T12:00:00Z"}`, first},
		"targets of the second": {`{"id":"ep_1","name":"bria","path":"/bria","methods":["POST"],"targets":[{"url":"https://a.example.com"},{"url":"https://b.example.com"}],
			"headers":[{"name":"api_token","value":"${secret:bria}","mode":1}],"host_header":{"kind":1},"balance":1,"credential_balance":1,"forward":1,
			"price":{"free":false,"per_request_nanos":12000000000},"price_version":3,"abandoned":1,"timeouts":{},"pass_headers":false,
			"timeout_ns":60000000000,"revision":4,"create_time":"2026-11-01T12:00:00Z","update_time":"2026-11-01T12:00:00Z"}`, first},
	} {
		got, err := registry.ReadEndpoint([]byte(c.form))
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	for _, wrong := range []string{``, `[]`, `{"targets":[1]}`, `{"name":1}`} {
		if _, err := registry.ReadEndpoint([]byte(wrong)); err == nil {
			t.Errorf("%s was read", wrong)
		}
	}
}

// FuzzReadEndpoint: what is read is written and read as the same.
func FuzzReadEndpoint(f *testing.F) {
	f.Add([]byte(`{"targets":["https://a.example.com",{"url":"x"}],"timeout_ns":1}`))
	f.Add([]byte(`{"name":"a","price":{"metered":{"meters":[{"name":"x"}]}},"models":{}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := registry.ReadEndpoint(raw)
		if err != nil {
			return
		}
		first, err := json.Marshal(e)
		if err != nil {
			return // a charge without a message is in no form that was written
		}
		again, err := registry.ReadEndpoint(first)
		if err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		second, err := json.Marshal(again)
		if err != nil || !jsonEqual(first, second) {
			t.Fatalf("%s\n%s\n%v", first, second, err)
		}
	})
}

func jsonEqual(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && cmp.Equal(x, y)
}
