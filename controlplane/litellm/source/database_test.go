package source_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/litellm/source"
	"tollgate/internal/config"
	"tollgate/internal/fault"
	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// restore loads the dump as psql does.
func restore(ctx context.Context, url string) error {
	raw, err := os.ReadFile("testdata/dump.sql")
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // a test's connection
	rest := string(raw)
	for {
		sql, copied, ok := strings.Cut(rest, "COPY ")
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
		if !ok {
			return nil
		}
		head, body, _ := strings.Cut(copied, ";\n")
		rows, after, _ := strings.Cut(body, "\\.\n")
		if _, err := conn.PgConn().CopyFrom(ctx, strings.NewReader(rows), "COPY "+head); err != nil {
			return err
		}
		rest = after
	}
}

func nothing(context.Context, string) error { return nil }

// Guarantee: LiteLLM's database says the same as a dump of it.
func TestDatabase(t *testing.T) {
	t.Parallel()
	got, err := source.ReadDatabase(t.Context(), config.Secret(testenv.PostgresURL(t, restore)))
	if err != nil {
		t.Fatal(err)
	}
	got.From = "dump.sql"
	if diff := cmp.Diff(show(t, convert(t, records(t, tables(t)))), show(t, convert(t, got))); diff != "" {
		t.Errorf("-dump +database\n%s", diff)
	}
}

// Guarantee: a database that is not LiteLLM's, or cannot be reached, is an error that shows no password.
func TestDatabaseThatIsNone(t *testing.T) {
	t.Parallel()
	empty := testenv.PostgresURL(t, nothing)
	for _, url := range []string{empty, "postgres://u:hunter2@127.0.0.1:1/x", "postgres://u:hunter2@%zz"} {
		_, err := source.ReadDatabase(t.Context(), config.Secret(url))
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || strings.Contains(f.Message, "hunter2") {
			t.Errorf("%v", err)
		}
	}
}
