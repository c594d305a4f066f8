package rpc_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// attempt makes a call of which the error is of interest.
func (b *bundle) attempt(who, service, method string, req proto.Message) (proto.Message, error) {
	b.t.Helper()
	return b.callAs(who, controlServices()[service].Methods().ByName(protoreflect.Name(method)), req)
}

// Guarantee: whoever has no credential cannot hold up the configuration: what they ask is answered while somebody changes it.
func TestStrangersTakeNoLock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	waiting := ask[*controlv1.StartDeviceSignInResponse](b, "", "AccountService", "StartDeviceSignIn", &controlv1.StartDeviceSignInRequest{})
	tx, err := b.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), `SELECT n FROM control.revision FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		service, method string
		request         proto.Message
		want            connect.Code
	}{
		{"AccountService", "PollDeviceSignIn", &controlv1.PollDeviceSignInRequest{DeviceCode: "tgd_unknown"}, connect.CodeNotFound},
		{"AccountService", "PollDeviceSignIn", &controlv1.PollDeviceSignInRequest{DeviceCode: waiting.GetDeviceCode()}, connect.CodeFailedPrecondition},
		{"AccountService", "RedeemLink", &controlv1.RedeemLinkRequest{Token: "tgn_unknown", Password: "correct horse battery"}, connect.CodeUnauthenticated},
		{"AccountService", "SignIn", &controlv1.SignInRequest{Email: "nobody@example.com", Password: "correct horse battery"}, connect.CodeUnauthenticated},
		{"EdgeService", "Join", &controlv1.JoinRequest{Token: "tgj_unknown", Node: "n"}, connect.CodeUnauthenticated},
	} {
		if _, err := b.attempt("", x.service, x.method, x.request); connect.CodeOf(err) != x.want {
			t.Errorf("%s: %v", x.method, err)
		}
	}
}

// Guarantee: of many that join with one token at once, one gets the settings.
func TestJoinTokensAreTakenOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	join := b.joinToken("race-1")
	var mu sync.Mutex // guards joined
	var joined int
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			_, err := b.attempt("", "EdgeService", "Join", &controlv1.JoinRequest{Token: join, Node: "race-1"})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				joined++
			} else if connect.CodeOf(err) != connect.CodeUnauthenticated {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if joined != 1 {
		t.Errorf("%d have joined", joined)
	}
}

// Guarantee: for the admin of a team, a key of another team is told apart from no key by no method that takes a key.
func TestOtherTeamsKeysCannotBeGuessed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	for _, team := range []string{"red", "blue"} {
		must[*controlv1.CreateTeamResponse](t)(b.teams.CreateTeam(ctx, &controlv1.CreateTeamRequest{Name: team}))
	}
	theirs := must[*controlv1.CreateKeyResponse](t)(b.keys.CreateKey(ctx, &controlv1.CreateKeyRequest{Name: "their-key", Team: "blue"})).GetKey()
	who := b.person(controlv1.Role_ROLE_MEMBER)
	b.member(who, "red", controlv1.TeamRole_TEAM_ROLE_ADMIN)
	for method, request := range map[string]func(key string) (service string, req proto.Message){
		"GetKey":    func(k string) (string, proto.Message) { return "KeyService", &controlv1.GetKeyRequest{Key: k} },
		"GetKeyUse": func(k string) (string, proto.Message) { return "KeyService", &controlv1.GetKeyUseRequest{Key: k} },
		"UpdateKey": func(k string) (string, proto.Message) {
			return "KeyService", &controlv1.UpdateKeyRequest{Key: k, Team: "red"}
		},
		"RotateKey": func(k string) (string, proto.Message) { return "KeyService", &controlv1.RotateKeyRequest{Key: k} },
		"BlockKey": func(k string) (string, proto.Message) {
			return "KeyService", &controlv1.BlockKeyRequest{Key: k, Blocked: true}
		},
		"RevokeKey":     func(k string) (string, proto.Message) { return "KeyService", &controlv1.RevokeKeyRequest{Key: k} },
		"EndKeyOverlap": func(k string) (string, proto.Message) { return "KeyService", &controlv1.EndKeyOverlapRequest{Key: k} },
		"CreateTicket":  func(k string) (string, proto.Message) { return "TryService", &controlv1.CreateTicketRequest{Key: k} },
		"Invoke": func(k string) (string, proto.Message) {
			return "TryService", &controlv1.InvokeRequest{Method: "GET", Path: "/x", Key: k}
		},
		"QueryUsage": func(k string) (string, proto.Message) { return "UsageService", &controlv1.QueryUsageRequest{Key: k} },
		"ListRequests": func(k string) (string, proto.Message) {
			return "UsageService", &controlv1.ListRequestsRequest{Filter: &controlv1.RequestFilter{Key: k}}
		},
		"CreateBudget": func(k string) (string, proto.Message) {
			return "BudgetService", &controlv1.CreateBudgetRequest{Budget: &controlv1.Budget{Name: "b", Scope: &controlv1.Budget_Key{Key: k}, Amount: usd(1, 0), Period: controlv1.Period_PERIOD_TOTAL}}
		},
		"CreateLimit": func(k string) (string, proto.Message) {
			return "LimitService", &controlv1.CreateLimitRequest{Limit: &controlv1.Limit{Name: "l", Scope: &controlv1.Limit_Key{Key: k}, Kind: controlv1.LimitKind_LIMIT_KIND_REQUESTS, Amount: 1}}
		},
	} {
		said := func(key string) string {
			service, req := request(key)
			_, err := b.attempt(who.secret, service, method, req)
			if err == nil {
				return "ok"
			}
			return connect.CodeOf(err).String() + " " + strings.ReplaceAll(err.Error(), key, "KEY")
		}
		if there, absent := said("their-key"), said("no-such-key"); there != absent || there == "ok" {
			t.Errorf("%s: a key of another team is answered with %q, and none with %q", method, there, absent)
		}
	}
	if k := must[*controlv1.GetKeyResponse](t)(b.keys.GetKey(ctx, &controlv1.GetKeyRequest{Key: theirs.GetId()})).GetKey(); k.GetTeam() != "blue" || k.GetBlocked() || k.GetRevokeTime() != nil {
		t.Errorf("the key was changed: %v", k)
	}
}

// Guarantee: a call that is sent again with somebody else's Idempotency-Key is another call: it is not answered with what they got.
func TestAnswersBelongToTheirCaller(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mine, theirs := b.person(controlv1.Role_ROLE_EDITOR), b.person(controlv1.Role_ROLE_EDITOR)
	create := func(who string) (int, string) {
		status, answer, _ := b.post("/tollgate.control.v1.KeyService/CreateKey", `{"name":"shared"}`, "Authorization", "Bearer "+who, "Idempotency-Key", "guessed")
		return status, answer
	}
	status, first := create(mine.secret)
	if status != 200 || !strings.Contains(first, "tgk_") {
		t.Fatal(status, first)
	}
	if status, answer := create(theirs.secret); status == 200 || strings.Contains(answer, "tgk_") {
		t.Errorf("%d %s", status, answer)
	}
	// Nor after the first one may not call any longer.
	if _, err := b.attempt(token, "PersonService", "UpdatePerson", &controlv1.UpdatePersonRequest{Person: mine.id, Role: controlv1.Role_ROLE_VIEWER}); err != nil {
		t.Fatal(err)
	}
	if status, answer := create(mine.secret); status != 403 {
		t.Errorf("%d %s", status, answer)
	}
}

// Guarantee: rights that end at the configuration do not reach beyond it by way of a file, nor does a token hand on what it lacks.
func TestFilesGiveNoRights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.seed()
	half := b.token(&controlv1.Token{Name: "half", Permissions: []controlv1.Permission{
		controlv1.Permission_PERMISSION_CONFIG_READ, controlv1.Permission_PERMISSION_CONFIG_WRITE, controlv1.Permission_PERMISSION_PEOPLE_WRITE, controlv1.Permission_PERMISSION_PEOPLE_READ,
	}})
	before := b.revision()
	for what, text := range map[string]string{
		"settings": "settings: {name: Mine}", "a key": "keys: [{name: new}]", "a team": "teams: [{name: new}]", "a secret": "secrets: [{name: new, from: \"env:HOME\"}]",
		"a tag": "tags: [{name: new}]", "a customer": "customers: [{name: new}]",
		"a budget": "budgets: [{name: new, key: ci-bot, limit: 1, every: month}]", "a limit": "limits: [{name: new, key: ci-bot, kind: requests, amount: 1}]",
	} {
		in := files("version: 1\nowner: half\n" + text + "\n")
		for method, req := range map[string]proto.Message{"Apply": applies(in), "Plan": &controlv1.PlanRequest{Input: in}} {
			if _, err := b.attempt(half, "ConfigService", method, req); err == nil {
				t.Errorf("%s makes %s", method, what)
			}
		}
	}
	for what, err := range map[string]error{
		"an admin":         second(b.attempt(half, "PersonService", "CreatePerson", &controlv1.CreatePersonRequest{Person: &controlv1.Person{Email: "a@example.com", Role: controlv1.Role_ROLE_ADMIN}})),
		"a viewer":         second(b.attempt(half, "PersonService", "CreatePerson", &controlv1.CreatePersonRequest{Person: &controlv1.Person{Email: "v@example.com", Role: controlv1.Role_ROLE_VIEWER}})),
		"a token of money": second(b.attempt(half, "TokenService", "CreateToken", &controlv1.CreateTokenRequest{Token: &controlv1.Token{Name: "m", Permissions: []controlv1.Permission{controlv1.Permission_PERMISSION_MONEY_WRITE}}})),
		"a token of roles": second(b.attempt(half, "TokenService", "CreateToken", &controlv1.CreateTokenRequest{Token: &controlv1.Token{Name: "r", Role: controlv1.Role_ROLE_OWNER}})),
	} {
		if connect.CodeOf(err) != connect.CodePermissionDenied {
			t.Errorf("%s: %v", what, err)
		}
	}
	if after := b.revision(); after != before {
		t.Errorf("the configuration went from revision %d to %d", before, after)
	}
}

func second[T any](_ T, err error) error { return err }

// Guarantee: an input of a few lines that means billions is refused before it costs more than a moment.
func TestInputsThatGrowAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var bomb strings.Builder
	bomb.WriteString("version: 1\nx0: &x0 [a, a, a, a, a, a, a, a, a]\n")
	for i := range 30 {
		bomb.WriteString("y" + strings.Repeat("z", i) + ": &y" + strings.Repeat("z", i) + " [")
		from := "*x0"
		if i > 0 {
			from = "*y" + strings.Repeat("z", i-1)
		}
		bomb.WriteString(strings.Repeat(from+", ", 8) + from + "]\n")
	}
	deep := "version: 1\nteams: " + strings.Repeat("[", 100_000)
	for what, text := range map[string]string{"aliases": bomb.String(), "brackets": deep, "aliases of LiteLLM": "model_list:\n" + bomb.String()} {
		for method, req := range map[string]proto.Message{
			"Plan": &controlv1.PlanRequest{Input: files(text)}, "Export": &controlv1.ExportRequest{Onto: []byte(text)}, "ConvertLiteLLM": &controlv1.ConvertLiteLLMRequest{Text: []byte(text)},
		} {
			if _, err := b.attempt(token, "ConfigService", method, req); connect.CodeOf(err) != connect.CodeInvalidArgument {
				t.Errorf("%s of %s: %v", method, what, err)
			}
		}
	}
	filter := strings.Repeat("-(", 500)
	if _, err := b.keys.ListKeys(t.Context(), &controlv1.ListKeysRequest{Filter: filter}); err != nil && connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("a filter: %v", err)
	}
}
