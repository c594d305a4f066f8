// Package accounts keeps the ledger's accounts as the control plane publishes them: shards, each of
// which is the whole truth of its accounts, newest version first. An account that is missing from its
// shard is closed, and a changed limit takes effect on every window that has not ended. The limits of
// rates and of concurrency come with them. A limit that is raised for a while is lowered again by the
// ledger's own clock, whether the control plane is there or not.
//
// Lowering a limit takes nothing back that edges hold. It stops further grants, and the edges are
// asked to return what they have not spent.
package accounts

import (
	"sync"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/ledger/store"
)

// Edges' clocks differ from ours, and edges ask for the next window a while before it begins, so that not
// all of them ask at its first moment. A window may be asked for until a while after it has ended. All of
// it is safe, because each window has its own limit.
//
// The days of a rolling period share theirs: what tomorrow has is missing today.
const (
	early        = 65 * time.Second
	earlyRolling = 5 * time.Second
	late         = time.Hour
)

// Table is the accounts of a partition. It is safe for concurrent use.
type Table struct {
	mu       sync.RWMutex // guards what follows
	accounts map[int64]*entry
	versions map[uint32]contract.Version // of shards
	limits   map[uint32][]*eventv1.Limit // of shards
}

type entry struct {
	account store.Account
	// A window that was looked up before: time zones are slow.
	start, end int64
	known      bool
	// lowered says that the end of the account's raise has been applied.
	lowered bool
}

func newTable(accounts []store.Account, versions map[uint32]contract.Version, limits []*eventv1.Limit) *Table {
	t := &Table{accounts: make(map[int64]*entry, len(accounts)), versions: versions, limits: map[uint32][]*eventv1.Limit{}}
	for _, a := range accounts {
		t.accounts[a.ID] = entryOf(a)
	}
	for _, l := range limits {
		shard := contract.AccountShardOf(l.GetId())
		t.limits[shard] = append(t.limits[shard], l)
	}
	return t
}

func entryOf(a store.Account) *entry { return &entry{account: a} }

// Grantable says whether a window is one of an account's, begins no later than soon and has not been
// over for long.
func (t *Table) Grantable(w contract.Window, now time.Time) bool {
	t.mu.RLock()
	e := t.accounts[w.Account]
	if e == nil || e.account.Closed || e.account.Gen != w.Gen {
		t.mu.RUnlock()
		return false
	}
	start, end, known := e.start, e.end, e.known
	t.mu.RUnlock()
	if !known || start != w.Start {
		at, ends, err := e.account.WindowAt(time.Unix(w.Start, 0)) // the account of an entry never changes
		if err != nil || at.Start != w.Start {
			return false
		}
		start, end = at.Start, ends
		t.mu.Lock()
		e.start, e.end, e.known = start, end, true
		t.mu.Unlock()
	}
	ahead := early
	if e.account.Days > 0 {
		ahead = earlyRolling
	}
	return !time.Unix(start, 0).After(now.Add(ahead)) && (end == 0 || now.Before(time.Unix(end, 0).Add(late)))
}

// Len is how many accounts are open.
func (t *Table) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n := 0
	for _, e := range t.accounts {
		if !e.account.Closed {
			n++
		}
	}
	return n
}

// Limits are all limits of the partition.
func (t *Table) Limits() []*eventv1.Limit {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var all []*eventv1.Limit
	for _, of := range t.limits {
		all = append(all, of...)
	}
	return all
}
