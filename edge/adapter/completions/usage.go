package completions

import (
	"github.com/tidwall/gjson"

	"tollgate/edge/adapter/jsontext"
)

// Usage is what a vendor says an answer has taken, in tokens.
type Usage struct {
	Known      bool  // the vendor has said it
	Prompt     int64 // all of it: what came from a cache too
	Cached     int64 // of the prompt, read from a cache
	Written    int64 // of the prompt, written to a cache
	Output     int64 // all of it: thoughts too
	Thought    int64 // of the output
	HasThought bool  // the vendor tells thoughts apart
}

// ReadUsage reads usage. What is no number counts as nothing.
func ReadUsage(v gjson.Result) Usage {
	u := Usage{Known: true}
	var hits, total int64
	var hasCached bool
	v.ForEach(func(key, v gjson.Result) bool {
		switch key.Str {
		case "prompt_tokens":
			u.Prompt, _ = jsontext.Count(v)
		case "completion_tokens":
			u.Output, _ = jsontext.Count(v)
		case "total_tokens":
			total, _ = jsontext.Count(v)
		case "prompt_cache_hit_tokens": // DeepSeek
			hits, _ = jsontext.Count(v)
		case "prompt_tokens_details":
			v.ForEach(func(key, v gjson.Result) bool {
				switch key.Str {
				case "cached_tokens":
					u.Cached, hasCached = jsontext.Count(v)
				case "cache_write_tokens":
					u.Written, _ = jsontext.Count(v)
				}
				return true
			})
		case "completion_tokens_details":
			u.Thought, u.HasThought = jsontext.Count(v.Get("reasoning_tokens"))
		}
		return true
	})
	if !hasCached {
		u.Cached = hits
	}
	// xAI does not count thoughts among the completion's tokens; the total shows it.
	if u.Thought > 0 && total == u.Prompt+u.Output+u.Thought {
		u.Output += u.Thought
	}
	return u
}
