package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Limits of rates and of concurrency are kept as they were published. A leader that takes over has them
// before it has read the configuration.

const dropLimits = `
	DELETE FROM ledger.limits l WHERE l.part = $1 AND l.shard = $2 AND NOT l.limit_id = ANY($3::bigint[])`

const setRateLimits = `
	INSERT INTO ledger.limits AS l (limit_id, part, shard, value)
	SELECT n.limit_id, $1, $2, n.value FROM unnest($3::bigint[], $4::bytea[]) AS n (limit_id, value)
	ON CONFLICT (limit_id) DO UPDATE SET part = excluded.part, shard = excluded.shard, value = excluded.value
	WHERE l.value <> excluded.value OR l.part <> excluded.part OR l.shard <> excluded.shard`

func marshalLimits(limits []*eventv1.Limit) (ids []int64, values [][]byte, err error) {
	limits = slices.SortedFunc(slices.Values(limits), func(a, b *eventv1.Limit) int { return cmp.Compare(a.GetId(), b.GetId()) })
	ids, values = []int64{}, [][]byte{} // no limits is an empty array, not null
	for _, l := range limits {
		value, err := proto.MarshalOptions{Deterministic: true}.Marshal(l)
		if err != nil {
			return nil, nil, fmt.Errorf("encode limit %d: %w", l.GetId(), err)
		}
		ids, values = append(ids, l.GetId()), append(values, value)
	}
	return ids, values, nil
}

// Limits reads the limits of the partition.
func (l *Leader) Limits(ctx context.Context) ([]*eventv1.Limit, error) {
	var out []*eventv1.Limit
	err := l.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		out = nil
		b := &pgx.Batch{}
		queue(b, `SELECT l.value FROM ledger.limits l WHERE l.part = $1 ORDER BY l.limit_id`, []any{int32(l.part)}, func(row pgx.CollectableRow) error {
			var value []byte
			if err := row.Scan(&value); err != nil {
				return err
			}
			limit := &eventv1.Limit{}
			out = append(out, limit)
			return proto.Unmarshal(value, limit)
		})
		return l.send(ctx, tx, b)
	})
	if err != nil {
		return nil, fmt.Errorf("read limits: %w", err)
	}
	return out, nil
}
