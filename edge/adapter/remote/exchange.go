package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/proxy"
	"tollgate/edge/routing"
	adapterv1 "tollgate/gen/tollgate/adapter/v1"
	"tollgate/internal/meter/frame"
)

// Role is the side that an adapter stands at.
type Role uint8

// The roles.
const (
	Client = Role(adapterv1.Role_ROLE_CLIENT) // between a caller and Chat Completions
	Vendor = Role(adapterv1.Role_ROLE_VENDOR) // between Chat Completions and a vendor
)

// What goes in and comes out is the proxy's.
type (
	// Request is a request without its credentials, which whoever makes one has removed.
	Request = proxy.AdapterRequest
	// Response is an answer that came as a whole, or how a stream begins.
	Response = proxy.AdapterAnswer
)

// Exchange is one whose request an adapter has translated. It is used by one goroutine at a time.
type Exchange struct {
	server  *server
	role    Role
	state   []byte
	request Request
	streams bool
}

// ForClient has what a caller sent translated into Chat Completions.
func (a *Adapters) ForClient(ctx context.Context, from *routing.Adapter, r *Request, call *adapter.Call) (proxy.AdapterExchange, error) {
	return a.exchange(ctx, from, Client, r, call)
}

// ForVendor has a request of Chat Completions translated for a vendor.
func (a *Adapters) ForVendor(ctx context.Context, from *routing.Adapter, r *Request, call *adapter.Call) (proxy.AdapterExchange, error) {
	return a.exchange(ctx, from, Vendor, r, call)
}

func (a *Adapters) exchange(ctx context.Context, from *routing.Adapter, role Role, r *Request, call *adapter.Call) (proxy.AdapterExchange, error) {
	x, err := a.Translate(ctx, from, role, r, call)
	if err != nil {
		return nil, err
	}
	return x, nil
}

var _ proxy.Adapters = (*Adapters)(nil)

// Translate has a request translated. It is before anything was held or sent for it. The error is an *adapter.Error if the request
// is refused, a *fault.Error if the adapter could not be asked or failed, and the context's if that ended.
func (a *Adapters) Translate(
	ctx context.Context, from *routing.Adapter, role Role, request *Request, call *adapter.Call,
) (*Exchange, error) {
	if from.Upstream.Err != nil {
		return nil, from.Upstream.Err
	}
	s := a.server(from)
	if len(request.Body) > s.maxBytes {
		return nil, &adapter.Error{
			Kind:    adapter.TooLarge,
			Message: fmt.Sprintf("The request's body has %d bytes, and adapter %s takes at most %d.", len(request.Body), s.name, s.maxBytes),
		}
	}
	x := &Exchange{server: s, role: role}
	message := &adapterv1.TranslateRequestRequest{Role: adapterv1.Role(role), Adapter: s.name, Request: &adapterv1.Request{
		Method: request.Method, Path: valid(request.Path), Query: valid(request.Query), Headers: shown(request.Headers), Body: request.Body,
	}}
	if role == Vendor {
		message.Model = call.Model
	}
	_, err := ask(ctx, s, s.client.TranslateRequest, message, func(res *adapterv1.TranslateRequestResponse) error {
		if r := res.GetRefusal(); r != nil {
			return s.refused(r)
		}
		x.state = res.GetState()
		if err := x.take(res.GetRequest()); err != nil {
			return s.failed(err, "%s", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	asked := x.request.Body
	if role == Vendor {
		asked = request.Body
	}
	x.streams = gjson.GetBytes(asked, "stream").Type == gjson.True
	return x, nil
}

var errNoRequest = errors.New("it answered with no request")

// take checks what a request was translated into.
func (x *Exchange) take(r *adapterv1.Request) error {
	if r == nil {
		return errNoRequest
	}
	x.request.Body = r.GetBody()
	if x.role == Client {
		return checkChat(x.request.Body)
	}
	var err error
	if x.request.Headers, err = taken(r.GetHeaders()); err != nil {
		return err
	}
	x.request.Method, x.request.Path, x.request.Query = r.GetMethod(), r.GetPath(), r.GetQuery()
	if x.request.Method == "" {
		x.request.Method = http.MethodPost
	}
	switch x.request.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodGet, http.MethodDelete:
	default:
		return fmt.Errorf("it answered with a request of method %q", shorten(x.request.Method))
	}
	return checkPlace(x.request.Path, x.request.Query)
}

// checkChat takes a request of Chat Completions as far as everything behind relies on it.
func checkChat(body []byte) error {
	if !frame.Valid(body) {
		return errors.New("the request it answered with is not JSON")
	}
	doc := gjson.ParseBytes(body)
	if !doc.IsObject() {
		return errors.New("the request it answered with is not a JSON object")
	}
	if model := doc.Get("model"); model.Type != gjson.String || model.Str == "" {
		return errors.New("the request it answered with names no model")
	}
	if !doc.Get("messages").IsArray() {
		return errors.New("the request it answered with has no messages")
	}
	return nil
}

// checkPlace takes a path and a query that stay below the deployment's base URL, however a server reads them.
func checkPlace(path, query string) error {
	if !strings.HasPrefix(path, "/") || !plain(path) || strings.ContainsAny(path, "?#\\") {
		return fmt.Errorf("it answered with a request of path %q", shorten(path))
	}
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return fmt.Errorf("it answered with a request of path %q", shorten(path))
	}
	for segment := range strings.FieldsFuncSeq(decoded, func(r rune) bool { return r == '/' || r == '\\' }) {
		if segment == ".." || segment == "." {
			return fmt.Errorf("it answered with a request of path %q, which climbs", shorten(path))
		}
	}
	if !plain(query) || strings.Contains(query, "#") {
		return errors.New("it answered with a query that is none")
	}
	return nil
}

// plain says whether a text has only what a request line can carry.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

func valid(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// Request is the translated request: for a client its body is one of Chat Completions and all there is, for a vendor it is the
// vendor's own.
func (x *Exchange) Request() *Request { return &x.request }

// Streams says whether the caller wants a stream.
func (x *Exchange) Streams() bool { return x.streams }

// Whole translates an answer that came as a whole, also one that is an error. The error is a *fault.Error, or the context's.
func (x *Exchange) Whole(ctx context.Context, response *Response) (*Response, error) {
	s := x.server
	if len(response.Body) > s.maxBytes {
		return nil, s.failed(nil, "the answer has more than the %d bytes that it takes", s.maxBytes)
	}
	out := &Response{}
	_, err := ask(ctx, s, s.client.TranslateResponse, &adapterv1.TranslateResponseRequest{
		Role: adapterv1.Role(x.role), State: x.state, Response: toProto(response),
	}, func(res *adapterv1.TranslateResponseResponse) error {
		var err error
		if *out, err = x.response(res.GetResponse()); err != nil {
			return s.failed(err, "%s", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// response checks an answer, or the head of one.
func (x *Exchange) response(r *adapterv1.Response) (Response, error) {
	if r == nil {
		return Response{}, errors.New("it answered with no answer")
	}
	out, err := x.head(r)
	if err != nil {
		return Response{}, err
	}
	if valueOf(out.Headers, "content-type") == "" {
		out.Headers = append(out.Headers, header("content-type", "application/json"))
	}
	if out.Body = r.GetBody(); x.role != Vendor {
		return out, nil
	}
	if !frame.Valid(out.Body) || !gjson.ParseBytes(out.Body).IsObject() {
		return Response{}, errors.New("the answer it answered with is not a JSON object")
	}
	return out, nil
}

func (x *Exchange) head(r *adapterv1.Response) (Response, error) {
	status := int(r.GetStatus())
	if status < 200 || status > 599 {
		return Response{}, fmt.Errorf("it answered with status %d", status)
	}
	headers, err := taken(r.GetHeaders())
	return Response{Status: status, Headers: headers}, err
}

func toProto(r *Response) *adapterv1.Response {
	return &adapterv1.Response{Status: uint32(r.Status), Headers: shown(r.Headers), Body: r.Body}
}
