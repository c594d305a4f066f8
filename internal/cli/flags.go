package cli

import (
	"bufio"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tollgate/internal/cli/contexts"
)

// globalFlags are those of all commands.
func (a *app) globalFlags(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVarP(&a.context, "context", "c", "", "context to work in (TOLLGATE_CONTEXT)")
	flags.StringVar(&a.server, "server", "", "URL of the control plane (TOLLGATE_SERVER)")
	flags.StringVar(&a.tokenFile, "token-file", "", "file with the token (TOLLGATE_TOKEN holds the token itself)")
	flags.StringVar(&a.caFile, "ca-file", "", "PEM file of authorities to trust beside the system's (TOLLGATE_CA_FILE)")
	flags.StringVarP(&a.output, "output", "o", "", "table, wide, json, yaml, ndjson, csv or name (TOLLGATE_OUTPUT)")
	flags.StringSliceVar(&a.columns, "columns", nil, "columns of tables and CSV, in this order")
	flags.BoolVar(&a.noHeaders, "no-headers", false, "print tables without their header")
	flags.StringVar(&a.jq, "jq", "", "what to take of the JSON, in the language of jq")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "say nothing on stderr but errors")
	flags.BoolVarP(&a.yes, "yes", "y", false, "do not ask")
	flags.BoolVar(&a.noInput, "no-input", false, "never ask: fail where an answer is needed (TOLLGATE_NO_INPUT)")
	flags.StringVar(&a.color, "color", "auto", "auto, always or never")
	flags.BoolVar(&a.verbose, "verbose", false, "tell on stderr of every call of the API")
	flags.BoolVar(&a.debug, "debug", false, "tell on stderr of every call, with what was sent and answered but for secrets")
	flags.DurationVar(&a.timeout, "timeout", 30*time.Second, "how long the control plane may take to answer")
}

// reads gives commands the flags of those that show something.
func (a *app) reads(cmds ...*cobra.Command) {
	for _, c := range cmds {
		c.Flags().BoolVar(&a.web, "web", false, "open it in the console instead")
	}
}

// writes gives commands the flags of those that change something.
func (a *app) writes(cmds ...*cobra.Command) {
	for _, c := range cmds {
		c.Flags().BoolVar(&a.dryRun, "dry-run", false, "let the server check it, and change nothing")
		c.Flags().BoolVar(&a.force, "force", false, "change it even if a file manages it")
	}
}

// destructive marks a command that takes something away that others may need.
const destructive = "destructive"

func (a *app) destroys(cmds ...*cobra.Command) {
	for _, c := range cmds {
		c.Annotations = map[string]string{destructive: "yes"}
	}
	a.writes(cmds...)
}

// confirm asks before something is taken away from a context of production.
func (a *app) confirm(cmd *cobra.Command, args []string) error {
	if cmd.Annotations[destructive] == "" || a.yes || a.dryRun {
		return nil
	}
	p, err := a.place()
	if err != nil || p.Env != contexts.Production {
		return err
	}
	what := first(append(args, p.name)...)
	if a.noInput || a.Getenv("TOLLGATE_NO_INPUT") != "" || !a.StdinTerminal || !a.StderrTerminal {
		return usage(cmd, "Context %s is for production: confirm with --yes.", p.name)
	}
	fmt.Fprintf(a.Stderr, "%s %s %s. Type %s to go on: ", a.paint(red, p.name+" (production)"), cmd.CommandPath(), what, what)
	typed, err := bufio.NewReader(a.Stdin).ReadString('\n')
	if strings.TrimSpace(typed) == what {
		return nil
	}
	if err != nil {
		fmt.Fprintln(a.Stderr)
	}
	return &failure{exit: ExitInterrupted, message: "Nothing was done.", typed: true}
}
