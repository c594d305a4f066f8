package alert

import (
	"cmp"
	"fmt"
	"strings"

	"tollgate/controlplane/registry"
)

// Messages as Slack's incoming webhooks take them.
type (
	message struct {
		Text   string  `json:"text"`
		Blocks []block `json:"blocks"`
	}
	block struct {
		Type     string  `json:"type"`
		Text     *words  `json:"text,omitempty"`
		Elements []words `json:"elements,omitempty"`
	}
	words struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
)

// escape keeps text from meaning something.
var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func slackMessage(a *registry.Alert) message {
	head := map[string]string{registry.AlertEnd: "Over", registry.AlertTest: "Test"}[a.Event]
	if head == "" {
		head = strings.ToUpper(a.Severity[:min(1, len(a.Severity))]) + a.Severity[min(1, len(a.Severity)):]
	}
	const form = "2 Jan 15:04 MST"
	when := "since " + a.Since.UTC().Format(form)
	if a.Ended != nil {
		when = "from " + a.Since.UTC().Format(form) + " to " + a.Ended.UTC().Format(form)
	}
	sentence := a.Sentence
	about := []string{cmp.Or(a.Deployment, "Tollgate"), when}
	if a.Figure != "" {
		about = append(about, a.Figure)
	}
	context := escape.Replace(strings.Join(about, " · "))
	if a.Link != "" {
		context += fmt.Sprintf(" · <%s|Open>", escape.Replace(a.Link))
	}
	return message{
		Text: escape.Replace(head + ": " + sentence),
		Blocks: []block{
			{Type: "section", Text: &words{"mrkdwn", "*" + head + "* " + escape.Replace(sentence)}},
			{Type: "context", Elements: []words{{"mrkdwn", context}}},
		},
	}
}
