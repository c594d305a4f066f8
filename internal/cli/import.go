package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"tollgate/internal/cli/apply"
	"tollgate/internal/fault"
	"tollgate/internal/plan"
)

// ImportCommand adds `import litellm FILE`, given what reads such files: that belongs to the control
// plane, which this package does not know.
func ImportCommand(convert func(name string, yaml []byte) (*plan.Plan, error)) func(*Root) {
	return func(r *Root) {
		cmd := &cobra.Command{
			Use: "import", Short: "Take over another gateway's configuration", Args: cobra.ArbitraryArgs, RunE: group, GroupID: groupUse,
		}
		cmd.AddCommand(r.app.importLiteLLM(convert))
		r.AddCommand(cmd)
	}
}

func (a *app) importLiteLLM(convert func(name string, yaml []byte) (*plan.Plan, error)) *cobra.Command {
	var dryRun, strict bool
	cmd := &cobra.Command{
		Use: "litellm FILE", Short: "Take over the models and pass-through endpoints of a LiteLLM config.yaml", Args: exactly("FILE"),
		Long: `Take over the models and the pass-through endpoints of a LiteLLM config.yaml: create their secrets, create
or update models and endpoints by name, and take over the master key as a caller's key. Nothing is deleted, and doing it
again changes nothing that is the same. Everything in the file that is not carried over, or behaves
differently, is named on stderr with its line. FILE may be - for stdin.`,
		Example: `  tollgate import litellm config.yaml --dry-run
  tollgate import litellm config.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, text, err := a.readInput(args[0])
			if err != nil {
				return err
			}
			p, err := convert(name, text)
			if err != nil {
				return err
			}
			if n := p.Count(plan.Refused); strict && n > 0 {
				a.notes(name, p)
				return fault.New(fault.InvalidArgument, "%s has %d settings that cannot be carried over, so nothing was done.", name, n).
					WithHint("Remove them, or leave out --strict.")
			}
			if dryRun {
				return a.printReport(name, p, planned(p), true)
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				report, err := apply.Apply(ctx, c.Clients, p)
				if printErr := a.printReport(name, p, report, false); err == nil {
					err = printErr
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show what would be created, without asking a server")
	cmd.Flags().BoolVar(&strict, "strict", false, "do nothing if anything cannot be carried over")
	return cmd
}

func (a *app) readInput(file string) (name string, text []byte, err error) {
	if file == "-" {
		name = "stdin"
		text, err = io.ReadAll(a.Stdin)
	} else {
		name = filepath.Base(file)
		text, err = os.ReadFile(a.path(file))
	}
	if err != nil {
		return "", nil, fault.New(fault.InvalidArgument, "The file cannot be read: %v.", err).WithHint("Check its name, or pipe it and name -.")
	}
	return name, text, nil
}

// planned is the report of a dry run: what is there already is not known without a server.
func planned(p *plan.Plan) apply.Report {
	var r apply.Report
	add := func(kind apply.Kind, name string) {
		r.Actions = append(r.Actions, apply.Action{Kind: kind, Name: name, Result: "planned"})
	}
	for _, s := range p.Secrets {
		add(apply.Secret, s.Name)
	}
	for _, one := range p.Adapters {
		add(apply.Adapter, one.GetName())
	}
	for _, m := range p.Models {
		add(apply.Model, m.GetName())
	}
	for _, e := range p.Endpoints {
		add(apply.Endpoint, e.GetName())
	}
	for _, k := range p.Keys {
		add(apply.Key, k.Name)
	}
	return r
}

func (a *app) printReport(file string, p *plan.Plan, report apply.Report, withPlan bool) error {
	actions, notes, models, endpoints := []any{}, []any{}, []any{}, []any{}
	r := result{table: table{head: []string{"KIND", "NAME", "RESULT"}}}
	for _, action := range report.Actions {
		one := &object{}
		one.set("kind", string(action.Kind))
		one.set("name", action.Name)
		one.set("result", string(action.Result))
		if action.Note != "" {
			one.set("note", action.Note)
		}
		actions = append(actions, one)
		r.names = append(r.names, string(action.Kind)+"/"+action.Name)
		r.table.add(string(action.Kind), action.Name, string(action.Result))
	}
	for _, n := range p.Notes {
		one := &object{}
		one.set("line", n.Line)
		one.set("level", n.Level.String())
		one.set("path", n.Path)
		one.set("text", n.Text)
		notes = append(notes, one)
	}
	data := &object{}
	data.set("actions", actions)
	if withPlan {
		for _, m := range p.Models {
			models = append(models, view(m))
		}
		for _, e := range p.Endpoints {
			endpoints = append(endpoints, view(e))
		}
		data.set("models", models)
		data.set("endpoints", endpoints)
	}
	data.set("notes", notes)
	r.data = data
	if a.format() == formatTable || a.format() == formatName {
		a.notes(file, p)
	}
	for _, action := range report.Actions {
		if action.Note != "" {
			a.say("! %s %s: %s", action.Kind, action.Name, action.Note)
		}
	}
	return a.print(r)
}

// several is a number of things.
func several(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// notes names everything about the file, as compilers do: an editor can jump to it.
func (a *app) notes(file string, p *plan.Plan) {
	for _, n := range p.Notes {
		place := file
		if n.Line > 0 {
			place += ":" + strconv.Itoa(n.Line)
		}
		a.say("%s: %s: %s: %s", place, n.Level, first(n.Path, "file"), n.Text)
	}
	a.say("%s: %s, %s, %s, %s; %d refused, %s", file, several(len(p.Models), "model"), several(len(p.Endpoints), "endpoint"), several(len(p.Secrets), "secret"),
		several(len(p.Keys), "key"), p.Count(plan.Refused), several(p.Count(plan.Warning), "warning"))
}
