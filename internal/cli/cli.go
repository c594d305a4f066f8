// Package cli is the tollgate command as far as it talks to servers: it reads and writes what a
// control plane holds and sends requests through a gateway. Data goes to stdout and everything said
// about it to stderr; every failure has an exit code with one meaning. It starts no server and
// depends on no service: cmd/tollgate adds the commands that do.
package cli

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tollgate/internal/telemetry"
)

// Options are the surroundings of a command. New replaces what is nil.
type Options struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	HTTPClient     *http.Client     // for the control plane and the gateway
	Dir            string           // working directory; empty means the process's own
	Program        string           // how the reader calls this command, for what to do next
	Now            func() time.Time // for relative times and expiry

	// Whether a person is at the other end: tables are aligned then, and not asked for input.
	StdinTerminal, StdoutTerminal, StderrTerminal bool
}

// Process are the surroundings of this process.
func Process() Options {
	return Options{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
		Program:       program(os.Args),
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
	if o.HTTPClient == nil {
		o.HTTPClient = &http.Client{Transport: transport()}
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

// transport is the default one without its pool's long memory: a command makes few requests.
func transport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

// Root is the tollgate command, to which others can be added.
type Root struct {
	*cobra.Command

	app *app
}

// app is what the commands share.
type app struct {
	Options

	server, tokenFile, output string
	timeout                   time.Duration
	quiet, noHeaders          bool
	document                  priceDocument // that was read for this command
}

// The groups of the help text.
const (
	groupStart     = "start"
	groupUse       = "use"
	groupResources = "resources"
	groupOperate   = "operate"
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
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return a.checkOutput()
		},
	}
	cmd.SetVersionTemplate("tollgate {{.Version}}\n")
	cmd.SetIn(a.Stdin)
	cmd.SetOut(a.Stdout)
	cmd.SetErr(a.Stderr)
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage(c, "%s", err) })

	flags := cmd.PersistentFlags()
	flags.StringVar(&a.server, "server", "", "URL of the control plane (TOLLGATE_SERVER)")
	flags.StringVar(&a.tokenFile, "token-file", "", "file with the admin token (TOLLGATE_TOKEN holds the token itself)")
	flags.StringVarP(&a.output, "output", "o", "", "table, json, yaml or name (TOLLGATE_OUTPUT)")
	flags.BoolVar(&a.noHeaders, "no-headers", false, "print tables without their header")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "say nothing on stderr but errors")
	flags.DurationVar(&a.timeout, "timeout", 30*time.Second, "how long the control plane may take to answer")

	cmd.AddGroup(
		&cobra.Group{ID: groupStart, Title: "Start:"},
		&cobra.Group{ID: groupUse, Title: "Use:"},
		&cobra.Group{ID: groupResources, Title: "Resources:"},
		&cobra.Group{ID: groupOperate, Title: "Operate:"},
	)
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			cmd.AddCommand(c)
		}
	}
	add(groupUse, a.tryCommand(), a.explainCommand(), a.priceCommand())
	add(groupResources, a.endpointCommand(), a.modelCommand(), a.adapterCommand(), a.templateCommand(), a.keyCommand(), a.teamCommand(), a.budgetCommand(), a.limitCommand(), a.secretCommand(), a.pricesCommand())
	add(groupOperate, a.usageCommand(), a.requestsCommand(), a.reconcileCommand(), a.nodesCommand(), a.versionCommand())
	cmd.SetHelpCommand(a.helpCommand())
	cmd.SetHelpCommandGroupID(groupOperate)
	cmd.SetCompletionCommandGroupID(groupOperate)
	a.completeFlags(cmd)
	return &Root{Command: cmd, app: a}
}

// AddServerCommands adds commands that start servers; they stand first in the help text.
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
		r.AddCommand(c)
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
