package ingest

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
	"tollgate/ledger/usage"
)

// edgeOf is the edge whose subject it is.
func edgeOf(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }

// Decode reads a batch that came on a subject. It refuses what no correct edge sends, and what a newer
// one means in a way that this version does not know.
func Decode(subject string, data []byte, part uint32) (store.Batch, error) {
	var p eventv1.SpendBatch
	if err := proto.Unmarshal(data, &p); err != nil {
		return store.Batch{}, fmt.Errorf("decode batch: %w", err)
	}
	switch {
	case p.GetSchema() > contract.Schema:
		return store.Batch{}, fmt.Errorf("batch of schema %d, this version reads %d: upgrade it", p.GetSchema(), contract.Schema)
	case p.GetPart() != part:
		return store.Batch{}, fmt.Errorf("batch of partition %d came to partition %d", p.GetPart(), part)
	case p.GetEdge() != edgeOf(subject):
		return store.Batch{}, fmt.Errorf("batch of edge %q came on the subject of %q", p.GetEdge(), edgeOf(subject))
	}
	b := store.Batch{
		Batch: escrow.Batch{Inc: p.GetInc(), Edge: p.GetEdge(), First: p.GetFirstSeq(), Events: make([]escrow.Event, len(p.GetEvents()))},
		Facts: make([]usage.Fact, len(p.GetEvents())),
	}
	for i, e := range p.GetEvents() {
		if e.GetOutcome() == eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE {
			if len(e.GetDraws()) > 0 {
				return store.Batch{}, errors.New("a closing event draws money")
			}
			b.Events[i].Close = true
			continue
		}
		var err error
		if b.Facts[i], err = usage.FactOf(e); err != nil {
			return store.Batch{}, fmt.Errorf("event %d: %w", b.First+uint64(i), err)
		}
		for _, d := range e.GetDraws() {
			w := contract.WindowOf(d.GetWindow())
			if w.Start < 0 {
				return store.Batch{}, fmt.Errorf("event %d: window of account %d starts at %d", b.First+uint64(i), w.Account, w.Start)
			}
			b.Events[i].Draws = append(b.Events[i].Draws, escrow.Draw{Window: w, Nanos: money.Nanos(d.GetNanos())})
		}
	}
	return b, b.Validate()
}
