package store

import (
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/contract"
)

// zones are the time zones of rolling accounts. There are only so many.
var zones sync.Map // of *time.Location by name

func zoneOf(name string) (*time.Location, error) {
	if zone, ok := zones.Load(name); ok {
		if zone, ok := zone.(*time.Location); ok {
			return zone, nil
		}
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, err
	}
	zones.Store(name, zone)
	return zone, nil
}

// longestDay is the longest that a calendar day takes, in seconds.
const longestDay = 25 * 3600

const selectSpans = `
	SELECT ` + windowColumns + `, 0::bigint` + rollingColumns + `
	FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS n (account_id, gen, low, high)
	JOIN ledger.account_window a ON a.account_id = n.account_id AND a.gen = n.gen AND a.start BETWEEN n.low AND n.high` + rollingJoin

// queueSpans reads the windows that share a span of a rolling period with those that are loaded. What is
// granted on one of them depends on all of them.
func (s *state) queueSpans(b *pgx.Batch) {
	type account struct {
		id  int64
		gen uint32
	}
	spans := map[account][2]int64{}
	for w, a := range s.book.Accounts {
		if a.Days == 0 {
			continue
		}
		far := int64(a.Days) * longestDay
		k := account{w.Account, w.Gen}
		span, ok := spans[k]
		if !ok {
			span = [2]int64{w.Start, w.Start}
		}
		spans[k] = [2]int64{min(span[0], w.Start-far), max(span[1], w.Start+far)}
	}
	if len(spans) == 0 {
		return
	}
	var c columns
	for k, span := range spans {
		c.add(contract.Window{Account: k.id, Gen: k.gen, Start: span[0]}, span[1])
	}
	queue(b, selectSpans, c.args(), func(row pgx.CollectableRow) error {
		w, a, err := readWindow(row)
		if _, ok := s.book.Accounts[w]; !ok && err == nil {
			s.book.Accounts[w] = a
		}
		return err
	})
}
