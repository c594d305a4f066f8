package edge

import (
	"context"
	"strings"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/remote"
	"tollgate/edge/proxy"
	"tollgate/edge/routing"
)

// translators lets the proxy see adapters as what it needs of them.
type translators struct{ adapters *remote.Adapters }

func (t translators) ForClient(ctx context.Context, a *routing.Adapter, r *proxy.AdapterRequest, call *adapter.Call) (proxy.AdapterExchange, error) {
	return t.translate(ctx, a, remote.Client, r, call)
}

func (t translators) ForVendor(ctx context.Context, a *routing.Adapter, r *proxy.AdapterRequest, call *adapter.Call) (proxy.AdapterExchange, error) {
	return t.translate(ctx, a, remote.Vendor, r, call)
}

func (t translators) translate(ctx context.Context, a *routing.Adapter, role remote.Role, r *proxy.AdapterRequest, call *adapter.Call) (proxy.AdapterExchange, error) {
	x, err := t.adapters.Translate(ctx, a, role, &remote.Request{
		Method: r.Method, Path: r.Path, Query: r.Query, Headers: remoteHeaders(r.Headers), Body: r.Body,
	}, call)
	if err != nil {
		return nil, err
	}
	return remoteExchange{x}, nil
}

type remoteExchange struct{ x *remote.Exchange }

func (e remoteExchange) Streams() bool { return e.x.Streams() }

func (e remoteExchange) Request() *proxy.AdapterRequest {
	r := e.x.Request()
	return &proxy.AdapterRequest{Method: r.Method, Path: r.Path, Query: r.Query, Headers: proxyHeaders(r.Headers), Body: r.Body}
}

func (e remoteExchange) Whole(ctx context.Context, answer *proxy.AdapterAnswer) (*proxy.AdapterAnswer, error) {
	out, err := e.x.Whole(ctx, remoteAnswer(answer))
	if err != nil {
		return nil, err
	}
	return proxyAnswer(out), nil
}

func (e remoteExchange) Begin(ctx context.Context, answer *proxy.AdapterAnswer) (proxy.AdapterStream, error) {
	s, err := e.x.Begin(ctx, remoteAnswer(answer))
	if err != nil {
		return nil, err
	}
	return remoteStream{s}, nil
}

type remoteStream struct{ *remote.Stream }

func (s remoteStream) Head() *proxy.AdapterAnswer { return proxyAnswer(s.Stream.Head()) }

func remoteAnswer(a *proxy.AdapterAnswer) *remote.Response {
	return &remote.Response{Status: a.Status, Headers: remoteHeaders(a.Headers), Body: a.Body}
}

func proxyAnswer(r *remote.Response) *proxy.AdapterAnswer {
	return &proxy.AdapterAnswer{Status: r.Status, Headers: proxyHeaders(r.Headers), Body: r.Body}
}

// remoteHeaders has their names in lower case, as adapters see them.
func remoteHeaders(in []proxy.Header) []remote.Header {
	out := make([]remote.Header, len(in))
	for i, h := range in {
		out[i] = remote.Header{Name: strings.ToLower(h.Name), Value: h.Value}
	}
	return out
}

func proxyHeaders(in []remote.Header) []proxy.Header {
	out := make([]proxy.Header, len(in))
	for i, h := range in {
		out[i] = proxy.Header(h)
	}
	return out
}
