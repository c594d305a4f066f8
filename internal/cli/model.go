package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (a *app) models() noun[*controlv1.Model] {
	return noun[*controlv1.Model]{
		name: "model", plural: "models", short: "Names that callers ask for, and the vendors' models behind them", sample: "gpt-4o", console: "/models",
		columns: []column[*controlv1.Model]{
			{"NAME", (*controlv1.Model).GetName, plain},
			{"ALIASES", func(m *controlv1.Model) string { return list(m.GetAliases(), "-") }, plain},
			{"DEPLOYMENTS", deploymentsText, plain},
			{"BALANCE", balanceText, plain},
			{"ID", (*controlv1.Model).GetId, wide},
			{"UPDATED", func(m *controlv1.Model) string { return a.when(m.GetUpdateTime()) }, wide},
		},
		id:   (*controlv1.Model).GetName,
		view: func(m *controlv1.Model) any { return a.modelResult(m).data },
		page: func(ctx context.Context, c clients, q query) ([]*controlv1.Model, string, error) {
			page, err := c.Models.ListModels(ctx, &controlv1.ListModelsRequest{PageSize: q.size, PageToken: q.token, Filter: q.filter, OrderBy: q.order})
			return page.GetModels(), page.GetNextPageToken(), err
		},
		filters: "gpt", ordered: true,
		empty: "There are no models. Make one with `%s model create`.",
		get: func(ctx context.Context, c clients, name string) (*controlv1.Model, error) {
			res, err := c.Models.GetModel(ctx, &controlv1.GetModelRequest{Model: name})
			return res.GetModel(), err
		},
		details: func(t *table, m *controlv1.Model) {
			t.add("name", m.GetName())
			t.add("id", m.GetId())
			t.add("aliases", list(m.GetAliases(), "-"))
			for _, d := range m.GetDeployments() {
				describeDeployment(t, d)
			}
			if len(m.GetDeployments()) > 1 {
				t.add("balance", balanceText(m))
			}
			describeResilience(t, resilienceOf(m))
			t.add("revision", count(m.GetRevision()))
			t.add("updated", a.when(m.GetUpdateTime()))
		},
		finish: func(_ context.Context, _ clients, m *controlv1.Model, _ *result) error {
			a.sayModelWarnings(m)
			return nil
		},
		remove: func(ctx context.Context, c clients, name string) error {
			_, err := c.Models.DeleteModel(ctx, &controlv1.DeleteModelRequest{Model: name})
			return err
		},
	}
}

func deploymentsText(m *controlv1.Model) string {
	var served []string
	for _, d := range m.GetDeployments() {
		served = append(served, d.GetName()+" ("+first(d.GetModel(), m.GetName())+")")
	}
	return strings.Join(served, ", ")
}

func balanceText(m *controlv1.Model) string {
	if len(m.GetDeployments()) < 2 {
		return "-"
	}
	return nameOf(balances, m.GetBalance(), "failover")
}

func (a *app) modelCommand() *cobra.Command {
	verbs := []*cobra.Command{a.modelCreate(), a.modelUpdate(), a.modelAddDeployment()}
	a.writes(verbs...)
	remove := a.modelRemoveDeployment()
	a.destroys(remove)
	return a.models().command(a, append(verbs, remove)...)
}

// modelResult is a model in the forms for programs. As YAML it is a document that can be read again.
func (a *app) modelResult(m *controlv1.Model) result {
	data := view(m)
	if a.format() == formatYAML {
		data = brief(m)
	}
	return result{data: data, names: []string{m.GetName()}}
}

// modelFlags are the settings of a model beside its deployments.
type modelFlags struct {
	file, balance string
	aliases       []string
	resilience    resilienceFlags
}

func (f *modelFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.file, "file", "f", "", "file with the whole model in YAML or JSON, as tollgate model show NAME -o yaml writes it; - for stdin")
	flags.StringArrayVar(&f.aliases, "alias", nil, "another name of the model; may be repeated")
	flags.StringVar(&f.balance, "balance", "", "which of several deployments gets the next request: failover (in this order; the default), weighted or least-in-flight")
	f.resilience.registerModel(cmd)
}

// change puts what was given into m and leaves the rest alone.
func (f *modelFlags) change(cmd *cobra.Command, m *controlv1.Model) error {
	if cmd.Flags().Changed("alias") {
		m.Aliases = slices.DeleteFunc(f.aliases, func(alias string) bool { return alias == "" })
	}
	if err := balanceFlag(cmd, "balance", f.balance, &m.Balance); err != nil {
		return err
	}
	e := resilienceOf(m)
	if err := f.resilience.change(cmd, e); err != nil {
		return err
	}
	m.Retry, m.Hedge, m.Breaker, m.OutlierEjection = e.Retry, e.Hedge, e.Breaker, e.OutlierEjection
	return nil
}

// resilienceOf is what a model does when deployments fail, as an endpoint does when targets do.
func resilienceOf(m *controlv1.Model) *controlv1.Endpoint {
	return &controlv1.Endpoint{Retry: m.GetRetry(), Hedge: m.GetHedge(), Breaker: m.GetBreaker(), OutlierEjection: m.GetOutlierEjection()}
}

func (a *app) modelCreate() *cobra.Command {
	var f modelFlags
	d := deploymentFlags{read: a.readPrice}
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a model with one deployment, or of a file",
		Long: `Make a model: a name that callers ask for, and the first of the deployments that serve it. Of a template only the
model and the credential are left to say; ` + "`tollgate model add-deployment`" + ` adds further ones.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if f.file != "" && len(args) == 0 {
				return nil
			}
			return exactly("NAME")(cmd, args)
		},
		Example: `  tollgate model create gpt-4o --template openai --secret openai=env:OPENAI_API_KEY
  tollgate model create fast --template groq --vendor-model llama-3.3-70b-versatile --alias llama
  tollgate model create 'claude-*' --template anthropic
  tollgate model create mine --url http://gpu-1:8000/v1 --schema openai-chat --option max_tokens_field=max_tokens --free
  tollgate model create -f model.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.file != "" {
				m, err := a.modelFile(cmd, f.file, first(args...))
				if err != nil {
					return err
				}
				return a.with(cmd, func(ctx context.Context, c clients) error { return a.storeModel(ctx, cmd, c, m, &f, nil) })
			}
			if err := d.complete(cmd); err != nil {
				return err
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				one, err := a.deployment(ctx, cmd, c, &d)
				if err != nil {
					return err
				}
				return a.storeModel(ctx, cmd, c, &controlv1.Model{Name: args[0], Deployments: []*controlv1.Deployment{one}}, &f, d.given)
			})
		},
	}
	f.register(cmd)
	d.register(cmd)
	return cmd
}

// storeModel makes a model. Secrets that were stored for it stay where it fails.
func (a *app) storeModel(ctx context.Context, cmd *cobra.Command, c clients, m *controlv1.Model, f *modelFlags, stored []newSecret) error {
	if err := f.change(cmd, m); err != nil {
		return err
	}
	res, err := c.Models.CreateModel(ctx, &controlv1.CreateModelRequest{Model: m})
	if err != nil {
		a.saySecretsStay("model", stored)
		return err
	}
	made := res.GetModel()
	a.sayModelWarnings(made)
	return a.done(a.modelResult(made), a.Program+" endpoint create llm --path /v1 --models   # if no endpoint serves models yet",
		"model %s created (rev %d)", made.GetName(), made.GetRevision())
}

func (a *app) saySecretsStay(what string, stored []newSecret) {
	if len(stored) > 0 {
		a.say("! The %s was not stored. The secrets are all the same: name them without =… the next time.", what)
	}
}

// changeModel reads a model, changes it and writes it back if that makes a difference.
func (a *app) changeModel(ctx context.Context, c clients, name, said string, change func(*controlv1.Model) error) error {
	got, err := c.Models.GetModel(ctx, &controlv1.GetModelRequest{Model: name})
	if err != nil {
		return err
	}
	m := proto.CloneOf(got.GetModel())
	if err := change(m); err != nil {
		return err
	}
	if proto.Equal(m, got.GetModel()) {
		return a.done(a.modelResult(m), "", "model %s is like that already", m.GetName())
	}
	res, err := c.Models.UpdateModel(ctx, &controlv1.UpdateModelRequest{Model: m})
	if err != nil {
		return err
	}
	stored := res.GetModel()
	if stored.GetRevision() == got.GetModel().GetRevision() {
		return a.done(a.modelResult(stored), "", "model %s is like that already", stored.GetName())
	}
	a.sayModelWarnings(stored)
	return a.done(a.modelResult(stored), "", "model %s %s (rev %d)", stored.GetName(), said, stored.GetRevision())
}

func (a *app) modelUpdate() *cobra.Command {
	var f modelFlags
	cmd := &cobra.Command{
		Use: "update NAME", Aliases: []string{"set"}, Short: "Change a model's settings; those not given stay as they are", Args: exactly("NAME"),
		Long: "Change what is given and leave the rest. An empty --alias takes all other names away. With -f the model becomes what the file says.",
		Example: `  tollgate model update gpt-4o --alias gpt-4 --balance weighted
  tollgate model update gpt-4o --retry '2 status=429,503'
  tollgate model show gpt-4o -o yaml > model.yaml && tollgate model update gpt-4o -f model.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var whole *controlv1.Model
			if f.file != "" {
				var err error
				if whole, err = a.modelFile(cmd, f.file, args[0]); err != nil {
					return err
				}
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				return a.changeModel(ctx, c, args[0], "changed", func(m *controlv1.Model) error {
					if whole != nil {
						replaceModel(m, whole)
					}
					return f.change(cmd, m)
				})
			})
		},
	}
	f.register(cmd)
	return cmd
}

func (a *app) modelAddDeployment() *cobra.Command {
	d := deploymentFlags{read: a.readPrice}
	cmd := &cobra.Command{
		Use: "add-deployment NAME", Short: "Let another vendor's model serve a model, too", Args: exactly("NAME"),
		Example: `  tollgate model add-deployment gpt-4o --template azure-openai --param resource=eu --vendor-model gpt-4o-eu
  tollgate model add-deployment mine --url http://gpu-2:8000/v1 --schema openai-chat --free --deployment-name gpu-2`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := d.complete(cmd); err != nil {
				return err
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				// A model that is not there is told before a secret is stored.
				if _, err := c.Models.GetModel(ctx, &controlv1.GetModelRequest{Model: args[0]}); err != nil {
					return err
				}
				one, err := a.deployment(ctx, cmd, c, &d)
				if err != nil {
					return err
				}
				err = a.changeModel(ctx, c, args[0], "has one deployment more", func(m *controlv1.Model) error {
					taken := slices.ContainsFunc(m.GetDeployments(), func(o *controlv1.Deployment) bool { return o.GetName() == one.GetName() })
					if taken && d.name == "" {
						one.Name = "" // of two from one template the second has the name of its host
					}
					m.Deployments = append(m.Deployments, one)
					return nil
				})
				if err != nil {
					a.saySecretsStay("deployment", d.given)
				}
				return err
			})
		},
	}
	d.register(cmd)
	return cmd
}

func (a *app) modelRemoveDeployment() *cobra.Command {
	return &cobra.Command{
		Use: "remove-deployment NAME DEPLOYMENT", Short: "Have a deployment serve a model no more", Args: exactly("NAME", "DEPLOYMENT"),
		Example: "  tollgate model remove-deployment gpt-4o azure",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				return a.changeModel(ctx, c, args[0], "has one deployment less", func(m *controlv1.Model) error {
					var names []string
					for _, d := range m.GetDeployments() {
						names = append(names, d.GetName())
					}
					i := slices.Index(names, args[1])
					switch {
					case i < 0:
						return usage(cmd, "Model %s has no deployment %s; it has %s.", m.GetName(), args[1], strings.Join(names, ", "))
					case len(names) == 1:
						return usage(cmd, "%s is the last deployment of model %s. Remove the model with `%s model delete %s`.", args[1], m.GetName(), a.Program, m.GetName())
					}
					m.Deployments = slices.Delete(m.Deployments, i, i+1)
					return nil
				})
			})
		},
	}
}

func (a *app) sayModelWarnings(m *controlv1.Model) {
	for _, w := range m.GetWarnings() {
		a.say("! %s, %s: %s", m.GetName(), w.GetField(), w.GetText())
	}
}
