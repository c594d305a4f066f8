// Package store reads the tables of a LiteLLM proxy: in its PostgreSQL database, all as they are at one moment, or in what pg_dump
// wrote of it. It writes nothing there, and needs no more than to be allowed to select.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/litellm"
)

// Each row is read as JSON: it has numbers as they are written, whatever LiteLLM's version calls its columns.
const (
	selectTables = `
		SELECT c.relname::text FROM pg_catalog.pg_class c
		WHERE c.relkind IN ('r', 'p', 'v') AND pg_catalog.pg_table_is_visible(c.oid) AND c.relname = ANY($1)`
	selectRows = `SELECT to_jsonb(t)::text FROM %s t`
)

// within bounds how long the tables are read.
const within = 10 * time.Minute

// Read reads tables of a database by its URL. Those that are not there are left out.
func Read(ctx context.Context, url string, names []string) (map[string][]litellm.Row, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("it is no URL of a PostgreSQL database") // the error has the password in it
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", cfg.Host, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	tables := map[string][]litellm.Row{}
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, selectTables, names)
		if err != nil {
			return err
		}
		there, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, name := range there {
			if tables[name], err = readTable(ctx, tx, name); err != nil {
				return fmt.Errorf("read %s: %w", name, err)
			}
		}
		return nil
	})
	return tables, err
}

func readTable(ctx context.Context, tx pgx.Tx, name string) ([]litellm.Row, error) {
	rows, err := tx.Query(ctx, fmt.Sprintf(selectRows, pgx.Identifier{name}.Sanitize()))
	if err != nil {
		return nil, err
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (litellm.Row, error) {
		var text string
		if err := row.Scan(&text); err != nil {
			return nil, err
		}
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		var one litellm.Row
		err := dec.Decode(&one)
		return one, err
	})
	if out == nil {
		out = []litellm.Row{}
	}
	return out, err
}
