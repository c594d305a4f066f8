package simulation_test

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"tollgate/edge/admit"
	"tollgate/edge/limit"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// packet is a message under way. What it carries is encoded, as on a real wire.
type packet struct {
	kind    packetKind
	edge    *edge
	inc     int64 // the life of the edge that it is for, or of
	part    uint32
	data    []byte
	request *admit.Exchange // that it belongs to
	limits  *limit.Exchange
	account *account
}

type packetKind uint8

const (
	question      packetKind = iota // edge to ledger: lease lines
	answer                          // ledger to edge
	control                         // ledger to edge, unasked: recalls and marks
	changed                         // ledger to all edges: limits have changed
	snapshot                        // control plane to edge
	limitQuestion                   // edge to ledger: rates and permits
	limitAnswer
)

func encode(m proto.Message) []byte {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err)
	}
	return data
}

func decode[M proto.Message](data []byte, m M) M {
	if err := proto.Unmarshal(data, m); err != nil {
		panic(err)
	}
	return m
}

func (w *world) send(p packet) { w.net = append(w.net, p) }

// deliver hands over one message. With faults one in ten is lost and one in twenty comes again.
func (w *world) deliver() {
	if len(w.net) == 0 {
		return
	}
	i := w.rng.IntN(len(w.net))
	p := w.net[i]
	if w.fault(20) {
		w.count["repeated"]++
	} else {
		w.net = slices.Delete(w.net, i, i+1)
	}
	if w.fault(10) && p.kind != snapshot {
		w.count["lost"]++
		switch p.kind {
		case question, answer:
			p.edge.unanswered(p)
		case limitQuestion, limitAnswer:
			p.edge.unbought(p)
		default:
		}
		return
	}
	w.hand(p)
}

func (w *world) hand(p packet) {
	switch p.kind {
	case question:
		w.parts[p.part].take(p)
	case answer:
		p.edge.answered(p)
	case control:
		p.edge.controlled(p)
	case changed:
		var m eventv1.BudgetChanged
		p.edge.book.Invalidate(decode(p.data, &m).GetAccounts())
	case limitQuestion:
		w.parts[p.part].limit(p)
	case limitAnswer:
		p.edge.bought(p)
	case snapshot:
		p.edge.accounts[p.account.id] = p.account.compiled()
	}
}

// deliverAll lets everything arrive that is under way, and what follows from it.
func (w *world) deliverAll() {
	for n := 0; len(w.net) > 0 && w.err == nil; n++ {
		p := w.net[0]
		w.net = slices.Delete(w.net, 0, 1)
		w.hand(p)
		if n > 100_000 {
			w.fail("messages do not come to an end")
		}
	}
}
