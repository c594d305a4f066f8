// Package store holds every SQL statement of schema ledger. What money may do is decided in package
// escrow; this package loads the part of the book that a decision needs, locked, and writes what the
// decision changed, in one transaction.
//
// Only a Leader writes. Each of its transactions locks the row of its partition first and changes
// nothing if that row has passed to another leader. Everybody may read.
package store

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/pg"
)

// Schema is the one that this package owns.
const Schema = "ledger"

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

// Store reads the ledger and makes leaders. It is safe for concurrent use.
type Store struct {
	pool        *pgxpool.Pool
	own         *pgx.ConnConfig // how leaders' connections are made
	keepRecords bool
}

// Option changes what a store does.
type Option func(*Store)

// WithoutRecords keeps sums of settled attempts and no record of each, for a deployment that has those
// elsewhere.
func WithoutRecords() Option { return func(s *Store) { s.keepRecords = false } }

// WithOwn has the connections of leaders made in another way than the pool's, which may go through a
// pooler of transactions.
func WithOwn(cfg *pgx.ConnConfig) Option { return func(s *Store) { s.own = cfg } }

// New makes a store on a pool that stays its caller's.
func New(pool *pgxpool.Pool, options ...Option) *Store {
	s := &Store{pool: pool, own: pool.Config().ConnConfig, keepRecords: true}
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

// translate gives the errors of reads a kind that callers can act on.
func translate(err error) error {
	if pg.IsUnavailable(err) {
		return fault.New(fault.UnavailableErr, "The ledger's database cannot be reached.").WithCause(err)
	}
	return err
}

// windowSet is a set of account-windows as the arrays that statements unnest, in the order in which
// rows are locked.
type windowSet struct {
	list     []contract.Window
	accounts []int64
	gens     []int64
	starts   []int64
}

func windowSetOf(ws []contract.Window) windowSet {
	ws = slices.Clone(ws)
	slices.SortFunc(ws, contract.Window.Compare)
	s := windowSet{list: slices.Compact(ws)}
	for _, w := range s.list {
		s.accounts = append(s.accounts, w.Account)
		s.gens = append(s.gens, int64(w.Gen))
		s.starts = append(s.starts, w.Start)
	}
	return s
}

// queue adds a statement to a batch and has each of its rows scanned.
func queue(b *pgx.Batch, sql string, args []any, scan func(pgx.CollectableRow) error) {
	b.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		_, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (struct{}, error) {
			return struct{}{}, scan(row)
		})
		return err
	})
}
