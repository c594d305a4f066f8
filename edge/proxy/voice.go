package proxy

import (
	"errors"

	"tollgate/edge/adapter"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

// HeaderError has the code of an error of the gateway, where the body is in a schema that has no place for it.
const HeaderError = "X-Tollgate-Error"

// Headers that say which deployment of a model has answered, and what of the request it did not get.
const (
	HeaderModel   = "X-Tollgate-Model"
	HeaderDropped = "X-Tollgate-Dropped"
)

// speaks is the schema in which the caller gets to read errors; 0 for that of the gateway itself. What is refused before its endpoint
// is known is told as that endpoint would tell it.
func (c *call) speaks() adapter.Schema {
	switch {
	case c.ask != nil:
		return c.ask.schema
	case c.endpoint != nil || c.own:
		return 0
	}
	table := c.g.table()
	path, _, _, err := splitTarget(c.x.Target)
	if table == nil || err != nil {
		return 0
	}
	e, rest, err := table.Match(c.x.Method, path)
	if err != nil || e.Models == nil {
		return 0
	}
	w, _ := wantedOf(e, c.x.Method, rest, c.x.Headers) // why it would be refused there does not matter here
	return w.schema
}

// requestIDHeader is where libraries of a schema look for the id of a request.
func (c *call) requestIDHeader(s adapter.Schema) Header {
	name := "X-Request-Id"
	if s == adapter.Messages {
		name = "Request-Id"
	}
	return Header{name, c.requestID()}
}

// told is an error as the caller gets to read it.
func (c *call) told(err error) *adapter.Error {
	if e, ok := errors.AsType[*adapter.Error](err); ok {
		return e
	}
	return adapter.FromFault(c.truthful(fault.From(err)))
}

// spoken is an error in a schema: its status, its body, and what describes that.
func (c *call) spoken(s adapter.Schema, e *adapter.Error) (status int, headers []Header, body []byte) {
	status, body = adapter.Write(s, e, c.id.Text(id.Request))
	headers = []Header{jsonContent}
	if a := c.ask; a != nil && a.foreign != nil && a.ctx.Err() == nil {
		answer, err := a.foreign.Whole(a.ctx, &AdapterAnswer{Status: status, Headers: headers, Body: body})
		if err == nil {
			return answer.Status, plainly(answer.Headers), answer.Body
		}
		// The adapter cannot say it either. Then at least it is told.
	}
	return status, headers, body
}

// answerError passes a vendor's error on in the caller's schema.
func (c *call) answerError(e *adapter.Error) {
	c.settle()
	status, described, body := c.spoken(c.ask.schema, e)
	headers := append(c.ownHeaders(c.lines), c.requestIDHeader(c.ask.schema))
	if e.RetryAfter != "" {
		headers = append(headers, Header{"Retry-After", e.RetryAfter})
	}
	c.begin(status, append(headers, described...), int64(len(body)))
	if _, err := c.x.Out.Write(body); err != nil {
		c.x.Out.Abort()
	}
}

// errorEvent appends an error to a stream of the caller's schema that goes on otherwise as the vendor has written it.
func (c *call) errorEvent(dst []byte, s adapter.Schema, f *fault.Error) []byte {
	if s == 0 {
		return append(append(append(dst, "event: error\ndata: "...), c.errorText(f)...), "\n\n"...)
	}
	return adapter.AppendEvent(dst, s, adapter.FromFault(f), c.id.Text(id.Request), 0)
}

// plainly is what describes an answer in the headers that an adapter has made.
func plainly(in []Header) []Header {
	out := make([]Header, 0, len(in))
	for _, h := range in {
		if name := lower(h.Name); !hopByHop[name] && !reserved(name) {
			out = append(out, h)
		}
	}
	return out
}
