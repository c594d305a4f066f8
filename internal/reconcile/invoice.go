package reconcile

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/internal/fault"
	"tollgate/internal/money"
)

// Columns name the columns of an invoice by their titles in its first line. Titles match without
// regard to case and to spaces around them.
type Columns struct {
	// Time has the day, or the time, that a line is about. Required.
	Time string
	// Subject has the endpoint or a text that a mapping turns into one. Without it every line has an
	// empty text, for a mapping that turns anything into the same endpoint.
	Subject string
	// Amount has what the line charges: US dollars as a decimal such as 12.00, or -0.5 for a credit,
	// with up to nine decimals. A dollar sign before the digits is passed over. Required.
	Amount string
	// Quantity has a whole number of whatever the vendor counts. Optional.
	Quantity string
	// Currency has a code that must be USD on every line. Optional; without it amounts are taken for
	// US dollars.
	Currency string
}

// Order says how dates with slashes are read.
type Order uint8

// The orders.
const (
	// NoSlashes refuses them, as 01/02/2026 could be either of two days.
	NoSlashes Order = iota
	// MonthFirst reads 01/02/2026 as 2 January.
	MonthFirst
	// DayFirst reads it as 1 February.
	DayFirst
)

// Format is the form of an invoice.
type Format struct {
	Columns Columns
	// Comma divides fields; 0 means a comma.
	Comma rune
	// Zone is where the vendor's days begin, and the zone of times that name none. nil means UTC.
	Zone *time.Location
	// Order is how dates with slashes are read. Without slashes a day is 2026-11-01, 20261101 or
	// 1 Nov 2026 or Nov 1, 2026; a time is 2026-11-01T13:00:00Z, with an offset or without, with a
	// space for the T, with or without seconds.
	Order Order
	// Mapping turns subjects into endpoints.
	Mapping Mapping
}

// Problem is a line that is not in the sums.
type Problem struct {
	Line int // as an editor counts them
	Text string
}

// String names the line.
func (p Problem) String() string { return fmt.Sprintf("line %d: %s", p.Line, p.Text) }

// Invoice is what a vendor charges, added up by day and endpoint.
type Invoice struct {
	Problems      []Problem // lines that could not be read, in their order
	Lines         int64     // lines that were, the ignored ones among them
	Ignored       int64     // lines that the mapping leaves out
	IgnoredAmount money.Nanos

	zone *time.Location
	sums map[group]sum
}

type sum struct {
	amount          money.Nanos
	quantity, lines int64
}

// Read reads an invoice. It fails where nothing of it can be read: no line of titles, a column that
// is not there, or a reader that fails. Lines that are wrong become problems.
func Read(r io.Reader, f Format) (*Invoice, error) {
	if f.Zone == nil {
		f.Zone = time.UTC
	}
	in := csv.NewReader(r)
	in.FieldsPerRecord = -1
	in.ReuseRecord = true
	if f.Comma != 0 {
		in.Comma = f.Comma
	}
	titles, err := in.Read()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return nil, fault.New(fault.InvalidArgument, "The invoice is empty.").WithHint("Its first line has to name the columns.")
		}
		return nil, fault.New(fault.InvalidArgument, "The first line of the invoice cannot be read: %v.", err)
	}
	p := parser{Format: f, inv: &Invoice{zone: f.Zone, sums: map[group]sum{}}}
	if err := p.find(titles); err != nil {
		return nil, err
	}
	for {
		fields, err := in.Read()
		if errors.Is(err, io.EOF) {
			return p.inv, nil
		}
		if bad, ok := errors.AsType[*csv.ParseError](err); ok {
			p.problem(bad.StartLine, "%v", bad.Err)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the invoice: %w", err)
		}
		line, _ := in.FieldPos(0)
		if err := p.line(fields); err != nil {
			p.problem(line, "%v", err)
		}
	}
}

// days are the first and the last day of the invoice; both are empty if it has none.
func (inv *Invoice) days() (first, last string) {
	for g := range inv.sums {
		if first == "" || g.day < first {
			first = g.day
		}
		last = max(last, g.day)
	}
	return first, last
}

// Span is the UTC days of usage that Compare needs: those that touch the vendor's days from the first
// to the last, or those of the options where they name some. ByHour says that usage must be by hour,
// because the vendor's days are not UTC days. Both days are empty if there is nothing to compare.
func (inv *Invoice) Span(o Options) (from, to string, byHour bool) {
	first, last := inv.days()
	if o.From != "" {
		first = o.From
	}
	if o.To != "" {
		last = o.To
	}
	begin, errFrom := time.ParseInLocation(time.DateOnly, first, inv.zone)
	end, errTo := time.ParseInLocation(time.DateOnly, last, inv.zone)
	if errFrom != nil || errTo != nil {
		return "", "", false
	}
	if inv.zone == time.UTC {
		return first, last, false
	}
	// Midnight may not exist, and is never more than a few hours away from where it is looked for.
	return dayOf(begin.Add(-4*time.Hour), time.UTC), dayOf(end.AddDate(0, 0, 1).Add(4*time.Hour), time.UTC), true
}

type parser struct {
	Format
	inv                                       *Invoice
	time, subject, amount, quantity, currency int // indices of columns; -1: there is none
}

// find looks up the columns.
func (p *parser) find(titles []string) error {
	known := make([]string, len(titles))
	for i, t := range titles {
		known[i] = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(t, "\ufeff")))
	}
	var violations []fault.Violation
	look := func(field, title string, required bool) int {
		if title == "" {
			if required {
				violations = append(violations, fault.Violation{Field: field, Code: "required", Reason: "the column has to be named"})
			}
			return -1
		}
		i := slices.Index(known, strings.ToLower(strings.TrimSpace(title)))
		if i < 0 {
			violations = append(violations, fault.Violation{
				Field: field, Code: "not_found", Reason: fmt.Sprintf("there is no column %q among %s", title, strings.Join(known, ", ")),
			})
		}
		return i
	}
	c := p.Columns
	p.time = look("time", c.Time, true)
	p.subject = look("subject", c.Subject, false)
	p.amount = look("amount", c.Amount, true)
	p.quantity = look("quantity", c.Quantity, false)
	p.currency = look("currency", c.Currency, false)
	if len(violations) > 0 {
		return fault.New(fault.InvalidArgument, "The invoice does not have the columns that are asked for.").WithViolations(violations...)
	}
	return nil
}

func (p *parser) problem(line int, format string, args ...any) {
	p.inv.Problems = append(p.inv.Problems, Problem{line, fmt.Sprintf(format, args...)})
}

// line adds a line up, or says why it cannot.
func (p *parser) line(fields []string) error {
	field := func(i int) string {
		if i < 0 {
			return ""
		}
		return strings.TrimSpace(fields[i])
	}
	if last := max(p.time, p.subject, p.amount, p.quantity, p.currency); last >= len(fields) {
		return fmt.Errorf("it has %d fields, and column %d is needed", len(fields), last+1)
	}
	day, err := p.day(field(p.time))
	if err != nil {
		return err
	}
	amount, err := money.Parse(undollar(field(p.amount)))
	if err != nil {
		return fmt.Errorf("amount %q: %w", field(p.amount), err)
	}
	if c := field(p.currency); p.currency >= 0 && !strings.EqualFold(c, "USD") {
		return fmt.Errorf("currency %q is not USD", c)
	}
	var quantity int64
	if text := field(p.quantity); text != "" {
		if quantity, err = strconv.ParseInt(text, 10, 64); err != nil {
			return fmt.Errorf("quantity %q is not a whole number", text)
		}
	}
	text := field(p.subject)
	endpoint, ok := p.Mapping.endpoint(text)
	switch {
	case !ok && p.subject < 0:
		return errors.New("no rule says which endpoint it is about")
	case !ok && text == "":
		return errors.New("it does not say what it is about")
	case !ok:
		return fmt.Errorf("no rule says which endpoint %q is about", text)
	case endpoint == Ignore:
		sum, err := p.inv.IgnoredAmount.Add(amount)
		if err != nil {
			return fmt.Errorf("add it up: %w", err)
		}
		p.inv.IgnoredAmount = sum
		p.inv.Ignored++
		p.inv.Lines++
		return nil
	}
	s := p.inv.sums[group{day, endpoint}]
	if s.amount, err = s.amount.Add(amount); err != nil {
		return fmt.Errorf("add it up: %w", err)
	}
	if q := s.quantity + quantity; (quantity > 0) != (q > s.quantity) && quantity != 0 {
		return errors.New("add up quantities: they do not fit")
	}
	s.quantity += quantity
	s.lines++
	p.inv.sums[group{day, endpoint}] = s
	p.inv.Lines++
	return nil
}

// undollar takes the dollar sign off an amount.
func undollar(s string) string {
	if rest, ok := strings.CutPrefix(s, "-$"); ok {
		return "-" + rest
	}
	return strings.TrimPrefix(s, "$")
}

// Layouts of texts that name an instant, and of those that name a day of the vendor's, with a time of
// it or without.
var (
	instants = []string{
		time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 Z07:00", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05 UTC",
	}
	days = []string{
		time.DateOnly, "20060102", "2006/01/02", "2 Jan 2006", "Jan 2, 2006", "January 2, 2006",
		"2006-01-02T15:04:05", time.DateTime, "2006-01-02T15:04", "2006-01-02 15:04",
	}
	slashed = map[Order][]string{
		MonthFirst: {"1/2/2006", "1/2/2006 15:04:05", "1/2/2006 15:04"},
		DayFirst:   {"2/1/2006", "2/1/2006 15:04:05", "2/1/2006 15:04"},
	}
)

// day is the vendor's day of a text.
func (p *parser) day(text string) (string, error) {
	for _, layout := range instants {
		if t, err := time.Parse(layout, text); err == nil {
			return plausible(dayOf(t, p.Zone))
		}
	}
	// Not in the vendor's zone, where midnight may not exist: it is the day that counts.
	for _, layout := range slices.Concat(days, slashed[p.Order]) {
		if t, err := time.Parse(layout, text); err == nil {
			return plausible(t.Format(time.DateOnly))
		}
	}
	if strings.ContainsRune(text, '/') && p.Order == NoSlashes {
		return "", fmt.Errorf("%q could be one of two days: say whether the month or the day comes first", text)
	}
	return "", fmt.Errorf("%q is not a day such as 2026-11-01 or a time such as 2026-11-01T13:00:00Z", text)
}

// plausible refuses days of other centuries, which are mistakes, and whose years do not sort as text.
func plausible(day string) (string, error) {
	if len(day) != len(time.DateOnly) || day < "2000-01-01" || day > "2999-12-31" {
		return "", fmt.Errorf("%s is not a day on which something was charged", day)
	}
	return day, nil
}
