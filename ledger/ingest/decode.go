package ingest

import (
	"errors"
	"fmt"
	"math"
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
		Batch:   escrow.Batch{Inc: p.GetInc(), Edge: p.GetEdge(), First: p.GetFirstSeq(), Events: make([]escrow.Event, len(p.GetEvents()))},
		Records: make([]*eventv1.SpendEvent, len(p.GetEvents())),
	}
	draws := make([]escrow.Draw, 0, countDraws(&p)) // one for all events
	for i, e := range p.GetEvents() {
		from := len(draws)
		var err error
		if draws, err = appendDraws(draws, e, part); err != nil {
			return store.Batch{}, fmt.Errorf("event %d: %w", b.First+uint64(i), err)
		}
		switch {
		case e.GetOutcome() == eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE:
			if len(e.GetDraws()) > 0 {
				return store.Batch{}, errors.New("a closing event draws money")
			}
			b.Events[i].Close = true
		case !e.GetDrawsOnly():
			if err := usage.Check(e); err != nil {
				return store.Batch{}, fmt.Errorf("event %d: %w", b.First+uint64(i), err)
			}
			b.Records[i] = e
		}
		if from < len(draws) {
			b.Events[i].Draws = draws[from:len(draws):len(draws)]
		}
	}
	return b, b.Validate()
}

func countDraws(p *eventv1.SpendBatch) int {
	n := 0
	for _, e := range p.GetEvents() {
		n += len(e.GetDraws())
	}
	return n
}

// appendDraws appends what an event draws on accounts of the partition. Those of others are booked there,
// from an event that says nothing else.
func appendDraws(to []escrow.Draw, e *eventv1.SpendEvent, part uint32) ([]escrow.Draw, error) {
	for _, d := range e.GetDraws() {
		w := contract.WindowOf(d.GetWindow())
		switch {
		case w.Start < 0:
			return nil, fmt.Errorf("window of account %d starts at %d", w.Account, w.Start)
		case d.GetNanos() < 0: // also where it is only on record
			return nil, fmt.Errorf("amount %d is out of range", d.GetNanos())
		case d.GetPart() == part:
			to = append(to, escrow.Draw{Window: w, Nanos: money.Nanos(d.GetNanos())})
		case e.GetDrawsOnly():
			return nil, fmt.Errorf("a draw of partition %d came alone to partition %d", d.GetPart(), part)
		case d.GetPart() > math.MaxInt32:
			return nil, fmt.Errorf("partition %d is out of range", d.GetPart())
		}
	}
	return to, nil
}
