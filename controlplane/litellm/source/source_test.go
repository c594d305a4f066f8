package source_test

import (
	"bytes"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/litellm"
	"tollgate/controlplane/litellm/source"
	"tollgate/controlplane/litellm/store"
	"tollgate/internal/fault"
	"tollgate/internal/plan"
)

var update = flag.Bool("update", false, "write the golden files")

// read is when the test data were read.
var read = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func convert(t *testing.T, r *litellm.Records) *plan.Plan {
	t.Helper()
	p, err := litellm.Converter{Now: read}.ConvertWith("LiteLLM", nil, r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func lines[M proto.Message](t *testing.T, out *strings.Builder, kind string, all ...M) {
	t.Helper()
	for _, m := range all {
		raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := json.Compact(&b, raw); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(out, "%s %s\n", kind, b.String())
	}
}

// show is a plan, a line for each object.
func show(t *testing.T, p *plan.Plan) string {
	t.Helper()
	var out strings.Builder
	lines(t, &out, "endpoint", p.Endpoints...)
	lines(t, &out, "team", p.Teams...)
	lines(t, &out, "customer", p.Customers...)
	lines(t, &out, "tag", p.Tags...)
	for _, k := range p.Keys {
		lines(t, &out, "key "+hex.EncodeToString(k.SHA256[:4]), k.Message())
	}
	lines(t, &out, "budget", p.Budgets...)
	lines(t, &out, "limit", p.Limits...)
	if p.Settings.Values != nil {
		lines(t, &out, "settings "+strings.Join(p.Settings.Given, ","), p.Settings.Values)
	}
	for _, r := range p.Raises {
		fmt.Fprintf(&out, "raise %s by %s until %s\n", r.Budget, r.By.Dollars(), r.Until.Format(time.RFC3339))
	}
	for _, one := range p.People {
		fmt.Fprintf(&out, "person %s %q %s", one.Email, one.Name, one.Role)
		for _, m := range one.Teams {
			fmt.Fprintf(&out, " %s:%s", m.GetTeam(), m.GetRole())
		}
		out.WriteByte('\n')
	}
	for _, n := range p.Notes {
		fmt.Fprintf(&out, "%s: %s: %s\n", n.Level, n.Path, n.Text)
	}
	return out.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// Guarantee: a dump in the form of pg_dump comes to exactly these keys, teams, people, customers, tags, budgets with what is spent,
// and limits; and what does not come over is said.
func TestDump(t *testing.T) {
	t.Parallel()
	r, err := source.ReadDump("testdata/dump.sql")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "dump.txt", show(t, convert(t, r)))
}

// tables is the dump as rows of text.
func tables(t *testing.T) map[string][]litellm.Row {
	t.Helper()
	f, err := os.Open("testdata/dump.sql")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it was read
	all, err := store.ParseDump(f, source.Tables())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Guarantee: a dump with INSERT, with the names of columns or without, over several lines, and CSV files say the same as one with COPY.
func TestOtherFormsOfDumps(t *testing.T) {
	t.Parallel()
	all := tables(t)
	want := show(t, convert(t, records(t, all)))
	raw, err := os.ReadFile("testdata/dump.sql")
	if err != nil {
		t.Fatal(err)
	}
	created, _, _ := strings.Cut(string(raw), "COPY ")
	columns := columnsOf(created)
	var named, bare strings.Builder
	bare.WriteString(created)
	dir := t.TempDir()
	for table, rows := range all {
		var csvFile bytes.Buffer
		out := csv.NewWriter(&csvFile)
		check(t, out.Write(columns[table]))
		for _, row := range rows {
			var values, plainValues []string
			for _, c := range columns[table] {
				value, ok := row[c].(string)
				plainValues = append(plainValues, value)
				if ok {
					values = append(values, "'"+strings.ReplaceAll(value, "'", "''")+"'")
				} else {
					values = append(values, "NULL")
				}
			}
			fmt.Fprintf(&named, "INSERT INTO public.\"%s\" (%s)\nVALUES\n\t(%s);\n", table, strings.Join(columns[table], ", "), strings.Join(values, ", "))
			fmt.Fprintf(&bare, "INSERT INTO public.\"%s\" VALUES (%s);\n", table, strings.Join(values, ", "))
			check(t, out.Write(plainValues))
		}
		out.Flush()
		check(t, os.WriteFile(filepath.Join(dir, table+".csv"), csvFile.Bytes(), 0o600))
	}
	for name, text := range map[string]string{"named": named.String(), "bare": bare.String()} {
		got, err := store.ParseDump(strings.NewReader(text), source.Tables())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, show(t, convert(t, records(t, got)))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	r, err := source.ReadDump(dir)
	if err != nil {
		t.Fatal(err)
	}
	r.From = "dump.sql"
	if diff := cmp.Diff(want, show(t, convert(t, r))); diff != "" {
		t.Errorf("csv: %s", diff)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func records(t *testing.T, all map[string][]litellm.Row) *litellm.Records {
	t.Helper()
	r, err := source.OfTables("dump.sql", all)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func columnsOf(created string) map[string][]string {
	out := map[string][]string{}
	table := ""
	for line := range strings.Lines(created) {
		switch {
		case strings.HasPrefix(line, "CREATE TABLE"):
			table = strings.Split(line, `"`)[1]
		case strings.HasPrefix(line, "    "):
			out[table] = append(out[table], strings.Fields(line)[0])
		}
	}
	return out
}

// Guarantee: what is no dump is refused with the reason, and nothing is made of a part of it.
func TestBrokenDumps(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"PGDMP\x01": "pg_restore",
		"COPY public.\"LiteLLM_TeamTable\" (team_id, spend) FROM stdin;\na\n\\.\n": "1 values for 2 columns",
		"COPY public.\"LiteLLM_TeamTable\" (team_id) FROM stdin;\na\n":             "do not end",
		"INSERT INTO public.\"LiteLLM_TeamTable\" VALUES ('a');\n":                 "without the names",
		"INSERT INTO public.\"LiteLLM_TeamTable\" (team_id) VALUES ('a":            "does not end",
		"SELECT 1;\n": "no table of LiteLLM's",
	} {
		name := filepath.Join(t.TempDir(), "dump.sql")
		check(t, os.WriteFile(name, []byte(text), 0o600))
		_, err := source.ReadDump(name)
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || !strings.Contains(f.Message, want) {
			t.Errorf("%.30q: %v, want %q", text, err, want)
		}
	}
}

// FuzzParseDump: whatever a dump has in it, it is read or refused.
func FuzzParseDump(f *testing.F) {
	for _, seed := range []string{
		"COPY public.\"LiteLLM_TeamTable\" (team_id, team_alias) FROM stdin;\na\t\\N\n\\.\n",
		"INSERT INTO \"LiteLLM_TeamTable\" (team_id) VALUES ('a''b'), (E'c\\n'::text);",
		"CREATE TABLE public.\"LiteLLM_TeamTable\" (\n    team_id text\n);\nINSERT INTO public.\"LiteLLM_TeamTable\" VALUES (NULL);",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := store.ParseDump(strings.NewReader(text), source.Tables())
		if err != nil {
			return
		}
		if r, err := source.OfTables("fuzz", all); err == nil {
			if p, err := (litellm.Converter{Now: read, AcceptGuardrailLoss: true}).ConvertWith("fuzz", nil, r); err == nil {
				if _, err := litellm.Inputs("fuzz", p); err != nil {
					t.Error(err)
				}
			}
		}
	})
}
