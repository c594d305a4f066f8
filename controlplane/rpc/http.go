package rpc

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"

	"tollgate/controlplane/access"
	"tollgate/controlplane/signin"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/fault"
	"tollgate/internal/id"
	"tollgate/internal/rpccode"
)

// requestIDHeader names a request in answers and logs.
const requestIDHeader = "x-tollgate-request-id"

type contextKey int

const (
	requestIDKey contextKey = iota
	actorKey
	visitKey
	connectionKey
)

func requestID(ctx context.Context) string {
	s, _ := ctx.Value(requestIDKey).(string)
	return s
}

// actor is who makes a change, for the audit. Nothing reaches a handler without one.
func actor(ctx context.Context) string {
	s, _ := ctx.Value(actorKey).(string)
	return s
}

// withRequestID names every request. A name that the caller sends is not taken over, because it
// could be anything, another request's included.
func withRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := id.New(id.Request)
		w.Header().Set(requestIDHeader, name)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey, name)))
	})
}

// withConnection lets handlers of streams reach the deadline of their connection.
func withConnection(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), connectionKey, c)))
	})
}

// baseOf is the address under which the caller has reached the API.
func baseOf(ctx context.Context) string { return visitOf(ctx).From.BaseURL }

// sendWithin bounds how long the caller may take to receive what send sends: one that stops reading
// would hold its call open for ever.
func sendWithin(ctx context.Context, send func() error) error {
	c, ok := ctx.Value(connectionKey).(*http.ResponseController)
	if !ok {
		return send()
	}
	if err := c.SetWriteDeadline(time.Now().Add(answerWithin)); err != nil {
		return fmt.Errorf("bound the connection: %w", err)
	}
	if err := send(); err != nil {
		return err
	}
	return c.SetWriteDeadline(time.Time{})
}

// errorWriter writes errors in the protocol of their request.
var errorWriter = connect.NewErrorWriter()

// refuse answers a request that reaches no handler.
func refuse(w http.ResponseWriter, r *http.Request, f *fault.Error) {
	if errorWriter.IsSupported(r) {
		_ = errorWriter.Write(w, r, toConnect(r.Context(), f)) // the caller may be gone
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.Status())
	_ = json.NewEncoder(w).Encode(map[string]string{"code": rpccode.Of(f.Kind()).String(), "message": f.Message, "hint": f.Hint})
}

// limitBody refuses what announces itself as too large in the form of all other errors, and cuts off
// what does not announce itself.
func limitBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		most, body := int64(maxMessage), int64(maxBody)
		switch r.URL.Path {
		case controlv1connect.PriceBookServiceUpdatePriceBookProcedure, controlv1connect.ConfigServicePlanProcedure,
			controlv1connect.ConfigServiceApplyProcedure, controlv1connect.ConfigServiceExportProcedure:
			most, body = maxFiles, maxFiles+maxMessage
		}
		if r.ContentLength > most {
			w.Header().Set("Connection", "close") // what follows will not be read
			refuse(w, r, fault.New(fault.BodyTooLarge, "The request has %d bytes; the limit is %d.", r.ContentLength, most).
				WithHint("Send less in one call."))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, body)
		next.ServeHTTP(w, r)
	})
}

// whenOpen refuses calls until open says that they can be served; that the process lives is answered
// all the same.
func whenOpen(open func() bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if open == nil || open() || r.URL.Path == "/healthz" {
			next.ServeHTTP(w, r)
			return
		}
		refuse(w, r, fault.New(fault.UnavailableErr, "The control plane waits for its database.").WithRetryAfter(time.Second))
	})
}

// Headers by which callers say how a call is meant.
const (
	clientHeader   = "x-tollgate-client"   // "cli", "console" or "litellm"
	overrideHeader = "x-tollgate-override" // "managed": also what a file owns may be changed
)

// authenticate finds out who calls. It stands before the mux, so that a new handler cannot be forgotten: without a credential
// nothing is reached but methods that are for everybody. What callers may do is not decided here.
func authenticate(adminToken string, people *signin.Service, next http.Handler) http.Handler {
	return Authenticate(adminToken, people, refuse, next)
}

// Authenticate is authenticate for another surface in this process, which has its own form of refusals. What it then asks of the
// API with the context that it got is asked in its caller's name.
func Authenticate(adminToken string, people *signin.Service, refuse func(http.ResponseWriter, *http.Request, *fault.Error), next http.Handler) http.Handler {
	// Hashes have one length, so the comparison tells nothing about the token's.
	admin := sha256.Sum256([]byte(adminToken))
	identify := func(r *http.Request, address string) (*access.Caller, error) {
		if header := r.Header.Get("Authorization"); header != "" {
			given, ok := bearer(header)
			got := sha256.Sum256([]byte(given))
			switch {
			case !ok:
				return nil, fault.New(fault.UnauthenticatedErr, "The Authorization header is not of the form `Bearer <token>`.")
			case adminToken != "" && subtle.ConstantTimeCompare(got[:], admin[:]) == 1:
				return &access.Caller{Actor: "admin", Token: "admin", Role: controlv1.Role_ROLE_OWNER, Everywhere: access.Everything}, nil
			default:
				return people.Identify(r.Context(), given, address)
			}
		}
		cookie, err := r.Cookie(signin.CookieName)
		if err != nil {
			return nil, fault.New(fault.UnauthenticatedErr, "No token was sent.")
		}
		if err := people.CheckOrigin(r); err != nil {
			return nil, err
		}
		return people.Identify(r.Context(), cookie.Value, address)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if access.From(r.Context()).Actor != "" { // another surface knows already who it is
			next.ServeHTTP(w, r)
			return
		}
		v := &visit{Request: signin.RequestOf(r), From: signin.From{Agent: r.UserAgent(), Address: people.Address(r)}}
		v.From.BaseURL = v.Request.BaseURL()
		// To be looked at again is no use of a session, so it says no address.
		v.Again = func(ctx context.Context) (*access.Caller, error) { return identify(r.WithContext(ctx), "") }
		caller, err := identify(r, v.From.Address)
		if err != nil {
			if rule, ok := access.Method(r.URL.Path); !ok || rule.Permission != access.Anyone {
				w.Header().Set("WWW-Authenticate", `Bearer realm="tollgate"`)
				refuse(w, r, fault.From(err))
				return
			}
			caller = &access.Caller{}
		}
		known := *caller // what was remembered is shared
		known.Via, known.Address = via(r.Header.Get(clientHeader)), v.From.Address
		ctx := access.With(context.WithValue(r.Context(), visitKey, v), &known)
		ctx = context.WithValue(ctx, actorKey, known.Actor)
		ctx = store.WithOrigin(ctx, store.Origin{
			Via: known.Via, Address: known.Address, RequestID: requestID(ctx), Override: r.Header.Get(overrideHeader) == "managed",
		})
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// visit is what signing in needs to know of a request.
type visit struct {
	Request signin.Request
	From    signin.From
	Again   func(context.Context) (*access.Caller, error) // who calls, by what is true now
}

func visitOf(ctx context.Context) *visit {
	if v, ok := ctx.Value(visitKey).(*visit); ok {
		return v
	}
	return &visit{}
}

// via is by what a call was made.
func via(client string) string {
	switch client {
	case "cli", "console", "litellm":
		return client
	default:
		return "api"
	}
}

func bearer(header string) (string, bool) {
	scheme, token, ok := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != ""
}
