package proxy

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
	"google.golang.org/protobuf/proto"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/translate"
	"tollgate/edge/routing"
	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	metering "tollgate/internal/meter"
)

// hop is what one deployment of a model would be sent for a request, and what that would cost.
type hop struct {
	terms
	d      *routing.Deployment
	vendor string // its vendor's name of the model
	err    error  // why it is not asked
	made   string // for which deployment the translation was made: errors about answers name that one

	schema adapter.Schema      // of what it is sent
	out    adapter.Translation // nil: the request is of its vendor's schema
	remote AdapterExchange     // translates Chat Completions for it; nil for none
	count  *counting           // of tokens, in place of an answer; nil for none
	path   string              // below the deployment's base URL
	body   *kept
}

// prepare makes what each deployment would be sent. Those that understand the same are sent the same, but for the model's name.
func (a *ask) prepare(ctx context.Context, named modelField) error {
	a.hops = make([]hop, len(a.model.Deployments))
	for i, d := range a.model.Deployments {
		a.hops[i] = hop{d: d, vendor: d.Vendor(a.known, a.wild), err: d.Err()}
		if a.hops[i].err != nil {
			a.c.tries.Exclude(i)
		}
	}
	err := a.each(func(h *hop) error {
		for i := range a.hops {
			twin := &a.hops[i]
			if twin == h || twin.body == nil && twin.count == nil || !twin.like(h) {
				continue
			}
			if twin.vendor == h.vendor {
				h.schema, h.out, h.made, h.remote, h.count, h.path, h.body = twin.schema, twin.out, twin.made, twin.remote, twin.count, twin.path, twin.body
				return nil
			}
			if body := twin.renamed(h.vendor); body != nil {
				h.schema, h.out, h.made, h.path = twin.schema, twin.out, twin.made, twin.path
				return a.keep(h, body)
			}
		}
		return a.make(ctx, h, named)
	})
	if err != nil {
		return err
	}
	if a.op == opCount {
		return a.countHere()
	}
	return nil
}

// like says whether two deployments are sent the same, but for the model's name.
func (h *hop) like(o *hop) bool {
	return h.d.Adapter == o.d.Adapter && slices.Equal(h.d.Schemas, o.d.Schemas) &&
		proto.Equal(h.d.Options, o.d.Options) && messagesPath(h.d) == messagesPath(o.d)
}

// renamed is the translated request with another name of the model, which every translation writes first; nil if that is not all
// that there is to change.
func (h *hop) renamed(vendor string) []byte {
	if h.out == nil || h.remote != nil || h.count != nil {
		return nil
	}
	const first = `{"model":`
	rest, ok := bytes.CutPrefix(h.body.data, gjson.AppendJSONString([]byte(first), h.vendor))
	if !ok {
		return nil
	}
	out := make([]byte, 0, len(h.body.data)+len(vendor)+8)
	return append(gjson.AppendJSONString(append(out, first...), vendor), rest...)
}

// make makes what a deployment would be sent.
func (a *ask) make(ctx context.Context, h *hop, named modelField) error {
	call := a.call(h.d, h.vendor)
	h.made = h.d.Name
	if a.op == opCount && (h.d.Adapter != nil || !slices.Contains(h.d.Schemas, adapter.Messages)) {
		return a.makeCount(h, call)
	}
	body, err := a.translated(ctx, h, named, call)
	if err != nil {
		return err
	}
	if h.path = pathOf(h.schema, h.d); h.remote != nil {
		h.path = h.remote.Request().Path
	}
	if a.op == opCount {
		h.path += "/count_tokens"
	}
	return a.keep(h, body)
}

// translated is the body of the request as the deployment's vendor understands it.
func (a *ask) translated(ctx context.Context, h *hop, named modelField, call *adapter.Call) ([]byte, error) {
	if h.d.Adapter == nil && slices.Contains(h.d.Schemas, a.schema) {
		h.schema = a.schema
		return named.with(a.body, h.vendor), nil
	}
	if h.d.Adapter != nil {
		h.schema = adapter.Chat
		body := a.body // with the caller's name of the model, for the answer; the adapter is told the vendor's beside it
		if a.schema != adapter.Chat {
			between := *call
			between.Options, between.Model = translate.Between(), call.Asked
			var err error
			if h.out, err = translate.New(a.schema, adapter.Chat, body, &between); err != nil {
				return nil, err
			}
			body = h.out.Body()
		}
		err := a.hand(ctx, h, body, call)
		if err != nil {
			return nil, err
		}
		return h.remote.Request().Body, nil
	}
	to, ok := translate.To(a.schema, h.d.Schemas)
	if !ok {
		return nil, adapter.Refuse("", "%s speaks %s, into which requests of %s are not translated.", h.d.Name, schemaNames(h.d.Schemas), a.schema)
	}
	var err error
	if h.out, err = translate.New(a.schema, to, a.body, call); err != nil {
		return nil, err
	}
	h.schema = to
	return h.out.Body(), nil
}

// keep keeps the body that a deployment is sent.
func (a *ask) keep(h *hop, body []byte) error {
	if len(body) > 0 && (len(a.body) == 0 || &body[0] != &a.body[0]) && !a.lend(int64(len(body))) {
		return noRoom()
	}
	from := a.c.kept
	h.body = &kept{from: from.from, ctx: a.ctx, room: from.room, most: int64(len(body)), data: body, size: int64(len(body)), end: io.EOF}
	return nil
}

// pathOf is where a vendor has requests of a schema, below the base URL that the vendor's libraries take.
func pathOf(s adapter.Schema, d *routing.Deployment) string {
	switch s {
	case adapter.Messages:
		return messagesPath(d)
	case adapter.Responses:
		return "/responses"
	default:
		return "/chat/completions"
	}
}

// messagesPath is "/v1/messages", of which a base URL may have the beginning.
func messagesPath(d *routing.Deployment) string {
	if strings.HasSuffix(d.Upstream.Targets[0].BasePath, "/v1") {
		return "/messages"
	}
	return "/v1/messages"
}

// meterPath is the path that meters know requests by, wherever a vendor has them.
func meterPath(s adapter.Schema) string {
	switch s {
	case adapter.Messages:
		return "/v1/messages"
	case adapter.Responses:
		return "/v1/responses"
	default:
		return "/v1/chat/completions"
	}
}

// price finds out what a request is charged by that goes to the deployment.
func (h *hop) price(a *ask) error {
	e := h.d.Upstream
	h.by = e
	if h.free = e.Free || a.op == opCount || !e.Charge.Request(http.MethodPost, false); h.free || e.Plan == nil {
		return nil
	}
	p := &planned{request: metering.Request{
		Method: http.MethodPost, Path: meterPath(h.schema), Length: int64(len(h.body.data)), Header: h.header(a), Body: h.body.data, Whole: true,
	}}
	if h.remote != nil {
		p.request.Path = h.remote.Request().Path
	}
	if err := h.terms.find(p); err != nil || !h.metered() {
		return err
	}
	return h.once()
}

// name says in a record which deployment a request goes to, and which model of its vendor.
func (h *hop) name(i *spool.Intent) {
	i.Deployment = h.d.Name
	if i.Model == "" {
		i.Model = clip(h.vendor, longestName)
	}
}

// tell says in headers which deployment has got the request, and what of it was left out.
func (h *hop) tell(out []Header) []Header {
	out = append(out, Header{HeaderModel, h.d.Name})
	var dropped []string
	if h.out != nil {
		dropped = h.out.Dropped()
	}
	if len(dropped) > 0 {
		out = append(out, Header{HeaderDropped, strings.Join(dropped, ",")})
	}
	return out
}

// header finds headers of the request that the deployment gets: those that the caller has sent do not go on where something is
// translated.
func (h *hop) header(a *ask) func(name string) string {
	return func(name string) string {
		switch {
		case strings.EqualFold(name, "content-type"):
			return "application/json"
		case strings.EqualFold(name, "content-encoding") || h.translates(a):
			return ""
		default:
			return get(a.c.x.Headers, name)
		}
	}
}

// translates says whether an answer of the deployment is translated for the caller.
func (h *hop) translates(a *ask) bool {
	return h.out != nil || h.remote != nil || a.foreign != nil || h.count != nil
}

// deploy makes the request of an attempt out of what the deployment is to be sent.
func (t *try) deploy() {
	c := t.c
	h := &c.ask.hops[t.choice.Number()]
	t.hop, t.terms = h, &h.terms
	e := h.d.Upstream
	t.request = Attempt{
		Target: t.choice.Target, Length: int64(len(h.body.data)), EmptyBody: len(h.body.data) == 0,
		HeaderTimeout: cmp.Or(e.Timeout, c.endpoint.Timeout), Interim: t.interim,
	}
	if e.HostPolicy == eventv1.HostPolicy_HOST_POLICY_TEXT {
		t.request.HostHeader = e.HostText
	}
	if h.translates(c.ask) {
		t.request.Interim = func(int, []Header) {}
	}
	t.request.Method, t.request.URI = h.line(c, e, t.choice.Target)
	t.request.Headers = c.hopHeaders(h)
	t.body = h.body.view()
	t.request.Body = t.body
}

// line is the method and the URI of a request to the deployment, which e and target are.
func (h *hop) line(c *call, e *routing.Endpoint, target *routing.Target) (method, uri string) {
	method, query, bare := http.MethodPost, "", false
	switch {
	case h.remote != nil:
		r := h.remote.Request()
		method, query = r.Method, r.Query
	case !h.translates(c.ask):
		query, bare = c.found.scrubQuery(c.query, c.isOurs), c.bareQuery
	}
	if h.count != nil && h.count.root {
		base := *target
		base.BasePath, target = "", &base
	}
	return method, e.RequestURI(target, nil, h.path, query, bare)
}

// messagesVersion is the version of Anthropic Messages that requests are of that name none.
const messagesVersion = "2023-06-01"

// hopHeaders are the headers of a request to a deployment: of the caller's those that the endpoint lets through, if nothing is
// translated, and what is configured.
func (c *call) hopHeaders(h *hop) []Header {
	e := h.d.Upstream
	var out []Header
	if h.translates(c.ask) {
		out = c.plainHeaders(h)
	} else {
		out = slices.DeleteFunc(c.through(nil, e.Headers, nil), func(h Header) bool {
			name := dashed(lower(h.Name))
			return describing[name] && name != "content-type" || name == "repr-digest" ||
				isCredentialHeader[name] || name == "cookie" || sameHeader(c.endpoint.KeyHeader, name)
		})
		if !has(out, "content-type") {
			out = append(out, jsonContent)
		}
	}
	out = configure(out, e.Headers, nil)
	if h.schema == adapter.Messages && !has(out, "anthropic-version") {
		out = append(out, Header{"Anthropic-Version", messagesVersion})
	}
	if e.Usage != nil && e.Usage.ResponseEvents.Counted {
		out = readable(out)
	}
	return out
}

var jsonContent = Header{"Content-Type", "application/json"}

// plainHeaders say what the body is and what answer is understood, and nothing of the caller but its program.
func (c *call) plainHeaders(h *hop) []Header {
	accept := "application/json"
	if h.streams(c.ask) {
		accept = "text/event-stream"
	}
	out := []Header{jsonContent, {"Accept", accept}, {"Accept-Encoding", "identity"}}
	if h.remote != nil {
		for _, own := range h.remote.Request().Headers {
			out = slices.DeleteFunc(out, func(h Header) bool { return strings.EqualFold(h.Name, own.Name) })
			out = append(out, own)
		}
	}
	if agent := get(c.x.Headers, "User-Agent"); agent != "" && !has(out, "user-agent") {
		if agent, ok := c.found.scrub("user-agent", agent, c.endpoint.KeyHeader, c.isOurs); ok {
			out = append(out, Header{"User-Agent", agent})
		}
	}
	return slices.DeleteFunc(out, func(own Header) bool { return overrides(h.d.Upstream.Headers, dashed(lower(own.Name))) })
}

// streams says whether the caller wants a stream.
func (h *hop) streams(a *ask) bool {
	switch {
	case a.foreign != nil:
		return a.foreign.Streams()
	case h.out != nil:
		return h.out.Streams()
	case h.remote != nil:
		return h.remote.Streams()
	default:
		return false
	}
}
