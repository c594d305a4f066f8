package pg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// versionTable is in each schema, so that a schema carries its own history and
// can be dumped, restored or dropped alone.
const versionTable = "goose_version"

// Migrate brings a schema to the newest version in migrations, the .sql files
// at the root of the file system, and creates the schema first if needed.
// Concurrent calls are safe: one applies, the others wait and find nothing to
// do. A failing migration leaves the ones before it applied.
func Migrate(ctx context.Context, url string, migrations fs.FS, schema string, log *slog.Logger) error {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("database URL: %w", hidePassword(err))
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if err := createSchema(ctx, cfg, schema); err != nil {
		return fmt.Errorf("migrate %s: %w", schema, err)
	}
	// The lock is polled, not waited for: a blocked statement holds a snapshot,
	// and CREATE INDEX CONCURRENTLY waits for all of those.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return fmt.Errorf("migrate %s: %w", schema, err)
	}
	db := stdlib.OpenDB(*cfg)
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations,
		goose.WithTableName(schema+"."+versionTable),
		goose.WithSessionLocker(locker),
		goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()),
	)
	if err != nil {
		return fmt.Errorf("migrate %s: %w", schema, err)
	}
	applied, err := provider.Up(ctx)
	for _, m := range applied {
		log.InfoContext(ctx, "migration applied", "schema", schema, "file", path.Base(m.Source.Path), "took", m.Duration)
	}
	if failed, ok := errors.AsType[*goose.PartialError](err); ok {
		return fmt.Errorf("migrate %s: %s: %w", schema, path.Base(failed.Failed.Source.Path), failed.Err)
	}
	if err != nil {
		return fmt.Errorf("migrate %s: %w", schema, err)
	}
	return nil
}

func createSchema(ctx context.Context, cfg *pgx.ConnConfig, schema string) error {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	// Looking first lets a role without the right to create schemas migrate
	// one that was made for it.
	var exists bool
	if err := conn.QueryRow(ctx, `SELECT to_regnamespace($1) IS NOT NULL`, pgx.Identifier{schema}.Sanitize()).Scan(&exists); err != nil || exists {
		return err
	}
	_, err = conn.Exec(ctx, `CREATE SCHEMA IF NOT EXISTS `+pgx.Identifier{schema}.Sanitize())
	if _, raced := IsUnique(err); raced {
		return nil // IF NOT EXISTS does not cover two at the same moment
	}
	return err
}

// BehindError says that a schema lacks migrations this binary needs.
type BehindError struct {
	Schema  string
	Missing []int64
}

// Error tells the operator what to do.
func (e *BehindError) Error() string {
	missing := make([]string, len(e.Missing))
	for i, v := range e.Missing {
		missing[i] = strconv.FormatInt(v, 10)
	}
	return fmt.Sprintf("schema %s lacks migration %s: run tollgate migrate", e.Schema, strings.Join(missing, ", "))
}

// Pending lists the migrations a schema lacks. It only reads. A schema that is
// ahead of this binary has none: migrations come before the new binaries, and
// every one tolerates the old ones.
func Pending(ctx context.Context, pool *pgxpool.Pool, migrations fs.FS, schema string) ([]int64, error) {
	wanted, err := versions(migrations)
	if err != nil {
		return nil, err
	}
	rows, err := pool.Query(ctx, `SELECT version_id FROM `+pgx.Identifier{schema, versionTable}.Sanitize()+` WHERE is_applied`)
	var applied []int64
	if err == nil {
		applied, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok && (pe.Code == "42P01" || pe.Code == "3F000") {
		return wanted, nil // no such table or schema: nothing was ever applied
	}
	if err != nil {
		return nil, fmt.Errorf("version of schema %s: %w", schema, err)
	}
	return slices.DeleteFunc(wanted, func(v int64) bool { return slices.Contains(applied, v) }), nil
}

// CheckSchema is Pending for a role that serves: it must not start on a schema
// that is behind, and gets a *BehindError that says what to run.
func CheckSchema(ctx context.Context, pool *pgxpool.Pool, migrations fs.FS, schema string) error {
	missing, err := Pending(ctx, pool, migrations, schema)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return &BehindError{Schema: schema, Missing: missing}
	}
	return nil
}

func versions(migrations fs.FS) ([]int64, error) {
	files, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		return nil, err
	}
	all := make([]int64, 0, len(files))
	for _, f := range files {
		v, err := goose.NumericComponent(f)
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", f, err)
		}
		all = append(all, v)
	}
	slices.Sort(all)
	return all, nil
}
