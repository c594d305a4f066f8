package rpc_test

import (
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// teamFile is a file that names a new team.
func (w *world) teamFile() *controlv1.ConfigInput {
	return files("version: 1\nowner: methods\nteams: [{name: " + w.name("filed") + "}]\n")
}

func applies(in *controlv1.ConfigInput) *controlv1.ApplyRequest {
	return &controlv1.ApplyRequest{What: &controlv1.ApplyRequest_Input{Input: in}}
}

var wrongFiles = map[string]*controlv1.ConfigInput{
	"tollgate.yaml:2:1 endpiont:unknown_field":        files("version: 1\nendpiont: []\n"),
	"tollgate.yaml:1:10 version:invalid":              files("version: 3\n"),
	"tollgate.yaml:required":                          files(""),
	"tollgate.yaml:2:syntax":                          files("version: 1\nteams: [\n"),
	"tollgate.yaml:2:20 teams[1]:duplicate":           files("version: 1\nteams: [{name: a}, {name: a}]\n"),
	"tollgate.yaml:2:36 endpoints[0].target:required": files("version: 1\nendpoints: [{name: a, path: /a, price: free, target: \"\"}]\n"),
	"tollgate.yaml:2:17 keys[0].team:unknown":         files("version: 1\nkeys: [{name: k, team: nobody}]\n"),
}

var _ = covers("ConfigService", map[string]cases{
	"Plan": {
		right: func(w *world) proto.Message { return &controlv1.PlanRequest{Input: w.teamFile()} },
		check: func(w *world, res proto.Message) {
			if p := res.(*controlv1.PlanResponse); p.GetPlanId() == "" || len(p.GetChanges()) != 1 || p.GetOwner() != "methods" {
				w.t.Errorf("the plan is %v", p)
			}
		},
		wrong: []wrong{
			{violation: "input:required", request: is(&controlv1.PlanRequest{})},
			{violation: "tollgate.yaml:2:1 endpiont:unknown_field", request: is(&controlv1.PlanRequest{Input: wrongFiles["tollgate.yaml:2:1 endpiont:unknown_field"]})},
			{violation: "tollgate.yaml:1:10 version:invalid", request: is(&controlv1.PlanRequest{Input: wrongFiles["tollgate.yaml:1:10 version:invalid"]})},
			{violation: "tollgate.yaml:required", request: is(&controlv1.PlanRequest{Input: wrongFiles["tollgate.yaml:required"]})},
			{violation: "tollgate.yaml:2:20 teams[1]:duplicate", request: is(&controlv1.PlanRequest{Input: wrongFiles["tollgate.yaml:2:20 teams[1]:duplicate"]})},
		},
		without: map[string]string{"notFound": "a plan names nothing that has to be there"},
	},
	"Apply": {
		right: func(w *world) proto.Message { return applies(w.teamFile()) },
		check: func(w *world, res proto.Message) {
			if a := res.(*controlv1.ApplyResponse); len(a.GetChanges()) != 1 || a.GetRevision() == 0 {
				w.t.Errorf("applied %v", a)
			}
		},
		wrong: []wrong{
			{violation: "what:required", request: is(&controlv1.ApplyRequest{})},
			{violation: "tollgate.yaml:2:24 keys[0].team:unknown", request: is(applies(wrongFiles["tollgate.yaml:2:17 keys[0].team:unknown"]))},
		},
		notFound: is(&controlv1.ApplyRequest{What: &controlv1.ApplyRequest_PlanId{PlanId: "plan_nobody"}}),
		stale: func(w *world) proto.Message {
			in := files("version: 1\nowner: methods\nteams: [{name: late}, {name: " + w.name("late") + "}]\n")
			planned := must[*controlv1.PlanResponse](w.t)(w.config().Plan(w.t.Context(), &controlv1.PlanRequest{Input: in}))
			must[*controlv1.CreateTeamResponse](w.t)(w.teams.CreateTeam(w.t.Context(), &controlv1.CreateTeamRequest{Name: "late"}))
			return &controlv1.ApplyRequest{What: &controlv1.ApplyRequest_PlanId{PlanId: planned.GetPlanId()}}
		},
	},
	"Export": {
		right: is(&controlv1.ExportRequest{}),
		check: func(w *world, res proto.Message) {
			if p := w.plan(files(string(res.(*controlv1.ExportResponse).GetText()))); len(p.GetChanges()) != 0 {
				w.t.Errorf("what is exported would do %q", summary(p.GetChanges()))
			}
		},
		wrong: []wrong{
			{violation: "kinds:unknown", request: is(&controlv1.ExportRequest{Kinds: []string{"gadgets"}})},
			{violation: "onto:invalid", request: is(&controlv1.ExportRequest{Onto: []byte("version: 1\nendpiont: []\n")})},
		},
		without: map[string]string{"notFound": "what is not there is not exported"},
	},
	"ConvertLiteLLM": {
		right: is(&controlv1.ConvertLiteLLMRequest{Text: []byte("general_settings:\n  pass_through_endpoints:\n    - {path: /bria, target: \"https://engine.example.com\", headers: {api_token: os.environ/BRIA}}\n")}),
		check: func(w *world, res proto.Message) {
			if p := w.plan(files(string(res.(*controlv1.ConvertLiteLLMResponse).GetText()))); len(p.GetChanges()) != 1 {
				w.t.Errorf("what is converted would do %q", summary(p.GetChanges()))
			}
		},
		wrong: []wrong{{violation: "text:invalid", request: is(&controlv1.ConvertLiteLLMRequest{Text: []byte("a: b\n")})}},
	},
	"ListDrift": {
		right: is(&controlv1.ListDriftRequest{}),
		wrong: []wrong{{violation: "owner:invalid", request: is(&controlv1.ListDriftRequest{Owner: string(make([]byte, 200))})}},
	},
	"Release": {
		right: func(w *world) proto.Message {
			owner := w.name("releases")
			w.apply(files("version: 1\nowner: " + owner + "\nteams: [{name: " + w.name("team-of") + "}]\n"))
			return &controlv1.ReleaseRequest{Owner: owner}
		},
		wrong:    []wrong{{violation: "owner:required", request: is(&controlv1.ReleaseRequest{})}},
		notFound: is(&controlv1.ReleaseRequest{Owner: "nobody"}),
	},
})
