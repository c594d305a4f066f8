package litellmapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"tollgate/internal/fault"
)

func write(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"detail":"Internal Server Error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}

// refuse answers with an error in one of LiteLLM's two forms.
func refuse(w http.ResponseWriter, r *http.Request, f *fault.Error, detail bool) {
	status, kind := statusOf(f, r.Header.Get("If-Match") != "")
	message := f.Message
	if f.Kind() == fault.Unauthenticated {
		message = "Authentication Error, " + message
		w.Header().Set("WWW-Authenticate", `Bearer realm="tollgate"`)
	}
	param := "None"
	for i, v := range f.Violations {
		if i == 0 {
			param = v.Field
		}
		if v.Reason != f.Message {
			message += " " + v.Field + ": " + v.Reason
		}
	}
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter.Seconds()+1)))
	}
	w.Header().Set("X-Tollgate-Error", string(f.Code))
	if detail && f.Kind() != fault.Unauthenticated {
		write(w, status, object{"detail": object{"error": message}})
		return
	}
	write(w, status, object{"error": object{"message": message, "type": kind, "param": param, "code": fmt.Sprint(status)}})
}

// statusOf is the status that LiteLLM has for such an error, and its word for it. A name that is taken is a bad request there.
func statusOf(f *fault.Error, conditional bool) (status int, kind string) {
	switch f.Kind() {
	case fault.Unauthenticated:
		return http.StatusUnauthorized, "auth_error"
	case fault.Denied:
		return http.StatusForbidden, "auth_error"
	case fault.NotFound:
		return http.StatusNotFound, "not_found_error"
	case fault.Exists, fault.Invalid, fault.Precondition:
		if f.Code == fault.BodyTooLarge {
			return http.StatusRequestEntityTooLarge, "bad_request_error"
		}
		return http.StatusBadRequest, "bad_request_error"
	case fault.Conflict:
		if conditional && f.Code == fault.StaleETag {
			return http.StatusPreconditionFailed, "bad_request_error"
		}
		return http.StatusConflict, "bad_request_error"
	case fault.Unavailable:
		return http.StatusServiceUnavailable, "no_db_connection"
	case fault.Timeout:
		return http.StatusGatewayTimeout, "internal_server_error"
	case fault.Internal, fault.Exhausted:
	}
	return f.Status(), "internal_server_error"
}
