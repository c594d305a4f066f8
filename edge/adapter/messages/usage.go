package messages

import (
	"strconv"

	"tollgate/edge/adapter/completions"
)

// usage is what a vendor says an answer has taken. Its prompt counts what came from a cache; Anthropic counts it apart.
type usage struct{ completions.Usage }

// append writes all four numbers, because there are clients that fail without one of them.
func (u usage) append(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `{"input_tokens":`...), max(0, u.Prompt-u.Cached-u.Written), 10)
	dst = strconv.AppendInt(append(dst, `,"cache_creation_input_tokens":`...), u.Written, 10)
	dst = strconv.AppendInt(append(dst, `,"cache_read_input_tokens":`...), u.Cached, 10)
	dst = strconv.AppendInt(append(dst, `,"output_tokens":`...), u.Output, 10)
	if u.HasThought {
		dst = strconv.AppendInt(append(dst, `,"output_tokens_details":{"thinking_tokens":`...), u.Thought, 10)
		dst = append(dst, '}')
	}
	return append(dst, '}')
}
