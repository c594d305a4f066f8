package proxy

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"tollgate/edge/admit"
	"tollgate/edge/metrics"
	"tollgate/edge/pool"
	"tollgate/edge/routing"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

// call is one exchange on its way through the stages.
type call struct {
	g     *Gateway
	x     *Exchange
	id    id.Bytes
	began time.Time
	span  trace.Span // nil if it is not traced

	path, query string
	kinds       []kind   // of the caller's headers; see classify
	kindsThere  kind     // all of them together
	connected   []string // headers that Connection names
	line        []byte   // the target of the request to the target at hand
	lastLine    string   // as a text

	table    *routing.Table
	endpoint *routing.Endpoint
	missed   *routing.Endpoint // that has the path and does not take the method, for those who watch; nil for none
	counters *metrics.Endpoint
	rest     string
	key      *admit.Key
	refused  *admit.Key // that may not be used so, for those who watch; nil for none
	found    credential
	labels   labels
	met      *routing.Bounds // of a customer that was new when the request came; nil for none
	limit    int64           // of the body; 0 for none
	body     *limited        // nil without one
	kept     *kept           // nil unless the body may be sent more than once
	bodies   struct {        // room for both
		limited limited
		kept    kept
	}
	bound   bound
	spend   spend
	terms                            // of each attempt, but of those of a request for a model
	planned planned                  // room for the plan in them
	header  func(name string) string // of the caller; made when it is needed
	pool    *routing.Endpoint        // whose targets are chosen from, and how that is tried again
	ask     *ask                     // nil but for a request for a model

	tries   pool.Tries
	first   try
	newest  *try // the last attempt that was made
	now     *try // the attempt that the answer depends on
	retries int  // how often the request was sent again

	upstream time.Duration // spent waiting for targets
	head     time.Duration // until status and headers were sent
	over     time.Duration // until all was over that can be charged
	texts    texts         // of headers of the answer
	lines    []Header      // room for the headers of the answer
	flusher  flusher
	sent     sentBytes  // to the caller, where that is told
	status   int        // sent to the caller
	code     fault.Code // of the refusal, if it was one
	refusal  string     // what it said
	setup    Setup      // of the attempt that the answer depends on

	// Together they take little room.
	interimBy atomic.Uint32 // number of the attempt whose 1xx answers go on
	linked    bool          // a Connection header says more than keep-alive
	bareQuery bool          // the target of the request ended in "?"
	again     bool          // the target at hand is tried a second time, on a new connection
	begun     bool          // status and headers were sent
	admitted  bool          // it holds one of the places for requests
	asked     bool          // nobody has made it: it is explained
	own       bool          // answered by the edge for itself: no endpoint, not counted
	shared    bool          // somebody may know of it for longer than it lasts
}

func newCall(g *Gateway, x *Exchange) *call {
	c := calls.Get().(*call) //nolint:forcetypeassert // the pool holds nothing else
	c.g, c.x, c.began = g, x, time.Now()
	c.id = id.At(c.began)
	c.texts.buf = x.Text[:0]
	if g.d.Seen != nil {
		c.sent.Responder, x.Out = x.Out, &c.sent
	}
	return c
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
	return c.split()
}

// split takes the request line apart, and refuses methods that no target gets.
func (c *call) split() error {
	if m := c.x.Method; len(m) >= len("TRACE") && (m[0]|0x20 == 'c' || m[0]|0x20 == 't') && tunnels[strings.ToUpper(m)] {
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
	// A request line of HTTP/1.1 ends at a space. HTTP/2 has none, and so can carry what would be two
	// things to a target.
	if strings.ContainsFunc(query, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "", "", false, fault.New(fault.PathInvalid, "The query has a space or a control character in it.").
			WithHint("Percent-encode it.")
	}
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
		c.missed = table.Holder(c.path)
		return err
	}
	c.table, c.endpoint, c.pool, c.rest = table, endpoint, endpoint, rest
	c.counters = c.g.d.Metrics.Endpoint(endpoint.Name)
	if endpoint.Models != nil {
		c.ask = newAsk(c)
	}
	if endpoint.Disabled {
		return fault.New(fault.EndpointDisabled, "Endpoint %s is switched off.", endpoint.Name)
	}
	return nil
}

// publicKey is who calls a public endpoint without a key. It has no budget and no limit of its own.
var publicKey = &admit.Key{Name: "public", Labels: &admit.Labels{}}

// authenticate finds out who calls, before anything of the body is read.
func (c *call) authenticate(context.Context) error {
	if err := c.checkSignature(); err != nil {
		return err
	}
	keys := c.g.d.Keys
	known := func(hash [32]byte) bool {
		_, ok := keys.Lookup(hash)
		return ok
	}
	secret, ok := credentialIn(c.x, c.classify(), c.query, c.endpoint.KeyHeader, known)
	ticket, err := c.ticket()
	switch {
	case err != nil:
		return err
	case ticket != "":
		secret = ticket
	case c.endpoint.Public && (!ok || !c.isOurs(secret)):
		c.key, secret = publicKey, strayKey(c.x, known) // a credential is for the target, or for nobody
	case !ok:
		return fault.New(fault.KeyMissing, "No key was sent to endpoint %s.", c.endpoint.Name)
	default:
		key, ok := keys.Lookup(secretHash(secret))
		if !ok {
			return admit.Unknown()
		}
		ask := c.askOfKey(key)
		if err := key.Check(&ask); err != nil {
			c.refused = key
			return err
		}
		c.key = key
		if key.Counted() && c.g.d.KeyUse != nil && !c.asked {
			c.g.d.KeyUse.Count(key.Hash(), c.began, ask.From, get(c.x.Headers, "user-agent"))
		}
	}
	c.found.secret = secret
	// Of the rest of the request line nothing can be left out.
	if len(secret) >= shortestScrubbed && (c.found.hiddenIn(c.rest) || c.found.hiddenIn(c.x.Method)) {
		return fault.New(fault.PathInvalid, "The path holds the key, which never goes to a target.").
			WithHint("Send the key in the Authorization header only.")
	}
	return nil
}

// askOfKey is what the request wants to do with a key.
func (c *call) askOfKey(key *admit.Key) admit.Ask {
	ask := admit.Ask{EndpointID: c.endpoint.ID, EndpointName: c.endpoint.Name, Method: c.x.Method, FromAnywhere: c.asked, Now: c.began}
	if key.Picky() {
		ask.From = c.g.caller(c.x)
	}
	return ask
}

// secretHash is the hash of a secret, without a copy of it on the heap unless it is far longer than keys are.
func secretHash(secret string) [32]byte {
	var buf [192]byte
	return contract.KeyHash(append(buf[:0], secret...))
}

// label finds out whom the request is charged to. Who shows no key cannot charge others.
func (c *call) label(context.Context) error {
	if c.key == publicKey && namesSomebody(c.x.Headers) {
		return fault.New(fault.LabelInvalid, "A request without a key can't name a customer or tags.").
			WithHint("Send a key, or leave out the headers " + HeaderCustomer + " and " + HeaderTags + ".")
	}
	var further []string
	if c.key != publicKey {
		further = c.table.Customers().Headers
	}
	if c.classify(); c.kindsThere&owned == 0 && len(further) == 0 {
		c.labels.begin(c.key)
		return nil
	}
	return c.labels.read(c.x.Headers, c.key, further)
}

// isOurs says whether a secret is, or looks like, a key of this gateway.
func (c *call) isOurs(secret string) bool {
	if strings.HasPrefix(secret, keyPrefix) {
		return true
	}
	_, ok := c.g.d.Keys.Lookup(secretHash(secret))
	return ok
}

// checkBody refuses what will not be sent on whatever it costs.
func (c *call) checkBody(context.Context) error {
	if c.endpoint.Err != nil {
		return c.endpoint.Err
	}
	if err := c.checkUpgrade(); err != nil {
		return err
	}
	c.checkTrailers()
	if c.limit = c.endpoint.MaxBody; c.limit <= 0 {
		c.limit = c.g.cfg.MaxBody
	}
	if c.limit > 0 && c.x.Length > c.limit {
		return tooLarge(c.x.Length, c.limit)
	}
	return nil
}

// checkUpgrade refuses to go on as if a caller had not asked for another protocol: it would wait for that.
func (c *call) checkUpgrade() error {
	if c.x.Upgrade != "" {
		return nil
	}
	if c.classify(); !c.linked {
		return nil
	}
	switch wanted := upgrade(c.x.Headers); {
	case wanted == "":
		return nil
	case strings.EqualFold(wanted, "websocket"):
		return fault.New(fault.UpgradeUnsupported, "This request can't become a WebSocket: that takes a GET over HTTP/1.1 without a body.")
	default:
		return fault.New(fault.UpgradeUnsupported, "Endpoint %s can't switch to %q.", c.endpoint.Name, wanted)
	}
}

// upgrade is the protocol that a caller wants to switch to. Asking for HTTP/2 in clear text is not
// such a wish: several clients do so on each connection and go on without it.
func upgrade(headers []Header) string {
	if !connectionSays(headers, "upgrade") {
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

// panicked answers for a bug of the gateway as well as still can be done.
func (c *call) panicked(ctx context.Context, v any) {
	c.shared = true
	c.logPanic(ctx, v)
	if c.begun {
		c.x.Out.Abort()
		return
	}
	c.refuse(fault.New(fault.InternalError, "Something went wrong inside Tollgate."))
}

func (c *call) logPanic(ctx context.Context, v any) {
	c.g.d.Metrics.Panics.Inc()
	c.g.d.Log.ErrorContext(ctx, "request failed by a bug", "request_id", c.id.Text(id.Request),
		"panic", fmt.Sprint(v), "stack", string(debug.Stack()))
}
