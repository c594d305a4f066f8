package usage

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
	"tollgate/internal/money"
)

// Position is a record's place in the books: the incarnation that told of it, the number of its event,
// and the partition that keeps it. Incarnation 0 is the ledger itself, whose records are corrections.
type Position struct {
	Part uint32
	Inc  int64
	Seq  uint64
}

// String is the position as it is shown.
func (p Position) String() string { return fmt.Sprintf("%d.%d.%d", p.Part, p.Inc, p.Seq) }

// Record is one settled attempt, or a correction of one: then cost and draws of the event are
// differences, and Corrects is the record that it corrects.
type Record struct {
	Position Position
	Event    *eventv1.SpendEvent
	Corrects *Position
	Edge     string
}

// Filter selects records. Every field that is set has to match.
type Filter struct {
	From, To   time.Time // ended at From or later, and before To; zero: open
	KeyID      string
	EndpointID string
	Team       string
	Customer   string
	Tag        string
	Model      string
	Meter      string
	Job        string
	Deployment string  // "MODEL/DEPLOYMENT", or "MODEL/" for all of a model
	RequestID  []byte  // 16 bytes
	Status     *uint32 // that the target answered
	Outcome    eventv1.SpendOutcome
	Unpriced   bool // only those that are unpriced and were not priced since
	// Where selects further: all of it has to match.
	Where []Match
	// MinCost and MinDuration are what they cost and how long they took at least; 0 lets everything through.
	MinCost     money.Nanos
	MinDuration time.Duration
}

// Check refuses what no record can match.
func (f Filter) Check() error {
	var violations []fault.Violation
	if len(f.RequestID) != 0 && len(f.RequestID) != 16 {
		violations = append(violations, fault.Violation{Field: "filter.request_id", Code: "invalid", Reason: "it is not the 16 bytes of a request's id"})
	}
	if !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To) {
		violations = append(violations, fault.Violation{Field: "filter.to_unix_ms", Code: "invalid", Reason: "it is not after from_unix_ms"})
	}
	violations = append(violations, unstorable("filter.", map[string]string{
		"key_id": f.KeyID, "endpoint_id": f.EndpointID, "team": f.Team, "customer": f.Customer, "tag": f.Tag, "model": f.Model,
		"meter": f.Meter, "job": f.Job,
	})...)
	violations = append(violations, checkAll("filter.", f.Where, false)...)
	if !storableUpTo(f.Deployment, maxPlace) {
		violations = append(violations, fault.Violation{Field: "filter.deployment", Code: "invalid", Reason: notStorable})
	}
	if len(violations) > 0 {
		return fault.New(fault.InvalidArgument, "No record can match this filter.").WithViolations(violations...)
	}
	return nil
}

const notStorable = "it is too long or not text"

// unstorable finds texts that nothing in the books can be equal to, and that the database would refuse.
func unstorable(prefix string, texts map[string]string) []fault.Violation {
	var violations []fault.Violation
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if !storable(texts[name]) {
			violations = append(violations, fault.Violation{Field: prefix + name, Code: "invalid", Reason: notStorable})
		}
	}
	return violations
}

// Cursor is where a page ended: the next one begins with the first record beyond it. Records are in
// order of the time at which they ended and then of their position, which does not change: what is
// booked while pages are read is in a later page or in none, and no record is in two.
type Cursor struct {
	Ended time.Time // to the microsecond
	Position
}

// Listing asks for a page of records.
type Listing struct {
	Filter      Filter
	OldestFirst bool
	Limit       int    // at most this many
	After       Cursor // zero for the first page
}

// Page is one page. More says that another may follow; a page that took long to fill may end before it
// is full, and even be empty.
type Page struct {
	Records []Record
	Next    Cursor
	More    bool
}

// Records holds the records.
type Records interface {
	Requests(ctx context.Context, l Listing) (Page, error)
}

// maxPage bounds a page.
const maxPage = 10_000

// List answers with a page and the token of the next, which is empty on the last. A token is good for
// the same filter and order only.
func List(ctx context.Context, src Records, f Filter, oldestFirst bool, size int, token string) ([]Record, string, error) {
	if err := f.Check(); err != nil {
		return nil, "", err
	}
	l := Listing{Filter: f, OldestFirst: oldestFirst, Limit: min(max(1, size), maxPage)}
	if token != "" {
		after, err := parseToken(token, l)
		if err != nil {
			return nil, "", err
		}
		l.After = after
	}
	page, err := src.Requests(ctx, l)
	if err != nil || !page.More {
		return page.Records, "", err
	}
	return page.Records, newToken(page.Next, l), nil
}

// A token is a version, what it is good for, and a cursor.
const tokenSize = 1 + 4 + 8 + 4 + 8 + 8

const tokenVersion = 1

func newToken(c Cursor, l Listing) string {
	b := make([]byte, 0, tokenSize)
	b = append(b, tokenVersion)
	b = binary.BigEndian.AppendUint32(b, l.fingerprint())
	b = binary.BigEndian.AppendUint64(b, uint64(c.Ended.UnixMicro()))
	b = binary.BigEndian.AppendUint32(b, c.Part)
	b = binary.BigEndian.AppendUint64(b, uint64(c.Inc))
	b = binary.BigEndian.AppendUint64(b, c.Seq)
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseToken(token string, l Listing) (Cursor, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	bad := fault.New(fault.InvalidArgument, "The page token is not one that was given for this list.").
		WithHint("Use next_page_token of the page before, with the same filter and order.")
	if err != nil || len(b) != tokenSize || b[0] != tokenVersion || binary.BigEndian.Uint32(b[1:]) != l.fingerprint() {
		return Cursor{}, bad
	}
	c := Cursor{
		Ended:    time.UnixMicro(int64(binary.BigEndian.Uint64(b[5:]))).UTC(),
		Position: Position{Part: binary.BigEndian.Uint32(b[13:]), Inc: int64(binary.BigEndian.Uint64(b[17:])), Seq: binary.BigEndian.Uint64(b[25:])},
	}
	if c.Ended.UnixMilli() < firstMilli-dayMillis || c.Ended.UnixMilli() > lastMilli+dayMillis || c.Part > math.MaxInt32 || c.Inc < 0 || c.Seq > math.MaxInt64 {
		return Cursor{}, bad
	}
	return c, nil
}

const dayMillis = 24 * 60 * 60 * 1000

// fingerprint tells lists apart, as far as a mistake goes.
func (l Listing) fingerprint() uint32 {
	f := l.Filter
	status := int64(-1)
	if f.Status != nil {
		status = int64(*f.Status)
	}
	h := fnv.New32a()
	fmt.Fprintf(h, "%d %d %q %q %q %q %q %q %x %d %d %t %t", millis(f.From), millis(f.To), f.KeyID, f.EndpointID, f.Team, f.Customer,
		f.Tag, f.Model, f.RequestID, status, f.Outcome, f.Unpriced, l.OldestFirst)
	if f.Meter != "" || f.Job != "" {
		fmt.Fprintf(h, " %q %q", f.Meter, f.Job)
	}
	if f.Deployment != "" {
		fmt.Fprintf(h, " deployment %q", f.Deployment)
	}
	for _, m := range f.Where {
		fmt.Fprintf(h, " %d %t %q", m.Of, m.Not, m.Values)
	}
	if f.MinCost != 0 || f.MinDuration != 0 {
		fmt.Fprintf(h, " least %d %d", f.MinCost, f.MinDuration)
	}
	return h.Sum32()
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
