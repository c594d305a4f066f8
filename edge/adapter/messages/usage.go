package messages

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// usage is what a vendor says an answer has taken, in tokens.
type usage struct {
	input, cacheWrite, cacheRead, output int64
	thinking                             int64
	hasThinking                          bool
}

// readUsage reads usage of Chat Completions. Its prompt counts what came from a cache; Anthropic counts it apart.
func readUsage(v gjson.Result) usage {
	var prompt, completion, total, hit, cached, written, reasoning int64
	var hasCached, hasReasoning bool
	v.ForEach(func(key, f gjson.Result) bool {
		switch key.Str {
		case "prompt_tokens":
			prompt = count(f)
		case "completion_tokens":
			completion = count(f)
		case "total_tokens":
			total = count(f)
		case "prompt_cache_hit_tokens":
			hit = count(f)
		case "prompt_tokens_details":
			f.ForEach(func(key, f gjson.Result) bool {
				switch key.Str {
				case "cached_tokens":
					cached, hasCached = count(f), f.Type == gjson.Number
				case "cache_write_tokens":
					written = count(f)
				}
				return true
			})
		case "completion_tokens_details":
			f.ForEach(func(key, f gjson.Result) bool {
				if key.Str == "reasoning_tokens" {
					reasoning, hasReasoning = count(f), f.Type == gjson.Number
				}
				return true
			})
		}
		return true
	})
	if !hasCached {
		cached = hit
	}
	u := usage{cacheRead: cached, cacheWrite: written, output: completion, thinking: reasoning, hasThinking: hasReasoning}
	u.input = max(0, prompt-cached-written)
	// xAI does not count thoughts among the completion's tokens; the total shows it.
	if reasoning > 0 && total == prompt+completion+reasoning {
		u.output += reasoning
	}
	return u
}

const mostTokens = 1 << 50 // sums of such counts do not overflow

// count is a number of tokens. What is no such number counts as nothing.
func count(v gjson.Result) int64 {
	if v.Type != gjson.Number {
		return 0
	}
	n, err := strconv.ParseInt(v.Raw, 10, 64)
	if err != nil {
		n = v.Int()
	}
	return min(max(0, n), mostTokens)
}

// append writes all four numbers, because there are clients that fail without one of them.
func (u *usage) append(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `{"input_tokens":`...), u.input, 10)
	dst = strconv.AppendInt(append(dst, `,"cache_creation_input_tokens":`...), u.cacheWrite, 10)
	dst = strconv.AppendInt(append(dst, `,"cache_read_input_tokens":`...), u.cacheRead, 10)
	dst = strconv.AppendInt(append(dst, `,"output_tokens":`...), u.output, 10)
	if u.hasThinking {
		dst = strconv.AppendInt(append(dst, `,"output_tokens_details":{"thinking_tokens":`...), u.thinking, 10)
		dst = append(dst, '}')
	}
	return append(dst, '}')
}
