package litellmapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"tollgate/controlplane/access"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
)

// client is by what calls are made, as the audit has it.
const client = "litellm"

// object is a reply, or a part of one.
type object = map[string]any

// call is one request on its way.
type call struct {
	*api

	ctx         context.Context //nolint:containedctx // a call is its request, and changes within a transaction have its context
	r           *http.Request
	body        *body
	actor       string
	status      int          // of the answer; 0 for 200
	etag        string       // of the answer
	after       func() error // makes the answer once the changes are committed
	teamsByName map[string]*controlv1.Team
}

// serve answers a route.
func (a *api) serve(to route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
		defer cancel()
		c := &call{api: a, ctx: ctx, r: r, status: http.StatusOK}
		out, err := c.run(to)
		if err != nil {
			f := faultOf(err)
			if f.Kind() == fault.Internal {
				a.Log.ErrorContext(ctx, "call of the LiteLLM API failed", "path", r.URL.Path, "err", err)
			}
			refuse(w, r, f, to.detail)
			return
		}
		if dryRun(r) {
			w.Header().Set("X-Tollgate-Dry-Run", "true")
		}
		if c.etag != "" {
			w.Header().Set("ETag", `"`+c.etag+`"`)
		}
		write(w, c.status, out)
	}
}

// run finds out who calls, reads the body and does what the route is for.
func (c *call) run(to route) (any, error) {
	if to.open {
		return to.do(c)
	}
	c.actor = access.From(c.ctx).Actor
	raw, err := io.ReadAll(io.LimitReader(c.r.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, fault.New(fault.BodyInvalid, "The body cannot be read.").WithCause(err)
	case len(raw) > maxBody:
		return nil, fault.New(fault.BodyTooLarge, "The body has more than %d bytes.", maxBody)
	}
	if c.body, err = parseBody(raw); err != nil {
		return nil, err
	}
	if !to.writes {
		return to.do(c)
	}
	return c.together(to, raw)
}

// together makes what a route changes one change: it is made whole or not at all, once under an Idempotency-Key, and leaves no
// trace in a dry run.
func (c *call) together(to route, raw []byte) (out any, err error) {
	outer := c.ctx
	defer func() { c.ctx = outer }()
	again := c.body
	do := func(ctx context.Context) error {
		c.ctx, c.body, c.after, c.teamsByName = ctx, again.anew(), nil, nil
		out, err = to.do(c)
		return err
	}
	finish := func() error {
		c.ctx, c.teamsByName = outer, nil
		if c.after == nil || dryRun(c.r) {
			return nil
		}
		return c.after()
	}
	key := c.r.Header.Get("Idempotency-Key")
	dry := dryRun(c.r)
	if dry || key == "" {
		if err := c.Store.Together(outer, c.actor, dry, do); err != nil {
			return nil, err
		}
		if made, ok := out.(object); ok && dry {
			delete(made, "key") // it works for nobody
			return out, nil
		}
		return out, finish()
	}
	if len(key) > 255 || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, invalid("Idempotency-Key", "An Idempotency-Key is at most 255 printable characters of ASCII.")
	}
	sum := sha256.Sum256([]byte(c.r.URL.RequestURI() + "\x00" + string(raw)))
	one := store.Call{Actor: c.actor, Key: key, Procedure: c.r.Method + " " + c.r.Pattern, Hash: sum}
	id := one.Actor + "\x00" + one.Key
	kept, err := c.Store.Once(outer, one, func(ctx context.Context) ([]byte, error) {
		if err := do(ctx); err != nil {
			return nil, err
		}
		if c.after != nil { // what is sent again is the whole answer
			if err := c.after(); err != nil {
				return nil, err
			}
			c.after = nil
		}
		text, err := json.Marshal(out)
		if err != nil {
			return nil, err
		}
		return c.Answers.SealAnswer(id, text)
	})
	if err != nil {
		return nil, err
	}
	if kept == nil {
		return out, finish()
	}
	text, err := c.Answers.OpenAnswer(id, kept)
	return json.RawMessage(text), err
}

// dryRun says whether a request is to leave no trace.
func dryRun(r *http.Request) bool { return r.Header.Get("X-Tollgate-Dry-Run") == "true" }

// credential is the token of a request: in the header that LiteLLM reads first, or as a bearer.
func credential(r *http.Request) string {
	text := r.Header.Get("X-Litellm-Api-Key")
	if text == "" {
		text = r.Header.Get("Authorization")
	}
	if len(text) > 7 && strings.EqualFold(text[:7], "bearer ") {
		text = text[7:]
	}
	return strings.TrimSpace(text)
}

// inside makes requests of a handler in this process, in the caller's name. The context goes along, and with it the transaction.
type inside struct{ to http.Handler }

// RoundTrip implements http.RoundTripper.
func (t inside) RoundTrip(req *http.Request) (*http.Response, error) {
	in := req.Clone(req.Context())
	in.RequestURI = req.URL.RequestURI()
	in.Header.Del("Authorization") // the context knows who calls
	w := &recorder{header: http.Header{}, status: http.StatusOK}
	t.to.ServeHTTP(w, in)
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: req,
	}, nil
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (w *recorder) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) { w.status = status }

// Write implements http.ResponseWriter.
func (w *recorder) Write(p []byte) (int, error) { return w.body.Write(p) }

// faultOf is the fault that an answer of the control plane tells of.
func faultOf(err error) *fault.Error {
	c, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return fault.From(err)
	}
	f := fault.New(fault.InternalError, "%s", c.Message()).WithCause(err)
	for _, d := range c.Details() {
		value, err := d.Value()
		if err != nil {
			continue
		}
		switch v := value.(type) {
		case *errdetails.ErrorInfo:
			f.Code = fault.Code(v.GetReason())
			f.Hint = v.GetMetadata()["hint"]
		case *errdetails.BadRequest:
			for _, w := range v.GetFieldViolations() {
				f = f.WithViolations(fault.Violation{Field: w.GetField(), Code: w.GetReason(), Reason: w.GetDescription()})
			}
		}
	}
	return f
}

// is says whether an error has a code.
func is(err error, code fault.Code) bool { return err != nil && faultOf(err).Code == code }

func invalid(field, format string, args ...any) error {
	f := fault.New(fault.InvalidArgument, format, args...)
	return f.WithViolations(fault.Violation{Field: field, Code: "invalid", Reason: f.Message})
}

func missing(field string) error {
	return invalid(field, "%s is required.", field)
}

// stamp is a time as LiteLLM's replies have it.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000Z")
}
