package completions_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter/completions"
)

// Guarantee: whatever a vendor puts beside the choice that was asked for, that one is read, with how it ended.
func TestDocuments(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"id":"a","choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"service_tier":"flex"}`: `a {"content":"x"} stop "flex" false`,
		`{"choices":[{"index":1,"delta":{"a":1}},{"index":0,"delta":{"b":2},"finish_reason":null}]}`:      ` {"b":2}   false`,
		`{"choices":[]}`:                     `    false`,
		`{"choices":{"index":0,"delta":{}}}`: `    false`,
		`{"choices":[{"delta":"x"}]}`:        `    false`,
		`{"error":{"message":"m"}}`:          `    true`,
		`{"error":null,"choices":[]}`:        `    false`,
		`{"object":"error","message":"m"}`:   `    true`,
		`[{"error":{"message":"m"}}]`:        `    false`,
	} {
		d := completions.Read([]byte(body))
		c := completions.ReadChoice(d.Choice)
		if got := fmt.Sprint(d.ID, " ", c.Said.Raw, " ", c.Finish, " ", d.Tier.Raw, " ", d.Failed); got != want {
			t.Errorf("%s: %q, not %q", body, got, want)
		}
	}
	d := completions.Read([]byte(`{"usage":null,"x_groq":{"usage":{"prompt_tokens":1}}}`))
	if d.Used.IsObject() || !d.Aside.IsObject() {
		t.Errorf("%+v", d)
	}
}

// Guarantee: thoughts, texts, refusals and calls are found in every form in which vendors write them.
func TestSaid(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"content":"a","reasoning":"b","refusal":null}`:                                                                            `thought "b"; text "a"`,
		`{"content":null,"reasoning":"b","reasoning_content":"c"}`:                                                                  `thought "c"`,
		`{"content":"","reasoning":"b","reasoning_content":null}`:                                                                   `thought "b"`,
		`{"content":[{"type":"thinking","thinking":[{"type":"text","text":"a"}]},{"text":"b"},{"type":"refusal","refusal":"c"},3]}`: `thought "a"; text "b"; refusal "c"`,
		`{"content":[{"type":"thinking","thinking":"a"}]}`:                                                                          `thought "a"`,
		`{"tool_calls":[{"index":3,"id":"i","function":{"name":"f","arguments":"{\"a\":1}"}}]}`:                                     `call i f 3 true "{\"a\":1}"`,
		`{"tool_calls":[{"index":null,"id":null,"function":{"arguments":{"a": 1}}}]}`:                                               `call   0 false "{\"a\":1}"`,
		`{"tool_calls":[],"function_call":{"name":"f","arguments":""}}`:                                                             `call  f 0 false ""`,
		`{"tool_calls":[{"function":{"name":"f"}}],"function_call":{"name":"f"}}`:                                                   `call  f 0 false `,
		`{"tool_calls":null,"function_call":null,"content":5}`:                                                                      ``,
	} {
		said := completions.ReadSaid(gjson.Parse(body))
		var got []string
		say := func(kind string) func(gjson.Result) {
			return func(v gjson.Result) { got = append(got, kind+" "+v.Raw) }
		}
		if said.Thought.Exists() {
			say("thought")(said.Thought)
		}
		completions.Pieces(said.Content, say("thought"), say("text"), say("refusal"))
		said.Calls(func(c completions.Call) bool {
			got = append(got, fmt.Sprint("call ", c.ID, " ", c.Name, " ", c.Index, " ", c.HasIndex, " ", c.Arguments.Raw))
			return true
		})
		if got := strings.Join(got, "; "); got != want {
			t.Errorf("%s: %q, not %q", body, got, want)
		}
	}
}

// Guarantee: usage is read as the vendor means it: a cache's tokens wherever they are told, and thoughts once.
func TestUsage(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]completions.Usage{
		`{}`: {Known: true},
		`{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":2},"completion_tokens_details":{"reasoning_tokens":3}}`: {Known: true, Prompt: 9, Output: 5, Cached: 4, Written: 2, Thought: 3, HasThought: true},
		`{"prompt_tokens":9,"completion_tokens":5,"total_tokens":17,"completion_tokens_details":{"reasoning_tokens":3}}`:                                                                    {Known: true, Prompt: 9, Output: 8, Thought: 3, HasThought: true},
		`{"prompt_tokens":9,"prompt_cache_hit_tokens":4,"prompt_tokens_details":null,"completion_tokens_details":null}`:                                                                     {Known: true, Prompt: 9, Cached: 4},
		`{"prompt_tokens":9,"prompt_cache_hit_tokens":4,"prompt_tokens_details":{"cached_tokens":3}}`:                                                                                       {Known: true, Prompt: 9, Cached: 3},
		`{"prompt_tokens":-9,"completion_tokens":"5"}`: {Known: true},
	} {
		if got := completions.ReadUsage(gjson.Parse(body)); got != want {
			t.Errorf("%s: %+v", body, got)
		}
	}
}
