package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (a *app) templateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "template", Aliases: []string{"templates"}, Short: "Ready endpoints of vendors' APIs, with their prices", Args: cobra.ArbitraryArgs, RunE: group,
	}
	cmd.AddCommand(a.templateList(), a.templateShow())
	a.completeNames(cmd, templateNames)
	return cmd
}

func templateNames(ctx context.Context, c clients) ([]string, error) {
	res, err := c.templates.ListTemplates(ctx, &controlv1.ListTemplatesRequest{})
	return namesOf(res.GetTemplates(), err)
}

func (a *app) templateList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List templates", Args: exactly(),
		Example: "  tollgate template list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.templates.ListTemplates(ctx, &controlv1.ListTemplatesRequest{})
				if err != nil {
					return err
				}
				r := result{table: table{head: []string{"NAME", "VENDOR", "SECRETS", "FOR"}}}
				data := []any{}
				for _, t := range res.GetTemplates() {
					data, r.names = append(data, brief(t)), append(r.names, t.GetName())
					r.table.add(t.GetName(), t.GetTitle(), first(strings.Join(secretsOf(t), ", "), "-"), t.GetSummary())
				}
				r.data = data
				return a.print(r)
			})
		},
	}
}

func (a *app) templateShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Aliases: []string{"get"}, Short: "Show a template", Args: exactly("NAME"),
		Example: "  tollgate template show openai\n  tollgate template show openai -o yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.templates.GetTemplate(ctx, &controlv1.GetTemplateRequest{Name: args[0]})
				if err != nil {
					return err
				}
				return a.print(a.templateResult(res.GetTemplate()))
			})
		},
	}
}

func (a *app) templateResult(t *controlv1.Template) result {
	r := result{data: brief(t), names: []string{t.GetName()}}
	add := r.table.add
	add("name", t.GetName())
	add("vendor", t.GetTitle())
	add("for", t.GetSummary())
	add("path", pattern(t.GetEndpoint()))
	add("target", targets(t.GetEndpoint()))
	create := []string{a.Program, "endpoint create --template", t.GetName()}
	for _, s := range t.GetSecrets() {
		add("secret", s.GetName()+": "+s.GetSummary())
		create = append(create, "--secret", s.GetName()+"=env:"+s.GetEnv())
	}
	for _, p := range t.GetParameters() {
		text := p.GetName() + ": " + p.GetSummary()
		if p.GetDefault() == "" {
			create = append(create, "--param", p.GetName()+"=…")
		} else {
			text += " (" + p.GetDefault() + ")"
		}
		add("parameter", text)
	}
	for _, m := range t.GetEndpoint().GetPrice().GetMetered().GetMeters() {
		add("meter", meterText(m))
	}
	for _, n := range t.GetNotes() {
		add("note", n)
	}
	for _, l := range t.GetLinks() {
		add("link", l)
	}
	add("create", strings.Join(create, " "))
	if t.GetDeployment() != nil {
		add("or model", strings.Join(append([]string{a.Program, "model create NAME --template", t.GetName()}, create[3:]...), " "))
	}
	return r
}

// meterText is a meter in a line: what it reads, and what it bills.
func meterText(m *controlv1.Meter) string {
	match := m.GetMatch()
	text := m.GetName() + ": " + first(strings.Join(match.GetMethods(), ", "), "any method")
	if match.GetWebsocket() {
		text = m.GetName() + ": WebSocket"
	}
	text += " " + first(match.GetPath(), "any path")
	if m.GetFree() {
		return text + ", free"
	}
	var units []string
	for _, u := range m.GetUnits() {
		units = append(units, u.GetName())
	}
	if len(units) > 0 {
		text += ", by " + strings.Join(units, ", ")
	}
	if m.GetBook() != "" {
		text += "; book " + m.GetBook()
	}
	if m.GetJob() != nil {
		text += "; a job"
	}
	return text
}
