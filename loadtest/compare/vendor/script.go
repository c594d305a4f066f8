package vendor

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// What is served, by the last segment of the path.
const (
	Small  = "json-1k"
	Large  = "json-100k"
	Upload = "upload"
	Paced  = "events"
	AtOnce = "events-at-once"
	Silent = "silent"
	Socket = "socket"
)

// What each answer but that of a socket says was used.
const (
	Model            = "compare-1"
	PromptTokens     = 250
	CompletionTokens = 350
)

// Events are how many a stream has. Pace is the time between those that are paced.
const (
	Events = 100
	Pace   = 5 * time.Millisecond
)

// Lengths of the bodies of answers that are no stream.
const (
	smallBytes = 1500
	largeBytes = 100 << 10
)

// Length is that of the body of an answer, as it is sent.
func Length(what string) int {
	switch what {
	case Small, Upload:
		return smallBytes
	case Large:
		return largeBytes
	case Paced, AtOnce:
		return Events * len(event)
	default:
		return 0
	}
}

var (
	answers  = map[string][]byte{Small: document(smallBytes), Large: document(largeBytes), Upload: document(smallBytes)}
	notFound = []byte("HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nnot found\n")

	usage = fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}`, PromptTokens, CompletionTokens, PromptTokens+CompletionTokens)

	// An event is as chats send them. Each says what was used so far, so that a stream is priced the same however it ends.
	event = fmt.Sprintf(`data: {"id":"chatcmpl-compare","object":"chat.completion.chunk","model":%q,"choices":[{"index":0,"delta":{"content":" word"}}],"usage":%s}`+"\n\n",
		Model, usage)
	chunk      = []byte(strconv.FormatInt(int64(len(event)), 16) + "\r\n" + event + "\r\n")
	lastChunk  = []byte("0\r\n\r\n")
	streamHead = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n")
)

// document is an answer in JSON, head and body, with a body of so many bytes.
func document(size int) []byte {
	body := func(text string) string {
		return fmt.Sprintf(`{"id":"chatcmpl-compare","object":"chat.completion","model":%q,"choices":[{"index":0,"message":{"role":"assistant","content":%q},`+
			`"finish_reason":"stop"}],"usage":%s}`, Model, text, usage)
	}
	const words = "so many words "
	fill := size - len(body(""))
	text := strings.Repeat(words, fill/len(words)+1)[:fill]
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nX-Request-Id: req_compare\r\n\r\n%s", size, body(text))
}
