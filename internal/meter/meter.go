// Package meter makes the cost of an exchange of numbers in it, as a price by meters declares. It is pure: the
// edge that charges by it and the control plane that checks prices and tries them run the same code.
//
// It counts a copy of what goes by and changes nothing. It holds no money, and knows of budgets, records and
// connections nothing at all.
package meter

import (
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/money"
)

// Problem is something that is wrong with a price.
type Problem struct {
	Field  string // "meters[2].counters[0].sources[1].frame"
	Reason string // a sentence
}

// Check says everything that is wrong with a price; nothing if it can be compiled.
func Check(m *controlv1.Metered) []Problem { return nil }

// Book finds the rows of a list of the price book, in the order in which they are tried; nil if there is none.
type Book func(list string) []*controlv1.ModelPrice

// Plan is a price by meters, ready to be used. It never changes.
type Plan struct {
	Unmatched Unmatched
}

// Unmatched says what happens to requests that no meter reads.
type Unmatched uint8

// What can happen to them.
const (
	Refuse Unmatched = iota
	Free
	Unpriced
)

// Compile makes a plan of a price that Check finds nothing wrong with.
func Compile(m *controlv1.Metered, book Book) (*Plan, error) { return &Plan{}, nil }

// Fixed makes a plan of a price that is the same for each request and that conditions on the answer decide of.
func Fixed(amount money.Nanos, charge *controlv1.Charge) (*Plan, error) { return &Plan{}, nil }

// Reported makes a plan of a cost that the target says in a header.
func Reported(header string, ceiling, fallback money.Nanos, charge *controlv1.Charge) (*Plan, error) {
	return &Plan{}, nil
}

// Request is what is known of a request before it leaves.
type Request struct {
	Method    string
	Path      string // below the endpoint, with its slash, as the caller sent it
	Query     string // as it was sent
	Header    func(name string) string
	WebSocket bool
	// Body is the whole body as far as it was read beforehand, without its content encoding; nil if it was not.
	Body []byte
	// Whole says that Body is all of it.
	Whole  bool
	Length int64 // of the body as it is sent; -1 if unknown
}

// Match finds the meter of a request; nil if none reads it.
func (p *Plan) Match(r *Request) *Meter { return nil }

// Unread is the bill of a request that no meter reads and that is not refused.
func (p *Plan) Unread() *Bill { return &Bill{} }

// Meter reads requests.
type Meter struct {
	Name string
	Free bool // nothing is read and nothing is charged
}

// WantsBody says whether the meter looks into the request's body before it is sent, for which it has to be read whole.
func (m *Meter) WantsBody() bool { return false }

// Edit is a field of a JSON body that is to be set if it is not there.
type Edit struct {
	Path  string // "stream_options.include_usage"
	Value string // JSON
	Strip string // which frame of the answer is there for that alone: "usage_only"
	// Bound says that the hold counts on it.
	Bound bool
}

// Hold is what a request is to have before it is sent.
type Hold struct {
	Amount money.Nanos // more than 0, unless the request can cost nothing
	Reason string      // "the bound of 1,024 output tokens of gpt-4o", for people
	Bound  bool        // it cannot cost more
	Edits  []Edit      // what is set in the request's body
	Model  string      // that is asked for
}

// Learned is what almost all requests of a meter and model before have cost; false if too few are known.
type Learned func(meter, model string) (money.Nanos, bool)

// Hold says what is to be held for a request.
func (m *Meter) Hold(r *Request, learned Learned) Hold { return Hold{} }

// Start begins to read a request's exchange. edits are those of its hold that were made.
func (m *Meter) Start(r *Request, edits []Edit) *Reading { return &Reading{} }

// Reading is one exchange as its meter reads it. It is used by one goroutine at a time.
type Reading struct{}

// Sent takes what goes to the target: pieces of the body, or of a WebSocket the bytes of the connection.
func (r *Reading) Sent(p []byte) {}

// Answered takes the beginning of the answer.
func (r *Reading) Answered(status int, header func(name string) string) {}

// Received takes what comes from the target: pieces of the body, or of a WebSocket the bytes of the connection.
func (r *Reading) Received(p []byte) {}

// Charged says whether the answer is charged, as far as it is known.
func (r *Reading) Charged() bool { return false }

// Cost is what it comes to as things stand, and whether more could follow.
func (r *Reading) Cost() (cost money.Nanos, final bool) { return 0, false }

// Streams says whether the answer is a stream that can be broken off between two frames.
func (r *Reading) Streams() bool { return false }

// Boundary is how many bytes of what was received last, at most all, end with a whole frame.
func (r *Reading) Boundary() int { return 0 }

// End is how an exchange has ended.
type End struct {
	Whole   bool // the answer came to its end
	Elapsed time.Duration
	Held    money.Nanos // what was held for it
	Trailer func(name string) string
}

// End makes the bill. Nothing may be read after it.
func (r *Reading) End(e End) *Bill { return &Bill{} }

// Bill is what an exchange costs.
type Bill struct {
	Charged  bool        // it is charged at all
	Cost     money.Nanos // with the fallback, if it is unpriced
	Unpriced []string    // why its cost is not known
	Meter    string
	Model    string // as the target said it, or else the caller
	Variant  string
	Units    int64  // against limits
	Counts   string // "prompt=1420,cached=1280"
	Job      *Told  // of a request that began or tells of a job
}

// Told is what an exchange says of a job.
type Told struct {
	ID      string
	State   JobState
	Begins  bool
	AsBegun bool // done, at what was charged when it began
	TTL     time.Duration
	Free    bool // it costs nothing if nobody tells of it in time
}

// JobState is what is said of a job.
type JobState uint8

// The states.
const (
	Running JobState = iota + 1
	Done
	Failed
)

// Counted is a counter and what it has found.
type Counted struct {
	Name, Value, Source string // Value is empty if nothing was found
}

// Line is one line of a bill. Amount ends in "…" if its decimals do not.
type Line struct {
	Unit, Quantity, Price string
	Per                   int64
	Amount                string
}

// Detail is how a bill comes about, for people who try a price.
func (b *Bill) Detail() (counters []Counted, lines []Line) { return nil, nil }
