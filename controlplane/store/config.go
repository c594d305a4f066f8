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
	AccountShards []uint32 // shards that Budgets and Limits are the whole of
	Routes        bool     // whether all from Endpoints on was read

	Keys         []PublishedKey // by hash
	Budgets      []registry.Budget
	Limits       []registry.Limit
	Endpoints    []*registry.Endpoint // the same one as before where the same publisher has read it before and it has not changed
	Models       []registry.Model
	Adapters     []registry.Adapter // that endpoints and models refer to
	RouteBudgets []registry.Budget  // of endpoints, customers, tags and of everything
	RouteLimits  []registry.Limit   // the same
	Secrets      []StoredSecret     // that endpoints, models and these adapters refer to
	Book         []PublishedList    // the same
	Settings     registry.Settings
	Blocked      []string // names of customers that are refused
	Unbounded    []string // names of customers that are known and have no budget, where new ones get one
}

// PublishedKey is one secret of a key as edges check it.
type PublishedKey struct {
	Shard       uint32
	SHA256      []byte
	ID, Name    string
	Expires     *time.Time
	Revoked     *time.Time
	Restricted  bool
	EndpointIDs []string
	Models      []string
	TeamModels  []string // that the keys of its team may ask for; a model has to be among both
	Blocked     bool     // or its team is
	Methods     []string
	Networks    []string
	Ends        *time.Time // of an old secret
	Counted     bool       // how often it is used
	TeamID      string
	registry.Charged
	Budgets []*registry.Budget // of the key, its team, its customer and its tags, by account
	Limits  []*registry.Limit  // the same, by number
}

// StoredSecret is a secret as the database has it.
type StoredSecret struct {
	ID, Name  string
	Envelope  []byte
	Reference string // where edges find the value in place of the envelope; empty for the envelope
}

const (
	selectDirty         = `SELECT d.subject FROM control.dirty d ORDER BY d.subject`
	selectKeyShards     = `SELECT k.shard FROM control.key k UNION SELECT o.shard FROM control.key_old_secret o ORDER BY shard`
	selectAccountShards = `
		SELECT (b.account_id % 64)::integer AS shard FROM control.budget b
		UNION SELECT (l.number % 64)::integer FROM control.traffic_limit l
		ORDER BY shard`

	// Each secret of a key by itself, the old one too. A key may call what it may and what its team may. A version before this one
	// knew nothing of old secrets, and could give another key the same.
	selectPublishedKeys = `
		SELECT s.shard, s.sha256, k.id, k.name, k.expire_time, k.revoke_time, k.restricted OR coalesce(t.restricted, false),
			CASE WHEN NOT coalesce(t.restricted, false) THEN ARRAY(SELECT ke.endpoint_id FROM control.key_endpoint ke WHERE ke.key_id = k.id ORDER BY ke.endpoint_id)
				ELSE ARRAY(SELECT te.endpoint_id FROM control.team_endpoint te WHERE te.team_id = t.id
					AND (NOT k.restricted OR EXISTS (SELECT FROM control.key_endpoint ke WHERE ke.key_id = k.id AND ke.endpoint_id = te.endpoint_id))
					ORDER BY te.endpoint_id) END,
			coalesce(k.team_id, ''), coalesce(t.name, ''), k.customer, k.tags, k.models, coalesce(t.models, '{}'),
			k.blocked OR coalesce(t.blocked, false), k.methods, k.networks, s.end_time, s.counted
		FROM (
			SELECT c.id, c.shard, c.sha256, NULL::timestamptz AS end_time, EXISTS (SELECT FROM control.key_old_secret o WHERE o.key_id = c.id) AS counted
			FROM control.key c WHERE c.shard = ANY($1)
			UNION ALL
			SELECT o.key_id, o.shard, o.sha256, o.end_time, true FROM control.key_old_secret o
			WHERE o.shard = ANY($1) AND NOT EXISTS (SELECT FROM control.key c WHERE c.sha256 = o.sha256)
		) s JOIN control.key k ON k.id = s.id LEFT JOIN control.team t ON t.id = k.team_id ORDER BY s.sha256`
	// Of the keys of some shards, and of their teams, customers and tags.
	ofKeys = `WHERE o.key_id IN (SELECT s.id FROM control.key s WHERE s.shard = ANY($1)
		UNION ALL SELECT s.key_id FROM control.key_old_secret s WHERE s.shard = ANY($1)) `
	ofLabels           = `WHERE o.team_id = ANY($1) OR o.customer = ANY($2) OR o.tag = ANY($3) `
	selectKeyBudgets   = `SELECT ` + budgetColumns + budgetTables + ofKeys
	selectLabelBudgets = `SELECT ` + budgetColumns + budgetTables + ofLabels
	selectKeyLimits    = `SELECT ` + limitColumns + limitTables + ofKeys
	selectLabelLimits  = `SELECT ` + limitColumns + limitTables + ofLabels
	selectShardBudgets = `SELECT ` + budgetColumns + budgetTables + `WHERE o.account_id % 64 = ANY($1) ORDER BY o.account_id`
	selectShardLimits  = `SELECT ` + limitColumns + limitTables + `WHERE o.number % 64 = ANY($1) ORDER BY o.number`
	selectRouteBudgets = `SELECT ` + budgetColumns + budgetTables + `WHERE ` + routeScopes + ` ORDER BY o.account_id`
	selectRouteLimits  = `SELECT ` + limitColumns + limitTables + `WHERE ` + routeScopes + ` ORDER BY o.number`
	// A row that another transaction has written is another row. The revision would not do: a price book changes endpoints without it.
	selectEndpointRows  = `SELECT e.id, e.xmin FROM control.endpoint e ORDER BY e.name`
	selectAllEndpoints  = `SELECT ` + endpointColumns + ` FROM control.endpoint e ORDER BY e.name`
	selectSomeEndpoints = `SELECT ` + endpointColumns + ` FROM control.endpoint e WHERE e.id = ANY($1)`
	selectUsedSecrets   = `
		SELECT s.id, s.name, s.envelope, s.reference FROM control.secret s
		WHERE EXISTS (SELECT FROM control.endpoint_secret es WHERE es.secret_id = s.id)
			OR EXISTS (SELECT FROM control.model_secret ms WHERE ms.secret_id = s.id)
			OR EXISTS (SELECT FROM control.adapter_secret r JOIN control.adapter a ON a.id = r.adapter_id WHERE r.secret_id = s.id AND ` + usedAdapter + `)
		ORDER BY s.name`
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

// Read reads what is dirty, and what more names, all as of one revision. Who manages an endpoint, and whether its default model is known, may
// be as it was when the endpoint was written: edges are not told of either.
func (l *Lead) Read(ctx context.Context, more []string) (*Config, error) {
	var cfg *Config
	opts := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pg.InTxWith(ctx, l.conn, opts, func(tx pgx.Tx) (err error) {
		cfg = &Config{}
		var b pgx.Batch
		b.Queue(selectState).QueryRow(cfg.State.scan)
		queue(&b, "dirty subjects", &cfg.Dirty, pgx.RowTo[string], selectDirty)
		if err := tx.SendBatch(ctx, &b).Close(); err != nil {
			return err
		}
		cfg.choose(cfg.Dirty)
		cfg.choose(more)
		return cfg.read(ctx, tx, &l.endpoints)
	})
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return cfg, nil
}

// Routes reads endpoints and all that edges get with them, as of one revision.
func (s *Store) Routes(ctx context.Context) (*Config, error) {
	var cfg *Config
	opts := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pg.InTxWith(ctx, s.pool, opts, func(tx pgx.Tx) (err error) {
		cfg = &Config{Routes: true}
		if cfg.State, err = readState(ctx, tx); err != nil {
			return err
		}
		return cfg.read(ctx, tx, &endpointRows{})
	})
	return cfg, translate(err)
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

// read asks for all that needs nothing else first at once, so that the answers do not wait for one another.
func (c *Config) read(ctx context.Context, tx pgx.Tx, known *endpointRows) (err error) {
	if len(c.KeyShards) > 0 {
		if err := c.readKeys(ctx, tx); err != nil {
			return err
		}
	}
	var b pgx.Batch
	if len(c.AccountShards) > 0 {
		queue(&b, "budgets", &c.Budgets, scanBudget, selectShardBudgets, c.AccountShards)
		queue(&b, "limits", &c.Limits, scanLimit, selectShardLimits, c.AccountShards)
	}
	var endpoints []endpointRow
	var settings []registry.Settings
	if c.Routes {
		queue(&b, "endpoints", &endpoints, scanEndpointRow, selectEndpointRows)
		queue(&b, "models", &c.Models, scanModel, selectAllModels)
		queue(&b, "adapters", &c.Adapters, scanAdapter, selectUsedAdapters)
		queue(&b, "budgets of routes", &c.RouteBudgets, scanBudget, selectRouteBudgets)
		queue(&b, "limits of routes", &c.RouteLimits, scanLimit, selectRouteLimits)
		queue(&b, "secrets", &c.Secrets, pgx.RowToStructByPos[StoredSecret], selectUsedSecrets)
		queue(&b, "settings", &settings, scanSettings, selectSettings)
		queue(&b, "blocked customers", &c.Blocked, pgx.RowTo[string], selectBlocked)
	}
	if err := tx.SendBatch(ctx, &b).Close(); err != nil || !c.Routes {
		return err
	}
	if len(settings) > 0 {
		c.Settings = settings[0]
	}
	if c.Settings.Customers.Budget != nil {
		if c.Unbounded, err = list(ctx, tx, "customers without a budget", pgx.RowTo[string], selectUnbounded); err != nil {
			return err
		}
	}
	if c.Endpoints, err = known.read(ctx, tx, endpoints); err != nil {
		return err
	}
	c.Book, err = readPublishedLists(ctx, tx, c.Endpoints, c.Models)
	return err
}

// queue is list in a batch: the rows are there when the batch was sent and closed.
func queue[T any](b *pgx.Batch, what string, into *[]T, scan pgx.RowToFunc[T], sql string, args ...any) {
	b.Queue(sql, args...).Query(func(rows pgx.Rows) (err error) {
		if *into, err = pgx.CollectRows(rows, scan); err != nil {
			return fmt.Errorf("read %s: %w", what, err)
		}
		return nil
	})
}

// endpointRow is an endpoint's row, and the transaction that wrote it.
type endpointRow struct {
	id      string
	written uint32
}

func scanEndpointRow(row pgx.CollectableRow) (r endpointRow, err error) {
	err = row.Scan(&r.id, &r.written)
	return r, err
}

// endpointRows are the endpoints that were read before. Of a thousand, a change is mostly of one, and reading the others again would take most
// of the time in which it gets to the edges.
type endpointRows struct {
	known map[endpointRow]*registry.Endpoint
}

// read returns the endpoints that have these rows, of which it reads those that are new.
func (k *endpointRows) read(ctx context.Context, tx pgx.Tx, rows []endpointRow) ([]*registry.Endpoint, error) {
	var missing []string
	for _, r := range rows {
		if k.known[r] == nil {
			missing = append(missing, r.id)
		}
	}
	byID := map[string]*registry.Endpoint{}
	if len(missing) > 0 {
		found, err := list(ctx, tx, "endpoints", scanEndpoint, selectSomeEndpoints, missing)
		if err != nil {
			return nil, err
		}
		for i := range found {
			e := found[i]
			byID[e.ID] = &e
		}
	}
	next, out := make(map[endpointRow]*registry.Endpoint, len(rows)), make([]*registry.Endpoint, 0, len(rows))
	for _, r := range rows {
		e := k.known[r]
		if e == nil {
			e = byID[r.id] // there, because all is read as of one moment
		}
		next[r], out = e, append(out, e)
	}
	k.known = next
	return out, nil
}
