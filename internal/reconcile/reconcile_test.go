package reconcile_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/fault"
	"tollgate/internal/money"
	"tollgate/internal/reconcile"
)

const dollar = money.Dollar

var columns = reconcile.Columns{Time: "Date", Subject: "Item", Amount: "Amount (USD)", Quantity: "Calls", Currency: "Currency"}

func read(t *testing.T, text string, f reconcile.Format) *reconcile.Invoice {
	t.Helper()
	inv, err := reconcile.Read(strings.NewReader(text), f)
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

func compare(t *testing.T, inv *reconcile.Invoice, usage []reconcile.Usage, o reconcile.Options) *reconcile.Report {
	t.Helper()
	r, err := reconcile.Compare(inv, usage, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

const november = "\ufeffdate , ITEM,Amount (USD),calls,currency,note\n" +
	"2026-11-01,bria,36.00,3,USD,\"two\nlines\"\n" +
	"2026-11-01,bria,$0.000000001,,usd,\n" +
	"2026-11-02,other,-1.5,1,USD,a credit\n"

// Guarantee: invoice and books are added up by day and endpoint to the nano-dollar, and what only one
// of them has is in the report too.
func TestCompare(t *testing.T) {
	t.Parallel()
	inv := read(t, november, reconcile.Format{Columns: columns})
	if from, to, byHour := inv.Span(reconcile.Options{}); from != "2026-11-01" || to != "2026-11-02" || byHour {
		t.Errorf("Span = %s %s %v", from, to, byHour)
	}
	got := compare(t, inv, []reconcile.Usage{
		{Day: "2026-11-01", Endpoint: "bria", Requests: 2, Cost: 24 * dollar},
		{Hour: "2026-11-01T23", Endpoint: "bria", Requests: 1, Cost: 12 * dollar},
		{Day: "2026-11-02", Endpoint: "third", Requests: 7, Cost: 7},
		{Day: "2026-11-03", Endpoint: "bria", Requests: 1, Cost: 12 * dollar},
	}, reconcile.Options{})
	want := &reconcile.Report{
		From: "2026-11-01", To: "2026-11-02",
		Rows: []reconcile.Row{
			{Day: "2026-11-01", Endpoint: "bria", Invoice: 36*dollar + 1, Ours: 36 * dollar, Difference: 1, Lines: 2, Quantity: 3, Requests: 3},
			{Day: "2026-11-02", Endpoint: "other", Invoice: -3 * dollar / 2, Difference: -3 * dollar / 2, Lines: 1, Quantity: 1},
			{Day: "2026-11-02", Endpoint: "third", Ours: 7, Difference: -7, Requests: 7},
		},
		Total: reconcile.Row{Invoice: 36*dollar + 1 - 3*dollar/2, Ours: 36*dollar + 7, Difference: -3*dollar/2 - 6, Lines: 3, Quantity: 4, Requests: 10},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got.Agrees() {
		t.Error("it agrees")
	}
}

// Guarantee: a difference of exactly the tolerance is within it, one nano-dollar more is not, and a
// report agrees only if all rows are within it and all lines were read.
func TestTolerance(t *testing.T) {
	t.Parallel()
	f := reconcile.Format{Columns: reconcile.Columns{Time: "d", Subject: "e", Amount: "a"}}
	ours := []reconcile.Usage{{Day: "2026-11-01", Endpoint: "x", Cost: dollar}}
	for _, c := range []struct {
		lines     string
		tolerance money.Nanos
		want      bool
	}{
		{"2026-11-01,x,1.00\n", 0, true},
		{"2026-11-01,x,1.01\n", dollar / 100, true},
		{"2026-11-01,x,0.99\n", dollar / 100, true},
		{"2026-11-01,x,0.989999999\n", dollar / 100, false},
		{"2026-11-01,x,1.010000001\n", dollar / 100, false},
		{"2026-11-01,x,1.00\n2026-11-01,x,broken\n", dollar, false},
		{"2026-11-01,x,1.00\n2026-11-01,y,0.01\n", 0, false},
	} {
		r := compare(t, read(t, "d,e,a\n"+c.lines, f), ours, reconcile.Options{Tolerance: c.tolerance})
		if r.Agrees() != c.want {
			t.Errorf("%q within %s: %v, %+v", c.lines, c.tolerance, r.Agrees(), r)
		}
	}
}

// Guarantee: the vendor's days are the days of its zone, for its lines and for our hours alike, and
// hours that cannot be sorted into them are refused and not guessed.
func TestZone(t *testing.T) {
	t.Parallel()
	tokyo := zone(t, "Asia/Tokyo") // nine hours ahead
	f := reconcile.Format{Columns: reconcile.Columns{Time: "t", Subject: "e", Amount: "a"}, Zone: tokyo}
	inv := read(t, "t,e,a\n2026-11-01T14:59:59Z,x,1\n2026-11-01T15:00:00Z,x,2\n2026-11-02,x,4\n2026-11-02T00:00:00,x,8\n2026-11-01 20:00:00 -0500,x,16\n", f)
	if from, to, byHour := inv.Span(reconcile.Options{}); from > "2026-10-31" || to < "2026-11-02" || !byHour {
		t.Errorf("Span = %s %s %v", from, to, byHour)
	}
	r := compare(t, inv, []reconcile.Usage{
		{Hour: "2026-11-01T14", Endpoint: "x", Requests: 1, Cost: dollar},
		{Hour: "2026-11-01T15", Endpoint: "x", Requests: 4, Cost: 30 * dollar},
		{Hour: "2026-10-31T14", Endpoint: "x", Requests: 1, Cost: dollar},
	}, reconcile.Options{})
	if !r.Agrees() || len(r.Rows) != 2 || r.Rows[0].Invoice != dollar || r.Rows[1].Invoice != 30*dollar {
		t.Errorf("%+v", r)
	}
	var refused *fault.Error
	if _, err := reconcile.Compare(inv, []reconcile.Usage{{Day: "2026-11-01", Endpoint: "x"}}, reconcile.Options{}); !errors.As(err, &refused) {
		t.Errorf("UTC days: %v", err)
	}
	f.Zone = zone(t, "Asia/Kolkata") // five hours and a half ahead
	inv = read(t, "t,e,a\n2026-11-01,x,1\n", f)
	if _, err := reconcile.Compare(inv, []reconcile.Usage{{Hour: "2026-11-01T12", Endpoint: "x"}}, reconcile.Options{}); err != nil {
		t.Errorf("an hour within a day: %v", err)
	}
	if _, err := reconcile.Compare(inv, []reconcile.Usage{{Hour: "2026-11-01T18", Endpoint: "x"}}, reconcile.Options{}); !errors.As(err, &refused) {
		t.Errorf("an hour that midnight divides: %v", err)
	}
	// Clocks jumped over this midnight.
	f.Zone = zone(t, "America/Sao_Paulo")
	inv = read(t, "t,e,a\n2018-11-04,x,1\n2018-11-04T00:30:00,x,1\n", f)
	if r := compare(t, inv, nil, reconcile.Options{}); len(r.Rows) != 1 || r.Rows[0].Day != "2018-11-04" {
		t.Errorf("%+v", r)
	}
}

// Guarantee: only the days that are asked for are compared, and lines outside are counted.
func TestDays(t *testing.T) {
	t.Parallel()
	f := reconcile.Format{Columns: reconcile.Columns{Time: "d", Subject: "e", Amount: "a"}}
	inv := read(t, "d,e,a\n2026-11-01,x,1\n2026-11-02,x,2\n2026-11-03,x,4\n", f)
	o := reconcile.Options{From: "2026-11-02", To: "2026-11-30"}
	if from, to, _ := inv.Span(o); from != o.From || to != o.To {
		t.Errorf("Span = %s %s", from, to)
	}
	r := compare(t, inv, []reconcile.Usage{{Day: "2026-11-04", Endpoint: "x", Cost: 1}, {Day: "2026-12-01", Endpoint: "x", Cost: 1}}, o)
	if r.Outside != 1 || len(r.Rows) != 3 || r.Total.Invoice != 6*dollar || r.Total.Ours != 1 {
		t.Errorf("%+v", r)
	}
	if _, err := reconcile.Compare(inv, nil, reconcile.Options{From: "tomorrow"}); err == nil {
		t.Error("a day that is none")
	}
	empty := read(t, "d,e,a\n", f)
	if r := compare(t, empty, nil, reconcile.Options{}); !r.Agrees() || len(r.Rows) != 0 {
		t.Errorf("nothing against nothing: %+v", r)
	}
	if from, to, _ := empty.Span(reconcile.Options{}); from != "" || to != "" {
		t.Errorf("Span = %s %s", from, to)
	}
}

// Guarantee: the table goes before the rules and the first rule that matches counts; a text that
// nothing maps is a problem, unless there is no mapping at all.
func TestMapping(t *testing.T) {
	t.Parallel()
	table, err := reconcile.ReadTable(strings.NewReader("Image Generation, bria\nVAT,-\n\"a, b\",both\n"))
	if err != nil {
		t.Fatal(err)
	}
	var rules []reconcile.Rule
	for _, text := range []string{"^Image=images", `model=(\w+)=$1`, "(?i)tax=-", "^Empty(x?)=$1"} {
		r, err := reconcile.ParseRule(text)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, r)
	}
	f := reconcile.Format{
		Columns: reconcile.Columns{Time: "d", Subject: "e", Amount: "a"},
		Mapping: reconcile.Mapping{Table: table, Rules: rules},
	}
	inv := read(t, "d,e,a\n"+
		"2026-11-01,Image Generation,1\n2026-11-01,Image Editing,2\n2026-11-01,call model=gaia now,4\n"+
		"2026-11-01,VAT,8\n2026-11-01,Sales Tax,16\n2026-11-01,\"a, b\",32\n2026-11-01,nothing known,64\n2026-11-01,Empty,128\n", f)
	r := compare(t, inv, nil, reconcile.Options{})
	got := map[string]money.Nanos{}
	for _, row := range r.Rows {
		got[row.Endpoint] = row.Invoice / dollar
	}
	if d := cmp.Diff(map[string]money.Nanos{"bria": 1, "images": 2, "gaia": 4, "both": 32}, got); d != "" {
		t.Error(d)
	}
	if r.Ignored != 2 || r.IgnoredAmount != 24*dollar || inv.Lines != 6 {
		t.Errorf("ignored %d lines of %s, read %d", r.Ignored, r.IgnoredAmount, inv.Lines)
	}
	if d := cmp.Diff([]reconcile.Problem{
		{Line: 8, Text: `no rule says which endpoint "nothing known" is about`}, {Line: 9, Text: `no rule says which endpoint "Empty" is about`},
	}, r.Problems); d != "" {
		t.Error(d)
	}

	// Without a subject, everything is one endpoint, or nothing is known.
	f = reconcile.Format{Columns: reconcile.Columns{Time: "d", Amount: "a"}}
	if inv := read(t, "d,a\n2026-11-01,1\n", f); len(inv.Problems) != 1 {
		t.Errorf("no subject, no rule: %+v", inv)
	}
	f.Mapping.Rules = []reconcile.Rule{{Pattern: regexp.MustCompile(""), Endpoint: "bria"}}
	if r := compare(t, read(t, "d,a\n2026-11-01,1\n", f), nil, reconcile.Options{}); len(r.Rows) != 1 || r.Rows[0].Endpoint != "bria" {
		t.Errorf("one endpoint: %+v", r)
	}
}

// Guarantee: a rule or a table that cannot be meant so is refused.
func TestMappingRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "bria", "x=", "(=bria"} {
		if r, err := reconcile.ParseRule(text); err == nil {
			t.Errorf("%q is %v", text, r)
		}
	}
	for _, text := range []string{"a\n", "a,b,c\n", "a,\n", "a,b\na,c\n", "\"a,b\n"} {
		if m, err := reconcile.ReadTable(strings.NewReader(text)); err == nil {
			t.Errorf("%q is %v", text, m)
		}
	}
}

// Guarantee: each line that cannot be read is named with the number that an editor shows, and the
// lines around it count.
func TestProblems(t *testing.T) {
	t.Parallel()
	lines := []struct{ text, want string }{
		{"2026-11-01,x,1,1,USD", ""},
		{"2026-13-01,x,1,1,USD", "is not a day"},
		{"11/12/2026,x,1,1,USD", "one of two days"},
		{"1026-11-01,x,1,1,USD", "something was charged"},
		{",x,1,1,USD", "is not a day"},
		{"2026-11-01,x,1.0000000001,1,USD", "more than nine decimals"},
		{"2026-11-01,x,\"1,000.00\",1,USD", "not a decimal"},
		{"2026-11-01,x,1e3,1,USD", "not a decimal"},
		{"2026-11-01,x,,1,USD", "not a decimal"},
		{"2026-11-01,x,99999999999,1,USD", "does not fit"},
		{"2026-11-01,x,1,one,USD", "whole number"},
		{"2026-11-01,x,1,1,EUR", `currency "EUR"`},
		{"2026-11-01,x,1,1,", `currency "" is not USD`},
		{"2026-11-01,,1,1,USD", "what it is about"},
		{"2026-11-01,x", "2 fields"},
		{"2026-11-01,x\"y,1,1,USD", "bare"},
		{"2026-11-01,x,9223372036,1,USD", "does not fit"},
		{"2026-11-01,x,1,9223372036854775807,USD", "do not fit"},
		{"2026-11-01,x,2,2,USD", ""},
	}
	var b strings.Builder
	b.WriteString("date,item,amount (usd),calls,currency\n")
	for _, l := range lines {
		b.WriteString(l.text + "\n")
	}
	inv := read(t, b.String(), reconcile.Format{Columns: columns})
	at := map[int]string{}
	for _, p := range inv.Problems {
		at[p.Line] = p.Text
	}
	for i, l := range lines {
		if got := at[i+2]; (l.want == "") != (got == "") || !strings.Contains(got, l.want) {
			t.Errorf("line %d, %s: %q, want %q", i+2, l.text, got, l.want)
		}
	}
	if r := compare(t, inv, nil, reconcile.Options{}); r.Total.Invoice != 3*dollar || r.Total.Quantity != 3 || r.Agrees() {
		t.Errorf("%+v", r)
	}
}

// Guarantee: an order of day and month is taken from the caller and never guessed.
func TestOrder(t *testing.T) {
	t.Parallel()
	for order, want := range map[reconcile.Order]string{reconcile.MonthFirst: "2026-01-02", reconcile.DayFirst: "2026-02-01"} {
		inv := read(t, "d;e;a\n01/02/2026;x;1\n1/2/2026 13:00;x;1\n", reconcile.Format{
			Columns: reconcile.Columns{Time: "d", Subject: "e", Amount: "a"}, Comma: ';', Order: order,
		})
		if r := compare(t, inv, nil, reconcile.Options{}); len(r.Rows) != 1 || r.Rows[0].Day != want || len(r.Problems) != 0 {
			t.Errorf("%+v", r)
		}
	}
}

// Guarantee: an invoice of which nothing can be read is an error that says what to name.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"", "empty"},
		{"\"a\n", "first line"},
		{"when,item,amount\n", `no column "Date"`},
	} {
		_, err := reconcile.Read(strings.NewReader(c.text), reconcile.Format{Columns: columns})
		f, ok := errors.AsType[*fault.Error](err)
		if text := fmt.Sprintf("%v %+v", err, f); !ok || !strings.Contains(text, c.want) {
			t.Errorf("%q: %v", c.text, text)
		}
	}
	if _, err := reconcile.Read(strings.NewReader("a,b\n"), reconcile.Format{}); err == nil {
		t.Error("no columns were named")
	}
	broken := errors.New("the disk is gone")
	_, err := reconcile.Read(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(november))), reconcile.Format{Columns: columns})
	if err == nil {
		t.Error("a reader that fails")
	}
	_, err = reconcile.Read(iotest.ErrReader(broken), reconcile.Format{Columns: columns})
	if !errors.Is(err, broken) && err == nil {
		t.Errorf("got %v", err)
	}
}

// Guarantee: no file makes the reader panic, and what it reads is in the sums, ignored or a problem.
func FuzzRead(f *testing.F) {
	f.Add(november)
	f.Add("date,item,amount (usd),calls,currency\n2026-11-01,x,9223372036.854775807,9,USD\n2026-11-01,x,1,1,USD\n")
	f.Add("date,item,amount (usd),calls,currency\n\"\n2026-11-01,tax,-1,,USD")
	rule, err := reconcile.ParseRule("tax=-")
	if err != nil {
		f.Fatal(err)
	}
	rest, err := reconcile.ParseRule("(.*)=$1")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		inv, err := reconcile.Read(strings.NewReader(text), reconcile.Format{
			Columns: columns, Order: reconcile.DayFirst, Mapping: reconcile.Mapping{Rules: []reconcile.Rule{rule, rest}},
		})
		if err != nil {
			return
		}
		last := 0
		for _, p := range inv.Problems {
			if p.Line < last || p.Text == "" {
				t.Errorf("problem %+v after line %d", p, last)
			}
			last = p.Line
		}
		r, err := reconcile.Compare(inv, nil, reconcile.Options{})
		if err != nil {
			if !errors.Is(err, money.ErrOverflow) {
				t.Error(err)
			}
			return
		}
		if r.Total.Lines+r.Ignored != inv.Lines || r.Total.Difference != r.Total.Invoice {
			t.Errorf("%+v of %d lines", r, inv.Lines)
		}
	})
}
