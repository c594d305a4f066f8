package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// What a check can come to.
const (
	checkGood = "ok"
	checkNote = "warning"
	checkBad  = "failed"
)

// check is one thing that was looked at.
type check struct {
	name, status, text, fix string
	edge                    string // that it is about; empty for none
}

func (c check) data() *object {
	out := &object{}
	out.set("name", c.name)
	out.set("status", c.status)
	if c.edge != "" {
		out.set("edge", c.edge)
	}
	out.set("text", c.text)
	if c.fix != "" {
		out.set("fix", c.fix)
	}
	return out
}

// examination looks at everything, in the order in which one thing needs the other.
type examination struct {
	*app
	edge    string // the only one to look at; empty for all
	targets bool   // whether targets are connected to
	checks  []check
}

func (x *examination) good(name, format string, args ...any) {
	x.checks = append(x.checks, check{name: name, status: checkGood, text: fmt.Sprintf(format, args...)})
}

func (x *examination) note(name, fix, format string, args ...any) {
	x.checks = append(x.checks, check{name: name, status: checkNote, text: sentence(fmt.Sprintf(format, args...)), fix: fix})
}

func (x *examination) bad(name, fix, format string, args ...any) {
	x.checks = append(x.checks, check{name: name, status: checkBad, text: sentence(fmt.Sprintf(format, args...)), fix: fix})
}

// on says which edge the checks since a place are about.
func (x *examination) on(edge string, since int) {
	for i := range x.checks[since:] {
		x.checks[since+i].edge = edge
	}
}

func (a *app) doctorCommand() *cobra.Command {
	var edge string
	var watch, noTargets bool
	var every time.Duration
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check everything, and say how to mend what is wrong", Args: exactly(),
		Long: `Check what this command and the deployment need, in the order in which one needs the other: the file of contexts, the
token, the control plane, its database, NATS and ledger, every edge, what edges cannot read, every target, and what is called
for nothing. Each finding that is marked ✗ has a fix. It ends with 1 if there is one, and with 0 if there are only notes (!).`,
		Example: "  tollgate doctor\n  tollgate doctor --edge fra-1 --no-targets -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !watch {
				x := a.examine(cmd, edge, !noTargets)
				if err := a.printChecks(x.checks); err != nil {
					return err
				}
				return a.verdict(x.checks)
			}
			return a.watchChecks(cmd, edge, !noTargets, every)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&edge, "edge", "", "look at this edge only")
	flags.BoolVar(&noTargets, "no-targets", false, "do not have edges connect to targets")
	flags.BoolVar(&watch, "watch", false, "check again and again, and show it when something changed")
	flags.DurationVar(&every, "every", 10*time.Second, "how long --watch waits between")
	return cmd
}

// examine looks at everything once.
func (a *app) examine(cmd *cobra.Command, edge string, targets bool) *examination {
	x := &examination{app: a, edge: edge, targets: targets}
	if !x.here() {
		return x
	}
	ctx, cancel, c, err := a.connect(cmd)
	if err != nil {
		f := a.describe(cmd.Context(), err)
		x.bad("connection", f.hint, "%s", f.message)
		return x
	}
	defer cancel()
	if x.server(ctx, c) {
		x.fleet(ctx, c)
		x.configuration(ctx, c)
	}
	return x
}

// watchChecks shows the findings when they change, until somebody ends it.
func (a *app) watchChecks(cmd *cobra.Command, edge string, targets bool, every time.Duration) error {
	var before []check
	for {
		a.found = nil // contexts may have changed
		x := a.examine(cmd, edge, targets)
		if cmd.Context().Err() != nil {
			break
		}
		if before == nil || !slices.EqualFunc(before, x.checks, sameFinding) {
			if before != nil && a.forPeople() {
				a.say("── %s ──", a.Now().Local().Format(time.TimeOnly))
			}
			if err := a.printChecks(x.checks); err != nil {
				return err
			}
		}
		before = x.checks
		if a.Pause(cmd.Context(), every) != nil {
			break
		}
	}
	return a.verdict(before)
}

// sameFinding leaves aside how long things took.
func sameFinding(a, b check) bool {
	return a.name == b.name && a.status == b.status && a.edge == b.edge && (a.status == checkGood || a.text == b.text)
}

func countBad(all []check) (bad, notes int) {
	for _, c := range all {
		switch c.status {
		case checkBad:
			bad++
		case checkNote:
			notes++
		}
	}
	return bad, notes
}

func (a *app) verdict(all []check) error {
	bad, notes := countBad(all)
	if bad > 0 {
		return &failure{exit: ExitFailed, message: fmt.Sprintf("%s of %d failed.", several(bad, "check"), len(all)), typed: true}
	}
	if notes > 0 {
		a.say("%s all %d checks passed, with %s", a.mark(true), len(all), several(notes, "note"))
	} else {
		a.say("%s all %d checks passed", a.mark(true), len(all))
	}
	return nil
}

func (a *app) printChecks(all []check) error {
	if a.forPeople() && len(a.columns) == 0 {
		return a.writeChecks(all)
	}
	r := result{table: table{head: []string{"CHECK", "STATUS", "EDGE", "TEXT", "FIX"}}}
	data := []any{}
	for _, c := range all {
		data = append(data, c.data())
		if c.status == checkBad {
			r.names = append(r.names, c.name)
		}
		r.table.add(c.name, c.status, first(c.edge, "-"), c.text, first(c.fix, "-"))
	}
	if r.data = data; a.format() != formatNDJSON {
		bad, notes := countBad(all)
		whole := &object{}
		whole.set("ok", bad == 0)
		whole.set("failed", bad)
		whole.set("warnings", notes)
		whole.set("checks", data)
		r.data = whole
	}
	return a.print(r)
}

// writeChecks is for people: a line for each check, and below those that are not good what to do.
func (a *app) writeChecks(all []check) error {
	widest := 0
	for _, c := range all {
		widest = max(widest, len(c.name))
	}
	colours := map[string]string{checkGood: green, checkNote: yellow, checkBad: red}
	marks := map[string]string{checkGood: "✓", checkNote: "!", checkBad: "✗"}
	for _, c := range all {
		mark := marks[c.status]
		if a.coloured(a.StdoutTerminal) {
			mark = "\x1b[" + colours[c.status] + "m" + mark + "\x1b[0m"
		}
		if _, err := fmt.Fprintf(a.Stdout, "%s %-*s  %s\n", mark, widest, c.name, c.text); err != nil {
			return err
		}
		if c.fix != "" && c.status != checkGood {
			if _, err := fmt.Fprintf(a.Stdout, "  %*s  fix: %s\n", widest, "", c.fix); err != nil {
				return err
			}
		}
	}
	return nil
}

// failing adds a finding for a call that failed, in the words that the command itself would have failed with. What the caller may
// not see is no fault of the deployment.
func (x *examination) failing(ctx context.Context, name string, err error) {
	f := x.describe(ctx, err)
	if f.exit == ExitDenied {
		x.note(name, "Use a token that may see it.", "not checked: %s", f.message)
		return
	}
	x.bad(name, f.hint, "%s", strings.TrimSuffix(f.message, "."))
}
