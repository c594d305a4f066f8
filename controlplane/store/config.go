package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/registry"
	"tollgate/internal/contract"
	"tollgate/internal/pg"
)

// Config is the part of the configuration that is to be published, as of one revision.
type Config struct {
	State
	Dirty         []string // subjects, sorted
	KeyShards     []uint32 // shards that Keys is the whole of
	AccountShards []uint32 // shards that Budgets is the whole of
	Routes        bool     // whether Endpoints, RouteBudgets and Secrets were read

	Keys         []PublishedKey // by hash
	Budgets      []registry.Budget
	Endpoints    []registry.Endpoint
	RouteBudgets []registry.Budget // of endpoint scope and of everything
	Secrets      []StoredSecret    // that endpoints refer to
}

// PublishedKey is a key as edges check it.
type PublishedKey struct {
	Shard       uint32
	SHA256      []byte
	ID, Name    string
	Expires     *time.Time
	Revoked     *time.Time
	Restricted  bool
	EndpointIDs []string
	Budgets     []registry.Budget
}

// StoredSecret is a secret as the database has it.
type StoredSecret struct {
	ID, Name string
	Envelope []byte
}

const (
	selectDirty         = `SELECT d.subject FROM control.dirty d ORDER BY d.subject`
	selectKeyShards     = `SELECT DISTINCT k.shard FROM control.key k ORDER BY k.shard`
	selectAccountShards = `SELECT DISTINCT (b.account_id % 64)::integer AS shard FROM control.budget b ORDER BY shard`

	selectPublishedKeys = `
		SELECT k.shard, k.sha256, k.id, k.name, k.expire_time, k.revoke_time, k.restricted,
			ARRAY(SELECT ke.endpoint_id FROM control.key_endpoint ke WHERE ke.key_id = k.id ORDER BY ke.endpoint_id)
		FROM control.key k WHERE k.shard = ANY($1) ORDER BY k.sha256`
	selectKeyBudgets   = `SELECT ` + budgetColumns + budgetTables + `WHERE k.shard = ANY($1) ORDER BY b.account_id`
	selectShardBudgets = `SELECT ` + budgetColumns + budgetTables + `WHERE b.account_id % 64 = ANY($1) ORDER BY b.account_id`
	selectRouteBudgets = `SELECT ` + budgetColumns + budgetTables + `WHERE b.key_id IS NULL ORDER BY b.account_id`
	selectAllEndpoints = `SELECT ` + endpointColumns + ` FROM control.endpoint e ORDER BY e.name`
	selectUsedSecrets  = `
		SELECT s.id, s.name, s.envelope FROM control.secret s
		WHERE EXISTS (SELECT FROM control.endpoint_secret es WHERE es.secret_id = s.id) ORDER BY s.name`
)

// Subjects lists every subject that must have a value in the stream: the head, the routes, and each
// shard with something in it.
func (l *Lead) Subjects(ctx context.Context) ([]string, error) {
	keys, err := list(ctx, l.conn, "shards of keys", pgx.RowTo[uint32], selectKeyShards)
	if err != nil {
		return nil, err
	}
	accounts, err := list(ctx, l.conn, "shards of accounts", pgx.RowTo[uint32], selectAccountShards)
	if err != nil {
		return nil, err
	}
	out := []string{contract.ConfigHead, contract.ConfigRoutes}
	for _, shard := range keys {
		out = append(out, contract.ConfigKeys(shard))
	}
	for _, shard := range accounts {
		out = append(out, contract.ConfigAccounts(shard))
	}
	return out, nil
}

// Read reads what is dirty, and what more names, all as of one revision.
func (l *Lead) Read(ctx context.Context, more []string) (*Config, error) {
	var cfg *Config
	opts := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pg.InTxWith(ctx, l.conn, opts, func(tx pgx.Tx) (err error) {
		cfg = &Config{}
		if cfg.State, err = readState(ctx, tx); err != nil {
			return err
		}
		if cfg.Dirty, err = list(ctx, tx, "dirty subjects", pgx.RowTo[string], selectDirty); err != nil {
			return err
		}
		cfg.choose(cfg.Dirty)
		cfg.choose(more)
		return cfg.read(ctx, tx)
	})
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return cfg, nil
}

// choose adds subjects to what is to be read. Subjects that are not known are passed over: an older
// version may have left them.
func (c *Config) choose(subjects []string) {
	for _, s := range subjects {
		if s == contract.ConfigRoutes {
			c.Routes = true
		} else if shard, ok := shardOf(s, contract.ConfigAllKeys, contract.KeyShards); ok {
			c.KeyShards = append(c.KeyShards, shard)
		} else if shard, ok := shardOf(s, contract.ConfigAllAccount, contract.AccountShards); ok {
			c.AccountShards = append(c.AccountShards, shard)
		}
	}
	slices.Sort(c.KeyShards)
	slices.Sort(c.AccountShards)
	c.KeyShards, c.AccountShards = slices.Compact(c.KeyShards), slices.Compact(c.AccountShards)
}

func shardOf(subject, pattern string, shards uint64) (uint32, bool) {
	text, ok := strings.CutPrefix(subject, strings.TrimSuffix(pattern, "*"))
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err == nil && n < shards && text == strconv.FormatUint(n, 10)
}

func (c *Config) read(ctx context.Context, tx pgx.Tx) (err error) {
	if len(c.KeyShards) > 0 {
		if err := c.readKeys(ctx, tx); err != nil {
			return err
		}
	}
	if len(c.AccountShards) > 0 {
		if c.Budgets, err = list(ctx, tx, "budgets", scanBudget, selectShardBudgets, c.AccountShards); err != nil {
			return err
		}
	}
	if !c.Routes {
		return nil
	}
	if c.Endpoints, err = list(ctx, tx, "endpoints", scanEndpoint, selectAllEndpoints); err != nil {
		return err
	}
	if c.RouteBudgets, err = list(ctx, tx, "budgets of endpoints", scanBudget, selectRouteBudgets); err != nil {
		return err
	}
	c.Secrets, err = list(ctx, tx, "secrets", pgx.RowToStructByPos[StoredSecret], selectUsedSecrets)
	return err
}

func (c *Config) readKeys(ctx context.Context, tx pgx.Tx) (err error) {
	c.Keys, err = list(ctx, tx, "keys", func(row pgx.CollectableRow) (PublishedKey, error) {
		var k PublishedKey
		err := row.Scan(&k.Shard, &k.SHA256, &k.ID, &k.Name, &k.Expires, &k.Revoked, &k.Restricted, &k.EndpointIDs)
		return k, err
	}, selectPublishedKeys, c.KeyShards)
	if err != nil {
		return err
	}
	budgets, err := list(ctx, tx, "budgets of keys", scanBudget, selectKeyBudgets, c.KeyShards)
	if err != nil {
		return err
	}
	of := map[string][]registry.Budget{}
	for _, b := range budgets {
		of[b.ScopeID] = append(of[b.ScopeID], b)
	}
	for i := range c.Keys {
		c.Keys[i].Budgets = of[c.Keys[i].ID]
	}
	return nil
}
