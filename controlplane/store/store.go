// Package store holds every SQL statement of schema control. A change is one transaction: it locks
// the single revision row first, so that what the registry's rules are checked against cannot move,
// then writes the rows, an audit row, and a dirty row for each subject of the configuration stream
// that it touches. Nothing is published from here: the publisher reads what is committed.
//
// Errors that a caller can act on are faults; a database that is away is one of them.
package store

import (
	"context"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/pg"
)

// Schema is the one that this package owns.
const Schema = "control"

//go:embed migrations/*.sql
var files embed.FS

func migrations() fs.FS {
	sub, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // the directory is embedded above
	}
	return sub
}

// Migrate brings the schema to the version that this package needs.
func Migrate(ctx context.Context, databaseURL string, log *slog.Logger) error {
	return pg.Migrate(ctx, databaseURL, migrations(), Schema, log)
}

// Store reads and changes the configuration. It is safe for concurrent use.
type Store struct {
	pool *pgxpool.Pool
	own  *pgx.ConnConfig // how connections are made that hold a lock or listen
}

// Option changes what a store does.
type Option func(*Store)

// WithOwn has connections that hold a lock or listen made in another way than the pool's, which may
// go through a pooler of transactions.
func WithOwn(cfg *pgx.ConnConfig) Option { return func(s *Store) { s.own = cfg } }

// New makes a store on a pool that stays its caller's.
func New(pool *pgxpool.Pool, options ...Option) *Store {
	s := &Store{pool: pool, own: pool.Config().ConnConfig}
	for _, o := range options {
		o(s)
	}
	return s
}

// CheckSchema fails if migrations are pending.
func (s *Store) CheckSchema(ctx context.Context) error {
	return pg.CheckSchema(ctx, s.pool, migrations(), Schema)
}

// Ping says whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return translate(s.pool.Ping(ctx)) }

// State is how far the configuration and the stream are.
type State struct {
	Current   contract.Version // last committed change
	Published contract.Version // what the stream has in full
}

const selectState = `
	SELECT r.epoch, r.n, p.epoch, p.n
	FROM control.revision r CROSS JOIN control.published p`

// State reads how far the configuration and the stream are. Within a change that is open it has the revision that this will make.
func (s *Store) State(ctx context.Context) (State, error) {
	st, err := readState(ctx, s.db(ctx))
	if c := openChange(ctx); c != nil && err == nil && len(c.audit) > 0 {
		st.Current.Revision = c.revision
	}
	return st, translate(err)
}

func readState(ctx context.Context, db querier) (State, error) {
	var st State
	err := st.scan(db.QueryRow(ctx, selectState))
	return st, err
}

func (st *State) scan(row pgx.Row) error {
	if err := row.Scan(&st.Current.Epoch, &st.Current.Revision, &st.Published.Epoch, &st.Published.Revision); err != nil {
		return fmt.Errorf("read revision: %w", err)
	}
	return nil
}

// querier is a pool, a connection or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// executor also changes.
type executor interface {
	querier
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// translate turns the absence of the database into a fault. Other errors keep their form: faults
// are for the caller, and the rest becomes an internal error at the boundary.
func translate(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if pg.IsUnavailable(err) {
		return fault.New(fault.UnavailableErr, "The control plane's database cannot be reached. Traffic goes on; the configuration cannot be read or changed.").WithCause(err)
	}
	return err
}

func notFound(kind, ref string) error {
	return fault.New(fault.ObjectNotFound, "There is no %s %q.", kind, ref)
}

// Page asks for a part of a list in order of name.
type Page struct {
	Size  int    // 0 means 100, more than 1000 means 1000
	Token string // of the page before; empty for the first
}

// PageSize is how large a page is that asks for size.
func PageSize(size int) int {
	if size <= 0 {
		return 100
	}
	return min(size, 1000)
}

const tokenPrefix = "v1:"

// open gives the name after which the page begins, and how many rows to read: one more than the
// page has, to know whether there is another.
func (p Page) open() (after string, limit int, err error) {
	size := PageSize(p.Size)
	if p.Token == "" {
		return "", size + 1, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(p.Token)
	after, ok := strings.CutPrefix(string(raw), tokenPrefix)
	if err != nil || !ok || after == "" || strings.ContainsRune(after, 0) {
		return "", 0, BadToken()
	}
	return after, size + 1, nil
}

// BadToken is what to say to a page token that nobody handed out.
func BadToken() error {
	const reason = "The page token is not one that was handed out: use next_page_token of the page before as it is."
	return fault.New(fault.InvalidArgument, reason).
		WithViolations(fault.Violation{Field: "page_token", Code: "invalid", Reason: reason})
}

// closePage cuts the extra row and makes the token that leads to it.
func closePage[T any](rows []T, limit int, name func(*T) string) ([]T, string) {
	if len(rows) < limit {
		return rows, ""
	}
	rows = rows[:limit-1]
	return rows, base64.RawURLEncoding.EncodeToString([]byte(tokenPrefix + name(&rows[len(rows)-1])))
}

const selectNames = `
	SELECT k.id, k.name FROM control.key k WHERE k.id = ANY($1)
	UNION ALL
	SELECT e.id, e.name FROM control.endpoint e WHERE e.id = ANY($1)`

// Names finds the names of keys and endpoints by their ids. Those that do not exist are left out.
func (s *Store) Names(ctx context.Context, ids []string) (map[string]string, error) {
	out := map[string]string{}
	if len(ids) == 0 {
		return out, nil
	}
	all, err := list(ctx, s.db(ctx), "names", pgx.RowToStructByPos[named], selectNames, ids)
	if err != nil {
		return nil, translate(err)
	}
	for _, n := range all {
		out[n.ID] = n.Name
	}
	return out, nil
}
