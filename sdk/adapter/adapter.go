// Package adapter is what one writes a translator for Tollgate with: a server that turns requests of some schema into
// those of OpenAI's Chat Completions, or Chat Completions into what some vendor understands, and the answers back. It takes
// care of the protocol: an Adapter is three methods over plain values, and Serve answers the gateway with them, over HTTP/2,
// with panics caught and sizes bounded.
//
// It opens no connection to callers or vendors and is never given a credential of either. Adapters are tried without
// a gateway by package adaptertest.
package adapter

import (
	"context"
	"fmt"
	"net/http"

	adapterv1 "tollgate/gen/tollgate/adapter/v1"
)

// Role is the side that an adapter stands at.
type Role int

// The roles.
const (
	// Client is between a caller and Chat Completions: requests become Chat Completions, answers of Chat Completions become
	// what the caller understands.
	Client = Role(adapterv1.Role_ROLE_CLIENT)
	// Vendor is between Chat Completions and a vendor: requests of Chat Completions become what the vendor understands, its
	// answers become Chat Completions.
	Vendor = Role(adapterv1.Role_ROLE_VENDOR)
)

// String is the role as people write it.
func (r Role) String() string {
	switch r {
	case Client:
		return "client"
	case Vendor:
		return "vendor"
	default:
		return fmt.Sprintf("role %d", int(r))
	}
}

// Call is one exchange of a request and its answer.
type Call struct {
	Role Role
	// Adapter is the name under which the gateway knows this one. It comes with requests only.
	Adapter string
	// Model is the vendor's name of the model, in the role of a vendor's; the body has the caller's, for the answer. It comes with
	// requests only.
	Model string
	// State is for the adapter's own use: what TranslateRequest leaves here comes back with the answer, whichever process gets
	// that. It goes nowhere else.
	State []byte
}

// Request is a request without its credentials.
type Request struct {
	Method string // POST if empty
	Path   string // below the endpoint or the deployment, with its slash; Chat Completions have "/chat/completions"
	Query  string // without "?"
	// Header has what describes the body or selects a version. In the role of a vendor's, what is answered here is sent, but for
	// credentials: those are the gateway's to add.
	Header http.Header
	Body   []byte
}

// Response is an answer.
type Response struct {
	Status int // 200 if 0
	Header http.Header
	Body   []byte // nil at the beginning of a stream
}

// Event is one server-sent event, or one line of NDJSON.
type Event struct {
	Type string // of a server-sent event; empty if it has none
	Data []byte
}

// Adapter translates. Its methods are called by many goroutines at a time. An error that is not a *RefusalError means that
// the adapter is at fault: the gateway logs its text, and the caller learns only that the adapter has failed.
type Adapter interface {
	// TranslateRequest translates a request before anything was sent for it. Refuse says that it cannot be.
	TranslateRequest(ctx context.Context, call *Call, request *Request) (*Request, error)
	// TranslateResponse translates an answer that came as a whole, also one that is an error. Errors are in the schema of
	// the side that they come from: the vendor's, or Chat Completions, {"error": {"message", "type", "param", "code"}}.
	TranslateResponse(ctx context.Context, call *Call, response *Response) (*Response, error)
	// NewStream begins a streamed answer, of which response is the status and the headers. It answers with those for the other
	// side; nil leaves them as they are. Content-Type text/event-stream there means server-sent events, anything else lines.
	NewStream(ctx context.Context, call *Call, response *Response) (Stream, *Response, error)
}

// Stream translates one streamed answer. It is used by one goroutine.
type Stream interface {
	// Event translates an event into those that the other side is to get now, which may be none. The last event of a stream
	// of Chat Completions is "[DONE]", and an adapter in the role of a vendor's has to answer with that in the end.
	Event(ctx context.Context, event Event) ([]Event, error)
	// End is called once, when no more events come. whole says whether the answer came to its end; if not, what
	// has been translated of it must not be made to look complete.
	End(ctx context.Context, whole bool) ([]Event, error)
}

// RefusalError says why a request cannot be translated. The caller gets it.
type RefusalError struct {
	Status  int    // HTTP status, 400 to 499
	Field   string // what is wrong: "messages[0].content"; empty for none
	Message string // for people
}

// Error is the field and the message.
func (e *RefusalError) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// Refuse makes a *RefusalError. status is between 400 and 499, or 0 for 400.
func Refuse(status int, field, format string, args ...any) error {
	return &RefusalError{Status: status, Field: field, Message: fmt.Sprintf(format, args...)}
}

// Same translates nothing. Adapters embed it and write the methods that they need.
type Same struct{}

// TranslateRequest is the request as it came.
func (Same) TranslateRequest(_ context.Context, _ *Call, request *Request) (*Request, error) {
	return request, nil
}

// TranslateResponse is the answer as it came.
func (Same) TranslateResponse(_ context.Context, _ *Call, response *Response) (*Response, error) {
	return response, nil
}

// NewStream lets a stream through event by event.
func (Same) NewStream(context.Context, *Call, *Response) (Stream, *Response, error) {
	return sameStream{}, nil, nil
}

type sameStream struct{}

func (sameStream) Event(_ context.Context, event Event) ([]Event, error) { return []Event{event}, nil }
func (sameStream) End(context.Context, bool) ([]Event, error)            { return nil, nil }
