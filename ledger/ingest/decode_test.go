package ingest_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/ledger/escrow"
	"tollgate/ledger/ingest"
)

const subject = "tollgate.v1.spend.0.edge-1"

func good() *eventv1.SpendBatch {
	return &eventv1.SpendBatch{Inc: 7, Edge: "edge-1", FirstSeq: 1, Schema: contract.Schema, Events: []*eventv1.SpendEvent{
		{UnixMs: time.Now().UnixMilli(), CostNanos: 5, Draws: []*eventv1.SpendDraw{{Window: &eventv1.AccountWindow{Account: 1, Gen: 2, Start: 3}, Nanos: 5}}},
		{Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE},
	}}
}

func encode(tb testing.TB, b *eventv1.SpendBatch) []byte {
	tb.Helper()
	data, err := proto.Marshal(b)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// Guarantee: what an edge sent is what is booked, and what no correct edge sends is refused whole.
func TestDecode(t *testing.T) {
	t.Parallel()
	b, err := ingest.Decode(subject, encode(t, good()), 0)
	if err != nil || b.Inc != 7 || b.Edge != "edge-1" || b.Last() != 2 || !b.Events[1].Close || b.Records[0].GetCostNanos() != 5 || b.Records[1] != nil ||
		b.Events[0].Draws[0] != (escrow.Draw{Window: contract.Window{Account: 1, Gen: 2, Start: 3}, Nanos: 5}) {
		t.Fatalf("Decode = %+v, %v", b, err)
	}
	for name, spoil := range map[string]func(*eventv1.SpendBatch){
		"newer schema":     func(b *eventv1.SpendBatch) { b.Schema = contract.Schema + 1 },
		"other partition":  func(b *eventv1.SpendBatch) { b.Part = 1 },
		"other edge":       func(b *eventv1.SpendBatch) { b.Edge = "edge-2" },
		"no incarnation":   func(b *eventv1.SpendBatch) { b.Inc = 0 },
		"no number":        func(b *eventv1.SpendBatch) { b.FirstSeq = 0 },
		"overflow":         func(b *eventv1.SpendBatch) { b.FirstSeq = 1<<64 - 1 },
		"no events":        func(b *eventv1.SpendBatch) { b.Events = nil },
		"negative draw":    func(b *eventv1.SpendBatch) { b.Events[0].Draws[0].Nanos = -1 },
		"negative start":   func(b *eventv1.SpendBatch) { b.Events[0].Draws[0].Window.Start = -1 },
		"negative cost":    func(b *eventv1.SpendBatch) { b.Events[0].CostNanos = -1 },
		"close that draws": func(b *eventv1.SpendBatch) { b.Events[1].Draws = b.Events[0].Draws },
	} {
		b := good()
		spoil(b)
		if got, err := ingest.Decode(subject, encode(t, b), 0); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Guarantee: no bytes make the ledger panic, and what is accepted can be booked.
func FuzzDecode(f *testing.F) {
	f.Add(encode(f, good()))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ingest.Decode(subject, data, 0)
		if err != nil {
			return
		}
		if err := b.Validate(); err != nil || len(b.Records) != len(b.Events) {
			t.Fatalf("accepted %+v: %v", b, err)
		}
		book := escrow.NewBook()
		book.Incs[b.Inc] = escrow.Incarnation{Edge: b.Edge, HWM: b.First - 1}
		book.Apply(b.Batch)
		if err := book.Check(); err != nil {
			t.Fatal(err)
		}
	})
}

// Guarantee: the stream refuses what it cannot keep, so that an edge keeps it.
func TestStreamConfig(t *testing.T) {
	t.Parallel()
	c := ingest.StreamConfig(3, ingest.Config{Replicas: 3, MaxBytes: 99})
	if c.Name != "SPEND_3" || c.Discard != jetstream.DiscardNew || c.Retention != jetstream.LimitsPolicy || c.Storage != jetstream.FileStorage || c.MaxBytes != 99 || c.Replicas != 3 ||
		c.MaxAge != 72*time.Hour || c.MaxMsgSize != 1<<20 || c.Duplicates != 2*time.Minute || c.Subjects[0] != "tollgate.v1.spend.3.*" {
		t.Errorf("StreamConfig = %+v", c)
	}
}
