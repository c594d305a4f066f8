package reference_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"tollgate/controlplane/access"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

const apiIntroduction = `# API

Everything that the command line does is a method here. The control plane answers Connect, gRPC and gRPC-Web on one port, and plain JSON:

` + "```sh" + `
curl -X POST "$TOLLGATE_SERVER/tollgate.control.v1.KeyService/ListKeys" \
  -H "Authorization: Bearer $TOLLGATE_TOKEN" -H 'Content-Type: application/json' -d '{"filter": "status:active"}'
` + "```" + `

[More with curl](../examples/http/README.md), [a program in Go](../examples/client-go/README.md) on the package ` + "`tollgate/sdk/client`" + `. Fields are described in
[proto/tollgate/control/v1](../../proto/tollgate/control/v1); gRPC's reflection tells them too. Of lists, [filters](filters.md) say what can be asked for, and [errors](errors.md) has what is
answered when something is wrong.

## Headers

| Header | |
|---|---|
| ` + "`Authorization: Bearer …`" + ` | a token, or the admin token of the configuration |
| ` + "`Idempotency-Key`" + ` | the same call with the same key is made once in 24 hours and answered again as it was; not for streams, nor for methods that anybody may call |
| ` + "`x-tollgate-dry-run: true`" + ` | a change is checked, made and taken back; it answers as it would. Methods marked *no dry run* refuse it: they act outside of the database |
| ` + "`x-tollgate-override: managed`" + ` | change what a file manages; the next ` + "`tollgate apply`" + ` changes it back |
| ` + "`x-tollgate-request-id`" + ` | in answers: the call's id in the log and the audit |

A change that names an ` + "`etag`" + ` fails with ` + "`stale_etag`" + ` if the object is another by now. With an ` + "`update_mask`" + ` only the fields that it names are changed. Both are fields of requests.

Files for spreadsheets come over plain HTTP, with the same token: ` + "`GET /export/usage.csv`, `/export/requests.csv` and `/export/requests.ndjson`" + `. ` + "`GET /schema/tollgate.json`" + ` is
the schema of tollgate.yaml. ` + "`/healthz` and `/readyz`" + ` need no token.

## Who may

Each method takes one permission. Where it says *team*, people and tokens whose rights end at teams may call it too: what belongs to other teams is not found.
What changes the configuration is in the audit; *audited* are calls that are in it although they change none.

| Permission | What for | Roles | In a team |
|---|---|---|---|
`

// Guarantee: the page on the API has every method, with who may call it and how, as the schema says.
func TestAPI(t *testing.T) {
	t.Parallel()
	about := schemaComments(t)
	var b strings.Builder
	b.WriteString(apiIntroduction)
	for i := range controlv1.Permission_PERMISSION_UNSPECIFIED.Descriptor().Values().Len() {
		p := controlv1.Permission(i)
		if p == controlv1.Permission_PERMISSION_UNSPECIFIED {
			continue
		}
		roles, inTeam := rolesWith(p)
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", permissionName(p), cell(about[p.String()]), roles, inTeam)
	}
	outside := actsOutside(t)
	var services []protoreflect.ServiceDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage("tollgate.control.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			services = append(services, f.Services().Get(i))
		}
		return true
	})
	slices.SortFunc(services, func(a, b protoreflect.ServiceDescriptor) int {
		return strings.Compare(string(a.Name()), string(b.Name()))
	})
	methods := 0
	for _, s := range services {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| Method | What it does | Permission | |\n|---|---|---|---|\n", s.Name(), about[string(s.Name())])
		for i := range s.Methods().Len() {
			m := s.Methods().Get(i)
			procedure := fmt.Sprintf("/%s/%s", s.FullName(), m.Name())
			rule, ok := access.Method(procedure)
			text := about[string(s.Name())+"."+string(m.Name())]
			if !ok || text == "" {
				t.Errorf("%s has no rule or no comment", procedure)
			}
			text = sentence(strings.TrimPrefix(text, string(m.Name())+" "))
			fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s |\n", m.Name(), cell(text), permissionName(rule.Permission), marks(rule, m, outside[string(s.Name())+string(m.Name())]))
			methods++
		}
	}
	if methods < 100 {
		t.Errorf("only %d methods were found", methods)
	}
	fresh(t, "api.md", b.String())
}

func permissionName(p controlv1.Permission) string {
	return strings.ToLower(strings.TrimPrefix(p.String(), "PERMISSION_"))
}

// rolesWith are the roles that have a permission everywhere, and those that have it in their team.
func rolesWith(p controlv1.Permission) (everywhere, inTeam string) {
	if p == controlv1.Permission_PERMISSION_ANYONE {
		return "all, and who has not signed in", "all"
	}
	if p == controlv1.Permission_PERMISSION_SIGNED_IN {
		return "all", "all"
	}
	var roles, teamRoles []string
	for i := 1; i < controlv1.Role_ROLE_UNSPECIFIED.Descriptor().Values().Len(); i++ {
		if r := controlv1.Role(i); access.OfRole(r).Has(p) {
			roles = append(roles, strings.ToLower(strings.TrimPrefix(r.String(), "ROLE_")))
		}
	}
	for i := 1; i < controlv1.TeamRole_TEAM_ROLE_UNSPECIFIED.Descriptor().Values().Len(); i++ {
		if r := controlv1.TeamRole(i); access.OfTeamRole(r).Has(p) {
			teamRoles = append(teamRoles, strings.ToLower(strings.TrimPrefix(r.String(), "TEAM_ROLE_")))
		}
	}
	return strings.Join(roles, ", "), strings.Join(teamRoles, ", ")
}

// marks say how a method is called.
func marks(r access.Rule, m protoreflect.MethodDescriptor, outside bool) string {
	var all []string
	if options, ok := m.Options().(*descriptorpb.MethodOptions); ok && options.GetDeprecated() {
		all = append(all, "deprecated")
	}
	if r.Writes {
		all = append(all, "changes")
	} else {
		all = append(all, "reads")
	}
	if r.Team {
		all = append(all, "team")
	}
	if m.IsStreamingServer() {
		all = append(all, "stream")
	}
	if r.Writes && (outside || m.IsStreamingServer()) {
		all = append(all, "no dry run")
	}
	if r.Audited {
		all = append(all, "audited")
	}
	return strings.Join(all, ", ")
}

var (
	serviceLine    = regexp.MustCompile(`^service (\w+) \{`)
	methodLine     = regexp.MustCompile(`^  rpc (\w+)\(`)
	permissionLine = regexp.MustCompile(`^  (PERMISSION_\w+) = `)
	outsideLine    = regexp.MustCompile(`(?m)^\tcontrolv1connect\.(\w+)Service(\w+)Procedure:\s+true,$`)
)

// schemaComments are what the schemas say of services, methods and permissions: descriptors in a program have no comments.
func schemaComments(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "proto/tollgate/control/v1/*.proto"))
	if err != nil {
		t.Fatal(err)
	}
	about := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var comment []string
		service := ""
		for line := range strings.Lines(string(text)) {
			if said, ok := strings.CutPrefix(strings.TrimSpace(line), "//"); ok {
				comment = append(comment, strings.TrimSpace(said))
				continue
			}
			if m := serviceLine.FindStringSubmatch(line); m != nil {
				service = m[1]
				about[service] = strings.Join(comment, "\n")
			} else if m := methodLine.FindStringSubmatch(line); m != nil {
				about[service+"."+m[1]] = strings.Join(comment, " ")
			} else if m := permissionLine.FindStringSubmatch(line); m != nil {
				about[m[1]] = strings.Join(comment, " ")
			}
			comment = nil
		}
	}
	return about
}

// actsOutside are the methods that cannot be tried without their effect, as the control plane lists them.
func actsOutside(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "controlplane/rpc/once.go"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, m := range outsideLine.FindAllStringSubmatch(string(text), -1) {
		all[m[1]+"Service"+m[2]] = true
	}
	if len(all) < 10 {
		t.Errorf("only %d methods were found in once.go", len(all))
	}
	return all
}
