package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"tollgate/edge/routing"
	"tollgate/edge/signing"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
)

// mostSigned is how long a body may be of which a signature has to be made: all of it is kept until then.
// It is more than any model takes.
const mostSigned = 32 << 20

// signs says whether what is sent is signed.
func (c *call) signs() bool { return c.endpoint.Signing != nil }

// keepWhole reads the body and keeps all of it, for what comes in pieces of unknown number as well: it leaves
// with its length.
func (c *call) keepWhole(ctx context.Context) error {
	k := c.kept
	if c.x.Length > mostSigned {
		return tooLong(c.x.Length)
	}
	defer context.AfterFunc(ctx, c.x.Body.Interrupt)()
	whole, err := k.ahead(mostSigned+1, c.x.Length, false)
	switch n := int64(len(k.bytes())); {
	case err != nil:
		return c.unreadable(ctx, err)
	case n > mostSigned:
		return tooLong(n)
	case whole:
		k.size = n // so that it leaves in one piece
		return nil
	default:
		return fault.New(fault.Overloaded, "This edge already keeps as many bodies of requests as it has room for.").WithRetryAfter(time.Second)
	}
}

func tooLong(size int64) error {
	return fault.New(fault.BodyTooLarge, "The body has %s; of what is signed for AWS, the limit is %s.", bytesText(size), bytesText(mostSigned))
}

// bytes is a body that was read to its end.
func (k *kept) bytes() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.data
}

// ready is what comes before a request leaves: its signature, and the record of it.
func (t *try) ready(ctx context.Context) error {
	if t.by.Signing != nil {
		if err := t.sign(ctx); err != nil {
			return err
		}
	}
	return t.intend(ctx)
}

// sign makes the signature of this attempt. What is signed must not change afterwards.
func (t *try) sign(ctx context.Context) error {
	c, a := t.c, &t.request
	var body []byte
	if t.body != nil {
		body = t.body.bytes()
		a.Length, a.TrailerNames, a.Continue = int64(len(body)), nil, false
		if len(body) == 0 {
			a.Body, a.EmptyBody, t.body = nil, true, nil
		}
	}
	err := c.g.Sign(ctx, t.by, a, body)
	if err != nil && ctx.Err() != nil {
		return c.ended(ctx)
	}
	return err
}

// Sign adds to an attempt what signs it, where the endpoint says so. The error is a fault, or that of ctx.
func (g *Gateway) Sign(ctx context.Context, e *routing.Endpoint, a *Attempt, body []byte) error {
	if e.Signing == nil {
		return nil
	}
	host := a.HostHeader
	if host == "" {
		host = a.Target.Host
	}
	r := &signing.Request{Method: a.Method, Scheme: a.Target.Scheme, Host: host, URI: a.URI, Body: body}
	headers := unsigned(slices.Clone(a.Headers))
	for _, h := range headers {
		if signing.Covers(lower(h.Name)) {
			r.Headers = append(r.Headers, signing.Header(h))
		}
	}
	made, err := g.signers.Sign(ctx, e.Signing, r)
	if err != nil {
		return err
	}
	if made.Host != host {
		a.HostHeader = made.Host
	}
	for _, h := range made.Headers {
		headers = append(headers, Header(h))
	}
	a.Headers = headers
	return nil
}

// unsigned are headers without what a signature replaces.
func unsigned(headers []Header) []Header {
	return slices.DeleteFunc(headers, func(h Header) bool { return signing.Replaces(dashed(lower(h.Name))) })
}

// signature describes the headers of a signature, which is made of each request anew.
func (x *explainer) signature(masked *routing.Endpoint) []*controlv1.ExplainedHeader {
	with := masked.Signing
	if with == nil {
		return nil
	}
	who := with.AccessKeyID
	if with.RoleARN != "" {
		who = "(of the role " + with.RoleARN + ")"
	}
	var out []*controlv1.ExplainedHeader
	for _, name := range signing.Names(with.Temporary()) {
		value := "(made of each request)"
		if name == "Authorization" {
			value = "AWS4-HMAC-SHA256 Credential=" + who + "/(date)/" + with.Region + "/" + with.Service + "/aws4_request, SignedHeaders=(made of each request), Signature=(made of each request)"
		}
		out = append(out, &controlv1.ExplainedHeader{Name: name, Value: value, Origin: "gateway"})
	}
	return out
}

// mostPosted is how much is read of the answer to a request of the gateway's own.
const mostPosted = 64 << 10

// post sends a form for the gateway itself: nobody is charged, and no breaker hears of it.
func (g *Gateway) post(ctx context.Context, target *routing.Target, uri string, headers []signing.Header, body []byte) (int, []byte, error) {
	a := &Attempt{
		Target: target, Method: http.MethodPost, URI: uri, Body: &ownBody{*bytes.NewReader(body)}, Length: int64(len(body)),
		HeaderTimeout: g.cfg.HeaderTimeout, Interim: func(int, []Header) {},
	}
	for _, h := range headers {
		a.Headers = append(a.Headers, Header(h))
	}
	answer, err := g.d.Upstream.RoundTrip(ctx, a)
	if err != nil {
		if why, ok := errors.AsType[*AttemptError](err); ok {
			err = errors.New(target.Host + " gave no answer: " + why.Text)
		}
		return 0, nil, err
	}
	if answer.Body == nil { // it has switched to a protocol that nobody has asked for
		_ = answer.Conn.Close()
		return 0, nil, errors.New(target.Host + " gave no valid answer")
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, mostPosted))
	if err != nil {
		return 0, nil, errors.New("the answer of " + target.Host + " broke off")
	}
	return answer.Status, text, nil
}

// ownBody is a body that no caller sends: it is all there.
type ownBody struct{ bytes.Reader }

// Interrupt has nothing to do: nobody is waited for.
func (*ownBody) Interrupt() {}

// Drain has nothing to do either.
func (*ownBody) Drain() {}

// Trailers are none.
func (*ownBody) Trailers() []Header { return nil }

// awsKey is the access key id in the parameters of a signature that a library of AWS has made: where an
// endpoint signs anew, it is the place for a key of this gateway.
func awsKey(parameters string) (string, bool) {
	for part := range strings.SplitSeq(parameters, ",") {
		name, scope, _ := strings.Cut(strings.Trim(part, " \t"), "=")
		if !strings.EqualFold(name, "credential") {
			continue
		}
		// Behind the id stand date, region, service and a fixed word. An imported key may have a slash in it.
		for range 4 {
			i := strings.LastIndexByte(scope, '/')
			if i < 0 {
				return "", false
			}
			scope = scope[:i]
		}
		return scope, scope != ""
	}
	return "", false
}
