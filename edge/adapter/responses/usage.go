package responses

import (
	"strconv"

	"tollgate/edge/adapter/completions"
)

// usage is what a vendor has counted.
type usage struct{ completions.Usage }

func (u usage) append(dst []byte) []byte {
	if !u.Known {
		return append(dst, "null"...)
	}
	dst = strconv.AppendInt(append(dst, `{"input_tokens":`...), u.Prompt, 10)
	dst = strconv.AppendInt(append(dst, `,"input_tokens_details":{"cached_tokens":`...), u.Cached, 10)
	dst = strconv.AppendInt(append(dst, `,"cache_write_tokens":`...), u.Written, 10)
	dst = strconv.AppendInt(append(dst, `},"output_tokens":`...), u.Output, 10)
	dst = strconv.AppendInt(append(dst, `,"output_tokens_details":{"reasoning_tokens":`...), u.Thought, 10)
	dst = strconv.AppendInt(append(dst, `},"total_tokens":`...), u.Prompt+u.Output, 10)
	return append(dst, '}')
}
