// Package seen follows what edges see of requests, for people who watch: it keeps the newest in memory to be found by id, and lets
// any number of tails go on where each of them was, also one that began with another control plane. A tail is told each request
// exactly once as long as the stream holds it, and is told when some are missing; a slow one holds up nobody.
//
// What is here is kept for minutes and may be incomplete. It is nothing to count money by: that is in the ledger's records.
package seen

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
	"tollgate/internal/feed"
)

const (
	// The stream is a window: what nobody has read by then is gone.
	streamAge   = 15 * time.Minute
	streamBytes = 64 << 20
	// ringMost is how many requests are kept here.
	ringMost = 20_000
)

// Batch is what one edge told at a time. Nobody changes it.
type Batch struct {
	Seq      uint64
	Time     time.Time // when the stream took it in
	Lost     int64     // requests before these that the edge could not tell of
	Requests []*controlv1.SeenRequest
}

// Position is a place in a stream: behind the message with the number. The zero value is the beginning of whatever there is.
type Position struct {
	Stream int64 // when the stream was made, which tells it from others of its name
	Seq    uint64
}

// Log follows the stream. Make it with New and run it with Run; it is safe for concurrent use.
type Log struct {
	bus      *bus.Conn
	replicas int
	log      *slog.Logger

	mu      sync.Mutex // guards what follows
	at      Position   // of the newest batch here; of no stream before there was one
	head    uint64     // number of the newest message when following began: what comes before it is old
	ring    []Batch    // oldest first
	count   int        // of the requests in it
	byID    map[string]*controlv1.SeenRequest
	changed chan struct{} // closed when there is more
}

// New makes a log; the connection stays its owner's.
func New(conn *bus.Conn, replicas int, log *slog.Logger) *Log {
	return &Log{bus: conn, replicas: replicas, log: log, byID: map[string]*controlv1.SeenRequest{}, changed: make(chan struct{})}
}

// Run follows the stream until the context ends, whatever happens to NATS.
func (l *Log) Run(ctx context.Context) error {
	l.bus.Follow(ctx, l.follow, func(err error) {
		l.log.WarnContext(ctx, "requests that edges see cannot be read, trying again", "err", err)
	})
	return nil
}

func (l *Log) follow(ctx context.Context) error {
	stream, err := l.bus.EnsureStream(ctx, jetstream.StreamConfig{
		Name: contract.StreamSeen, Subjects: []string{contract.SeenSubjects}, Storage: jetstream.MemoryStorage,
		MaxAge: streamAge, MaxBytes: streamBytes, Discard: jetstream.DiscardOld, Replicas: l.replicas,
	})
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	from := l.begin(info.Created.UnixNano(), info.State.LastSeq)
	r, err := feed.From(ctx, l.bus.JetStream(), contract.StreamSeen, from)
	if err != nil {
		return err
	}
	defer r.Close()
	return r.Each(ctx, func(m feed.Message) error {
		l.take(l.read(m))
		return nil
	})
}

// begin says where to go on in a stream. What came by another one of the name is forgotten with its numbers.
func (l *Log) begin(stream int64, newest uint64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.head = newest
	if l.at.Stream != stream {
		l.at, l.ring, l.count = Position{Stream: stream}, nil, 0
		clear(l.byID)
		l.announce()
	}
	return l.at.Seq
}

// read makes a batch of a message. One that cannot be read is a batch of nothing, so that the numbers go on.
func (l *Log) read(m feed.Message) Batch {
	var in eventv1.SeenBatch
	err := proto.Unmarshal(m.Data, &in)
	if err == nil && m.Subject != contract.Seen(in.GetEdge()) {
		err = fmt.Errorf("edge %q speaks for another", in.GetEdge())
	}
	if err != nil {
		l.log.Warn("requests that an edge has seen are ignored", "subject", m.Subject, "err", err)
		return Batch{Seq: m.Seq, Time: m.Time, Lost: 1}
	}
	for _, r := range in.GetRequests() {
		r.Edge = in.GetEdge()
	}
	return Batch{Seq: m.Seq, Time: m.Time, Lost: in.GetLost(), Requests: in.GetRequests()}
}

func (l *Log) take(b Batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at.Seq = b.Seq
	l.ring = append(l.ring, b)
	l.count += len(b.Requests)
	for _, r := range b.Requests {
		l.byID[r.GetRequestId()] = r
	}
	drop := 0
	for ; l.count > ringMost || len(l.ring)-drop > ringMost; drop++ {
		old := &l.ring[drop]
		l.count -= len(old.Requests)
		for _, r := range old.Requests {
			if l.byID[r.GetRequestId()] == r {
				delete(l.byID, r.GetRequestId())
			}
		}
		*old = Batch{}
	}
	l.ring = l.ring[drop:]
	l.announce()
}

// announce wakes who waits. It needs mu.
func (l *Log) announce() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// ByID finds a request, and waits so long for one that is not here yet; nil if there is none.
func (l *Log) ByID(ctx context.Context, requestID string, wait time.Duration) *controlv1.SeenRequest {
	t := time.NewTimer(wait)
	defer t.Stop()
	for {
		l.mu.Lock()
		found, changed := l.byID[requestID], l.changed
		l.mu.Unlock()
		if found != nil || wait <= 0 {
			return found
		}
		select {
		case <-changed:
		case <-t.C:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// now is behind the newest request, also while older ones are still being read. It needs mu.
func (l *Log) now() Position { return Position{l.at.Stream, max(l.at.Seq, l.head)} }

// tokenForm begins what Token makes.
const tokenForm = "s1"

// Token is the position in a form for callers, who are to take nothing from it.
func (p Position) Token() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s:%d:%d", tokenForm, p.Stream, p.Seq))
}

var errToken = errors.New("not a token of a tail")

// ParseToken reads what Token has made, and nothing else.
func ParseToken(text string) (Position, error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return Position{}, errToken
	}
	parts := strings.Split(string(raw), ":")
	if len(parts) != 3 || parts[0] != tokenForm {
		return Position{}, errToken
	}
	stream, err1 := strconv.ParseInt(parts[1], 10, 64)
	seq, err2 := strconv.ParseUint(parts[2], 10, 64)
	p := Position{stream, seq}
	if err1 != nil || err2 != nil || p.Token() != text {
		return Position{}, errToken
	}
	return p, nil
}
