package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tollgate/edge/adapter"
	"tollgate/internal/fault"
	"tollgate/internal/id"
	"tollgate/internal/money"
)

// errorBody is what a caller gets to read. Its fields never change meaning.
type errorBody struct {
	Error errorText `json:"error"`
}

type errorText struct {
	Code      fault.Code `json:"code"`
	Message   string     `json:"message"`
	Hint      string     `json:"hint"`
	RequestID string     `json:"request_id"`
}

// errorText is what a caller gets to read, in one line.
func (c *call) errorText(f *fault.Error) []byte {
	text, _ := json.Marshal(errorBody{errorText{f.Code, f.Message, f.Hint, c.id.Text(id.Request)}}) // strings always can be
	return text
}

// refuse answers with an error of the gateway.
func (c *call) refuse(err error) {
	if c.begun {
		c.x.Out.Abort()
		return
	}
	refusal, _ := errors.AsType[*adapter.Error](err)
	if refusal != nil {
		err = fault.New(fault.RequestUnsupported, "%s", refusal.Message)
	}
	f := fault.From(err)
	c.code, c.refusal = f.Code, f.Message
	c.leave()
	if f.Code == fault.InternalError {
		c.g.d.Log.Error("request failed", "request_id", c.id.Text(id.Request), "err", f)
	}
	// What is charged is known from here on, and the headers tell it.
	c.settle()
	if c.x.Body != nil {
		c.x.Body.Drain()
	}

	f = c.truthful(f)
	headers := c.ownHeaders(c.lines)
	if f.RetryAfter > 0 {
		headers = append(headers, Header{"Retry-After", strconv.FormatInt(int64(math.Ceil(f.RetryAfter.Seconds())), 10)})
	}
	if len(f.Allow) > 0 {
		headers = append(headers, Header{"Allow", strings.Join(f.Allow, ", ")})
	}
	if f.Code == fault.KeyMissing {
		headers = append(headers, Header{"Www-Authenticate", "Bearer"})
	}
	if isGRPC(c.x.Headers) {
		c.begin(http.StatusOK, append(headers, grpcError(f)...), 0)
		return
	}
	var body []byte
	status, described := f.Status(), []Header{jsonContent}
	if s := c.speaks(); s != 0 {
		if refusal == nil {
			refusal = adapter.FromFault(f)
		}
		headers = append(headers, Header{HeaderError, string(f.Code)}, c.requestIDHeader(s))
		status, described, body = c.spoken(s, refusal)
	} else {
		body = append(c.errorText(f), '\n')
	}
	c.begin(status, append(headers, described...), int64(len(body)))
	if c.x.Method != http.MethodHead {
		_, _ = c.x.Out.Write(body) // a caller who is gone needs no answer
	}
}

// truthful is an error that says that nothing was charged only where nothing was.
func (c *call) truthful(f *fault.Error) *fault.Error {
	rest, found := strings.CutPrefix(f.Hint, "Nothing was charged.")
	if !found || c.spend.charged == 0 {
		return f
	}
	return f.WithHint("%s", "The target had all of the request, so it was charged."+rest)
}

// turnAway ends a request that was not admitted. What a stage says when its waiting was cut short is
// about the waiting and not about the request.
func (c *call) turnAway(ctx context.Context, err error) {
	switch {
	case ctx.Err() == nil:
		c.refuse(err)
	case errors.Is(context.Cause(ctx), ErrCutOff):
		c.refuse(shuttingDown())
	default:
		c.x.Out.Abort()
	}
}

// begin sends status and headers.
func (c *call) begin(status int, headers []Header, length int64) {
	c.begun, c.status, c.lines = true, status, headers
	if c.head == 0 {
		c.head = c.elapsed()
	}
	c.x.Out.Begin(status, headers, length)
}

// elapsed is how long the exchange has taken by now.
func (c *call) elapsed() time.Duration { return time.Since(c.began) }

// ourHeaders adds those that are on every answer.
func (c *call) ourHeaders(out []Header) []Header {
	out = append(out, Header{HeaderRequestID, c.requestID()})
	cost, known := c.cost()
	switch {
	case c.unpriced():
		out = append(out, Header{HeaderCost, "unpriced"})
	case known:
		out = append(out, Header{HeaderCost, c.costText(cost)})
	default:
		cost = c.spend.charged + c.now.given() // until it is known, all of that counts as gone
	}
	if c.endpoint != nil {
		out = append(out, Header{HeaderEndpoint, c.endpoint.Name})
	}
	if c.key != nil {
		if end := c.key.Sunset(); !end.IsZero() {
			out = append(out, Header{HeaderSunset, end.UTC().Format(time.RFC3339)})
		}
	}
	if t := c.now; t != nil && t.hop != nil {
		out = t.hop.tell(out)
	}
	if left, ok := c.remaining(cost); ok {
		out = append(out, Header{HeaderRemaining, c.texts.end(left.Append(c.texts.begin()))})
	}
	c.head = c.elapsed()
	timing := milliseconds(append(c.texts.begin(), "gw;dur="...), c.head-c.upstream)
	if c.spend.attempt > 0 {
		timing = milliseconds(append(timing, ", up;dur="...), c.upstream)
	}
	return append(out, Header{headerTiming, c.texts.end(timing)})
}

// requestID is the id of the request as a header of the answer has it.
func (c *call) requestID() string { return c.texts.end(c.id.Append(c.texts.begin(), id.Request)) }

// unpriced says whether it is known by now that nobody will tell what the request costs.
func (c *call) unpriced() bool {
	return c.now != nil && c.now.plan != nil && (c.now.end.unpriced || c.now.pending && c.now.end.metered && c.now.meter.unknown())
}

// costText is cost in dollars. Nearly always that is the price or nothing.
func (c *call) costText(cost money.Nanos) string {
	switch {
	case cost == 0:
		return "0.00"
	case c.endpoint != nil && cost == c.endpoint.Price:
		return c.endpoint.PriceText
	default:
		return c.texts.end(cost.Append(c.texts.begin()))
	}
}

// ownHeaders are on answers that are not a target's. They are in the memory of into.
func (c *call) ownHeaders(into []Header) []Header {
	return append(c.ourHeaders(into[:0]),
		Header{"Date", c.texts.end(time.Now().UTC().AppendFormat(c.texts.begin(), http.TimeFormat))}, Header{"Cache-Control", "no-store"})
}

// remaining is what the tightest budget has left when this request is charged.
func (c *call) remaining(cost money.Nanos) (money.Nanos, bool) {
	if c.spend.pot.held == nil {
		return 0, false
	}
	left, ok := c.spend.pot.Remaining()
	if !ok || c.spend.settled {
		return left, ok
	}
	// What is held for this request counts as gone, but only the cost will be.
	left, err := left.Add(c.spend.pot.sum() - cost)
	return left, err == nil
}

func milliseconds(to []byte, d time.Duration) []byte {
	tenths := max((d.Microseconds()+50)/100, 0)
	return append(strconv.AppendInt(to, tenths/10, 10), '.', byte('0'+tenths%10))
}

// answeredHere answers what is asked of the edge itself.
func (g *Gateway) answeredHere(c *call) bool {
	if !strings.HasPrefix(c.x.Target, "/-/") {
		return false
	}
	path, _, _ := strings.Cut(c.x.Target, "?")
	switch path {
	case "/-/healthz":
		c.own = true
		c.plain(200, "ok\n")
	case "/-/readyz":
		c.own = true
		if err := g.Ready(); err != nil {
			c.refuse(err)
			return true
		}
		c.plain(200, "ready\n")
	default:
		return false
	}
	return true
}

func (c *call) plain(status int, text string) {
	headers := append(c.ownHeaders(c.lines), Header{"Content-Type", "text/plain; charset=utf-8"})
	c.begin(status, headers, int64(len(text)))
	if c.x.Method != http.MethodHead {
		_, _ = c.x.Out.Write([]byte(text)) // a caller who is gone needs no answer
	}
}

// finish counts and logs what was served.
func (c *call) finish(ctx context.Context) {
	if c.own {
		return
	}
	took := c.over
	if took == 0 {
		took = c.elapsed()
	}
	counters := c.counters
	if counters == nil {
		counters = c.g.d.Metrics.Nowhere
	}
	counters.Done(c.status, took)
	c.g.d.Metrics.Load.Done(c.status, c.gateway(took))
	c.tell(took)
	if c.code != "" {
		c.g.d.Metrics.Refused(string(c.code))
	}
	c.endSpan()
	if !c.g.d.Log.Enabled(ctx, levelRequest) {
		return
	}
	key, endpoint := "", ""
	if c.key != nil {
		key = c.key.Name
	}
	if c.endpoint != nil {
		endpoint = c.endpoint.Name
	}
	c.g.d.Log.Log(ctx, levelRequest, "request", "request_id", c.id.Text(id.Request), "endpoint", endpoint, "key", key,
		"method", known(c.x.Method), "status", c.status, "code", string(c.code), "cost", c.spend.charged.String(),
		"attempts", c.spend.attempt, "duration_ms", took.Milliseconds())
}
