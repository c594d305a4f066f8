// Package cli is the tollgate command as far as it talks to servers: it reads and writes what a
// control plane holds and sends requests through a gateway. Data goes to stdout and everything said
// about it to stderr; every failure has an exit code with one meaning. It starts no server and
// depends on no service: cmd/tollgate adds the commands that do.
package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tollgate/internal/cli/contexts"
	"tollgate/internal/telemetry"
)

// Options are the surroundings of a command. New replaces what is nil.
type Options struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	HTTPClient     *http.Client     // for the control plane and the gateway
	Keyring        contexts.Keyring // where tokens are kept; nil for none
	Dir            string           // working directory; empty means the process's own
	Program        string           // how the reader calls this command, for what to do next
	Now            func() time.Time // for relative times and expiry
	Width          int              // columns of the terminal; 0 if not known

	Password func(prompt string) ([]byte, error) // asks for what must not be seen; nil where nobody can be asked

	Browse func(ctx context.Context, url string) error      // opens a browser; nil for none
	Pause  func(ctx context.Context, d time.Duration) error // waits, and fails when the context ends before

	// Whether a person is at the other end: tables are aligned then, and not asked for input.
	StdinTerminal, StdoutTerminal, StderrTerminal bool
}

// Process are the surroundings of this process.
func Process() Options {
	return Options{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
		Program: program(os.Args), Keyring: contexts.System{}, Width: width(os.Stdout), Browse: browse, Password: password,
		StdinTerminal: terminal(os.Stdin), StdoutTerminal: terminal(os.Stdout), StderrTerminal: terminal(os.Stderr),
	}
}

// program is the command as it was typed: one that is not on the path is not found without its folder.
func program(args []string) string {
	if len(args) > 0 && strings.ContainsRune(args[0], filepath.Separator) {
		return args[0]
	}
	return ""
}

func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// width is how many columns a terminal has; 0 where there is none.
func width(f *os.File) int {
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

// password reads a line from the terminal without showing it.
func password(prompt string) ([]byte, error) {
	fmt.Fprint(os.Stderr, prompt)
	defer fmt.Fprintln(os.Stderr)
	return term.ReadPassword(int(os.Stdin.Fd()))
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (o Options) complete() Options {
	if o.Stdin == nil {
		o.Stdin = strings.NewReader("")
	}
	if o.Stdout == nil {
		o.Stdout = io.Discard
	}
	if o.Stderr == nil {
		o.Stderr = io.Discard
	}
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if o.Pause == nil {
		o.Pause = pause
	}
	if o.Dir == "" {
		o.Dir = "."
	}
	if o.Program == "" {
		o.Program = "tollgate"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Root is the tollgate command, to which others can be added.
type Root struct {
	*cobra.Command

	app *app
}

// app is what the commands share.
type app struct {
	Options

	context, server, tokenFile, caFile string
	output, jq, color                  string
	columns                            []string
	timeout                            time.Duration
	quiet, noHeaders, yes, noInput     bool
	verbose, debug                     bool
	dryRun, force                      bool // of commands that write
	web                                bool // of commands that read

	document priceDocument // that was read for this command
	found    *place        // where it is carried out, once that is known
	written  written       // what it has changed
}

// The groups of the help text.
const (
	groupStart     = "start"
	groupUse       = "use"
	groupConfigure = "configure"
	groupResources = "resources"
	groupOperate   = "operate"
	groupAccount   = "account"
)

// New makes the command with everything but what starts servers.
func New(o Options) *Root {
	a := &app{Options: o.complete()}
	cmd := &cobra.Command{
		Use:           "tollgate",
		Short:         "Put any HTTP API behind one address, with keys, prices and budgets",
		Version:       telemetry.Version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          group,
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			if err := a.checkOutput(); err != nil {
				return err
			}
			return a.confirm(cmd, args)
		},
	}
	cmd.SetVersionTemplate("tollgate {{.Version}}\n")
	cmd.SetIn(a.Stdin)
	cmd.SetOut(a.Stdout)
	cmd.SetErr(a.Stderr)
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage(c, "%s", err) })

	a.globalFlags(cmd)
	cmd.AddGroup(
		&cobra.Group{ID: groupStart, Title: "Start:"},
		&cobra.Group{ID: groupUse, Title: "Use:"},
		&cobra.Group{ID: groupConfigure, Title: "Configure:"},
		&cobra.Group{ID: groupResources, Title: "Resources:"},
		&cobra.Group{ID: groupOperate, Title: "Operate:"},
		&cobra.Group{ID: groupAccount, Title: "Account:"},
	)
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			cmd.AddCommand(c)
		}
	}
	add(groupUse, a.tryCommand(), a.explainCommand(), a.tailCommand(), a.priceCommand(), a.searchCommand(), a.openCommand())
	add(groupConfigure, a.configCommand(), a.settingsCommand(), a.templateCommand(), a.pricesCommand())
	add(groupResources, a.endpointCommand(), a.modelCommand(), a.adapterCommand(), a.keyCommand(), a.teamCommand(), a.customerCommand(),
		a.tagCommand(), a.budgetCommand(), a.limitCommand(), a.secretCommand(), a.alertCommand())
	add(groupOperate, a.usageCommand(), a.requestsCommand(), a.reconcileCommand(), a.edgeCommand(), a.auditCommand(), a.topCommand(), a.doctorCommand(), a.statusCommand(), a.attentionCommand())
	add(groupAccount, a.loginCommand(), a.logoutCommand(), a.whoamiCommand(), a.contextCommand(), a.personCommand(), a.tokenCommand(), a.versionCommand())
	cmd.AddCommand(a.manCommand())
	cmd.SetHelpCommand(a.helpCommand())
	cmd.SetHelpCommandGroupID(groupAccount)
	cmd.SetCompletionCommandGroupID(groupAccount)
	a.completeFlags(cmd)
	return &Root{Command: cmd, app: a}
}

// AddServerCommands adds commands that start servers; they stand first in the help text. One that is called as a noun is
// gets what can be done with that: `edge` alone runs an edge, and `edge list` lists them all.
func (r *Root) AddServerCommands(cmds ...*cobra.Command) {
	for _, c := range cmds {
		c.GroupID = groupStart
		if check := c.Args; check != nil {
			c.Args = func(c *cobra.Command, args []string) error {
				if err := check(c, args); err != nil {
					return usage(c, "%s", err)
				}
				return nil
			}
		}
		for _, noun := range r.Commands() {
			if noun.Name() == c.Name() {
				r.RemoveCommand(noun)
				takeOver(c, noun)
			}
		}
		r.AddCommand(c)
	}
}

// takeOver gives a command the commands and the aliases of a noun of its name.
func takeOver(c, noun *cobra.Command) {
	verbs := noun.Commands()
	noun.RemoveCommand(verbs...)
	c.AddCommand(verbs...)
	c.Aliases = append(c.Aliases, noun.Aliases...)
	run := c.RunE
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.CalledAs() != cmd.Name() {
			return noun.RunE(cmd, args)
		}
		return run(cmd, args)
	}
}

// Run carries out one command line and answers with the exit code. What went wrong is on stderr.
func (r *Root) Run(ctx context.Context, args []string) int {
	r.SetArgs(args)
	if err := r.ExecuteContext(ctx); err != nil {
		return r.app.fail(ctx, err)
	}
	return ExitOK
}

// Main is Run in the surroundings of this process. Each of extend may add commands first.
func Main(ctx context.Context, args []string, extend ...func(*Root)) int {
	root := New(Process())
	for _, add := range extend {
		add(root)
	}
	return root.Run(ctx, args)
}

// group is what a command does that has commands below it: without arguments it shows them.
func group(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	return unknownCommand(cmd, args[0])
}

func unknownCommand(cmd *cobra.Command, name string) error {
	if cmd.SuggestionsMinimumDistance <= 0 {
		cmd.SuggestionsMinimumDistance = 2
	}
	for _, similar := range cmd.SuggestionsFor(name) {
		return usage(cmd, "Unknown command %q. Did you mean %s?", name, similar)
	}
	return usage(cmd, "Unknown command %q.", name)
}

// exactly takes this many arguments, named as in the usage line.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usage(cmd, "%s is missing.", names[len(args)])
		case len(args) > len(names):
			return usage(cmd, "Unexpected argument %q.", args[len(names)])
		}
		return nil
	}
}

// exclusive refuses flags that contradict each other.
func exclusive(cmd *cobra.Command, names ...string) error {
	var given []string
	for _, name := range names {
		if cmd.Flags().Changed(name) {
			given = append(given, "--"+name)
		}
	}
	if len(given) > 1 {
		return usage(cmd, "Give only one of %s.", strings.Join(given, " and "))
	}
	return nil
}
