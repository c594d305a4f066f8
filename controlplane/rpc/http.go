package rpc

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"strings"

	"connectrpc.com/connect"

	"tollgate/internal/fault"
	"tollgate/internal/id"
)

// requestIDHeader names a request in answers and logs.
const requestIDHeader = "x-tollgate-request-id"

type contextKey int

const (
	requestIDKey contextKey = iota
	actorKey
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

// authenticate lets holders of the admin token pass. It stands before the mux, so that a new handler
// cannot be forgotten.
func authenticate(token string, next http.Handler) http.Handler {
	// Hashes have one length, so the comparison tells nothing about the token's.
	want := sha256.Sum256([]byte(token))
	errorWriter := connect.NewErrorWriter()
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
		if errorWriter.IsSupported(r) {
			_ = errorWriter.Write(w, r, toConnect(r.Context(), f)) // the caller may be gone
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(f.Status())
		_ = json.NewEncoder(w).Encode(map[string]string{"code": "unauthenticated", "message": f.Message, "hint": f.Hint})
	})
}

func bearer(header string) (string, bool) {
	scheme, token, ok := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != ""
}
