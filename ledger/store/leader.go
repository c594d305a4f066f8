package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

var (
	// ErrTaken means that another ledger leads the partition.
	ErrTaken = errors.New("another ledger leads the partition")
	// ErrLost means that this leader leads no more: it was replaced, and nothing of what it tried has been
	// done, or its connection is gone, and whether the last of it has been done is not known.
	ErrLost = errors.New("no longer the leader")
)

// lockClass sets the ledger's advisory locks apart from others in the same database.
const lockClass = 0x746c6c67

// txTimeout bounds a transaction. It also bounds how long a machine that vanished can hold up the
// stop of a ledger.
const txTimeout = 15 * time.Second

// Leader writes one partition. All its transactions run on the connection that holds the advisory
// lock, so a leader whose connection is gone cannot write. The lock decides who tries; the epoch in
// the partition's row decides whose transactions count.
type Leader struct {
	part        uint32
	epoch       int64
	history     int64
	newHistory  bool
	keepRecords bool

	alive atomic.Pointer[time.Time] // see AliveAt
	ahead atomic.Int64              // newest history that an edge knows, if it is newer than ours
	pace  pace

	// free has something in it while no transaction runs. Whoever waits gets it in order, so that nobody is
	// passed by for ever.
	free   chan struct{}
	conn   *pgx.Conn // this and what follows belong to whoever has it
	rows   []byte    // room for what is copied
	series *seriesMemory
}

// Lead makes this process the leader of a partition, or returns ErrTaken.
func (s *Store) Lead(ctx context.Context, part uint32, owner string) (*Leader, error) {
	cfg := s.own.Copy()
	params := cfg.RuntimeParams
	params["application_name"] = "tollgate-ledger-leader"
	// The lock of a machine that vanished, or of a process that stands still, is freed once the server notices.
	// The leader is never silent for so long: it checks each second whether it still leads.
	maps.Copy(params, map[string]string{
		"tcp_keepalives_idle": "2", "tcp_keepalives_interval": "1", "tcp_keepalives_count": "3", "tcp_user_timeout": "5000",
		"idle_session_timeout": "5000", "idle_in_transaction_session_timeout": "5000",
		"statement_timeout": strconv.FormatInt((txTimeout + 5*time.Second).Milliseconds(), 10),
	})
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to lead: %w", err)
	}
	l := &Leader{part: part, conn: conn, keepRecords: s.keepRecords, series: newSeriesMemory(), free: make(chan struct{}, 1)}
	l.free <- struct{}{}
	if err := l.take(ctx, owner); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Part is the partition.
func (l *Leader) Part() uint32 { return l.part }

// Epoch grows with each leader of the partition.
func (l *Leader) Epoch() int64 { return l.epoch }

// Close ends the leadership.
func (l *Leader) Close() {
	<-l.free
	defer func() { l.free <- struct{}{} }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = l.conn.Close(ctx)
}

// Check says whether this is still the leader.
func (l *Leader) Check(ctx context.Context) error {
	return l.turn(ctx, 3*time.Second, false, func(ctx context.Context, t *turn) error { return t.commit(ctx, &pgx.Batch{}) })
}

// AliveAt is when the connection was last known to hold the lock of the partition. No other ledger leads
// for a while after that: the lock is not given up sooner than the connection is.
func (l *Leader) AliveAt() time.Time {
	if at := l.alive.Load(); at != nil {
		return *at
	}
	return time.Time{}
}
