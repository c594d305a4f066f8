package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
)

// SecretSources says where files of configuration have the values of their secrets on this machine, "env/NAME" or "file/PATH", by
// the secret's name. The text of each file is by its name.
type SecretSources func(files map[string][]byte) map[string]string

// ConfigCommands adds `diff`, `apply` and `export`, given what reads where secrets are: the form of the files belongs to the control
// plane, which this package does not know.
func ConfigCommands(sources SecretSources) func(*Root) {
	return func(r *Root) {
		for _, c := range []*cobra.Command{r.app.diffCommand(sources), r.app.applyCommand(sources), r.app.exportCommand()} {
			c.GroupID = groupConfigure
			r.AddCommand(c)
		}
	}
}

// filesInput is what the flags say about files of configuration.
type filesInput struct {
	names           []string
	from, owner     string
	prune, takeOver bool
	unchanged       bool
	exitCode        bool
}

func (f *filesInput) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.names, "file", "f", nil, "file, folder of *.yaml, or - for stdin; may be repeated (default tollgate.yaml)")
	flags.StringVar(&f.from, "from", "auto", "auto, tollgate or litellm: the language of the files")
	flags.StringVar(&f.owner, "owner", "", "who owns what the files name, in place of what they say")
	flags.BoolVar(&f.prune, "prune", false, "delete what this owner had and the files do not name any more")
	flags.BoolVar(&f.takeOver, "take-over", false, "take over what another file owns")
	flags.BoolVar(&f.exitCode, "exit-code", false, "end with 10 if there is something to do")
	flags.BoolVar(&f.unchanged, "show-unchanged", false, "list what stays as it is as well")
}

var dialects = map[string]controlv1.ConfigDialect{
	"auto": controlv1.ConfigDialect_CONFIG_DIALECT_UNSPECIFIED, "tollgate": controlv1.ConfigDialect_CONFIG_DIALECT_TOLLGATE,
	"litellm": controlv1.ConfigDialect_CONFIG_DIALECT_LITELLM,
}

// readFiles reads the files, and the values of secrets that they have on this machine.
func (a *app) readFiles(cmd *cobra.Command, f *filesInput, sources SecretSources) (*controlv1.ConfigInput, error) {
	dialect, ok := dialects[f.from]
	if !ok {
		return nil, usage(cmd, "--from is %q: use auto, tollgate or litellm.", f.from)
	}
	in := &controlv1.ConfigInput{Dialect: dialect, Owner: f.owner, Prune: f.prune, TakeOver: f.takeOver, Secrets: map[string]string{}}
	names := f.names
	if len(names) == 0 {
		names = []string{"tollgate.yaml"}
	}
	texts := map[string][]byte{}
	for _, name := range names {
		if err := a.readFile(in, name, texts); err != nil {
			return nil, err
		}
	}
	for secret, source := range sources(texts) {
		value, err := a.secretAt(source)
		if err != nil {
			return nil, err
		}
		if value != nil {
			in.Secrets[secret] = *value
		}
	}
	return in, nil
}

func (a *app) readFile(in *controlv1.ConfigInput, name string, texts map[string][]byte) error {
	add := func(name string, text []byte) {
		in.Files = append(in.Files, &controlv1.ConfigFile{Name: name, Text: text})
		texts[name] = text
	}
	if name == "-" {
		text, err := io.ReadAll(a.Stdin)
		add("stdin", text)
		return err
	}
	paths := []string{name}
	if info, err := os.Stat(a.path(name)); err == nil && info.IsDir() {
		paths = nil
		for _, pattern := range []string{"*.yaml", "*.yml"} {
			found, err := filepath.Glob(filepath.Join(a.path(name), pattern))
			if err != nil {
				return err
			}
			for _, p := range found {
				paths = append(paths, filepath.Join(name, filepath.Base(p)))
			}
		}
		slices.Sort(paths)
		if len(paths) == 0 {
			return fault.New(fault.InvalidArgument, "The folder %s has no file *.yaml.", name)
		}
	}
	for _, p := range paths {
		text, err := os.ReadFile(a.path(p))
		if err != nil {
			return fault.New(fault.InvalidArgument, "The file cannot be read: %v.", err).WithHint("Name it with -f, or pipe it and name -.")
		}
		add(p, text)
	}
	return nil
}

// secretAt reads the value of a secret. One that is not there is left to the server, which may have it.
func (a *app) secretAt(source string) (*string, error) {
	if name, ok := strings.CutPrefix(source, "env/"); ok {
		if value := a.Getenv(name); value != "" {
			return &value, nil
		}
		return nil, nil
	}
	path := strings.TrimPrefix(source, "file/")
	raw, err := os.ReadFile(a.path(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "The file with a secret cannot be read: %v.", err)
	}
	value := strings.TrimRight(string(raw), "\r\n")
	return &value, nil
}

// filesTimeout is how long commands about files may take of which nobody says it: these may hold ten thousands of objects.
const filesTimeout = 5 * time.Minute

// allow gives a command about files its time, and more to wait.
func (a *app) allow(cmd *cobra.Command, wait time.Duration) {
	if !cmd.Flags().Changed("timeout") {
		a.timeout = filesTimeout
	}
	if a.timeout > 0 {
		a.timeout += wait
	}
}

func (a *app) diffCommand(sources SecretSources) *cobra.Command {
	var f filesInput
	cmd := &cobra.Command{
		Use: "diff", Short: "Show what applying files would change", Args: exactly(),
		Long: `Show what applying tollgate.yaml, or a LiteLLM config.yaml, would create, change and delete, and change nothing. Values of
secrets are never shown. It ends with 0 whatever there is to do; with --exit-code with 10 if there is something.`,
		Example: "  tollgate diff -f tollgate.yaml\n  tollgate diff -f config/ --prune --exit-code",
		RunE: func(cmd *cobra.Command, _ []string) error {
			in, err := a.readFiles(cmd, &f, sources)
			if err != nil {
				return err
			}
			a.allow(cmd, 0)
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.config.Plan(ctx, &controlv1.PlanRequest{Input: in, ShowUnchanged: f.unchanged})
				if err != nil {
					return err
				}
				return a.showPlan(res, f.exitCode)
			})
		},
	}
	f.flags(cmd)
	return cmd
}

func (a *app) showPlan(res *controlv1.PlanResponse, exitCode bool) error {
	if err := a.printChanges(view(res), res.GetChanges(), res.GetNotes()); err != nil {
		return err
	}
	n := countChanges(res.GetChanges())
	a.say("%s", n.sentence("to create", "to change", "to delete"))
	if exitCode && n.any() {
		return &failure{exit: ExitDifferent, message: "What is there differs from the files.", typed: true}
	}
	return nil
}

func (a *app) applyCommand(sources SecretSources) *cobra.Command {
	var f filesInput
	var wait time.Duration
	var keysOut string
	var dryRun bool
	cmd := &cobra.Command{
		Use: "apply", Short: "Make the configuration what files say, all of it or nothing", Args: exactly(),
		Long: `Make the configuration what tollgate.yaml, or a LiteLLM config.yaml, says: all of it in one revision, or, if anything is wrong,
nothing. Nothing is deleted without --prune, and with it only what this owner had. It waits until all edges serve it. Secrets of keys
that are created are written to the file of --keys-out, once.`,
		Example: "  tollgate apply -f tollgate.yaml\n  tollgate apply -f config/ --prune --yes --keys-out keys.env\n  tollgate apply -f config.yaml --from litellm --dry-run",
		RunE: func(cmd *cobra.Command, _ []string) error {
			in, err := a.readFiles(cmd, &f, sources)
			if err != nil {
				return err
			}
			a.allow(cmd, wait)
			return a.with(cmd, func(ctx context.Context, c clients) error {
				plan, err := c.config.Plan(ctx, &controlv1.PlanRequest{Input: in, ShowUnchanged: f.unchanged})
				if err != nil {
					return err
				}
				n := countChanges(plan.GetChanges())
				if dryRun {
					return a.showPlan(plan, f.exitCode)
				}
				if n.deleted > 0 && !a.yes {
					if err := a.printChanges(view(plan), plan.GetChanges(), plan.GetNotes()); err != nil {
						return err
					}
					return usage(cmd, "This would delete %s: look at the plan, and confirm with --yes.", several(n.deleted, "object"))
				}
				var keys keyFile
				if makesKeys(plan.GetChanges()) {
					keys, err = a.openKeys(keysOut)
				}
				if err != nil {
					return err
				}
				res, err := a.carryOut(ctx, c, plan, in)
				if err != nil {
					return errors.Join(err, keys.drop())
				}
				if err := keys.write(res.GetKeySecrets()); err != nil {
					return err
				}
				return a.applied(ctx, c, res, wait, keysOut, f.exitCode)
			})
		},
	}
	f.flags(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show what would be done, and change nothing")
	cmd.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long to wait until all edges serve it; 0 for not at all")
	cmd.Flags().StringVar(&keysOut, "keys-out", "", "file, that only you can read, for the secrets of new keys")
	return cmd
}

// carryOut applies the plan that was looked at. Without anything to do there is none, but what files own may still be new.
func (a *app) carryOut(ctx context.Context, c clients, plan *controlv1.PlanResponse, in *controlv1.ConfigInput) (*controlv1.ApplyResponse, error) {
	if id := plan.GetPlanId(); id != "" {
		return c.config.Apply(ctx, &controlv1.ApplyRequest{What: &controlv1.ApplyRequest_PlanId{PlanId: id}})
	}
	return c.config.Apply(ctx, &controlv1.ApplyRequest{What: &controlv1.ApplyRequest_Input{Input: in}})
}

func (a *app) applied(ctx context.Context, c clients, res *controlv1.ApplyResponse, wait time.Duration, keysOut string, exitCode bool) error {
	shown := res
	if keysOut != "" {
		shown = &controlv1.ApplyResponse{Changes: res.GetChanges(), Notes: res.GetNotes(), Revision: res.GetRevision()}
	}
	if err := a.printChanges(view(shown), res.GetChanges(), res.GetNotes()); err != nil {
		return err
	}
	n := countChanges(res.GetChanges())
	if len(res.GetKeySecrets()) > 0 && keysOut == "" && a.forPeople() {
		a.say("! nobody has seen the secrets of %s: make others with `tollgate key rotate`, and name --keys-out next time", several(len(res.GetKeySecrets()), "new key"))
	}
	if !n.any() {
		a.say("%s nothing to do at rev %d", a.mark(true), res.GetRevision())
		return nil
	}
	if err := a.waitLive(ctx, c, res.GetRevision(), wait, n.sentence("created", "changed", "deleted")); err != nil {
		return err
	}
	if exitCode {
		return &failure{exit: ExitDifferent, message: "The configuration was changed.", typed: true}
	}
	return nil
}

// waitLive waits until all edges serve a revision.
func (a *app) waitLive(ctx context.Context, c clients, revision int64, wait time.Duration, what string) error {
	begin := a.Now()
	for {
		res, err := c.edges.GetRollout(ctx, &controlv1.GetRolloutRequest{Revision: revision})
		if connect.CodeOf(err) == connect.CodePermissionDenied {
			wait, err = 0, nil // whoever may not see edges does not wait for them
		}
		if err != nil {
			return err
		}
		switch {
		case wait == 0 || res.GetTotal() == 0:
			a.say("%s %s (rev %d)", a.mark(true), what, revision)
			return nil
		case res.GetLive() == res.GetTotal():
			a.say("%s %s (rev %d, live on %d/%d edges)", a.mark(true), what, revision, res.GetLive(), res.GetTotal())
			return nil
		case a.Now().Sub(begin) >= wait:
			return &failure{
				exit: ExitPending, typed: true,
				message: fmt.Sprintf("%s (rev %d), but live on %d of %d edges only after %s.", what, revision, res.GetLive(), res.GetTotal(), wait),
				hint:    fmt.Sprintf("tollgate edge rollout --revision %d --wait 1m", revision),
			}
		}
		if err := a.Pause(ctx, rolloutPause); err != nil {
			return err
		}
	}
}

func (a *app) exportCommand() *cobra.Command {
	var req controlv1.ExportRequest
	var out, onto string
	cmd := &cobra.Command{
		Use: "export", Short: "Write the configuration as tollgate.yaml", Args: exactly(),
		Long: `Write the configuration as tollgate.yaml, without secrets and keys. With --onto the order and the comments of a file are kept
where they still fit.`,
		Example: "  tollgate export > tollgate.yaml\n  tollgate export --kinds endpoints,teams\n  tollgate export --onto tollgate.yaml --to tollgate.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if onto != "" {
				text, err := os.ReadFile(a.path(onto))
				if err != nil {
					return fault.New(fault.InvalidArgument, "The file cannot be read: %v.", err)
				}
				req.Onto = text
			}
			a.allow(cmd, 0)
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.config.Export(ctx, &req)
				if err != nil {
					return err
				}
				if out != "" {
					if err := os.WriteFile(a.path(out), res.GetText(), 0o600); err != nil {
						return fault.New(fault.InvalidArgument, "The file cannot be written: %v.", err)
					}
					a.say("%s %s written (rev %d)", a.mark(true), out, res.GetRevision())
					return nil
				}
				_, err = a.Stdout.Write(res.GetText())
				return err
			})
		},
	}
	cmd.Flags().StringSliceVar(&req.Kinds, "kinds", nil, "only these kinds, such as endpoints,teams")
	cmd.Flags().StringVar(&req.Owner, "owner", "", "only what this owner owns")
	cmd.Flags().StringVar(&onto, "onto", "", "file whose order and comments are kept")
	cmd.Flags().StringVar(&out, "to", "", "file to write, in place of stdout")
	return cmd
}
