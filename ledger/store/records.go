package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Record is one settled attempt at its place in the books, or a correction of one.
type Record struct {
	Inc, Seq int64
	Edge     string
	Event    *eventv1.SpendEvent
	// Corrects is the place of what it corrects; zero for a settlement.
	Corrects struct{ Inc, Seq int64 }
}

const copyRecords = `COPY ledger.request (ended, inc, seq, cost, reserved, units, price_version, duration_us, corrects_inc, corrects_seq,
	part, attempt, status, outcome, unpriced, request_id, edge, key_id, endpoint_id, team, customer, model, tags, draws,
	meter, counts, job, job_state, deployment) FROM STDIN (FORMAT binary)`

const recordColumns = 29

// keep writes records. The rows are made here in the format of COPY, because passing each value through
// the driver costs several times as much as all the rest of it.
func (t *turn) keep(ctx context.Context, records []Record) error {
	if len(records) == 0 {
		return nil
	}
	w := t.l.rowWriter()
	for _, r := range records {
		w.record(t.l.part, r)
	}
	return t.copy(ctx, copyRecords, w, len(records))
}

// copy writes the rows of w and keeps the room for later.
func (t *turn) copy(ctx context.Context, sql string, w rowWriter, n int) error {
	w = binary.BigEndian.AppendUint16(w, 1<<16-1)
	if cap(w) <= maxBuffer {
		t.l.rows = w
	}
	tag, err := t.l.conn.PgConn().CopyFrom(ctx, bytes.NewReader(w), sql)
	if err != nil {
		return fmt.Errorf("copy %d rows: %w", n, err)
	}
	if got := tag.RowsAffected(); got != int64(n) {
		return fmt.Errorf("copy: %d of %d rows were taken", got, n)
	}
	return nil
}

// maxBuffer bounds what a leader holds on to between flushes.
const maxBuffer = 32 << 20

// rowWriter is rows in the binary format of COPY: a count of columns, then each with its length before it.
type rowWriter []byte

// rowWriter makes one in the room of the one before.
func (l *Leader) rowWriter() rowWriter {
	return append(l.rows[:0], "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
}

// epoch2000 is where PostgreSQL's time begins.
var epoch2000 = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

func (w *rowWriter) record(part uint32, r Record) {
	e := r.Event
	*w = binary.BigEndian.AppendUint16(*w, recordColumns)
	w.int64((e.GetUnixMs() - epoch2000) * 1000)
	w.int64(r.Inc)
	w.int64(r.Seq)
	w.int64(e.GetCostNanos())
	w.int64(e.GetReservedNanos())
	w.int64(e.GetUnits())
	w.int64(e.GetPriceVersion())
	w.int64(e.GetDurationUs())
	if r.Corrects.Seq == 0 {
		w.null()
		w.null()
	} else {
		w.int64(r.Corrects.Inc)
		w.int64(r.Corrects.Seq)
	}
	w.int32(int32(part))
	w.int32(int32(e.GetAttempt()))
	w.int32(int32(e.GetStatus()))
	w.int16(int16(e.GetOutcome()))
	w.bool(e.GetUnpriced())
	w.text(string(e.GetRequestId()))
	for _, text := range [...]string{r.Edge, e.GetKeyId(), e.GetEndpointId(), e.GetTeam(), e.GetCustomer(), e.GetModel()} {
		w.text(text)
	}
	w.texts(e.GetTags())
	w.draws(e.GetDraws())
	w.some(e.GetMeter())
	w.some(e.GetCounts())
	w.some(e.GetJob().GetId())
	if state := e.GetJob().GetState(); state == 0 {
		w.null()
	} else {
		w.int16(int16(state))
	}
	w.some(e.GetDeployment())
}

func (w *rowWriter) size(n int) { *w = binary.BigEndian.AppendUint32(*w, uint32(n)) }

func (w *rowWriter) null() { w.size(1<<32 - 1) }

func (w *rowWriter) int64(v int64) {
	w.size(8)
	*w = binary.BigEndian.AppendUint64(*w, uint64(v))
}

func (w *rowWriter) int32(v int32) {
	w.size(4)
	*w = binary.BigEndian.AppendUint32(*w, uint32(v))
}

func (w *rowWriter) int16(v int16) {
	w.size(2)
	*w = binary.BigEndian.AppendUint16(*w, uint16(v))
}

func (w *rowWriter) bool(v bool) {
	w.size(1)
	if v {
		*w = append(*w, 1)
	} else {
		*w = append(*w, 0)
	}
}

func (w *rowWriter) text(s string) {
	w.size(len(s))
	*w = append(*w, s...)
}

// some is a text that is null if it is empty.
func (w *rowWriter) some(s string) {
	if s == "" {
		w.null()
		return
	}
	w.text(s)
}

// array begins an array of so many elements that take so many bytes in all with their lengths.
func (w *rowWriter) array(oid uint32, n, size int) {
	w.size(20 + size)
	for _, v := range [...]uint32{1, 0, oid, uint32(n), 1} { // dimensions, no nulls, type, length, first index
		*w = binary.BigEndian.AppendUint32(*w, v)
	}
}

func (w *rowWriter) texts(list []string) {
	if len(list) == 0 {
		w.null()
		return
	}
	size := 0
	for _, s := range list {
		size += 4 + len(s)
	}
	w.array(pgtype.TextOID, len(list), size)
	for _, s := range list {
		w.text(s)
	}
}

// drawColumns is how many numbers each draw takes in column draws.
const drawColumns = 5

func (w *rowWriter) draws(list []*eventv1.SpendDraw) {
	if len(list) == 0 {
		w.null()
		return
	}
	n := drawColumns * len(list)
	w.array(pgtype.Int8OID, n, 12*n)
	for _, d := range list {
		for _, v := range [...]int64{d.GetWindow().GetAccount(), int64(d.GetWindow().GetGen()), d.GetWindow().GetStart(), int64(d.GetPart()), d.GetNanos()} {
			w.int64(v)
		}
	}
}
