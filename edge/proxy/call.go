package proxy

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"tollgate/edge/admit"
	"tollgate/edge/metrics"
	"tollgate/edge/routing"
	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/id"
	"tollgate/internal/money"
)

// call is one exchange on its way through the stages.
type call struct {
	g     *Gateway
	x     *Exchange
	id    id.Bytes
	began time.Time
	span  trace.Span // nil if it is not traced

	path, query string
	bareQuery   bool // the target of the request ended in "?"

	endpoint *routing.Endpoint
	counters *metrics.Endpoint
	rest     string
	key      *admit.Key
	found    credential
	limit    int64 // of the body; 0 for none

	held    Hold // nil if nothing was held
	settled bool // it has ended
	amount  money.Nanos
	windows []contract.Window

	attempt uint32
	again   bool // the target at hand is tried a second time, on a new connection
	ticket  spool.Ticket
	pending bool       // ticket is to be settled
	end     settlement // how the attempt would be recorded if the exchange ended now
	charged money.Nanos

	upstream time.Duration // spent waiting for targets
	begun    bool          // status and headers were sent
	status   int           // sent to the caller
	code     fault.Code    // of the refusal, if it was one
	admitted bool          // it holds one of the places for requests
	own      bool          // answered by the edge for itself: no endpoint, not counted
}

// settlement is the end of an attempt.
type settlement struct {
	status  int
	outcome eventv1.SpendOutcome
	cost    money.Nanos
}

func newCall(g *Gateway, x *Exchange) *call {
	return &call{g: g, x: x, id: id.NewBytes(), began: time.Now()}
}

// open refuses what no stage could handle, and splits the target of the request.
func (c *call) open(context.Context) error {
	g := c.g
	if g.stopping.Load() {
		return shuttingDown()
	}
	// Only what is admitted takes a place: requests that are being refused must not keep others out.
	if most := g.cfg.MaxInFlight; most > 0 {
		if c.admitted = true; g.admitted.Add(1) > most {
			return fault.New(fault.Overloaded, "This edge already serves %d requests, its limit.", most).WithRetryAfter(time.Second)
		}
	}
	if tunnels[strings.ToUpper(c.x.Method)] {
		err := fault.New(fault.MethodNotAllowed, "%s is not forwarded: it would open a tunnel, or show the target's credential.", c.x.Method)
		err.Allow = common
		return err
	}
	var err error
	c.path, c.query, c.bareQuery, err = splitTarget(c.x.Target)
	return err
}

// leave gives the place of an admitted request to another one. It may be called again.
func (c *call) leave() {
	if c.admitted {
		c.admitted = false
		c.g.admitted.Add(-1)
	}
}

// tunnels are methods that no target gets, also where an endpoint answers every method: CONNECT makes a
// tunnel of the connection, and TRACE answers with the request's headers, the target's credential
// among them.
var tunnels = names("CONNECT", "TRACE", "TRACK")

// common are the methods that most APIs have, named where others are refused.
var common = []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}

// splitTarget takes the target of a request apart without touching a byte of path or query.
func splitTarget(target string) (path, query string, bare bool, err error) {
	if !strings.HasPrefix(target, "/") {
		// The absolute form, as sent to a forward proxy. Its authority says nothing here.
		_, rest, ok := strings.Cut(target, "://")
		i := strings.IndexAny(rest, "/?")
		switch {
		case !ok:
			return "", "", false, fault.New(fault.PathInvalid, "The request has no path.")
		case i < 0:
			target = "/"
		case rest[i] == '?':
			target = "/" + rest[i:]
		default:
			target = rest[i:]
		}
	}
	if strings.Contains(target, "#") {
		return "", "", false, fault.New(fault.PathInvalid, "The path has a fragment, which is never part of a request.").
			WithHint("Send the path without # and what follows it.")
	}
	path, query, marked := strings.Cut(target, "?")
	return path, query, marked && query == "", nil
}

// match finds the endpoint.
func (c *call) match(context.Context) error {
	table := c.g.table()
	if table == nil {
		return snapshotMissing()
	}
	endpoint, rest, err := table.Match(c.x.Method, c.path)
	if err != nil {
		return err
	}
	c.endpoint, c.rest = endpoint, rest
	c.counters = c.g.d.Metrics.Endpoint(endpoint.Name)
	return nil
}

// authenticate finds out who calls, before anything of the body is read.
func (c *call) authenticate(context.Context) error {
	keys := c.g.d.Keys
	found, ok := findCredential(c.x.Headers, c.query, c.endpoint.KeyHeader, func(hash [32]byte) bool {
		_, ok := keys.Lookup(hash)
		return ok
	})
	if !ok {
		return fault.New(fault.KeyMissing, "No key was sent to endpoint %s.", c.endpoint.Name)
	}
	key, err := keys.Authenticate([]byte(found.secret), c.endpoint.ID, c.endpoint.Name, c.began)
	if err != nil {
		return err
	}
	c.key, c.found = key, found
	// Of the rest of the request line nothing can be left out.
	if len(found.secret) >= shortestScrubbed && (c.found.hiddenIn(c.rest) || c.found.hiddenIn(c.x.Method)) {
		return fault.New(fault.PathInvalid, "The path holds the key, which never goes to a target.").
			WithHint("Send the key in the Authorization header only.")
	}
	return nil
}

// isOurs says whether a secret is, or looks like, a key of this gateway.
func (c *call) isOurs(secret string) bool {
	if strings.HasPrefix(secret, keyPrefix) {
		return true
	}
	_, ok := c.g.d.Keys.Lookup(contract.KeyHash([]byte(secret)))
	return ok
}

// checkBody refuses what will not be sent on whatever it costs.
func (c *call) checkBody(context.Context) error {
	if c.endpoint.Err != nil {
		return c.endpoint.Err
	}
	if wanted := upgrade(c.x.Headers); wanted != "" {
		return fault.New(fault.UpgradeUnsupported, "Endpoint %s can't switch to %q.", c.endpoint.Name, wanted)
	}
	if c.limit = c.endpoint.MaxBody; c.limit <= 0 {
		c.limit = c.g.cfg.MaxBody
	}
	if c.limit > 0 && c.x.Length > c.limit {
		return tooLarge(c.x.Length, c.limit)
	}
	return nil
}

// upgrade is the protocol that a caller wants to switch to. Asking for HTTP/2 in clear text is not
// such a wish: several clients do so on each connection and go on without it.
func upgrade(headers []Header) string {
	if !connectionNames(headers)["upgrade"] {
		return ""
	}
	for _, h := range headers {
		if !strings.EqualFold(h.Name, "upgrade") {
			continue
		}
		for token := range strings.SplitSeq(h.Value, ",") {
			if token = strings.TrimSpace(token); token != "" && !strings.EqualFold(token, "h2c") {
				return token
			}
		}
	}
	return ""
}

func tooLarge(size, limit int64) error {
	return fault.New(fault.BodyTooLarge, "The body has %s, the limit is %s.", bytesText(size), bytesText(limit))
}

func bytesText(n int64) string {
	const kib, mib, gib = 1 << 10, 1 << 20, 1 << 30
	switch {
	case n < kib:
		return fmt.Sprintf("%d bytes", n)
	case n < mib:
		return fmt.Sprintf("%.4g KiB", float64(n)/kib)
	case n < gib:
		return fmt.Sprintf("%.4g MiB", float64(n)/mib)
	default:
		return fmt.Sprintf("%.4g GiB", float64(n)/gib)
	}
}

// hold sets the price aside in every budget of the key and the endpoint.
func (c *call) hold(ctx context.Context) error {
	e := c.endpoint
	if e.Free {
		return nil
	}
	c.amount = e.Price
	accounts := e.Accounts
	if len(c.key.Accounts) > 0 {
		accounts = append(c.key.Accounts[:len(c.key.Accounts):len(c.key.Accounts)], e.Accounts...)
	}
	held, err := c.g.d.Budgets.Hold(ctx, accounts, c.amount)
	if err != nil {
		return err
	}
	c.held = held // first: whatever happens from here on, it is given back
	c.windows = held.Windows()
	return nil
}

// intent records that an attempt is about to be made.
func (c *call) intent() error {
	c.attempt++
	ticket, err := c.g.d.Spool.Intent(spool.Intent{
		Request: c.id, Attempt: c.attempt, At: time.Now(),
		KeyID: c.key.ID, EndpointID: c.endpoint.ID, PriceVersion: c.endpoint.PriceVersion,
		Amount: c.amount, Windows: c.windows,
	})
	if err != nil {
		c.g.spoolFailed.Store(time.Now().UnixNano())
		return err
	}
	c.g.spoolFailed.Store(0)
	c.ticket, c.pending = ticket, true
	c.end = settlement{outcome: eventv1.SpendOutcome_SPEND_OUTCOME_UNREACHABLE}
	return nil
}

// settleAttempt ends the intent that is open. It may be called again.
func (c *call) settleAttempt() {
	if !c.pending {
		return
	}
	c.pending = false
	c.charged = c.end.cost
	c.g.d.Spool.Settle(c.ticket, spool.Settlement{
		At: time.Now(), Status: c.end.status, Outcome: c.end.outcome,
		Cost: c.end.cost, Duration: time.Since(c.began),
	})
	if c.counters != nil {
		c.counters.Spend.Add(float64(c.end.cost))
	}
}

// settle ends the intent and gives back what was held and not charged, also if one of the two fails by
// a bug. It may be called again.
func (c *call) settle() {
	defer func() {
		if c.held != nil && !c.settled {
			c.settled = true
			c.held.Settle(c.charged)
		}
	}()
	c.settleAttempt()
}

// panicked answers for a bug of the gateway as well as still can be done.
func (c *call) panicked(ctx context.Context, v any) {
	c.g.d.Metrics.Panics.Inc()
	c.g.d.Log.ErrorContext(ctx, "request failed by a bug", "request_id", c.id.Text(id.Request),
		"panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	if c.begun {
		c.x.Out.Abort()
		return
	}
	c.refuse(fault.New(fault.InternalError, "Something went wrong inside Tollgate."))
}
