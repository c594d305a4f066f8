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
		if r.URL.Path == controlv1connect.PriceBookServiceUpdatePriceBookProcedure {
			most, body = maxBook, maxBook+maxMessage
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

// authenticate lets holders of the admin token pass. It stands before the mux, so that a new handler
// cannot be forgotten.
func authenticate(token string, next http.Handler) http.Handler {
	// Hashes have one length, so the comparison tells nothing about the token's.
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, ok := bearer(r.Header.Get("Authorization"))
		got := sha256.Sum256([]byte(given))
		if ok && token != "" && subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), actorKey, "admin")))
			return
		}
		f := fault.New(fault.UnauthenticatedErr, "No admin token was sent.")
		if ok {
			f = fault.New(fault.UnauthenticatedErr, "The admin token is not the right one.")
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="tollgate"`)
		refuse(w, r, f)
	})
}

func bearer(header string) (string, bool) {
	scheme, token, ok := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != ""
}
