package frame

import "strings"

// Kind is how a body is made of frames.
type Kind uint8

// The kinds.
const (
	None     Kind = iota // no frames: a body that is not read
	JSON                 // one document; an array at its top has one frame for each element
	Events               // server-sent events
	Lines                // one JSON document a line
	AWS                  // application/vnd.amazon.eventstream
	Messages             // of a WebSocket, from one side; what is written are the bytes of the connection
)

// KindOf is the kind of a body by its content type. Its parameters do not matter, nor does the case of its letters.
func KindOf(contentType string) Kind {
	switch contentType { // as almost all are
	case "application/json", "application/json; charset=utf-8":
		return JSON
	case "text/event-stream", "text/event-stream; charset=utf-8":
		return Events
	}
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	switch media {
	case "application/json", "text/json":
		return JSON
	case "text/event-stream":
		return Events
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonl", "application/x-jsonlines",
		"application/json-lines", "application/stream+json": // the last is Cohere's, a document a line
		return Lines
	case "application/vnd.amazon.eventstream":
		return AWS
	}
	if kind, name, ok := strings.Cut(media, "/"); ok && kind != "" && strings.HasSuffix(name, "+json") && name != "+json" {
		return JSON
	}
	return None
}
