package rpc_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"tollgate/controlplane/fleet"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

func (b *bundle) secret(name string) *controlv1.Secret {
	b.t.Helper()
	return must[*controlv1.GetSecretResponse](b.t)(b.secrets.GetSecret(b.t.Context(), &controlv1.GetSecretRequest{Secret: name})).GetSecret()
}

// envelopes are those that a secret has: of its value and of the one before.
func (b *bundle) envelopes(name string) (now, before string) {
	b.t.Helper()
	sql := `SELECT encode(envelope, 'hex'), coalesce(encode(old_envelope, 'hex'), '') FROM control.secret WHERE name = $1`
	if err := b.pool.QueryRow(b.t.Context(), sql, name).Scan(&now, &before); err != nil {
		b.t.Fatal(err)
	}
	return now, before
}

// Guarantee: a rotated secret gets its value before back within 24 hours and no later; each step is a new version, etag and
// revision, and reaches edges.
func TestSecretRollback(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.seed()
	first := b.secret("bria")
	if first.GetVersion() != 1 || first.GetRollbackEndTime() != nil || first.GetEtag() == "" {
		t.Errorf("new: %v", first)
	}
	if _, err := b.secrets.RollbackSecret(ctx, &controlv1.RollbackSecretRequest{Secret: "bria"}); connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Errorf("rolled back to nothing: %v", err)
	}
	one, _ := b.envelopes("bria")
	b.dirty()
	rotated := must[*controlv1.RotateSecretResponse](t)(b.secrets.RotateSecret(ctx,
		&controlv1.RotateSecretRequest{Secret: "bria", Value: vendorSecret + "-2", Etag: first.GetEtag()})).GetSecret()
	two, before := b.envelopes("bria")
	if left := time.Until(rotated.GetRollbackEndTime().AsTime()); rotated.GetVersion() != 2 || before != one || two == one || left < 23*time.Hour || left > 25*time.Hour {
		t.Errorf("rotated: %v", rotated)
	}
	if diff := cmp.Diff(rotated, b.secret("bria"), protocmp.Transform()); diff != "" {
		t.Errorf("answered and read (-answered +read):\n%s", diff)
	}
	back := must[*controlv1.RollbackSecretResponse](t)(b.secrets.RollbackSecret(ctx,
		&controlv1.RollbackSecretRequest{Secret: first.GetId(), Etag: rotated.GetEtag()})).GetSecret()
	if now, before := b.envelopes("bria"); back.GetVersion() != 3 || now != one || before != two || back.GetRevision() <= rotated.GetRevision() {
		t.Errorf("rolled back: %v", back)
	}
	if got := b.dirty(); !slices.Equal(got, []string{"head", "routes"}) {
		t.Errorf("dirty %v", got)
	}
	if _, err := b.pool.Exec(ctx, `UPDATE control.secret SET old_end_time = clock_timestamp()`); err != nil {
		t.Fatal(err)
	}
	if _, err := b.secrets.RollbackSecret(ctx, &controlv1.RollbackSecretRequest{Secret: "bria"}); connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Errorf("rolled back after its time: %v", err)
	}
	if b.secret("bria").GetRollbackEndTime() != nil {
		t.Error("a value is said to be there after its time")
	}
}

// Guarantee: a reference is stored as it was sent and published in place of a value; a stored value that becomes one is gone,
// with the one before; a reference that is rotated becomes a value.
func TestSecretReferences(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	made := must[*controlv1.CreateSecretResponse](t)(b.secrets.CreateSecret(ctx, &controlv1.CreateSecretRequest{
		Name: "ref", Reference: "vault:secret/vendors/x#token", Description: "of vendor x",
	})).GetSecret()
	if made.GetReference() != "vault:secret/vendors/x#token" || made.GetDescription() != "of vendor x" || made.GetVersion() != 1 {
		t.Errorf("made %v", made)
	}
	b.seed()
	b.dirty()
	must[*controlv1.RotateSecretResponse](t)(b.secrets.RotateSecret(ctx, &controlv1.RotateSecretRequest{Secret: "bria", Value: "v2"}))
	one, _ := b.envelopes("bria")
	b.dirty()
	update := func(req *controlv1.UpdateSecretRequest) *controlv1.Secret {
		t.Helper()
		return must[*controlv1.UpdateSecretResponse](t)(b.secrets.UpdateSecret(ctx, req)).GetSecret()
	}
	text, env := "new words", "env:BRIA_TOKEN"
	said := update(&controlv1.UpdateSecretRequest{Secret: "bria", Description: &text})
	if said.GetDescription() != text || said.GetVersion() != 2 || said.GetRollbackEndTime() == nil || !slices.Equal(b.dirty(), []string{"head"}) {
		t.Errorf("described: %v", said)
	}
	if again := update(&controlv1.UpdateSecretRequest{Secret: "bria", Description: &text, Etag: said.GetEtag()}); again.GetEtag() != said.GetEtag() {
		t.Error("an update that changes nothing is a change")
	}
	became := update(&controlv1.UpdateSecretRequest{Secret: "bria", Reference: &env, Etag: said.GetEtag()})
	now, before := b.envelopes("bria")
	if became.GetReference() != env || became.GetVersion() != 3 || became.GetDescription() != text || now == one || before != "" || became.GetRollbackEndTime() != nil {
		t.Errorf("became a reference: %v", became)
	}
	if got := b.dirty(); !slices.Equal(got, []string{"head", "routes"}) {
		t.Errorf("dirty %v", got)
	}
	stored := must[*controlv1.RotateSecretResponse](t)(b.secrets.RotateSecret(ctx, &controlv1.RotateSecretRequest{Secret: "bria", Value: "v3"})).GetSecret()
	if _, before := b.envelopes("bria"); stored.GetReference() != "" || stored.GetVersion() != 4 || before != "" || stored.GetRollbackEndTime() != nil {
		t.Errorf("became a value: %v", stored)
	}
}

// Guarantee: what uses a secret is told field by field, and each edge that is heard says whether it can read it.
func TestListSecretReferences(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	now := time.Now()
	b.nodes = []fleet.Node{
		{Heartbeat: &eventv1.Heartbeat{Edge: "good", UnresolvedSecrets: map[string]string{"other": "no"}}, Status: fleet.Live, LastSeen: now},
		{Heartbeat: &eventv1.Heartbeat{Edge: "bad", UnresolvedSecrets: map[string]string{"bria": "Vault has no such field."}}, Status: fleet.Behind, LastSeen: now},
		{Heartbeat: &eventv1.Heartbeat{Edge: "lost"}, Status: fleet.Silent, LastSeen: now},
	}
	create := func(name string) {
		must[*controlv1.CreateSecretResponse](t)(b.secrets.CreateSecret(ctx, &controlv1.CreateSecretRequest{Name: name, Value: "v"}))
	}
	create("bria")
	create("client")
	e := bria()
	e.Query = []*controlv1.QueryParameter{{Name: "k", Value: "${secret:bria}"}}
	e.Targets[0].Tls = &controlv1.TargetTLS{ClientCertPem: "${secret:client}", ClientKey: "${secret:client}"}
	must[*controlv1.CreateEndpointResponse](t)(b.endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: e}))
	list := func(name string) *controlv1.ListSecretReferencesResponse {
		return must[*controlv1.ListSecretReferencesResponse](t)(b.secrets.ListSecretReferences(ctx, &controlv1.ListSecretReferencesRequest{Secret: name}))
	}
	want := &controlv1.ListSecretReferencesResponse{
		References: []*controlv1.SecretReference{
			{Kind: "endpoint", Name: "bria", Field: "headers[api_token]"},
			{Kind: "endpoint", Name: "bria", Field: "query[k]"},
		},
		Nodes: []*controlv1.SecretOnNode{{Node: "good", Resolved: true}, {Node: "bad", Error: "Vault has no such field."}},
	}
	if diff := cmp.Diff(want, list("bria"), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := list("client").GetReferences(); len(got) != 2 || got[0].GetField() != "targets[0].tls.client_key" || got[1].GetField() != "targets[0].tls.client_cert_pem" {
		t.Errorf("%v", got)
	}
}

// Guarantee: each thing that can be wrong with a secret is refused with its code and changes nothing; what was sent is not
// in the answer.
func TestSecretRefusals(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	must[*controlv1.CreateSecretResponse](t)(b.secrets.CreateSecret(ctx, &controlv1.CreateSecretRequest{Name: "one", Value: vendorSecret}))
	before := b.dump()
	create := func(value, reference string) func() error {
		return func() error {
			_, err := b.secrets.CreateSecret(ctx, &controlv1.CreateSecretRequest{Name: "two", Value: value, Reference: reference})
			return err
		}
	}
	refer := func(reference, etag string) func() error {
		return func() error {
			_, err := b.secrets.UpdateSecret(ctx, &controlv1.UpdateSecretRequest{Secret: "one", Reference: &reference, Etag: etag})
			return err
		}
	}
	bell := "bell \a"
	stale := failure{Code: connect.CodeAborted, Reason: "stale_etag"}
	missing := failure{Code: connect.CodeNotFound, Reason: "not_found"}
	bad := func(v string) failure {
		return failure{Code: connect.CodeInvalidArgument, Reason: "invalid_argument", Violations: []string{v}}
	}
	for name, c := range map[string]struct {
		call func() error
		want failure
	}{
		"neither":           {create("", ""), bad("value:required")},
		"both":              {create("v-"+vendorSecret, "env:X"), bad("reference:forbidden")},
		"kind":              {create("", vendorSecret), bad("reference:reference_kind")},
		"env":               {create("", "env:a b"), bad("reference:reference_env")},
		"file":              {create("", "file:relative"), bad("reference:reference_file")},
		"vault":             {create("", "vault:x"), bad("reference:reference_vault")},
		"becomes a bad one": {refer("env:", ""), bad("reference:reference_env")},
		"becomes empty":     {refer("", ""), bad("reference:required")},
		"stale update":      {refer("env:X", "old"), stale},
		"stale rotate": {func() error {
			_, err := b.secrets.RotateSecret(ctx, &controlv1.RotateSecretRequest{Secret: "one", Value: "x", Etag: "old"})
			return err
		}, stale},
		"stale rollback": {func() error {
			_, err := b.secrets.RollbackSecret(ctx, &controlv1.RollbackSecretRequest{Secret: "one", Etag: "old"})
			return err
		}, stale},
		"stale delete": {func() error {
			_, err := b.secrets.DeleteSecret(ctx, &controlv1.DeleteSecretRequest{Secret: "one", Etag: "old"})
			return err
		}, stale},
		"get nothing": {func() error {
			_, err := b.secrets.GetSecret(ctx, &controlv1.GetSecretRequest{Secret: "no"})
			return err
		}, missing},
		"update nothing": {func() error {
			_, err := b.secrets.UpdateSecret(ctx, &controlv1.UpdateSecretRequest{Secret: "no"})
			return err
		}, missing},
		"roll back nothing": {func() error {
			_, err := b.secrets.RollbackSecret(ctx, &controlv1.RollbackSecretRequest{Secret: "no"})
			return err
		}, missing},
		"references to none": {func() error {
			_, err := b.secrets.ListSecretReferences(ctx, &controlv1.ListSecretReferencesRequest{Secret: "no"})
			return err
		}, missing},
		"control description": {func() error {
			_, err := b.secrets.UpdateSecret(ctx, &controlv1.UpdateSecretRequest{Secret: "one", Description: &bell})
			return err
		}, bad("description:invalid")},
	} {
		err := c.call()
		if diff := cmp.Diff(c.want, failureOf(err)); diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		} else if strings.Contains(err.Error(), vendorSecret) {
			t.Errorf("%s: the answer quotes what was sent", name)
		}
	}
	if b.dump() != before {
		t.Error("something was changed")
	}
}
