// Package ledgerlink is an edge's side of the conversation with the ledger: lease requests that wait
// for an answer, and what the ledger pushes unasked. It moves messages and decides nothing; that none
// of them does harm when it is lost, repeated or late is the doing of package admit.
package ledgerlink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
)

// Config says who asks and how long an answer may take.
type Config struct {
	// Edge is the name of this edge.
	Edge string `yaml:"-"`
	// Inc is the number of this life of its process.
	Inc int64 `yaml:"-"`
	// Timeout is how long an answer may take.
	Timeout time.Duration `yaml:"timeout"`
}

// DefaultConfig is what suits most edges; Edge and Inc are to be filled in.
func DefaultConfig() Config { return Config{Timeout: 500 * time.Millisecond} }

// Validate checks the timeout and the name.
func (c Config) Validate() error {
	var errs []error
	if c.Timeout <= 0 {
		errs = append(errs, errors.New("timeout: must be longer than 0"))
	}
	if !contract.ValidEdgeName(c.Edge) {
		errs = append(errs, fmt.Errorf("edge: %q is not a name of up to 63 letters, digits, - and _", c.Edge))
	}
	return errors.Join(errs...)
}

// Book is what the ledger's messages are for.
type Book interface {
	Apply(grants []*eventv1.GrantLine)
	Recall(windows []contract.Window)
	Invalidate(accounts []int64)
}

// skewAlarm is how far the clocks may be apart before windows are at risk of being refused.
const skewAlarm = time.Second

// Link is the way to the ledger. It is safe for concurrent use.
type Link struct {
	cfg  Config
	conn *bus.Conn
	log  *slog.Logger
	skew atomic.Bool // the clocks were too far apart when last compared
}

// New makes a link. Run has it listen; asking works without.
func New(cfg Config, conn *bus.Conn, log *slog.Logger) (*Link, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("ledger link: %w", err)
	}
	return &Link{cfg: cfg, conn: conn, log: log}, nil
}

// Lease asks the leader of a partition. It implements admit.Leaser.
func (l *Link) Lease(ctx context.Context, part uint32, lines []*eventv1.LeaseLine) ([]*eventv1.GrantLine, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	sent := time.Now()
	data, err := proto.Marshal(&eventv1.LeaseRequest{
		Inc: l.cfg.Inc, Edge: l.cfg.Edge, Part: part, EdgeUnixMs: sent.UnixMilli(), Lines: lines,
	})
	if err != nil {
		return nil, fmt.Errorf("encode lease request: %w", err)
	}
	msg, err := l.conn.NATS().RequestWithContext(ctx, contract.Lease(part), data)
	if err != nil {
		return nil, fmt.Errorf("ask ledger of partition %d: %w", part, err)
	}
	var reply eventv1.LeaseReply
	if err := proto.Unmarshal(msg.Data, &reply); err != nil {
		return nil, fmt.Errorf("answer of ledger of partition %d: %w", part, err)
	}
	switch {
	case reply.GetError() != "":
		return nil, fmt.Errorf("ledger of partition %d: %s", part, reply.GetError())
	case reply.GetInc() != l.cfg.Inc:
		return nil, fmt.Errorf("ledger of partition %d answered incarnation %d, not %d", part, reply.GetInc(), l.cfg.Inc)
	}
	l.compareClocks(sent, time.Now(), reply.GetLedgerUnixMs())
	return reply.GetLines(), nil
}

// compareClocks warns when the ledger's clock and this one drift apart: an edge whose clock is ahead
// asks for periods that the ledger does not give yet.
func (l *Link) compareClocks(sent, received time.Time, ledgerMs int64) {
	if ledgerMs == 0 {
		return
	}
	// The ledger looked at its clock at some time between the two.
	at := time.UnixMilli(ledgerMs)
	var off time.Duration
	switch {
	case at.Before(sent):
		off = at.Sub(sent)
	case at.After(received):
		off = at.Sub(received)
	}
	apart := off.Abs() > skewAlarm
	if l.skew.Swap(apart) == apart {
		return
	}
	if apart {
		l.log.Warn("clocks of edge and ledger are apart", "ledger_ahead_by", off)
	} else {
		l.log.Info("clocks of edge and ledger agree again")
	}
}

// Run hands what the ledger pushes to book, and marks to mark, until ctx ends. Both are called from
// other goroutines, which have ended when Run returns.
func (l *Link) Run(ctx context.Context, book Book, mark func(*eventv1.Mark)) error {
	nc := l.conn.NATS()
	var ends []func() error
	defer func() {
		for _, end := range ends {
			if err := end(); err != nil {
				l.log.Debug("subscription did not end in order", "err", err)
			}
		}
	}()
	for subject, handle := range map[string]func([]byte) error{
		contract.EdgeControl(l.cfg.Edge): func(data []byte) error { return l.control(data, book, mark) },
		contract.BudgetChanged:           func(data []byte) error { return changed(data, book) },
	} {
		ended := make(chan struct{})
		sub, err := nc.Subscribe(subject, func(msg *nats.Msg) {
			if err := handle(msg.Data); err != nil {
				l.log.Error("message of the ledger cannot be read", "subject", msg.Subject, "err", err)
			}
		})
		if err != nil {
			return fmt.Errorf("subscribe to %s: %w", subject, err)
		}
		sub.SetClosedHandler(func(string) { close(ended) })
		ends = append(ends, func() error {
			if err := sub.Unsubscribe(); err != nil {
				return err // the connection is closed, and the handlers with it
			}
			<-ended
			return nil
		})
	}
	<-ctx.Done()
	return nil
}

func (l *Link) control(data []byte, book Book, mark func(*eventv1.Mark)) error {
	var c eventv1.EdgeControl
	if err := proto.Unmarshal(data, &c); err != nil {
		return err
	}
	// Marks may be of an earlier life whose events this one sends on; money never is.
	for _, m := range c.GetMarks() {
		mark(m)
	}
	if c.GetInc() != l.cfg.Inc {
		return nil
	}
	if len(c.GetGrants()) > 0 {
		book.Apply(c.GetGrants())
	}
	if len(c.GetRecalls()) > 0 {
		windows := make([]contract.Window, len(c.GetRecalls()))
		for i, w := range c.GetRecalls() {
			windows[i] = contract.WindowOf(w)
		}
		book.Recall(windows)
	}
	return nil
}

func changed(data []byte, book Book) error {
	var c eventv1.BudgetChanged
	if err := proto.Unmarshal(data, &c); err != nil {
		return err
	}
	book.Invalidate(c.GetAccounts())
	return nil
}
