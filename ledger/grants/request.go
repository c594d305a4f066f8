package grants

import (
	"errors"
	"fmt"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/ledger/escrow"
)

// request is what an edge asks for, taken apart.
type request struct {
	inc    int64
	edge   string
	lines  []escrow.Line
	spools []*eventv1.SpoolState
	// reply has what needed no transaction; answer sends it.
	reply  *eventv1.LeaseReply
	answer func(*eventv1.LeaseReply)
}

// maxRequest is how many lines of each kind a request may have.
const maxRequest = 20_000

var errSize = errors.New("a request needs something to answer, and at most 20000 lines of a kind")

// check refuses what no correct edge of this partition sends. The bytes come from another process.
func check(p *eventv1.LeaseRequest, part uint32) error {
	all := 0
	for _, n := range []int{len(p.GetLines()), len(p.GetSpools()), len(p.GetRates()), len(p.GetPermits())} {
		if n > maxRequest {
			return errSize
		}
		all += n
	}
	switch {
	case p.GetInc() <= 0:
		return fmt.Errorf("incarnation %d is not positive", p.GetInc())
	case !contract.ValidEdgeName(p.GetEdge()):
		return fmt.Errorf("edge name %q is malformed", p.GetEdge())
	case p.GetPart() != part:
		return fmt.Errorf("lines of partition %d were sent to partition %d", p.GetPart(), part)
	case all == 0:
		return errSize
	}
	return nil
}

// Lines checks a request and takes its money apart. Amounts are checked line by line when they are decided.
func Lines(p *eventv1.LeaseRequest, part uint32) ([]escrow.Line, error) {
	if err := check(p, part); err != nil {
		return nil, err
	}
	lines := make([]escrow.Line, len(p.GetLines()))
	for i, l := range p.GetLines() {
		w := contract.WindowOf(l.GetWindow())
		if w.Start < 0 {
			return nil, fmt.Errorf("window of account %d starts at %d", w.Account, w.Start)
		}
		lines[i] = escrow.Line{Window: w, Inc: p.GetInc(), Edge: p.GetEdge(), Ask: ask(l)}
	}
	return lines, nil
}
