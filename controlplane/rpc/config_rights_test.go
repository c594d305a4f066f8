package rpc_test

import (
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

// ofKinds are files that name one thing each.
var ofKinds = map[string]string{
	"secret":   `secrets: [{ name: bria-token, from: env/BRIA_TOKEN }]`,
	"adapter":  `adapters: [{ name: ours, target: "https://adapter.example.com" }]`,
	"model":    `models: [{ name: small, deployments: [{ target: "https://models.example.com", schemas: [openai_chat], price: free }] }]`,
	"endpoint": `endpoints: [{ name: e, path: /e, target: "https://example.com", price: free }]`,
	"team":     `teams: [{ name: t }]`,
	"customer": `customers: [{ name: c }]`,
	"tag":      `tags: [{ name: g, description: x }]`,
	"key":      `keys: [{ name: k }]`,
	"budget":   `budgets: [{ name: all, everything: true, limit: 1, every: month }]`,
	"limit":    `limits: [{ name: all, everything: true, kind: requests, amount: 1 }]`,
	"price":    `prices: [{ list: openai, model: gpt-tiny, rates: [{ unit: input, price: "0.10", per: 1000000 }] }]`,
	"settings": `settings: { name: Test }`,
}

// Guarantee: whoever applies a file needs, beside the right to apply files, the right to change each kind of thing that is in it,
// everywhere; otherwise nothing is done. Nor does pruning delete what one may not.
func TestApplyingNeedsTheRightOfEachKind(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	const read, write = controlv1.Permission_PERMISSION_CONFIG_READ, controlv1.Permission_PERMISSION_CONFIG_WRITE
	applying := func(name string, more ...controlv1.Permission) controlv1connect.ConfigServiceClient {
		secret := b.token(&controlv1.Token{Name: name, Permissions: append(more, read, write)})
		return controlv1connect.NewConfigServiceClient(b.http, b.url, connect.WithInterceptors(bearing(secret)))
	}
	rights := map[string]controlv1.Permission{
		"secret": controlv1.Permission_PERMISSION_SECRETS_WRITE, "settings": controlv1.Permission_PERMISSION_SETTINGS_WRITE,
		"budget": controlv1.Permission_PERMISSION_MONEY_WRITE, "limit": controlv1.Permission_PERMISSION_MONEY_WRITE,
		"team": controlv1.Permission_PERMISSION_KEYS_WRITE, "customer": controlv1.Permission_PERMISSION_KEYS_WRITE,
		"tag": controlv1.Permission_PERMISSION_KEYS_WRITE, "key": controlv1.Permission_PERMISSION_KEYS_WRITE,
	}
	narrow := applying("narrow")
	for kind, text := range ofKinds {
		in := files("version: 1\nowner: " + kind + "\n" + text + "\n")
		right, needed := rights[kind]
		before := b.revision()
		_, err := narrow.Apply(ctx, applies(in))
		if needed != (connect.CodeOf(err) == connect.CodePermissionDenied) || needed == (b.revision() != before) {
			t.Errorf("%s with the right to apply only: %v", kind, err)
			continue
		}
		if _, planErr := narrow.Plan(ctx, &controlv1.PlanRequest{Input: in}); needed != (connect.CodeOf(planErr) == connect.CodePermissionDenied) {
			t.Errorf("%s is planned: %v", kind, planErr)
		}
		if !needed {
			continue
		}
		may := applying("may-"+kind, right)
		if _, err := may.Apply(ctx, applies(in)); err != nil {
			t.Errorf("%s with its right: %v", kind, err)
		}
		if _, err := narrow.Apply(ctx, applies(files("version: 1\nowner: "+kind+"\n", prune))); kind != "settings" && connect.CodeOf(err) != connect.CodePermissionDenied {
			t.Errorf("%s is pruned: %v", kind, err)
		}
	}
	editor := controlv1connect.NewConfigServiceClient(b.http, b.url, connect.WithInterceptors(bearing(b.token(&controlv1.Token{Name: "ci", Role: controlv1.Role_ROLE_EDITOR}))))
	_, err := editor.Apply(ctx, applies(files("version: 1\nteams: [{ name: more }]\nsettings: { name: Mine }\n")))
	if connect.CodeOf(err) != connect.CodePermissionDenied || !strings.Contains(err.Error(), "You may not change settings") {
		t.Errorf("an editor changes settings by a file: %v", err)
	}
}

// Guarantee: what a file owns and somebody deleted by force is drift, with who did it, and is made again.
func TestDeletedObjectsAreDrift(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	const text = "version: 1\nowner: mine\nteams: [{name: a}]\nkeys: [{name: k}]\n"
	b.apply(files(text))
	override := connect.WithInterceptors(withToken{}, withHeader{"x-tollgate-override", "managed"})
	_, err := controlv1connect.NewKeyServiceClient(b.http, b.url, override).RevokeKey(ctx, &controlv1.RevokeKeyRequest{Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	drift := must[*controlv1.ListDriftResponse](t)(b.config().ListDrift(ctx, &controlv1.ListDriftRequest{Owner: "mine"})).GetDrift()
	if len(drift) != 1 || drift[0].GetKind() != "key" || !drift[0].GetDeleted() || drift[0].GetActor() != "admin" || drift[0].GetTime() == nil {
		t.Errorf("drift is %v", drift)
	}
	_, err = controlv1connect.NewTeamServiceClient(b.http, b.url, override).DeleteTeam(ctx, &controlv1.DeleteTeamRequest{Team: "a"})
	if err != nil {
		t.Fatal(err)
	}
	drift = must[*controlv1.ListDriftResponse](t)(b.config().ListDrift(ctx, &controlv1.ListDriftRequest{})).GetDrift()
	if len(drift) != 2 || drift[1].GetName() != "a" || !drift[1].GetDeleted() || drift[1].GetActor() != "admin" {
		t.Errorf("drift is %v", drift)
	}
	if _, err := b.config().Apply(ctx, applies(files(text))); err == nil || !strings.Contains(err.Error(), "revoked, for good") {
		t.Errorf("a revoked key is applied: %v", err)
	}
	if got := summary(b.apply(files("version: 1\nowner: mine\nteams: [{name: a}]\n")).GetChanges()); !slices.Equal(got, []string{"+ team a drift"}) {
		t.Errorf("applied again it does %q", got)
	}
	if got := summary(b.apply(files("version: 1\nowner: mine\nteams: [{name: a}]\n", prune)).GetChanges()); len(got) != 0 {
		t.Errorf("pruned it does %q", got)
	}
	if drift := must[*controlv1.ListDriftResponse](t)(b.config().ListDrift(ctx, &controlv1.ListDriftRequest{})).GetDrift(); len(drift) != 0 {
		t.Errorf("drift is still %v", drift)
	}
}
