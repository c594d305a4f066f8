// Package ledgerlink is an edge's side of the conversation with the ledger: requests that wait for an
// answer, over NATS or, while that is away, over Connect, and what the ledger pushes unasked. It moves
// messages and decides nothing; that none of them does harm when it is lost, repeated or late is the
// doing of packages admit, limit and spool.
package ledgerlink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bus"
	"tollgate/internal/config"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/lifecycle"
)

// Config says who asks, how long an answer may take and where ledgers are.
type Config struct {
	// Edge is the name of this edge.
	Edge string `yaml:"-"`
	// Inc is the number of this life of its process.
	Inc int64 `yaml:"-"`
	// Timeout is how long an answer may take.
	Timeout time.Duration `yaml:"timeout"`
	// LedgerURLs are where ledgers are asked while NATS is away; empty for nowhere.
	LedgerURLs []string `yaml:"ledger_urls"`
	// LedgerToken is what they are shown.
	LedgerToken config.Secret `yaml:"ledger_token"`
}

// DefaultConfig is what suits most edges; Edge and Inc are to be filled in.
func DefaultConfig() Config { return Config{Timeout: 500 * time.Millisecond} }

// Validate checks the timeout, the name and the addresses.
func (c Config) Validate() error {
	var errs []error
	if c.Timeout <= 0 {
		errs = append(errs, errors.New("timeout: must be longer than 0"))
	}
	if !contract.ValidEdgeName(c.Edge) {
		errs = append(errs, fmt.Errorf("edge: %q is not a name of up to 63 letters, digits, - and _", c.Edge))
	}
	for i, u := range c.LedgerURLs {
		if p, err := url.Parse(u); err != nil || p.Scheme != "http" && p.Scheme != "https" || p.Host == "" {
			errs = append(errs, fmt.Errorf("ledger_urls[%d]: %q is not an address such as http://ledger:4002", i, u))
		}
	}
	if len(c.LedgerURLs) > 0 && c.LedgerToken.Reveal() == "" {
		errs = append(errs, errors.New("ledger_token: must be set together with ledger_urls"))
	}
	return errors.Join(errs...)
}

// Spools are what requests tell of this edge's disk, and what their answers tell it. Any may be nil.
type Spools struct {
	// Parts are the partitions that are told of them even if nothing else is to be said.
	Parts func() []uint32
	// States are the spools that a partition has events of.
	States func(part uint32) []*eventv1.SpoolState
	// Mark is told how far a partition has booked one. It is called from several goroutines.
	Mark func(*eventv1.Mark)
}

// Book is what the ledger's messages about money are for.
type Book interface {
	Apply(grants []*eventv1.GrantLine)
	Recall(windows []contract.Window)
	Invalidate(accounts []int64)
	// Resync tells a partition of all that is held.
	Resync(part uint32)
	// GiveBack puts all that is unspent out of reach of requests.
	GiveBack()
}

// Permits are what the ledger's messages about limits are for.
type Permits interface {
	Recall(limits []int64)
}

// skewAlarm is how far the clocks may be apart before windows are at risk of being refused.
const skewAlarm = time.Second

// Link is the way to the ledger. It is safe for concurrent use.
type Link struct {
	cfg    Config
	conn   *bus.Conn
	spools Spools
	direct *direct // nil where no addresses are known
	log    *slog.Logger
	idle   time.Duration // see tellIdle
	skew   atomic.Bool   // the clocks were too far apart when last compared
	ended  atomic.Bool   // the ledger gave up this life of the process

	mu   sync.Mutex // guards what follows
	told map[uint32]*told
	book Book // while Run runs
}

// New makes a link. Run has it listen; asking works without.
func New(cfg Config, conn *bus.Conn, spools Spools, log *slog.Logger) (*Link, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("ledger link: %w", err)
	}
	l := &Link{cfg: cfg, conn: conn, spools: spools, log: log, idle: tellIdle, told: map[uint32]*told{}}
	if len(cfg.LedgerURLs) > 0 {
		l.direct = newDirect(cfg, log)
	}
	return l, nil
}

// Lease asks the leader of a partition for money. It implements admit.Leaser.
func (l *Link) Lease(ctx context.Context, part uint32, lines []*eventv1.LeaseLine) ([]*eventv1.GrantLine, error) {
	p := &eventv1.LeaseRequest{Part: part, Lines: lines, Spools: l.states(part)}
	reply, err := l.ask(ctx, p)
	if err != nil {
		return nil, err
	}
	l.heard(p, reply.GetMarks())
	return reply.GetLines(), nil
}

// Limits asks the leader of a partition for tokens and permits. It implements limit.Asker.
func (l *Link) Limits(ctx context.Context, part uint32, rates []*eventv1.RateLine, permits []*eventv1.PermitLine) (*eventv1.LeaseReply, error) {
	return l.ask(ctx, &eventv1.LeaseRequest{Part: part, Rates: rates, Permits: permits})
}

// ask sends a request by the way that works and returns an answer that is for it.
func (l *Link) ask(ctx context.Context, p *eventv1.LeaseRequest) (*eventv1.LeaseReply, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	sent := time.Now()
	p.Inc, p.Edge, p.EdgeUnixMs = l.cfg.Inc, l.cfg.Edge, sent.UnixMilli()
	reply, err := l.exchange(ctx, p)
	switch part := p.GetPart(); {
	case err != nil:
		return nil, fmt.Errorf("ask ledger of partition %d: %w", part, err)
	case reply.GetError() == contract.IncarnationEnded && reply.GetInc() == l.cfg.Inc:
		l.end(part)
		return nil, fmt.Errorf("ledger of partition %d: %s", part, reply.GetError())
	case reply.GetError() != "":
		return nil, fmt.Errorf("ledger of partition %d: %s", part, reply.GetError())
	case reply.GetInc() != l.cfg.Inc:
		return nil, fmt.Errorf("ledger of partition %d answered incarnation %d, not %d", part, reply.GetInc(), l.cfg.Inc)
	}
	l.compareClocks(sent, time.Now(), reply.GetLedgerUnixMs())
	return reply, nil
}

// end is for when the ledger has given up this life of the process while it lives: an operator took its
// machine for lost, and what it held was given to others. It gets nothing any more, and what it still spent
// of that would be spent twice.
func (l *Link) end(part uint32) {
	if l.ended.Swap(true) {
		return
	}
	l.log.Error("the ledger has given up this incarnation, and what it held; budgets are refused until this edge is restarted",
		"part", part, "inc", l.cfg.Inc)
	l.mu.Lock()
	book := l.book
	l.mu.Unlock()
	if book != nil {
		book.GiveBack()
	}
}

// Ended says why this edge has to be restarted, if the ledger has given it up.
func (l *Link) Ended() error {
	if !l.ended.Load() {
		return nil
	}
	return fault.New(fault.BudgetUnavailable, "The ledger was told that this edge, incarnation %d, is lost, and has given away what it held: restart it.", l.cfg.Inc)
}

// exchange asks over NATS and, if nobody hears there, directly.
func (l *Link) exchange(ctx context.Context, p *eventv1.LeaseRequest) (*eventv1.LeaseReply, error) {
	if l.direct == nil {
		return l.overNATS(ctx, p)
	}
	if l.conn.Connected() && !l.direct.preferred(time.Now()) {
		first, cancel := context.WithTimeout(ctx, l.cfg.Timeout/2)
		reply, err := l.overNATS(first, p)
		cancel()
		if err == nil || ctx.Err() != nil {
			return reply, err
		}
		if errors.Is(err, context.DeadlineExceeded) {
			l.direct.prefer(time.Now())
		}
	}
	return l.direct.lease(ctx, p)
}

func (l *Link) overNATS(ctx context.Context, p *eventv1.LeaseRequest) (*eventv1.LeaseReply, error) {
	data, err := proto.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode lease request: %w", err)
	}
	msg, err := l.conn.NATS().RequestWithContext(ctx, contract.Lease(p.GetPart()), data)
	if err != nil {
		return nil, err
	}
	var reply eventv1.LeaseReply
	if err := proto.Unmarshal(msg.Data, &reply); err != nil {
		return nil, fmt.Errorf("decode lease reply: %w", err)
	}
	return &reply, nil
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

// Run hands what the ledger pushes to book, permits (nil for none) and the spools, and tells partitions of
// spools that would not hear of them otherwise, until ctx ends. They are called from other goroutines, which
// have ended when Run returns.
func (l *Link) Run(ctx context.Context, book Book, permits Permits) error {
	defer l.direct.close()
	l.mu.Lock()
	l.book = book
	l.mu.Unlock()
	var teller lifecycle.Group
	defer teller.Stop()
	teller.Go("spool teller", l.tell)
	var ends []func() error
	defer func() {
		for _, end := range ends {
			if err := end(); err != nil {
				l.log.Debug("subscription did not end in order", "err", err)
			}
		}
	}()
	for subject, handle := range map[string]func([]byte) error{
		contract.EdgeControl(l.cfg.Edge): func(data []byte) error { return l.control(data, book, permits) },
		contract.BudgetChanged:           func(data []byte) error { return changed(data, book) },
	} {
		end, err := l.conn.Subscribe(subject, "", func(msg *nats.Msg) {
			if err := handle(msg.Data); err != nil {
				l.log.Error("message of the ledger cannot be read", "subject", msg.Subject, "err", err)
			}
		})
		if err != nil {
			return err
		}
		ends = append(ends, end)
	}
	<-ctx.Done()
	return nil
}

func (l *Link) control(data []byte, book Book, permits Permits) error {
	var c eventv1.EdgeControl
	if err := proto.Unmarshal(data, &c); err != nil {
		return err
	}
	// Marks may be of an earlier life whose events this one sends on; money never is.
	l.mark(c.GetMarks())
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
	if len(c.GetPermitRecalls()) > 0 && permits != nil {
		permits.Recall(c.GetPermitRecalls())
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
