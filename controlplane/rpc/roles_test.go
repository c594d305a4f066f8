package rpc_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/dynamicpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

var update = flag.Bool("update", false, "write the table of roles anew")

const rolesFile = "testdata/roles.txt"

// callers are everybody whose rights differ, in the order of the table's columns.
var callers = []string{"admin-token", "owner", "admin", "editor", "billing", "viewer", "member", "team-admin", "team-member", "token-keys", "token-team", "nobody"}

// credentials are those of the callers.
func credentials(w *world) map[string]string {
	team := w.newTeam()
	of := func(r controlv1.Role) string { return w.person(r).secret }
	all := map[string]string{
		"admin-token": token, "nobody": "",
		"owner": of(controlv1.Role_ROLE_OWNER), "admin": of(controlv1.Role_ROLE_ADMIN), "editor": of(controlv1.Role_ROLE_EDITOR),
		"billing": of(controlv1.Role_ROLE_BILLING), "viewer": of(controlv1.Role_ROLE_VIEWER), "member": of(controlv1.Role_ROLE_MEMBER),
		"token-keys": w.token(&controlv1.Token{Name: "keys", Permissions: []controlv1.Permission{
			controlv1.Permission_PERMISSION_KEYS_READ, controlv1.Permission_PERMISSION_KEYS_WRITE,
		}}),
		"token-team": w.token(&controlv1.Token{Name: "team", Team: team, Permissions: []controlv1.Permission{
			controlv1.Permission_PERMISSION_KEYS_READ, controlv1.Permission_PERMISSION_CONFIG_WRITE,
		}}),
	}
	for name, role := range map[string]controlv1.TeamRole{
		"team-admin": controlv1.TeamRole_TEAM_ROLE_ADMIN, "team-member": controlv1.TeamRole_TEAM_ROLE_MEMBER,
	} {
		who := w.person(controlv1.Role_ROLE_MEMBER)
		w.member(who, team, role)
		all[name] = who.secret
	}
	return all
}

// Guarantee: who may call what is as the reviewed table says, for every method and every kind of caller, and it is the server
// that refuses, whatever is sent.
func TestRoles(t *testing.T) {
	t.Parallel()
	w := &world{bundle: setup(t)}
	who := credentials(w)
	var table strings.Builder
	fmt.Fprintf(&table, "%-45s %s\n", "", strings.Join(callers, " "))
	services := controlServices()
	for _, service := range slices.Sorted(maps.Keys(services)) {
		methods := services[service].Methods()
		for i := range methods.Len() {
			method := methods.Get(i)
			fmt.Fprintf(&table, "%-45s", strings.TrimSuffix(service, "Service")+"."+string(method.Name()))
			for _, name := range callers {
				// An empty request never ends anybody's session but where signing out is all that it asks for.
				mark := "yes"
				if name != "nobody" && method.Name() == "SignOut" {
					mark = "yes" // would end what the next methods need; TestMethods shows that it works
				} else if method.IsStreamingServer() {
					// What cannot be read as a message ends the stream of a caller who may open it.
					_, body, _ := w.post(procedureOf(method), "\x00\x00\x00\x00\x01\xff", "Content-Type", "application/connect+proto", "Authorization", "Bearer "+who[name])
					switch {
					case strings.Contains(body, `"permission_denied"`):
						mark = "no"
					case strings.Contains(body, `"unauthenticated"`):
						mark = "who?"
					}
				} else {
					_, err := w.callAs(who[name], method, dynamicpb.NewMessage(method.Input()))
					switch failureOf(err).Reason {
					case "permission_denied":
						mark = "no"
					case "unauthenticated":
						mark = "who?"
					}
				}
				fmt.Fprintf(&table, " %-*s", len(name), mark)
			}
			table.WriteString("\n")
		}
	}
	text := trimLines(table.String())
	if *update {
		if err := os.WriteFile(rolesFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(rolesFile)
	if err != nil {
		t.Fatal(err)
	}
	wanted, got := strings.Split(string(want), "\n"), strings.Split(text, "\n")
	for i := range max(len(wanted), len(got)) {
		var a, b string
		if i < len(wanted) {
			a = wanted[i]
		}
		if i < len(got) {
			b = got[i]
		}
		if a != b {
			t.Errorf("the table says\n%s\nand the server\n%s", a, b)
		}
	}
}

func trimLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	return strings.Join(lines, "\n")
}
