package rpc_test

import (
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// newSecret stores a secret and returns its name.
func (w *world) newSecret() string {
	w.t.Helper()
	name := w.name("secret")
	must[*controlv1.CreateSecretResponse](w.t)(w.secrets.CreateSecret(w.t.Context(), &controlv1.CreateSecretRequest{Name: name, Value: "v"}))
	return name
}

// secretWas is a secret, and an etag that it had.
func (w *world) secretWas() (name, etag string) {
	w.t.Helper()
	name = w.newSecret()
	etag = w.secret(name).GetEtag()
	must[*controlv1.RotateSecretResponse](w.t)(w.secrets.RotateSecret(w.t.Context(), &controlv1.RotateSecretRequest{Secret: name, Value: "w"}))
	return name, etag
}

var _ = covers("SecretService", map[string]cases{
	"CreateSecret": {
		right: func(w *world) proto.Message {
			return &controlv1.CreateSecretRequest{Name: w.name("secret"), Reference: "env:X", Description: "words"}
		},
		check: func(w *world, res proto.Message) {
			made := res.(*controlv1.CreateSecretResponse).GetSecret()
			if !proto.Equal(made, w.secret(made.GetName())) {
				w.t.Errorf("made %v", made)
			}
		},
		wrong: []wrong{
			{violation: "name:invalid", request: is(&controlv1.CreateSecretRequest{Name: "A b", Value: "v"})},
			{violation: "name:taken", request: func(w *world) proto.Message { return &controlv1.CreateSecretRequest{Name: w.newSecret(), Value: "v"} }, code: connect.CodeAlreadyExists},
			{violation: "value:required", request: is(&controlv1.CreateSecretRequest{Name: "a"})},
			{violation: "value:invalid", request: is(&controlv1.CreateSecretRequest{Name: "a", Value: "v\n"})},
			{violation: "reference:forbidden", request: is(&controlv1.CreateSecretRequest{Name: "a", Value: "v", Reference: "env:A"})},
			{violation: "reference:reference_kind", request: is(&controlv1.CreateSecretRequest{Name: "a", Reference: "A"})},
			{violation: "reference:reference_env", request: is(&controlv1.CreateSecretRequest{Name: "a", Reference: "env:"})},
			{violation: "reference:reference_file", request: is(&controlv1.CreateSecretRequest{Name: "a", Reference: "file:x"})},
			{violation: "reference:reference_vault", request: is(&controlv1.CreateSecretRequest{Name: "a", Reference: "vault:x"})},
			{violation: "description:invalid", request: is(&controlv1.CreateSecretRequest{Name: "a", Value: "v", Description: "\a"})},
		},
	},
	"ListSecrets": {
		right: func(w *world) proto.Message {
			return &controlv1.ListSecretsRequest{Filter: w.newSecret() + " used:no kind:stored managed:no", OrderBy: "-update_time"}
		},
		check: func(w *world, res proto.Message) {
			if n := len(res.(*controlv1.ListSecretsResponse).GetSecrets()); n != 1 {
				w.t.Errorf("%d secrets", n)
			}
		},
		wrong: []wrong{
			{violation: "page_size:invalid", request: is(&controlv1.ListSecretsRequest{PageSize: -1})},
			{violation: "page_token:invalid", request: is(&controlv1.ListSecretsRequest{PageToken: "x"})},
			{violation: "filter:filter_field", request: is(&controlv1.ListSecretsRequest{Filter: "value:x"})},
			{violation: "filter:filter_value", request: is(&controlv1.ListSecretsRequest{Filter: "kind:vault"})},
			{violation: "order_by:order_by_field", request: is(&controlv1.ListSecretsRequest{OrderBy: "value"})},
		},
	},
	"GetSecret": {
		right:    func(w *world) proto.Message { return &controlv1.GetSecretRequest{Secret: w.newSecret()} },
		wrong:    []wrong{{violation: "secret:required", request: is(&controlv1.GetSecretRequest{})}},
		notFound: is(&controlv1.GetSecretRequest{Secret: "nothing"}),
	},
	"UpdateSecret": {
		right: func(w *world) proto.Message {
			return &controlv1.UpdateSecretRequest{Secret: w.newSecret(), Reference: new("file:/run/secrets/x"), Description: new("")}
		},
		check: func(w *world, res proto.Message) {
			if got := res.(*controlv1.UpdateSecretResponse).GetSecret(); got.GetReference() != "file:/run/secrets/x" || got.GetVersion() != 2 {
				w.t.Errorf("%v", got)
			}
		},
		wrong: []wrong{
			{violation: "secret:required", request: is(&controlv1.UpdateSecretRequest{})},
			{violation: "reference:required", request: is(&controlv1.UpdateSecretRequest{Secret: "x", Reference: new("")})},
			{violation: "reference:reference_vault", request: func(w *world) proto.Message {
				return &controlv1.UpdateSecretRequest{Secret: w.newSecret(), Reference: new("vault:a/b")}
			}},
			{violation: "description:invalid", request: func(w *world) proto.Message {
				return &controlv1.UpdateSecretRequest{Secret: w.newSecret(), Description: new("\a")}
			}},
		},
		stale: func(w *world) proto.Message {
			name, etag := w.secretWas()
			return &controlv1.UpdateSecretRequest{Secret: name, Etag: etag, Description: new("x")}
		},
		notFound: is(&controlv1.UpdateSecretRequest{Secret: "nothing"}),
	},
	"RotateSecret": {
		right: func(w *world) proto.Message { return &controlv1.RotateSecretRequest{Secret: w.newSecret(), Value: "w"} },
		wrong: []wrong{
			{violation: "secret:required", request: is(&controlv1.RotateSecretRequest{Value: "w"})},
			{violation: "value:required", request: is(&controlv1.RotateSecretRequest{Secret: "x"})},
			{violation: "value:invalid", request: func(w *world) proto.Message {
				return &controlv1.RotateSecretRequest{Secret: w.newSecret(), Value: "w\n"}
			}},
		},
		stale: func(w *world) proto.Message {
			name, etag := w.secretWas()
			return &controlv1.RotateSecretRequest{Secret: name, Etag: etag, Value: "x"}
		},
		notFound: is(&controlv1.RotateSecretRequest{Secret: "nothing", Value: "w"}),
	},
	"RollbackSecret": {
		right: func(w *world) proto.Message {
			name, _ := w.secretWas()
			return &controlv1.RollbackSecretRequest{Secret: name}
		},
		wrong: []wrong{{violation: "secret:required", request: is(&controlv1.RollbackSecretRequest{})}},
		stale: func(w *world) proto.Message {
			name, etag := w.secretWas()
			return &controlv1.RollbackSecretRequest{Secret: name, Etag: etag}
		},
		notFound: is(&controlv1.RollbackSecretRequest{Secret: "nothing"}),
	},
	"DeleteSecret": {
		right: func(w *world) proto.Message { return &controlv1.DeleteSecretRequest{Secret: w.newSecret()} },
		wrong: []wrong{{violation: "secret:required", request: is(&controlv1.DeleteSecretRequest{})}},
		stale: func(w *world) proto.Message {
			name, etag := w.secretWas()
			return &controlv1.DeleteSecretRequest{Secret: name, Etag: etag}
		},
		notFound: is(&controlv1.DeleteSecretRequest{Secret: "nothing"}),
	},
	"ListSecretReferences": {
		right:    func(w *world) proto.Message { return &controlv1.ListSecretReferencesRequest{Secret: w.newSecret()} },
		wrong:    []wrong{{violation: "secret:required", request: is(&controlv1.ListSecretReferencesRequest{})}},
		notFound: is(&controlv1.ListSecretReferencesRequest{Secret: "nothing"}),
	},
})
