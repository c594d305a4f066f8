package rpc_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

const createKey = "/tollgate.control.v1.KeyService/CreateKey"

// Guarantee: a dry run answers as the call would and changes nothing; a secret that would be shown once is not shown, because it
// works for nobody. What fails in earnest fails so too.
func TestDryRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := b.dump()
	status, body, header := b.post(createKey, `{"name":"ci"}`, "x-tollgate-dry-run", "true")
	if status != http.StatusOK || header.Get("x-tollgate-dry-run") != "true" || !strings.Contains(body, `"name":"ci"`) || strings.Contains(body, "secret\"") {
		t.Errorf("%d %s %v", status, body, header)
	}
	if status, body, _ := b.post(createKey, `{"name":"ci","team":"nobody"}`, "x-tollgate-dry-run", "true"); status != http.StatusBadRequest || !strings.Contains(body, "There is no team") {
		t.Errorf("wrong: %d %s", status, body)
	}
	if status, body, _ := b.post(createKey, `{"name":"ci"}`, "x-tollgate-dry-run", "yes"); status != http.StatusBadRequest {
		t.Errorf("a header that is neither: %d %s", status, body)
	}
	status, body, _ = b.post("/tollgate.control.v1.AccountService/StartDeviceSignIn", `{}`, "x-tollgate-dry-run", "true")
	if status != http.StatusBadRequest || !strings.Contains(body, "outside of the database") {
		t.Errorf("outside: %d %s", status, body)
	}
	if b.dump() != before {
		t.Error("a dry run changed something")
	}
	if status, body, _ := b.post(createKey, `{"name":"ci"}`, "x-tollgate-dry-run", "false"); status != http.StatusOK || !strings.Contains(body, "tgk_") {
		t.Errorf("in earnest: %d %s", status, body)
	}
}

// Guarantee: a call that is sent again under its Idempotency-Key is made once and gets the same answer, its secret included; the
// key is no use for another call, and one that was refused leaves it free.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if status, body, _ := b.post(createKey, `{"name":"ci","team":"late"}`, "Idempotency-Key", "k1"); status != http.StatusBadRequest {
		t.Fatalf("%d %s", status, body)
	}
	b.team("late")
	status, first, _ := b.post(createKey, `{"name":"ci","team":"late"}`, "Idempotency-Key", "k1")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, first)
	}
	revision := b.revision()
	status, again, header := b.post(createKey, `{"name":"ci","team":"late"}`, "Idempotency-Key", "k1")
	if status != http.StatusOK || !sameJSON(t, first, again) || header.Get("x-tollgate-idempotent-replay") != "true" {
		t.Errorf("%d %s, after %s", status, again, first)
	}
	for _, other := range []struct{ procedure, body string }{{createKey, `{"name":"other"}`}, {"/tollgate.control.v1.TeamService/CreateTeam", `{"name":"ci"}`}} {
		if status, body, _ := b.post(other.procedure, other.body, "Idempotency-Key", "k1"); status != http.StatusConflict && status != http.StatusBadRequest || !strings.Contains(body, "used for another call") {
			t.Errorf("another call: %d %s", status, body)
		}
	}
	if b.revision() != revision {
		t.Error("sending it again changed something")
	}
	var made struct{ Secret string }
	if err := json.Unmarshal([]byte(first), &made); err != nil || made.Secret == "" {
		t.Fatal(err, first)
	}
	var kept string
	if err := b.pool.QueryRow(t.Context(), `SELECT encode(response, 'escape') FROM control.idempotency`).Scan(&kept); err != nil || kept == "" || strings.Contains(kept, made.Secret) {
		t.Errorf("kept %q, %v", kept, err)
	}
	// Somebody else's keys are their own.
	editor := b.person(controlv1.Role_ROLE_EDITOR)
	if status, body, _ := b.post(createKey, `{"name":"theirs"}`, "Idempotency-Key", "k1", "Authorization", "Bearer "+editor.secret); status != http.StatusOK {
		t.Errorf("of another caller: %d %s", status, body)
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal([]byte(a), &x); err != nil {
		t.Fatal(err, a)
	}
	if err := json.Unmarshal([]byte(b), &y); err != nil {
		t.Fatal(err, b)
	}
	xs, _ := json.Marshal(x)
	ys, _ := json.Marshal(y)
	return string(xs) == string(ys)
}

// Guarantee: of calls that are sent at once under one key, one is made, and all get its answer.
func TestIdempotencyKeyAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const callers = 8
	answers := make([]string, callers)
	var wait sync.WaitGroup
	for i := range callers {
		wait.Go(func() {
			status, body, _ := b.post(createKey, `{"name":"ci"}`, "Idempotency-Key", "k")
			if status != http.StatusOK {
				t.Errorf("%d %s", status, body)
				body = "{}"
			}
			answers[i] = body
		})
	}
	wait.Wait()
	for _, a := range answers[1:] {
		if !sameJSON(t, a, answers[0]) {
			t.Errorf("%s and %s", a, answers[0])
		}
	}
	if n := b.revision(); n != 1 {
		t.Errorf("revision %d", n)
	}
}

// Guarantee: a call that acts outside of the database and whose process ended before its answer was kept is not made again: the
// caller is told that nobody knows.
func TestIdempotencyKeyOfALostCall(t *testing.T) {
	t.Parallel()
	b := setup(t)
	viewer := b.person(controlv1.Role_ROLE_VIEWER)
	const procedure = "/tollgate.control.v1.AccountService/ChangePassword"
	body := `{"newPassword":"correct horse battery"}`
	if status, answer, _ := b.post(procedure, body, "Idempotency-Key", "k", "Authorization", "Bearer "+viewer.secret); status != http.StatusOK {
		t.Fatalf("%d %s", status, answer)
	}
	if _, err := b.pool.Exec(t.Context(), `UPDATE control.idempotency SET response = NULL`); err != nil {
		t.Fatal(err)
	}
	status, answer, _ := b.post(procedure, body, "Idempotency-Key", "k", "Authorization", "Bearer "+viewer.secret)
	if status == http.StatusOK || !strings.Contains(answer, "its end was lost") {
		t.Errorf("%d %s", status, answer)
	}
}
