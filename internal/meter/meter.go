// Package meter makes the cost of an exchange of numbers in it, as a price by meters declares. It is pure: the
// edge that charges by it and the control plane that checks prices and tries them run the same code.
//
// It counts a copy of what goes by and changes nothing. It holds no money, and knows of budgets, records and
// connections nothing at all.
package meter

import (
	"cmp"
	"errors"
	"slices"
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/money"
)

// Problem is something that is wrong with a price.
type Problem struct {
	Field   string // "meters[2].counters[0].sources[1].frame"
	Reason  string // a sentence
	Mistake Mistake
}

// Mistake is what a problem is about, where something of its own is to be done about it.
type Mistake uint8

// The mistakes.
const (
	AnyMistake Mistake = iota
	BadPath            // of a field in a document
	Negative           // an amount
	TooPrecise         // a number with more decimals than are counted with
)

// Check says everything that is wrong with a price; nothing if it can be compiled.
func Check(m *controlv1.Metered) []Problem {
	_, wrong := compile(m, nil)
	return wrong
}

// Book finds the rows of a list of the price book, in the order in which they are tried; nil if there is none.
type Book func(list string) []*controlv1.ModelPrice

// Plan is a price by meters, ready to be used. It never changes.
type Plan struct {
	Unmatched Unmatched
	meters    []*Meter
	fallback  fallback
}

// fallback is what is charged where the cost is not known.
type fallback struct {
	amount money.Nanos
	held   bool // all that was held
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
func Compile(m *controlv1.Metered, book Book) (*Plan, error) {
	plan, wrong := compile(m, book)
	if err := errorOf(wrong); err != nil {
		return nil, err
	}
	return plan, nil
}

// Fixed makes a plan of a price that is the same for each request and that conditions on the answer decide of.
func Fixed(amount money.Nanos, charge *controlv1.Charge) (*Plan, error) {
	if amount < 0 || amount > mostCost {
		return nil, errors.New("per_request: it is between 0 and a million dollars")
	}
	c := &compiler{m: &Meter{any: true}}
	c.m.base = &decimal{coef: uint64(amount), exp: -9}
	return c.sugar(charge)
}

// Reported makes a plan of a cost that the target says in a header.
func Reported(header string, ceiling, fallback money.Nanos, charge *controlv1.Charge) (*Plan, error) {
	if ceiling <= 0 || ceiling > mostCost {
		return nil, errors.New("ceiling: it is more than 0 and at most a million dollars")
	}
	if fallback < 0 || fallback > mostCost {
		return nil, errors.New("fallback: it is between 0 and a million dollars")
	}
	c := &compiler{m: &Meter{any: true}}
	m := c.m
	m.maximum, m.fallback.amount = &ceiling, fallback
	c.counters([]*controlv1.Counter{{
		Name: "cost", Sources: []*controlv1.Source{{Place: &controlv1.Source_Header{Header: cmp.Or(header, "x-tollgate-cost")}}},
	}})
	c.units([]*controlv1.Unit{{Name: "cost", Unlimited: true}})
	c.prices(&controlv1.Meter{Prices: []*controlv1.ModelPrice{
		{Model: "*", Rates: []*controlv1.UnitPrice{{Unit: "cost", Price: "1"}}},
	}}, nil)
	m.hold.bounds = make([]*bound, len(m.units))
	return c.sugar(charge)
}

// sugar makes a plan of the one meter of a price that is none of meters.
func (c *compiler) sugar(charge *controlv1.Charge) (*Plan, error) {
	c.m.charge = c.charge("charge", charge, true)
	c.m.finish()
	if err := errorOf(c.problems); err != nil {
		return nil, err
	}
	return &Plan{meters: []*Meter{c.m}, fallback: c.m.fallback}, nil
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
	Whole bool
	// Sealed says that no field can be set in it.
	Sealed bool
	Length int64 // of the body as it is sent; -1 if unknown

	parsed parsed
}

// Match finds the meter of a request; nil if none reads it.
func (p *Plan) Match(r *Request) *Meter {
	for _, m := range p.meters {
		if m.reads(r) {
			return m
		}
	}
	return nil
}

// Unread is the bill of a request that no meter reads and that is not refused.
func (p *Plan) Unread() *Bill {
	if p.Unmatched != Unpriced {
		return &Bill{}
	}
	return &Bill{Charged: true, Cost: p.fallback.amount, Unpriced: []string{"no meter reads this request"}}
}

// Meter reads requests.
type Meter struct {
	Name string
	Free bool // nothing is read and nothing is charged

	silent    bool        // nothing but what the target sends is counted, and nothing stands for what is not there
	first     money.Nanos // what it comes to before anything was counted
	fallback  fallback
	any       bool // it reads every request, also WebSockets
	methods   []string
	path      *pattern
	loose     *pattern // path, whatever the case of letters
	webSocket bool

	// texts are where names and ids are, conditions what is asked of exchanges; others name them by their index.
	texts        []source
	conditions   []condition
	modelTexts   []int
	variantTexts []int
	models       map[string]string
	variants     map[string]string

	counters []counter
	tallies  int // how many the counters need
	units    []unit
	tables   []*table
	tier     []int // counters
	base     *decimal
	minimum  money.Nanos
	maximum  *money.Nanos

	charge     charge
	wanted     wanted
	hold       hold
	injections []injection
	job        *job

	frames, messages looks
	stages           [moments]staged
	names            *names   // of models and variants
	events           []string // kinds of frames that are counted
	wantsBody        bool
	adds             bool // a counter adds what frames say, so that one that comes again counts again
	measures         bool // it measures what is not known before the end
	late             struct {
		frames bool // something is in frames of the answer
		other  bool // something else is known only after the answer has begun
	}
}

func (m *Meter) finish() {
	received, sent := m.frames.finish(), m.messages.finish()
	m.names = &names{}
	m.stage()
	m.frames.asks, m.messages.asks = m.questions(false), m.questions(true)
	for i := range m.counters {
		m.counters[i].only = m.counters[i].single()
	}
	for _, slots := range [...][]int{m.modelTexts, m.variantTexts} {
		for _, i := range slots {
			m.texts[i].recurs = true
		}
	}
	for i := range m.counters {
		for _, a := range m.counters[i].sources {
			lengths := received
			if a.sent {
				lengths = sent
			}
			for k := range a.group {
				a.group[k].length = lengths[a.group[k].path]
			}
		}
	}
}

func (m *Meter) reads(r *Request) bool {
	return m.any || m.serves(r) && (m.path == nil || m.path.matches(r.Path))
}

// serves says whether the meter reads requests of this kind, on some path.
func (m *Meter) serves(r *Request) bool {
	return m.any || m.webSocket == r.WebSocket && (len(m.methods) == 0 || slices.Contains(m.methods, r.Method))
}

// WantsBody says whether the meter looks into the request's body before it is sent, for which it has to be read whole.
func (m *Meter) WantsBody() bool { return m.wantsBody }

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

// End is how an exchange has ended.
type End struct {
	Whole   bool // the answer came to its end
	Elapsed time.Duration
	Held    money.Nanos // what was held for it
	Trailer func(name string) string
}
