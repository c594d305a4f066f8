package cli

import (
	"encoding/csv"
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
	formatTable  = "table"
	formatWide   = "wide"
	formatJSON   = "json"
	formatYAML   = "yaml"
	formatNDJSON = "ndjson"
	formatCSV    = "csv"
	formatName   = "name"
)

var formats = []string{formatTable, formatWide, formatJSON, formatYAML, formatNDJSON, formatCSV, formatName}

func (a *app) format() string {
	if a.jq != "" {
		return formatJSON
	}
	return first(a.output, a.Getenv("TOLLGATE_OUTPUT"), formatTable)
}

// forPeople says whether the answer is a text rather than a form for programs.
func (a *app) forPeople() bool { return a.format() == formatTable || a.format() == formatWide }

func (a *app) checkOutput() error {
	if f := a.format(); !slices.Contains(formats, f) {
		return fault.New(fault.InvalidArgument, "There is no output %q.", f).WithHint("Use -o %s.", strings.Join(formats, ", "))
	}
	if !slices.Contains(colors, a.color) {
		return fault.New(fault.InvalidArgument, "There is no --color %q.", a.color).WithHint("Use --color %s.", strings.Join(colors, ", "))
	}
	return a.checkJQ()
}

// table is text in columns. Columns in right are aligned to the right, and those in wide are left out where there is
// little room.
type table struct {
	head  []string
	right []string
	wide  []string
	rows  [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// pick is the table with these columns only, in this order.
func (t table) pick(columns []string) table {
	out := table{right: t.right}
	var at []int
	for _, c := range columns {
		i := slices.Index(t.head, c)
		at, out.head = append(at, i), append(out.head, c)
	}
	for _, row := range t.rows {
		cells := make([]string, len(at))
		for i, from := range at {
			cells[i] = row[from]
		}
		out.rows = append(out.rows, cells)
	}
	return out
}

// shown is what of a table is shown: the columns that were asked for, or those that the form has room for.
func (a *app) shown(t table) (table, error) {
	switch {
	case t.head == nil:
		return t, nil
	case len(a.columns) > 0:
		var columns []string
		for _, c := range a.columns {
			name := strings.ToUpper(strings.TrimSpace(c))
			if !slices.Contains(t.head, name) {
				return t, fault.New(fault.InvalidArgument, "There is no column %q.", c).WithHint("The columns are %s.", strings.Join(t.head, ", "))
			}
			columns = append(columns, name)
		}
		return t.pick(columns), nil
	case a.format() == formatTable && len(t.wide) > 0:
		return t.pick(slices.DeleteFunc(slices.Clone(t.head), func(c string) bool { return slices.Contains(t.wide, c) })), nil
	default:
		return t, nil
	}
}

// result is one answer in all its forms.
type result struct {
	data  any      // for json, yaml and ndjson
	names []string // for name
	table table
}

// print writes data to stdout in the form that was asked for.
func (a *app) print(r result) error {
	switch a.format() {
	case formatJSON:
		if a.jq != "" {
			return a.printJQ(r.data)
		}
		enc := json.NewEncoder(a.Stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(r.data)
	case formatNDJSON:
		enc := json.NewEncoder(a.Stdout)
		enc.SetEscapeHTML(false)
		lines, ok := r.data.([]any)
		if !ok {
			lines = []any{r.data}
		}
		for _, line := range lines {
			if err := enc.Encode(line); err != nil {
				return err
			}
		}
		return nil
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
	}
	t, err := a.shown(r.table)
	if err != nil {
		return err
	}
	if a.noHeaders {
		t.head = nil
	}
	if a.format() == formatCSV {
		return writeCSV(a.Stdout, t)
	}
	most := a.Width
	if a.format() == formatWide {
		most = 0
	}
	return writeTable(a.Stdout, t, a.StdoutTerminal, most)
}

func writeCSV(w io.Writer, t table) error {
	out := csv.NewWriter(w)
	if t.head != nil {
		_ = out.Write(t.head) // Flush keeps the error
	}
	for _, row := range t.rows {
		_ = out.Write(row)
	}
	out.Flush()
	return out.Error()
}

// narrowest is how short the cells of a column may become.
const narrowest = 12

// writeTable aligns columns for people and separates them by tabs for programs. With most, the longest columns are
// shortened until a line has no more columns than that.
func writeTable(w io.Writer, t table, aligned bool, most int) error {
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
	widths := widthsOf(lines)
	if t.head != nil && most > 0 {
		shorten(widths, most)
	}
	for _, line := range lines {
		var b strings.Builder
		for i, c := range line {
			if n := utf8.RuneCountInString(c); n > widths[i] {
				c = string([]rune(c)[:widths[i]-1]) + "…"
			}
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

func widthsOf(lines [][]string) []int {
	var widths []int
	for _, line := range lines {
		for i, c := range line {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	return widths
}

// shorten takes from the widest column until all fit, or none can give more.
func shorten(widths []int, most int) {
	total := 2 * (len(widths) - 1)
	for _, n := range widths {
		total += n
	}
	for ; total > most; total-- {
		widest := 0
		for i, n := range widths {
			if n > widths[widest] {
				widest = i
			}
		}
		if len(widths) == 0 || widths[widest] <= narrowest {
			return
		}
		widths[widest]--
	}
}

// done says what was written, and what one may do next. In the forms for programs the thing itself
// goes to stdout.
func (a *app) done(r result, next, format string, args ...any) error {
	if a.dryRun {
		a.say("~ dry run: %s; nothing was changed", strings.TrimSuffix(fmt.Sprintf(format, args...), "."))
	} else {
		a.say("%s %s", a.mark(true), fmt.Sprintf(format, args...))
		if next != "" {
			a.say("  next: %s", next)
		}
	}
	if a.forPeople() {
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

// The colours that are used, each for one meaning.
const (
	red    = "31" // failed, or dangerous
	green  = "32" // done
	yellow = "33" // worth a look
)

var colors = []string{"auto", "always", "never"}

// coloured says whether what goes to a terminal, or elsewhere, has colours.
func (a *app) coloured(terminal bool) bool {
	switch {
	case a.color == "always":
		return true
	case a.color == "never" || a.Getenv("NO_COLOR") != "":
		return false
	case a.Getenv("CLICOLOR_FORCE") != "" && a.Getenv("CLICOLOR_FORCE") != "0":
		return true
	default:
		return terminal && a.Getenv("TERM") != "dumb"
	}
}

// paint colours a text for stderr.
func (a *app) paint(colour, text string) string {
	if !a.coloured(a.StderrTerminal) {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// mark is a tick or a cross, coloured for people who have not asked for none.
func (a *app) mark(good bool) string {
	if good {
		return a.paint(green, "✓")
	}
	return a.paint(red, "✗")
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
	if !a.StdoutTerminal || a.format() != formatTable {
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
