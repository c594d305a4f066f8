package rpc_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Guarantee: the audit says who changed which field of what from what to what, the newest first, page by page without a gap,
// and by its filter and times; no value that looks like a credential is in it.
func TestAuditEntries(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	e, _, _ := b.seed()
	e.Price = fixed(usd(12, 500_000_000))
	e.Headers = append(e.Headers, &controlv1.Header{Name: "x-vendor-key", Value: vendorSecret})
	must[*controlv1.UpdateEndpointResponse](t)(b.endpoints.UpdateEndpoint(ctx, &controlv1.UpdateEndpointRequest{Endpoint: e}))
	must[*controlv1.RotateSecretResponse](t)(b.secrets.RotateSecret(ctx, &controlv1.RotateSecretRequest{Secret: "bria", Value: vendorSecret}))
	list := func(req *controlv1.ListAuditEntriesRequest) *controlv1.ListAuditEntriesResponse {
		t.Helper()
		return must[*controlv1.ListAuditEntriesResponse](t)(b.audit.ListAuditEntries(ctx, req))
	}
	all := list(&controlv1.ListAuditEntriesRequest{}).GetEntries()
	if len(all) != 6 || all[0].GetKind() != "secret" || all[0].GetAction() != "rotate" || all[0].GetObjectName() != "bria" ||
		all[0].GetRevision() != 6 || !strings.Contains(all[0].GetSummary(), "version 1 → 2") {
		t.Fatalf("%v", all)
	}
	update := all[1]
	if !strings.Contains(update.GetSummary(), "price.per_request 12.00 → 12.50") {
		t.Errorf("summary %q", update.GetSummary())
	}
	whole := must[*controlv1.GetAuditEntryResponse](t)(b.audit.GetAuditEntry(ctx, &controlv1.GetAuditEntryRequest{Entry: update.GetId()})).GetEntry()
	var told []string
	for _, c := range whole.GetChanges() {
		told = append(told, c.GetPath()+": "+c.GetBefore()+" → "+c.GetAfter())
	}
	for _, want := range []string{`price.per_request: "12.00" → "12.50"`, `headers[1].value:  → (changed)`, `headers[1].name:  → "x-vendor-key"`} {
		if !slices.Contains(told, want) {
			t.Errorf("%q is not in %q", want, told)
		}
	}
	var paged []string
	for token := ""; ; {
		page := list(&controlv1.ListAuditEntriesRequest{PageSize: 2, PageToken: token})
		for _, x := range page.GetEntries() {
			paged = append(paged, x.GetId())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	for i, x := range all {
		if len(paged) != len(all) || paged[i] != x.GetId() {
			t.Fatalf("pages %q", paged)
		}
	}
	for filter, want := range map[string]int{
		"kind:endpoint": 2, "object:bria -kind:secret": 2, "object:" + e.GetId(): 2, "action:create actor:admin": 4, "via:cli": 0, "BOT": 1,
	} {
		if got := list(&controlv1.ListAuditEntriesRequest{Filter: filter}).GetEntries(); len(got) != want {
			t.Errorf("%s: %d entries, want %d", filter, len(got), want)
		}
	}
	from, to := all[2].GetTime(), all[0].GetTime()
	if got := list(&controlv1.ListAuditEntriesRequest{FromTime: from, ToTime: to}).GetEntries(); len(got) != 2 || got[0].GetId() != update.GetId() {
		t.Errorf("between: %v", got)
	}
	if got := list(&controlv1.ListAuditEntriesRequest{FromTime: timestamppb.New(time.Now().Add(time.Hour))}).GetEntries(); len(got) != 0 {
		t.Errorf("of the future: %v", got)
	}
	if strings.Contains(b.logs.String(), vendorSecret) {
		// The endpoint's own answer has the header in it, as it was written there; nothing of the audit may.
		for _, x := range append(all, whole) {
			if strings.Contains(x.String(), vendorSecret) {
				t.Errorf("%v", x)
			}
		}
	}
}

// Guarantee: a call that changes nothing and is to be recorded is, with who made it; a stream before it sends anything.
func TestAuditedCalls(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	stream, err := b.usage.ExportRequests(ctx, &controlv1.ExportRequestsRequest{Format: controlv1.ExportFormat_EXPORT_FORMAT_CSV})
	if err != nil {
		t.Fatal(err)
	}
	for stream.Receive() {
		continue // without a ledger there is nothing
	}
	_ = stream.Close()
	got := must[*controlv1.ListAuditEntriesResponse](t)(b.audit.ListAuditEntries(ctx, &controlv1.ListAuditEntriesRequest{})).GetEntries()
	if len(got) != 1 || got[0].GetAction() != "export_requests" || got[0].GetKind() != "request" || got[0].GetActor() != "admin" {
		t.Errorf("%v", got)
	}
}
