package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	typemoney "google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

// The forms of output.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatYAML  = "yaml"
	formatName  = "name"
)

func (a *app) format() string { return first(a.output, a.Getenv("TOLLGATE_OUTPUT"), formatTable) }

func (a *app) checkOutput() error {
	if f := a.format(); !slices.Contains([]string{formatTable, formatJSON, formatYAML, formatName}, f) {
		return fault.New(fault.InvalidArgument, "There is no output %q.", f).WithHint("Use -o table, json, yaml or name.")
	}
	return nil
}

// table is text in columns. Columns in right are aligned to the right.
type table struct {
	head  []string
	right []string
	rows  [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// result is one answer in all its forms.
type result struct {
	data  any      // for json and yaml
	names []string // for name
	table table
}

// print writes data to stdout in the form that was asked for.
func (a *app) print(r result) error {
	switch a.format() {
	case formatJSON:
		enc := json.NewEncoder(a.Stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(r.data)
	case formatYAML:
		enc := yaml.NewEncoder(a.Stdout)
		enc.SetIndent(2)
		if err := enc.Encode(r.data); err != nil {
			return err
		}
		return enc.Close()
	case formatName:
		for _, name := range r.names {
			fmt.Fprintln(a.Stdout, name)
		}
		return nil
	default:
		if a.noHeaders {
			r.table.head = nil
		}
		return writeTable(a.Stdout, r.table, a.StdoutTerminal)
	}
}

// writeTable aligns columns for people and separates them by tabs for programs.
func writeTable(w io.Writer, t table, aligned bool) error {
	lines := t.rows
	if t.head != nil {
		lines = append([][]string{t.head}, t.rows...)
	}
	if !aligned {
		for _, line := range lines {
			cells := make([]string, len(line))
			for i, c := range line {
				cells[i] = strings.NewReplacer("\t", " ", "\n", " ", "\r", " ").Replace(c)
			}
			if _, err := fmt.Fprintln(w, strings.Join(cells, "\t")); err != nil {
				return err
			}
		}
		return nil
	}
	var widths []int
	for _, line := range lines {
		for i, c := range line {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, line := range lines {
		var b strings.Builder
		for i, c := range line {
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if i > 0 {
				b.WriteString("  ")
			}
			if i < len(t.head) && slices.Contains(t.right, t.head[i]) {
				b.WriteString(gap + c)
			} else {
				b.WriteString(c + gap)
			}
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// done says what was written, and what one may do next. In the forms for programs the thing itself
// goes to stdout.
func (a *app) done(r result, next, format string, args ...any) error {
	a.say("%s %s", a.mark(true), fmt.Sprintf(format, args...))
	if next != "" {
		a.say("  next: %s", next)
	}
	if a.format() == formatTable {
		return nil
	}
	return a.print(r)
}

// say writes a line about the data to stderr.
func (a *app) say(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.Stderr, format+"\n", args...)
	}
}

// mark is a tick or a cross, coloured for people who have not asked for none.
func (a *app) mark(good bool) string {
	symbol, colour := "✗", "31"
	if good {
		symbol, colour = "✓", "32"
	}
	if !a.StderrTerminal || a.Getenv("NO_COLOR") != "" || a.Getenv("TERM") == "dumb" {
		return symbol
	}
	return "\x1b[" + colour + "m" + symbol + "\x1b[0m"
}

// dollars is an amount for tables.
func dollars(m *typemoney.Money) string {
	if m == nil {
		return "-"
	}
	amount, err := contract.MoneyFromProto(m)
	if err != nil {
		return "?"
	}
	return amount.Dollars()
}

// when is a time for tables: how far away for people, exact for programs.
func (a *app) when(ts *timestamppb.Timestamp) string {
	if ts == nil {
		return "-"
	}
	t := ts.AsTime()
	if !a.StdoutTerminal {
		return t.UTC().Format(time.RFC3339)
	}
	d := a.Now().Sub(t)
	if d < 0 {
		return "in " + roughly(-d)
	}
	return roughly(d) + " ago"
}

func roughly(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%dh", d/time.Hour)
	default:
		return fmt.Sprintf("%dd", d/day)
	}
}

// list joins words, or says that there are none in the word given.
func list(words []string, none string) string {
	if len(words) == 0 {
		return none
	}
	return strings.Join(words, ",")
}
