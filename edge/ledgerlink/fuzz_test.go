package ledgerlink

import (
	"log/slog"
	"testing"

	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

type counter struct{ calls int }

func (c *counter) Apply([]*eventv1.GrantLine) { c.calls++ }
func (c *counter) Recall([]contract.Window)   { c.calls++ }
func (c *counter) Invalidate([]int64)         { c.calls++ }
func (c *counter) Resync(uint32)              { c.calls++ }
func (c *counter) GiveBack()                  { c.calls++ }

type permits struct{ calls int }

func (p *permits) Recall([]int64) { p.calls++ }

// Guarantee: bytes that are no message of the ledger reach nobody, and nothing meant for another life
// of the process touches money.
func FuzzControl(f *testing.F) {
	for _, m := range []proto.Message{
		&eventv1.EdgeControl{Inc: 7, Marks: []*eventv1.Mark{{Inc: 7, Hwm: 9}}, Recalls: []*eventv1.AccountWindow{{Account: 1}}},
		&eventv1.EdgeControl{Inc: 8, Grants: []*eventv1.GrantLine{{GrantedTotal: 5}}},
		&eventv1.EdgeControl{Inc: 7, PermitRecalls: []int64{3}},
		&eventv1.BudgetChanged{Accounts: []int64{1, 2}},
	} {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var c counter
		var p permits
		marks := 0
		l := &Link{
			cfg: Config{Edge: "e", Inc: 7}, spools: Spools{Mark: func(*eventv1.Mark) { marks++ }},
			log: slog.New(slog.DiscardHandler), idle: tellIdle, told: map[uint32]*told{},
		}
		err := l.control(data, &c, &p)
		var m eventv1.EdgeControl
		readable := proto.Unmarshal(data, &m) == nil
		if (err == nil) != readable || !readable && c.calls+p.calls+marks > 0 || m.GetInc() != 7 && c.calls+p.calls > 0 {
			t.Errorf("%x: %v, %d calls, %d marks", data, err, c.calls, marks)
		}
		_ = changed(data, &c)
		_ = l.control(data, &c, nil)
	})
}
