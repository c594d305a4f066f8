package proxy

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"tollgate/edge/adapter"
	"tollgate/edge/routing"
	"tollgate/internal/fault"
)

// Adapters have requests translated by servers that users run. They never get a credential.
type Adapters interface {
	// ForClient has what a caller sent translated into a request of Chat Completions. The error is an *adapter.Error or a fault,
	// here and below.
	ForClient(ctx context.Context, a *routing.Adapter, r *AdapterRequest, call *adapter.Call) (AdapterExchange, error)
	// ForVendor has a request of Chat Completions translated into what a vendor understands.
	ForVendor(ctx context.Context, a *routing.Adapter, r *AdapterRequest, call *adapter.Call) (AdapterExchange, error)
}

// AdapterExchange is one that an adapter translates.
type AdapterExchange interface {
	// Request is the translated request. For a client only its body counts.
	Request() *AdapterRequest
	// Streams says whether the caller wants a stream.
	Streams() bool
	// Whole translates an answer that came as a whole, also one that is an error.
	Whole(ctx context.Context, answer *AdapterAnswer) (*AdapterAnswer, error)
	// Begin begins an answer that is a stream, of which answer has no body.
	Begin(ctx context.Context, answer *AdapterAnswer) (AdapterStream, error)
}

// AdapterStream is a streamed answer that an adapter translates.
type AdapterStream interface {
	adapter.Stream
	// Head is how the translated answer begins.
	Head() *AdapterAnswer
	// Close ends it. It may be called again.
	Close()
}

// AdapterRequest is a request without its credentials.
type AdapterRequest struct {
	Method  string
	Path    string // below the endpoint, or below the deployment's base URL
	Query   string
	Headers []Header
	Body    []byte
}

// AdapterAnswer is an answer, or how one begins.
type AdapterAnswer struct {
	Status  int
	Headers []Header
	Body    []byte
}

func (c *call) noAdapters(a *routing.Adapter) error {
	return fault.New(fault.AdapterUnavailable, "This edge can't call adapter %s.", a.Name)
}

// understand has what the caller sent translated into Chat Completions.
func (a *ask) understand(ctx context.Context) error {
	c := a.c
	with := c.endpoint.Models.Adapter
	if c.g.d.Adapters == nil {
		return c.noAdapters(with)
	}
	r := &AdapterRequest{Method: c.x.Method, Path: c.rest, Query: c.found.scrubQuery(c.query, c.isOurs), Headers: c.shown(), Body: a.body}
	if r.Path == "" {
		r.Path = "/"
	}
	call := a.call(&routing.Deployment{Name: "adapter " + with.Name}, "")
	var err error
	if a.foreign, err = c.g.d.Adapters.ForClient(ctx, with, r, call); err != nil {
		return c.unlessOver(ctx, err)
	}
	a.body = a.foreign.Request().Body
	if !a.lend(int64(len(a.body))) {
		return noRoom()
	}
	return nil
}

// hand has a request of Chat Completions translated into what the deployment's vendor understands.
func (a *ask) hand(ctx context.Context, h *hop, body []byte, call *adapter.Call) (err error) {
	c := a.c
	if c.g.d.Adapters == nil {
		return c.noAdapters(h.d.Adapter)
	}
	r := &AdapterRequest{Method: http.MethodPost, Path: pathOf(adapter.Chat, h.d), Headers: []Header{jsonContent}, Body: body}
	if h.remote, err = c.g.d.Adapters.ForVendor(ctx, h.d.Adapter, r, call); err != nil {
		return c.unlessOver(ctx, err)
	}
	return nil
}

// unlessOver is the reason for an error, unless it is that the exchange is over.
func (c *call) unlessOver(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return c.ended(ctx)
	}
	return err
}

// shown are those of the caller's headers that an adapter may see: what the body is, and which version of a language.
func (c *call) shown() []Header {
	var out []Header
	for _, h := range c.x.Headers {
		name := dashed(lower(h.Name))
		switch {
		case isCredentialHeader[name] || sameHeader(c.endpoint.KeyHeader, name) || name == "content-encoding" || name == "content-md5" || strings.HasSuffix(name, "digest"):
		case slices.Contains([]string{"content-type", "accept", "user-agent", "anthropic-version", "anthropic-beta", "openai-beta"}, name):
			if value, ok := c.found.scrub(name, h.Value, c.endpoint.KeyHeader, c.isOurs); ok {
				out = append(out, Header{name, value})
			}
		}
	}
	return out
}
