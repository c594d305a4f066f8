package sample

import "time"

// team is a team and what it is for.
type team struct{ name, about string }

var teams = []team{
	{"marketing", "Pictures for campaigns"},
	{"search", "Search, recommendations and the assistant"},
	{"ops", "Continuous integration, tools and contractors"},
}

// customer is one of those whom the web shop serves; the first ones call most.
type customer struct{ name, display string }

var customers = []customer{{"acme", "Acme Ltd"}, {"globex", "Globex GmbH"}, {"initech", "Initech Inc"}}

// key is an API key.
type key struct {
	name, team, about string
	endpoints         []string // nil for all
	tags              []string
	expires           time.Duration
	blocked, rotated  bool
}

var keys = []key{
	{name: "campaigns", team: "marketing", about: "Pictures for the autumn campaign", endpoints: []string{"bria"}, tags: []string{"campaign"}},
	{name: "web", team: "search", about: "The shop's website", endpoints: []string{"rerank", "llm"}},
	{name: "mobile", team: "search", about: "The shop's app", endpoints: []string{"rerank", "llm"}, rotated: true},
	{name: "assistant", team: "search", about: "The assistant that answers customers", endpoints: []string{"llm"}, tags: []string{"chat"}},
	{name: "batch", team: "search", about: "Indexing at night", endpoints: []string{"rerank", "ocr"}, tags: []string{"batch"}},
	{name: "old-portal", team: "search", about: "Replaced by web", endpoints: []string{"rerank"}, blocked: true},
	{name: "ci-bot", team: "ops", about: "Tests of every merge"},
	{name: "contractor", team: "ops", about: "Trial by an agency", expires: 3 * 24 * time.Hour},
}

// CallingKey is the key for those who want to call something themselves.
const CallingKey = "web"

func keyOf(name string) key {
	for _, k := range keys {
		if k.name == name {
			return k
		}
	}
	return key{}
}

// Tokens that the mock vendor wants. That of wants-token is not the one that the endpoint has at first: its requests fail until
// somebody gives it the right one.
const (
	briaSecret  = "bria-api-token"
	wantsSecret = "wants-token"
	wrongToken  = "expired-token"
)

// The breaker of flaky is quick, so that its states can be watched.
const (
	breakerWindow = 30 * time.Second
	breakerOpen   = 15 * time.Second
)
