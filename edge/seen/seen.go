// Package seen tells whoever watches about the exchanges of an edge as they end: refused ones too, with how long each took and
// what it cost, and without headers, bodies, queries and secrets. It promises that telling never makes an exchange wait: what
// does not fit or cannot be sent is counted and left out. Of an edge that serves thousands a second nobody can watch each one, so
// no more are told of than a reader could still make sense of, those that failed before others.
//
// It is for looking on. What was spent is recorded by the spool, which leaves nothing out.
package seen

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/id"
	"tollgate/internal/money"
)

// Exchange is one exchange that is over.
type Exchange struct {
	ID                        id.Bytes
	Ended                     time.Time
	Method, Path              string // the path without its query
	Status                    int    // that the caller got; 0 for none
	Code, Message             string // of the edge's own answer; empty for a target's
	Endpoint, Key             string // names
	Team, Customer            string
	Tags                      []string // nobody changes them any more
	Deployment                string
	Gateway                   time.Duration // that the edge needed
	Upstream, FirstByte       time.Duration // that the target needed, where one was asked
	Setup                     Setup         // contained in FirstByte
	Cost                      money.Nanos
	Charged                   bool // something was, or would have been, charged: Cost counts
	Unpriced                  bool
	Attempts                  uint32
	Source                    string
	Revision                  int64
	RequestBytes, AnswerBytes int64
	Address                   string // of the caller
}

// Setup is how long the connection took that was made for an exchange; zero if it was there before.
type Setup struct {
	DNS, Connect, TLS time.Duration
}

const (
	// A batch is told when it is full or this old, so that what is seen is seen at once.
	batchMost  = 256
	batchAfter = 100 * time.Millisecond
	// queueMost bounds what waits: some seconds of an edge that does nothing but refuse.
	queueMost = 8192
	// leastTold is how many exchanges of a kind are told of in the time of a batch, whatever there are of the other kind: those
	// that went well, and those that did not.
	leastTold = 256
	// Callers choose what these say, and may choose long ones.
	longestPath   = 1024
	longestMethod = 32
	// What was told is kept for who looks on, and may name what a caller sent.
	longestMessage = 400
)

// Publisher sends a batch, or says why it cannot now. It does not wait for anybody.
type Publisher func(data []byte) error

// Log collects exchanges and tells about them. Make it with New and run it with Run. It is safe for concurrent use; a nil one
// takes nothing.
type Log struct {
	edge    string
	inc     int64
	publish Publisher
	log     *slog.Logger
	full    chan struct{} // there is a batch

	lost atomic.Int64 // since the start
	left [2]left      // to be told of until the next batch: of those that went well, and of others

	skipped atomic.Int64 // because there were enough; the next batch has to tell of them

	mu     sync.Mutex // guards what follows
	queue  []Exchange
	missed int64 // that the next batch has to tell of
}

// New makes a log of one process life of an edge.
func New(edge string, inc int64, publish Publisher, log *slog.Logger) *Log {
	l := &Log{edge: edge, inc: inc, publish: publish, log: log, full: make(chan struct{}, 1)}
	l.refill()
	return l
}

// left is how many more are taken. Between it and what others write there is room.
type left struct {
	n atomic.Int64
	_ [56]byte
}

func (l *Log) refill() {
	for i := range l.left {
		l.left[i].n.Store(leastTold)
	}
}

// Wants says whether an exchange is to be added. One that is not is counted, and was never made ready for it.
func (l *Log) Wants(well bool) bool {
	if l == nil {
		return false
	}
	of := &l.left[0]
	if !well {
		of = &l.left[1]
	}
	if of.n.Load() > 0 && of.n.Add(-1) >= 0 {
		return true
	}
	l.lost.Add(1)
	l.skipped.Add(1)
	return false
}

// Lost is how many exchanges were not told of since the start.
func (l *Log) Lost() int64 {
	if l == nil {
		return 0
	}
	return l.lost.Load()
}

// Add takes in an exchange. It never waits for more than its turn.
func (l *Log) Add(e Exchange) { //nolint:gocritic // a pointer would make every exchange allocate it
	if l == nil {
		return
	}
	l.mu.Lock()
	if len(l.queue) >= queueMost {
		l.missed++
		l.mu.Unlock()
		l.lost.Add(1)
		return
	}
	l.queue = append(l.queue, e)
	full := len(l.queue) == batchMost
	l.mu.Unlock()
	if full {
		select {
		case l.full <- struct{}{}:
		default:
		}
	}
}

// Run tells about exchanges until the context ends, and then of those that are left.
func (l *Log) Run(ctx context.Context) error {
	tick := time.NewTicker(batchAfter)
	defer tick.Stop()
	var spare []Exchange
	failing := false
	for over := false; !over; {
		select {
		case <-ctx.Done():
			over = true
		case <-tick.C:
			l.refill()
		case <-l.full:
		}
		l.mu.Lock()
		batch, missed := l.queue, l.missed
		l.queue, l.missed = spare[:0], 0
		l.mu.Unlock()
		missed += l.skipped.Swap(0)
		if err := l.tell(batch, missed); err != nil {
			if !failing {
				l.log.Debug("exchanges cannot be told", "err", err)
			}
			failing = true
		} else if len(batch) > 0 {
			failing = false
		}
		clear(batch) // so that nothing of them is kept
		spare = batch
	}
	return nil
}

// tell sends exchanges in batches. What cannot be sent is lost, and the next batch says so.
func (l *Log) tell(all []Exchange, missed int64) (failed error) {
	for len(all) > 0 || missed > 0 {
		n := min(len(all), batchMost)
		data, err := proto.Marshal(l.batch(all[:n], missed))
		if err == nil && failed == nil {
			err = l.publish(data)
		}
		if failed != nil || err != nil {
			if failed == nil {
				failed = err
			}
			l.lost.Add(int64(n))
			l.mu.Lock()
			l.missed += missed + int64(n)
			l.mu.Unlock()
			if n == 0 {
				return failed
			}
		}
		all, missed = all[n:], 0
	}
	return failed
}

func (l *Log) batch(all []Exchange, missed int64) *eventv1.SeenBatch {
	b := &eventv1.SeenBatch{Edge: l.edge, Inc: l.inc, Lost: missed, Requests: make([]*controlv1.SeenRequest, len(all))}
	for i := range all {
		b.Requests[i] = all[i].message()
	}
	return b
}

func (e *Exchange) message() *controlv1.SeenRequest {
	m := &controlv1.SeenRequest{
		RequestId: e.ID.Text(id.Request), Time: timestamppb.New(e.Ended), Method: clip(e.Method, longestMethod), Path: clip(e.Path, longestPath),
		Status: uint32(max(e.Status, 0)), Code: e.Code, Message: clip(e.Message, longestMessage), Endpoint: e.Endpoint, Key: e.Key, Team: e.Team, Customer: e.Customer, Tags: e.Tags,
		Deployment: e.Deployment, Gateway: durationpb.New(e.Gateway), Unpriced: e.Unpriced, Attempts: e.Attempts, Source: e.Source,
		Revision: e.Revision, RequestBytes: e.RequestBytes, ResponseBytes: e.AnswerBytes, Address: e.Address,
	}
	if e.Attempts > 0 {
		m.Upstream, m.FirstByte = durationpb.New(e.Upstream), durationpb.New(e.FirstByte)
	}
	if e.Setup != (Setup{}) {
		m.Dns, m.Connect = durationpb.New(e.Setup.DNS), durationpb.New(e.Setup.Connect)
		if e.Setup.TLS > 0 {
			m.Tls = durationpb.New(e.Setup.TLS)
		}
	}
	if e.Charged && !e.Unpriced {
		m.Cost = contract.MoneyToProto(e.Cost)
	}
	return m
}

// clip keeps the beginning of a text that somebody else chose, in a form that every reader can take.
func clip(text string, most int) string {
	if len(text) <= most && utf8.ValidString(text) {
		return text
	}
	out := make([]rune, 0, min(len(text), most))
	size := 0
	for _, r := range text {
		if size += utf8.RuneLen(r); size > most {
			return string(out) + "…"
		}
		out = append(out, r)
	}
	return string(out)
}
