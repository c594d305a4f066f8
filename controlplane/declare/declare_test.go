package declare_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/declare"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

const example = `# tollgate.yaml
version: 1
secrets:   [{ name: bria-api-token, from: env/BRIA_API_TOKEN }]        # values never in this file
endpoints:
  - name: bria
    path: /bria
    target: https://engine.prod.bria-api.com
    headers: { api_token: "${secret:bria-api-token}" }
    price:   { per_request: 12.00 }
  - name: rerank
    path: /v1/rerank
    match: exact
    target: https://api.cohere.com/v1/rerank
    headers: { Authorization: "Bearer ${secret:cohere}" }
    price:   { meters: [{ name: search_units, from: response.meta.billed_units.search_units, unit: 0.002 }] }
teams:     [{ name: marketing, budget: { limit: 500, every: month, when_reached: refuse } }]
keys:      [{ name: ci-bot, team: marketing, endpoints: [bria], budget: { limit: 60, every: month } }]
`

func parse(t *testing.T, text string) *declare.Document {
	t.Helper()
	doc, problems := declare.Parse([]declare.File{{Name: "tollgate.yaml", Text: []byte(text)}})
	for _, p := range problems {
		t.Errorf("%s: %s: %s", p.Place, p.Path, p.Reason)
	}
	return doc
}

// Guarantee: what people write is read as the messages of the API, amounts exactly.
func TestSugarIsReadAsMessages(t *testing.T) {
	t.Parallel()
	doc := parse(t, example)
	bria, _ := doc.Find(declare.Endpoint, "bria").Message.(*controlv1.Endpoint)
	if got := bria.GetPrice().GetFixed().GetPerRequest(); got.GetUnits() != 12 || got.GetNanos() != 0 || bria.GetTargets()[0].GetUrl() != "https://engine.prod.bria-api.com" {
		t.Errorf("bria is %v", bria)
	}
	if h := bria.GetHeaders(); len(h) != 1 || h[0].GetName() != "api_token" || h[0].GetValue() != "${secret:bria-api-token}" {
		t.Errorf("headers are %v", h)
	}
	rerank, _ := doc.Find(declare.Endpoint, "rerank").Message.(*controlv1.Endpoint)
	m := rerank.GetPrice().GetMetered()
	if m.GetMeters()[0].GetPrices()[0].GetRates()[0].GetPrice() != "0.002" || m.GetUnmatched() != "refuse" || m.GetFallback() != "held" ||
		m.GetMeters()[0].GetCounters()[0].GetSources()[0].GetFrame() != "meta.billed_units.search_units" {
		t.Errorf("the price is %v", m)
	}
	budget, _ := doc.Find(declare.Budget, "team-marketing").Message.(*controlv1.Budget)
	if budget.GetTeam() != "marketing" || budget.GetAmount().GetUnits() != 500 || budget.GetPeriod() != controlv1.Period_PERIOD_MONTH || budget.GetEnforcement() != controlv1.Enforcement_ENFORCEMENT_HARD {
		t.Errorf("the budget is %v", budget)
	}
	key, _ := doc.Find(declare.Key, "ci-bot").Message.(*controlv1.Key)
	if !key.GetRestricted() || doc.Find(declare.Budget, "key-ci-bot") == nil || doc.Find(declare.Secret, "bria-api-token").From != "env/BRIA_API_TOKEN" {
		t.Errorf("the key is %v", key)
	}
}

// Guarantee: every mistake of a file is said with its line and column, all of them at once, and typing errors with the word that
// was meant.
func TestProblemsHavePlaces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"syntax", "version: 1\nendpoints: [", "2 syntax"},
		{"empty", "", "0 required"},
		{"version", "version: 2\n", "1:10 invalid"},
		{"no version", "teams: []\n", "0 required"},
		{"section", "version: 1\nendpiont: []\n", "2:1 unknown_field Did you mean endpoints?"},
		{"field", "version: 1\nendpoints:\n  - name: a\n    pahts: /a\n", "4:5 unknown_field Did you mean path?"},
		{"twice", "version: 1\nteams:\n  - {name: a, name: b}\n", "3:15 duplicate"},
		{"same name", "version: 1\nteams: [{name: a}, {name: a}]\n", "2:20 duplicate"},
		{"amount", "version: 1\nendpoints: [{name: a, path: /a, price: {per_request: 1e3}}]\n", "2:54 invalid"},
		{"enum", "version: 1\nendpoints: [{name: a, path: /a, match: fuzzy}]\n", "2:40 invalid prefix, exact"},
		{"bool", "version: 1\nendpoints: [{name: a, path: /a, disabled: \"true\"}]\n", "2:43 invalid"},
		{"server's", "version: 1\nendpoints: [{name: a, id: ep_1}]\n", "2:23 unknown_field"},
		{"value", "version: 1\nsecrets: [{name: a, value: hunter2}]\n", "2:21 unknown_field"},
		{"from", "version: 1\nsecrets: [{name: a, from: sk-live-hunter2}]\n", "2:27 invalid"},
		{"kinds of price", "version: 1\nendpoints: [{name: a, price: {free: {}, fixed: {per_request: 1}}}]\n", "2:41 duplicate"},
		{"target twice", "version: 1\nendpoints: [{name: a, target: http://x, targets: [http://y]}]\n", "2:23 duplicate"},
		{"no name", "version: 1\nteams: [{description: x}]\n", "2:9 required"},
		{"duration", "version: 1\nendpoints: [{name: a, timeout: soon}]\n", "2:32 invalid"},
		{"scalar", "version: 1\nteams: marketing\n", "2:8 invalid"},
		{"owner", "version: 1\nowner: Not OK\n", "2:8 invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, problems := declare.Parse([]declare.File{{Name: "f", Text: []byte(c.text)}})
			if len(problems) != 1 {
				t.Fatalf("problems: %+v", problems)
			}
			p := problems[0]
			got := strings.TrimPrefix(strings.TrimPrefix(p.String(), "f"), ":")
			if p.Line == 0 {
				got = "0"
			}
			want := strings.SplitN(c.want, " ", 3)
			if got != want[0] || p.Code != want[1] || len(want) > 2 && !strings.Contains(p.Reason, want[2]) {
				t.Errorf("got %s %s %q, want %s", got, p.Code, p.Reason, c.want)
			}
		})
	}
}

// Guarantee: a file that grows by aliases of aliases is refused in little time, and says so once.
func TestAliasesAreBounded(t *testing.T) {
	t.Parallel()
	text := "version: 1\nteams:\n  - name: a\n    metadata:\n      a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 12; i++ {
		before := "*a" + string(rune('a'+i-2))
		if i == 1 {
			before = "*a0"
		}
		name := "a" + string(rune('a'+i-1))
		text += "      " + name + ": &" + name + " [" + strings.TrimSuffix(strings.Repeat(before+", ", 10), ", ") + "]\n"
	}
	_, problems := declare.Parse([]declare.File{{Name: "f", Text: []byte(text)}})
	if len(problems) != 1 || problems[0].Code != "too_large" {
		t.Errorf("problems: %+v", problems)
	}
}

// Guarantee: what is exported is read as the same messages, whatever sugar it was written with.
func TestExportIsReadAsTheSame(t *testing.T) {
	t.Parallel()
	doc := parse(t, example)
	text, err := declare.Export(doc, "", nil, sameMessage)
	if err != nil {
		t.Fatal(err)
	}
	again := parse(t, string(text))
	if len(again.Objects) != len(doc.Objects) {
		t.Fatalf("exported as\n%s", text)
	}
	for i, o := range doc.Objects {
		if changes := declare.Changes(o, again.Objects[i]); len(changes) > 0 && o.Kind != declare.Secret || o.Name != again.Objects[i].Name {
			t.Errorf("%s %s changed: %v\n%s", o.Kind, o.Name, changes, text)
		}
	}
}

func sameMessage(a, b *declare.Object) bool { return proto.Equal(a.Message, b.Message) }

// Guarantee: a file that still says what is so is exported onto itself without a change, comments and order included.
func TestExportOntoKeepsTheFile(t *testing.T) {
	t.Parallel()
	const file = `# Our gateway.
version: 1

teams:
  # They pay for pictures.
  - name: marketing # since 2024
    description: Pictures
    budget: {limit: 500, every: month}

endpoints:
  - path: /bria # on purpose first
    name: bria
    target: https://engine.example.com
    price: {per_request: 12.00}
  # The old one.
  - name: gone
    path: /gone
    price: free
`
	doc := parse(t, file)
	text, err := declare.Export(doc, "", []byte(file), sameMessage)
	if err != nil || string(text) != file {
		t.Errorf("err %v, exported as\n%s", err, text)
	}
	doc = parse(t, strings.NewReplacer("12.00", "10.50", "Pictures", "Films", "500", "600").Replace(file))
	doc.Objects = append(doc.Objects[:1], doc.Objects[2:]...)
	text, err = declare.Export(doc, "", []byte(file), sameMessage)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Our gateway.", "# since 2024", "# They pay", "path: /bria # on purpose first\n    name: bria", "per_request: 10.5", "description: Films", "limit: 600"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "/gone") {
		t.Errorf("what is gone is still in\n%s", text)
	}
}
