package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
	"google.golang.org/protobuf/types/known/durationpb"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

const (
	// mostShown is how much of an answer's body is handed on. The rest is read, so that the request ends as it should, and not shown.
	mostShown = 1 << 20
	// seenWithin is how long the edge's own account of a request is waited for.
	seenWithin = 2 * time.Second
	// dialWithin is how long a connection to an edge may take.
	dialWithin = 5 * time.Second
)

// sender sends requests to edges, each on a connection of its own. It follows no redirect and decodes nothing.
type sender struct{ transport *http.Transport }

func newSender() *sender {
	return &sender{&http.Transport{
		DialContext: (&net.Dialer{Timeout: dialWithin}).DialContext, TLSHandshakeTimeout: dialWithin,
		DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 1 << 20,
	}}
}

// invoke sends one request and tells what happens, to its end. What goes wrong on the way is told as its end.
func (s *sender) invoke(ctx context.Context, base, ticket string, req *controlv1.InvokeRequest, seen Seen, send func(*controlv1.InvokeResponse) error) error {
	began := time.Now()
	ended := &controlv1.InvokeEnded{}
	id := ""
	res, err := s.send(ctx, base, ticket, req)
	if err == nil {
		id = res.Header.Get(requestIDHeader)
		err = s.relay(res, ended, send)
	}
	if told, ok := errors.AsType[*untold](err); ok {
		return told.error // whoever asked is gone
	}
	if err != nil {
		ended.Error = whyEnded(ctx, err)
	}
	ended.Total = durationpb.New(time.Since(began))
	if seen != nil && id != "" {
		ended.Seen = seen.ByID(context.WithoutCancel(ctx), id, seenWithin)
	}
	return send(&controlv1.InvokeResponse{Event: &controlv1.InvokeResponse_Ended{Ended: ended}})
}

// untold is an error of telling, and not of what is told.
type untold struct{ error }

func (s *sender) send(ctx context.Context, base, ticket string, req *controlv1.InvokeRequest) (*http.Response, error) {
	out, err := http.NewRequestWithContext(ctx, req.GetMethod(), base, bytes.NewReader(req.GetBody()))
	if err != nil {
		return nil, err
	}
	// The path goes as it was given, byte by byte.
	path, query, marked := strings.Cut(req.GetPath(), "?")
	out.URL = &url.URL{Scheme: out.URL.Scheme, Host: out.URL.Host, Opaque: path, RawQuery: query, ForceQuery: marked && query == ""}
	if strings.HasPrefix(path, "//") {
		out.URL.Opaque = "//" + out.URL.Host + path
	}
	out.Header["User-Agent"] = nil // none but the one that was asked for
	for _, h := range req.GetHeaders() {
		if strings.EqualFold(h.GetName(), "host") {
			out.Host = h.GetValue()
			continue
		}
		name := http.CanonicalHeaderKey(h.GetName())
		out.Header[name] = append(out.Header[name], h.GetValue())
	}
	if ticket != "" {
		out.Header.Set("Authorization", "Bearer "+ticket)
	}
	return s.transport.RoundTrip(out)
}

// relay tells the answer as it comes.
func (s *sender) relay(res *http.Response, ended *controlv1.InvokeEnded, send func(*controlv1.InvokeResponse) error) error {
	defer res.Body.Close()
	answered := &controlv1.InvokeAnswered{Status: int32(res.StatusCode), RequestId: res.Header.Get(requestIDHeader)}
	for name, values := range res.Header {
		for _, v := range values {
			answered.Headers = append(answered.Headers, &controlv1.ExplainHeader{Name: strings.ToLower(name), Value: v})
		}
	}
	slices.SortStableFunc(answered.Headers, func(a, b *controlv1.ExplainHeader) int { return strings.Compare(a.GetName(), b.GetName()) })
	if err := send(&controlv1.InvokeResponse{Event: &controlv1.InvokeResponse_Answered{Answered: answered}}); err != nil {
		return &untold{err}
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := res.Body.Read(buf)
		shown := min(int64(n), max(mostShown-ended.GetBytes(), 0))
		ended.Bytes += int64(n)
		ended.Cut = ended.GetCut() || shown < int64(n)
		if shown > 0 {
			if err := send(&controlv1.InvokeResponse{Event: &controlv1.InvokeResponse_Data{Data: buf[:shown]}}); err != nil {
				return &untold{err}
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// whyEnded says in a sentence why there is no more.
func whyEnded(ctx context.Context, err error) string {
	var dial *net.OpError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "It took longer than it was allowed to, and was given up."
	case ctx.Err() != nil:
		return "Whoever asked for it has left."
	case errors.As(err, &dial) && dial.Op == "dial":
		return fmt.Sprintf("The edge cannot be reached at its address from the control plane: %v. Set its setting advertise to one that can.", dial.Err)
	default:
		return "The edge has ended the answer before its time."
	}
}

// connectionHeaders are made for each connection anew, and mean something else if somebody sets them.
var connectionHeaders = []string{"connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "keep-alive", "proxy-connection", "expect"}

func checkTryHeaders(p *registry.Problems, req *controlv1.InvokeRequest) {
	for i, h := range req.GetHeaders() {
		at := fmt.Sprintf("headers[%d]", i)
		switch name := strings.ToLower(h.GetName()); {
		case !httpguts.ValidHeaderFieldName(h.GetName()):
			p.Add(at+".name", registry.Malformed, "%q is not a header name.", clipPath(h.GetName()))
		case slices.Contains(connectionHeaders, name):
			p.Add(at+".name", registry.Forbidden, "The header %s belongs to the connection: leave it out.", name)
		case name == "authorization" && req.GetKey() != "":
			p.Add(at+".name", registry.Forbidden, "The request acts as key %s, which stands in this header: leave it out, or the key.", req.GetKey())
		case !httpguts.ValidHeaderFieldValue(h.GetValue()):
			p.Add(at+".value", registry.Malformed, "The value has a line end or another control character in it.")
		}
	}
}

// token says whether a text can be the method of a request.
func token(s string) bool { return httpguts.ValidHeaderFieldName(s) && strings.ToUpper(s) == s }
