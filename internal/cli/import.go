package cli

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/config"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/plan"
)

// Import is what is imported.
type Import struct {
	Name string // of the file, for messages
	Text []byte // of the file; nil for none
	// One of these at most: a running proxy and the key by which it tells everything, a dump of its database, or the database.
	URL      string
	Key      config.Secret
	Dump     string
	Database config.Secret

	AcceptGuardrailLoss bool
	Endpoints           []*controlv1.Endpoint // that are there already
	ReadFile            func(name string) ([]byte, error)
	Client              *http.Client
}

// recorded says whether more than a file is read.
func (i *Import) recorded() bool { return i.URL != "" || i.Dump != "" || i.Database != "" }

// Imported is what an import comes to: a plan, and how it is applied.
type Imported struct {
	Plan   *plan.Plan
	Inputs []*controlv1.ConfigInput
}

// ImportCommand adds `import litellm`, given what reads LiteLLM's files and databases: that belongs to the control
// plane, which this package does not know.
func ImportCommand(read func(context.Context, Import) (*Imported, error)) func(*Root) {
	return func(r *Root) {
		cmd := &cobra.Command{
			Use: "import", Short: "Take over another gateway's configuration", Args: cobra.ArbitraryArgs, RunE: group, GroupID: groupUse,
		}
		cmd.AddCommand(r.app.importLiteLLM(read))
		r.AddCommand(cmd)
	}
}

// importFlags are the flags of `import litellm`.
type importFlags struct {
	dryRun, diff, strict, noPeople, accept bool
	url, keyFile, dump, database           string
}

func (a *app) importLiteLLM(read func(context.Context, Import) (*Imported, error)) *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use: "litellm [FILE]", Short: "Take over a LiteLLM proxy: its config.yaml, keys, teams, customers and budgets", Args: cobra.MaximumNArgs(1),
		Long: `Take over a LiteLLM proxy: the models, pass-through endpoints and settings of its config.yaml, and, from the running proxy
or from its database, callers' keys by their SHA-256, so that callers keep what they hold, teams with their members,
customers, tags, and budgets with what is spent of them already. It is applied whole or not at all; nothing is deleted,
and doing it again changes nothing that is the same, and counts nothing twice. Everything that is not carried over, or
behaves differently, is named on stderr. FILE may be - for stdin.`,
		Example: `  tollgate import litellm config.yaml --dry-run
  tollgate import litellm config.yaml
  tollgate import litellm config.yaml --url http://litellm:4000 --key-file master.key --diff
  tollgate import litellm --dump litellm.sql`,
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := a.importInput(cmd, &f, args)
			if err != nil {
				return err
			}
			if f.dryRun {
				ctx, cancel := context.WithTimeout(cmd.Context(), importWithin)
				defer cancel()
				got, err := read(ctx, *in)
				if err != nil {
					return a.refused(in, got, err)
				}
				return a.printReport(in.Name, got.Plan, planned(got.Plan), true)
			}
			a.timeout = max(a.timeout, importWithin)
			return a.with(cmd, func(ctx context.Context, c clients) error {
				if in.recorded() {
					if in.Endpoints, err = allEndpoints(ctx, c); err != nil {
						return err
					}
				}
				got, err := read(ctx, *in)
				if err != nil {
					return a.refused(in, got, err)
				}
				if n := got.Plan.Count(plan.Refused); f.strict && n > 0 {
					a.notes(in.Name, got.Plan)
					return fault.New(fault.InvalidArgument, "%s has %d settings that cannot be carried over, so nothing was done.", in.Name, n).
						WithHint("Remove them, or leave out --strict.")
				}
				return a.carryImport(ctx, c, in.Name, got, &f)
			})
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.dryRun, "dry-run", false, "show what would be created, without asking a server of Tollgate's")
	flags.BoolVar(&f.diff, "diff", false, "show what would change on the server, and change nothing")
	flags.BoolVar(&f.strict, "strict", false, "do nothing if anything cannot be carried over")
	flags.BoolVar(&f.accept, "accept-guardrail-loss", false, "import what has guardrails without them")
	flags.BoolVar(&f.noPeople, "no-people", false, "do not invite the members of teams")
	flags.StringVar(&f.url, "url", "", "address of the running LiteLLM proxy")
	flags.StringVar(&f.keyFile, "key-file", "", "file with LiteLLM's master key, for --url")
	flags.StringVar(&f.dump, "dump", "", "dump of LiteLLM's database: plain SQL of pg_dump, or a folder of CSV files")
	flags.StringVar(&f.database, "db", "", "URL of LiteLLM's database, a file with it, or env/NAME")
	return cmd
}

// importWithin bounds an import: many keys take their time.
const importWithin = 10 * time.Minute

// importInput reads what the command line names.
func (a *app) importInput(cmd *cobra.Command, f *importFlags, args []string) (*Import, error) {
	in := &Import{Name: "LiteLLM", URL: f.url, Dump: f.dump, AcceptGuardrailLoss: f.accept, Client: &http.Client{Timeout: importWithin}}
	n := 0
	for _, s := range []string{f.url, f.dump, f.database} {
		if s != "" {
			n++
		}
	}
	switch {
	case n > 1:
		return nil, usage(cmd, "Name one of --url, --dump and --db.")
	case n == 0 && len(args) == 0:
		return nil, usage(cmd, "Name LiteLLM's config.yaml, or --url, --dump or --db.")
	case f.url != "" && f.keyFile == "":
		return nil, usage(cmd, "--url needs --key-file with LiteLLM's master key.")
	}
	if len(args) > 0 {
		var err error
		if in.Name, in.Text, err = a.readInput(args[0]); err != nil {
			return nil, err
		}
		dir := filepath.Dir(a.path(args[0]))
		in.ReadFile = func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, name)) }
	}
	if f.dump != "" {
		in.Dump = a.path(f.dump)
	}
	for _, s := range []struct {
		into   *config.Secret
		source string
	}{{&in.Key, f.keyFile}, {&in.Database, f.database}} {
		if s.source == "" {
			continue
		}
		if strings.HasPrefix(s.source, "postgres://") || strings.HasPrefix(s.source, "postgresql://") {
			*s.into = config.Secret(s.source)
			continue
		}
		value, err := a.secretAt(s.source)
		if err != nil {
			return nil, err
		}
		if value == nil || *value == "" {
			return nil, fault.New(fault.InvalidArgument, "There is nothing in %s.", s.source).WithHint("Name a file, or env/NAME for a variable.")
		}
		*s.into = config.Secret(*value)
	}
	return in, nil
}

// refused shows why nothing can be imported.
func (a *app) refused(in *Import, got *Imported, err error) error {
	if got != nil && got.Plan != nil && a.forPeople() {
		a.notes(in.Name, got.Plan)
	}
	return err
}

func allEndpoints(ctx context.Context, c clients) (all []*controlv1.Endpoint, err error) {
	for token := ""; ; {
		res, err := c.Endpoints.ListEndpoints(ctx, &controlv1.ListEndpointsRequest{PageSize: 1000, PageToken: token})
		if err != nil {
			return nil, err
		}
		all = append(all, res.GetEndpoints()...)
		if token = res.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}

// carryImport applies an import, or shows what would change.
func (a *app) carryImport(ctx context.Context, c clients, name string, got *Imported, f *importFlags) error {
	var report []imported
	if f.diff {
		for _, in := range got.Inputs {
			res, err := c.config.Plan(ctx, &controlv1.PlanRequest{Input: in})
			if err != nil {
				return err
			}
			report = append(report, changesOf(res.GetChanges(), res.GetNotes(), "would be ")...)
		}
		return a.printReport(name, got.Plan, report, false)
	}
	err := a.applyImport(ctx, c, got, &report)
	if err == nil {
		err = raise(ctx, c, got.Plan, &report)
	}
	if err == nil && !f.noPeople {
		err = invite(ctx, c, got.Plan, &report)
	}
	if printErr := a.printReport(name, got.Plan, report, false); err == nil {
		err = printErr
	}
	return err
}

func (a *app) applyImport(ctx context.Context, c clients, got *Imported, report *[]imported) error {
	for _, in := range got.Inputs {
		res, err := c.config.Apply(ctx, &controlv1.ApplyRequest{What: &controlv1.ApplyRequest_Input{Input: in}})
		if err != nil {
			return err
		}
		*report = append(*report, changesOf(res.GetChanges(), res.GetNotes(), "")...)
	}
	if len(got.Inputs) == 0 {
		return nil
	}
	// What was moved is everybody's to change: no file manages it.
	_, err := c.config.Release(ctx, &controlv1.ReleaseRequest{Owner: got.Inputs[0].GetOwner()})
	return err
}

// raise raises budgets for as long as LiteLLM had them raised.
func raise(ctx context.Context, c clients, p *plan.Plan, report *[]imported) error {
	for _, r := range p.Raises {
		res, err := c.budgets.GetBudget(ctx, &controlv1.GetBudgetRequest{Budget: r.Budget})
		if err != nil {
			return err
		}
		if res.GetBudget().GetRaise() != nil {
			continue
		}
		if _, err := c.budgets.RaiseBudget(ctx, &controlv1.RaiseBudgetRequest{
			Budget: r.Budget, By: contract.MoneyToProto(r.By), End: &controlv1.RaiseBudgetRequest_Until{Until: timestamppb.New(r.Until)},
		}); err != nil {
			return err
		}
		*report = append(*report, imported{kind: "budget", name: r.Budget, result: "raised"})
	}
	return nil
}

// invite lets people sign in who are not known yet, and puts them into their teams.
func invite(ctx context.Context, c clients, p *plan.Plan, report *[]imported) error {
	for _, one := range p.People {
		res, err := c.people.GetPerson(ctx, &controlv1.GetPersonRequest{Person: one.Email})
		there := res.GetPerson()
		switch {
		case err != nil && connect.CodeOf(err) != connect.CodeNotFound:
			return err
		case err != nil:
			made, err := c.people.CreatePerson(ctx, &controlv1.CreatePersonRequest{Person: &controlv1.Person{Email: one.Email, Name: one.Name, Role: one.Role}})
			if err != nil {
				return err
			}
			there = made.GetPerson()
			*report = append(*report, imported{kind: "person", name: one.Email, result: "invited"})
		}
		for _, m := range one.Teams {
			if slices.ContainsFunc(there.GetTeams(), func(t *controlv1.TeamMembership) bool { return t.GetTeam() == m.GetTeam() }) {
				continue // and may have another role by now
			}
			if _, err := c.teams.SetTeamMember(ctx, &controlv1.SetTeamMemberRequest{Team: m.GetTeam(), Person: one.Email, Role: m.GetRole()}); err != nil {
				return err
			}
			*report = append(*report, imported{kind: "member", name: m.GetTeam() + "/" + one.Email, result: "added"})
		}
	}
	return nil
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

// several is a number of things.
func several(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}
