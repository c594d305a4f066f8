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
	u := usage{known: true}
	var hits, total int64
	v.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "prompt_tokens":
			u.input = count(value)
		case "completion_tokens":
			u.output = count(value)
		case "total_tokens":
			total = count(value)
		case "prompt_cache_hit_tokens":
			hits = count(value)
		case "prompt_tokens_details":
			value.ForEach(func(key, value gjson.Result) bool {
				switch key.Str {
				case "cached_tokens":
					u.cached = count(value)
				case "cache_write_tokens":
					u.written = count(value)
				}
				return true
			})
		case "completion_tokens_details":
			u.thought = count(value.Get("reasoning_tokens"))
		}
		return true
	})
	if u.cached == 0 {
		u.cached = hits
	}
	// Some count thoughts beside the rest of the output. Their total tells.
	if u.thought > 0 && total == add(u.input, u.output, u.thought) {
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
