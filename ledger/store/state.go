package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
)

// state is the part of the book that a transaction has loaded, and what of it was before escrow changed it.
type state struct {
	part     uint32
	small    bool // whose statements are planned once; see fixPlans
	book     *escrow.Book
	added    []int64 // incarnations that are new, and the names of their edges
	names    []string
	stale    []int64 // incarnations of which it was not noted lately that they were heard
	accounts map[contract.Window]escrow.Account
	leases   map[leaseKey]escrow.Lease
	incs     map[int64]escrow.Incarnation
}

func newState(part uint32) *state { return &state{part: part, book: escrow.NewBook()} }

// loaded remembers what was read, all of which may change.
func (s *state) loaded() { s.remember(s.all()) }

// all is everything in the book, in the order in which rows are locked.
func (s *state) all() ([]contract.Window, []leaseKey) {
	var keys []leaseKey
	for w, leases := range s.book.Leases {
		for inc := range leases {
			keys = append(keys, leaseKey{w, inc})
		}
	}
	slices.SortFunc(keys, compareKeys)
	return slices.SortedFunc(maps.Keys(s.book.Accounts), contract.Window.Compare), keys
}

// remember notes how what may change is before it does.
func (s *state) remember(windows []contract.Window, leases []leaseKey) {
	s.accounts, s.leases, s.incs = make(map[contract.Window]escrow.Account, len(windows)), make(map[leaseKey]escrow.Lease, len(leases)), maps.Clone(s.book.Incs)
	for _, w := range windows {
		if a, ok := s.book.Accounts[w]; ok {
			s.accounts[w] = a
		}
	}
	for _, k := range leases {
		if l, ok := s.book.Leases[k.window][k.inc]; ok {
			s.leases[k] = l
		}
	}
}

const insertIncs = `
	INSERT INTO ledger.incarnation (inc, part, edge)
	SELECT n.inc, $1, n.edge FROM unnest($2::bigint[], $3::text[]) AS n (inc, edge)
	ORDER BY n.inc`

// That an incarnation was heard is worth a write once in a while.
const unheard = `heard < now() - interval '5 s'`

const hearIncs = `
	UPDATE ledger.incarnation SET heard = now()
	WHERE part = $1 AND inc = ANY($2::bigint[]) AND ` + unheard

const selectIncs = `
	SELECT i.inc, i.edge, i.state, i.hwm FROM ledger.incarnation i
	WHERE i.part = $1 AND i.inc = ANY($2::bigint[])`

const selectSpeaking = `
	SELECT i.inc, i.edge, i.state, i.hwm, i.` + unheard + ` FROM ledger.incarnation i
	WHERE i.part = $1 AND i.inc = ANY($2::bigint[])`

// queueIncs reads incarnations that speak.
func (s *state) queueIncs(b *pgx.Batch, edges map[int64]string) {
	queue(b, selectSpeaking, []any{int32(s.part), slices.Sorted(maps.Keys(edges))}, func(row pgx.CollectableRow) error {
		var inc, hwm int64
		var i escrow.Incarnation
		var stale bool
		err := row.Scan(&inc, &i.Edge, &i.State, &hwm, &stale)
		i.HWM = uint64(hwm)
		s.book.Incs[inc] = i
		if stale {
			s.stale = append(s.stale, inc)
		}
		return err
	})
}

// addIncs has incarnations registered that speak for the first time: those that were not found.
func (s *state) addIncs(edges map[int64]string) {
	for _, inc := range slices.Sorted(maps.Keys(edges)) {
		if _, ok := s.book.Incs[inc]; !ok {
			s.book.Incs[inc] = escrow.Incarnation{Edge: edges[inc]}
			s.added, s.names = append(s.added, inc), append(s.names, edges[inc])
		}
	}
}

// queueExactly has a small transaction use statements of its own, because a plan belongs to a statement.
func (s *state) queueExactly(b *pgx.Batch, want int, what, sql string, args ...any) {
	if s.small {
		sql = `/* small */ ` + sql
	}
	queueExactly(b, want, what, sql, args...)
}

// queueHeard notes that incarnations spoke.
func (s *state) queueHeard(b *pgx.Batch) {
	if n := len(s.added); n > 0 {
		s.queueExactly(b, n, "add incarnations", insertIncs, int32(s.part), s.added, s.names)
	}
	if len(s.stale) > 0 {
		slices.Sort(s.stale)
		b.Queue(hearIncs, int32(s.part), s.stale)
	}
}

func (s *state) scanInc(row pgx.CollectableRow) error {
	var inc, hwm int64
	var i escrow.Incarnation
	err := row.Scan(&inc, &i.Edge, &i.State, &hwm)
	i.HWM = uint64(hwm)
	s.book.Incs[inc] = i
	return err
}

const (
	windowColumns = `a.account_id, a.gen, a.start, a.lim, a.alloc, a.overrun, a.version, a.closed`
	// What edges have spent in leases that are not loaded comes in between.
	rollingColumns = `, coalesce(r.days, 0), coalesce(r.time_zone, '')`
	rollingJoin    = `
	LEFT JOIN ledger.account r ON r.account_id = a.account_id AND r.days > 0`
)

func readWindow(row pgx.CollectableRow) (w contract.Window, a escrow.Account, err error) {
	var gen int64
	var days int32
	var zone string
	if err := row.Scan(&w.Account, &gen, &w.Start, &a.Limit, &a.Alloc, &a.Overrun, &a.Version, &a.Closed, &a.Elsewhere, &days, &zone); err != nil {
		return w, a, err
	}
	w.Gen = uint32(gen)
	if days > 0 {
		at, err := zoneOf(zone)
		if err != nil {
			return w, a, fmt.Errorf("account %d: %w", w.Account, err)
		}
		a.Days, a.Day = uint32(days), escrow.DayOf(w.Start, at)
	}
	return w, a, nil
}

func (s *state) scanAccount(row pgx.CollectableRow) error {
	w, a, err := readWindow(row)
	s.book.Accounts[w] = a
	return err
}

func (s *state) scanLease(row pgx.CollectableRow) error {
	var w contract.Window
	var gen, inc int64
	var l escrow.Lease
	err := row.Scan(&w.Account, &gen, &w.Start, &inc, &l.Granted, &l.Returned, &l.Consumed)
	w.Gen = uint32(gen)
	s.putLease(w, inc, l)
	return err
}

// scanHolder reads a lease together with its incarnation.
func (s *state) scanHolder(row pgx.CollectableRow) error {
	var w contract.Window
	var gen, inc, hwm int64
	var l escrow.Lease
	var i escrow.Incarnation
	err := row.Scan(&w.Account, &gen, &w.Start, &inc, &l.Granted, &l.Returned, &l.Consumed, &i.Edge, &i.State, &hwm)
	w.Gen, i.HWM = uint32(gen), uint64(hwm)
	s.putLease(w, inc, l)
	s.book.Incs[inc] = i
	return err
}

func (s *state) putLease(w contract.Window, inc int64, l escrow.Lease) {
	leases := s.book.Leases[w]
	if leases == nil {
		leases = map[int64]escrow.Lease{}
		s.book.Leases[w] = leases
	}
	leases[inc] = l
}

// A grant is conditional on the limit in the database, so that it holds even if what was read did
// not.
const updateAccounts = `
	UPDATE ledger.account_window a
	SET alloc = a.alloc + n.alloc, overrun = a.overrun + n.overrun
	FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::boolean[], $7::bigint[])
		AS n (account_id, gen, start, alloc, overrun, granted, prior)
	WHERE a.account_id = n.account_id AND a.gen = n.gen AND a.start = n.start
		AND (NOT n.granted OR (NOT a.closed AND a.alloc + n.alloc <= a.lim - n.prior))`

// An account-window that only a settlement knows takes its limit from its account, if that is known.
var insertAccounts = `
	INSERT INTO ledger.account_window (account_id, gen, start, part, lim, alloc, overrun, version)
	SELECT n.account_id, n.gen, n.start, $1, coalesce(` + effectiveLimit("$7") + `, 0), n.alloc, n.overrun, coalesce(a.version, 0)
	FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
		AS n (account_id, gen, start, alloc, overrun)
	LEFT JOIN ledger.account a ON a.account_id = n.account_id AND a.gen = n.gen AND NOT a.closed`

const updateLeases = `
	UPDATE ledger.lease l
	SET granted = n.granted, returned = n.returned, consumed = n.consumed
	FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
		AS n (account_id, gen, start, inc, granted, returned, consumed)
	WHERE l.account_id = n.account_id AND l.gen = n.gen AND l.start = n.start AND l.inc = n.inc`

const insertLeases = `
	INSERT INTO ledger.lease (account_id, gen, start, inc, granted, returned, consumed)
	SELECT n.account_id, n.gen, n.start, n.inc, n.granted, n.returned, n.consumed
	FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
		AS n (account_id, gen, start, inc, granted, returned, consumed)`

const updateIncs = `
	UPDATE ledger.incarnation i
	SET hwm = n.hwm, closed = n.state = 1, fate = CASE WHEN n.state = 1 THEN i.fate ELSE n.state END, heard = now(),
		ended = CASE WHEN n.state = 1 AND NOT i.closed THEN now() ELSE i.ended END
	FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::smallint[]) AS n (inc, old, hwm, state)
	WHERE i.part = $1 AND i.inc = n.inc AND i.hwm = n.old`

// queueChanges adds the statements that make the database what the book has become: accounts, then
// leases, then incarnations.
func (s *state) queueChanges(b *pgx.Batch, grants map[contract.Window]money.Nanos) {
	windows, leases := s.all()
	s.queueSome(b, windows, leases, grants)
}

// queueSome does so of what was remembered, where nothing else can have changed.
func (s *state) queueSome(b *pgx.Batch, windows []contract.Window, leases []leaseKey, grants map[contract.Window]money.Nanos) {
	s.queueWindows(b, windows, grants)
	s.queueLeases(b, leases)

	var incs, old, hwm []int64
	var states []int16
	for _, inc := range slices.Sorted(maps.Keys(s.book.Incs)) {
		if now, was := s.book.Incs[inc], s.incs[inc]; now != was {
			incs, old, hwm, states = append(incs, inc), append(old, int64(was.HWM)), append(hwm, int64(now.HWM)), append(states, int16(now.State))
		}
	}
	if len(incs) > 0 {
		s.queueExactly(b, len(incs), "advance marks", updateIncs, int32(s.part), incs, old, hwm, states)
	}
}

// columns are rows of numbers by account-window, as statements unnest them.
type columns [][]int64

func (c *columns) add(w contract.Window, values ...int64) {
	if *c == nil {
		*c = make(columns, 3+len(values))
	}
	for i, v := range append([]int64{w.Account, int64(w.Gen), w.Start}, values...) {
		(*c)[i] = append((*c)[i], v)
	}
}

func (c columns) args(first ...any) []any {
	for _, col := range c {
		first = append(first, col)
	}
	return first
}

func (c columns) rows() int {
	if c == nil {
		return 0
	}
	return len(c[0])
}

func (s *state) queueWindows(b *pgx.Batch, windows []contract.Window, grants map[contract.Window]money.Nanos) {
	var changed, added columns
	var granted []bool
	var prior []int64
	for _, w := range windows {
		now, exists := s.book.Accounts[w]
		was, known := s.accounts[w]
		alloc, overrun := int64(now.Alloc-was.Alloc), int64(now.Overrun-was.Overrun)
		switch {
		case !exists:
		case !known:
			added.add(w, alloc, overrun)
		case alloc != 0 || overrun != 0 || grants[w] > 0:
			changed.add(w, alloc, overrun)
			granted, prior = append(granted, grants[w] > 0), append(prior, int64(now.Prior))
		}
	}
	if n := added.rows(); n > 0 {
		s.queueExactly(b, n, "add account-windows", insertAccounts, append(added.args(int32(s.part)), time.Now().Unix())...)
	}
	if n := changed.rows(); n > 0 {
		s.queueExactly(b, n, "change account-windows", updateAccounts, append(changed.args(), granted, prior)...)
	}
}

func (s *state) queueLeases(b *pgx.Batch, leases []leaseKey) {
	var changed, added columns
	for _, k := range leases {
		l, exists := s.book.Leases[k.window][k.inc]
		was, known := s.leases[k]
		if !exists || known && l == was {
			continue
		}
		row := &changed
		if !known {
			row = &added
		}
		row.add(k.window, k.inc, int64(l.Granted), int64(l.Returned), int64(l.Consumed))
	}
	if n := added.rows(); n > 0 {
		s.queueExactly(b, n, "add leases", insertLeases, added.args()...)
	}
	if n := changed.rows(); n > 0 {
		s.queueExactly(b, n, "change leases", updateLeases, changed.args()...)
	}
}

// Anomaly is something that should not happen and did.
type Anomaly struct {
	Kind   string
	Inc    int64
	Edge   string
	Detail string
}

const insertAnomalies = `
	INSERT INTO ledger.anomaly (part, kind, inc, edge, detail)
	SELECT $1, n.kind, n.inc, n.edge, n.detail
	FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[]) AS n (kind, inc, edge, detail)`

func queueAnomalies(b *pgx.Batch, part uint32, list []Anomaly) {
	if len(list) == 0 {
		return
	}
	var kinds, edges, details []string
	var incs []int64
	for _, a := range list {
		kinds, incs, edges, details = append(kinds, a.Kind), append(incs, a.Inc), append(edges, a.Edge), append(details, a.Detail)
	}
	b.Queue(insertAnomalies, int32(part), kinds, incs, edges, details)
}

func send(ctx context.Context, tx pgx.Tx, b *pgx.Batch) error {
	if b.Len() == 0 {
		return nil
	}
	return tx.SendBatch(ctx, b).Close()
}
