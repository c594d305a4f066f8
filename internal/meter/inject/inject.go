// Package inject changes the bodies of exchanges where an endpoint says so: it sets fields of a request that the
// caller has not set, and leaves out of the answer what came for that reason alone, so that the caller does not
// notice. Every other byte stays as it was.
package inject

// Field is a field to set in a JSON body.
type Field struct {
	Path  string // "stream_options.include_usage"
	Value string // JSON
}

// Set sets the fields that a JSON body does not have, and says which these are. A body that is no JSON object is an error.
func Set(body []byte, fields ...Field) (changed []byte, set []Field, err error) {
	return body, nil, nil
}

// Refused says whether a target's answer to a changed request says that it does not know one of its fields.
func Refused(status int, body []byte, fields []Field) bool { return false }

// UsageOnly leaves out of a server-sent event stream the events that have usage and no choices. The zero value is at the
// beginning of a stream.
type UsageOnly struct{}

// Next takes the next piece and appends to out what goes on of it and of those before.
func (u *UsageOnly) Next(out, p []byte) []byte { return append(out, p...) }

// Rest appends what was kept back, when the stream has ended.
func (u *UsageOnly) Rest(out []byte) []byte { return out }
