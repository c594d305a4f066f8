package proxy

import (
	"encoding/json"

	"tollgate/internal/fault"
)

// ErrorBody is what a caller gets to read of an error, in one line. Engines use it for requests that
// never become an exchange.
func ErrorBody(f *fault.Error, requestID string) []byte {
	text, _ := json.Marshal(errorBody{errorText{f.Code, f.Message, f.Hint, requestID}}) // strings always can be
	return text
}
