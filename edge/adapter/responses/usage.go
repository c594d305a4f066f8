package responses

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// usage is what a vendor has counted.
type usage struct {
	known                                   bool
	input, cached, written, output, thought int64
}

// readUsage reads usage as Chat Completions has it, and as vendors of that schema are known to write it.
func readUsage(v gjson.Result) usage {
	u := usage{
		known:   true,
		input:   count(v.Get("prompt_tokens")),
		cached:  count(v.Get("prompt_tokens_details.cached_tokens")),
		written: count(v.Get("prompt_tokens_details.cache_write_tokens")),
		output:  count(v.Get("completion_tokens")),
		thought: count(v.Get("completion_tokens_details.reasoning_tokens")),
	}
	if u.cached == 0 {
		u.cached = count(v.Get("prompt_cache_hit_tokens"))
	}
	// Some count thoughts beside the rest of the output. Their total tells.
	if total := count(v.Get("total_tokens")); u.thought > 0 && total == add(u.input, u.output, u.thought) {
		u.output = add(u.output, u.thought)
	}
	return u
}

// most is what fits every client's number.
const most = 1<<53 - 1

func count(v gjson.Result) int64 {
	if v.Type != gjson.Number {
		return 0
	}
	return min(max(v.Int(), 0), most/4)
}

func add(counts ...int64) (sum int64) {
	for _, n := range counts {
		sum = min(sum+n, most)
	}
	return sum
}

func (u usage) append(dst []byte) []byte {
	if !u.known {
		return append(dst, "null"...)
	}
	dst = strconv.AppendInt(append(dst, `{"input_tokens":`...), u.input, 10)
	dst = strconv.AppendInt(append(dst, `,"input_tokens_details":{"cached_tokens":`...), u.cached, 10)
	dst = strconv.AppendInt(append(dst, `,"cache_write_tokens":`...), u.written, 10)
	dst = strconv.AppendInt(append(dst, `},"output_tokens":`...), u.output, 10)
	dst = strconv.AppendInt(append(dst, `,"output_tokens_details":{"reasoning_tokens":`...), u.thought, 10)
	dst = strconv.AppendInt(append(dst, `},"total_tokens":`...), add(u.input, u.output), 10)
	return append(dst, '}')
}
