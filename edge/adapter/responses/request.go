package responses

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/jsontext"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/meter/frame"
)

// request is a request on its way from one schema to the other.
type request struct {
	call *adapter.Call
	opt  *controlv1.VendorOptions
	in   []field // as the caller has them; of two that have one name the last one counts
	more bool    // there are fields that nobody knows

	out     []byte
	streams bool
	dropped []string
	names   adapter.Names
	tools   bool // the translated request has functions

	echoedTools []byte // as the answer repeats them, with commas between them
}

// field is a field of the request.
type field struct {
	name  string
	value gjson.Result
}

// get is a field that is there and not null.
func (q *request) get(name string) (gjson.Result, bool) {
	for i := len(q.in) - 1; i >= 0; i-- {
		if f := &q.in[i]; f.name == name {
			return f.value, f.value.Type != gjson.Null
		}
	}
	return gjson.Result{}, false
}

// known are the fields of the Responses API.
var known = map[string]bool{
	"background": true, "context_management": true, "conversation": true, "include": true, "input": true, "instructions": true,
	"max_output_tokens": true, "max_tool_calls": true, "metadata": true, "model": true, "moderation": true, "parallel_tool_calls": true,
	"previous_response_id": true, "prompt": true, "prompt_cache_key": true, "prompt_cache_options": true, "prompt_cache_retention": true,
	"reasoning": true, "safety_identifier": true, "service_tier": true, "store": true, "stream": true, "stream_options": true,
	"temperature": true, "text": true, "tool_choice": true, "tools": true, "top_logprobs": true, "top_p": true, "truncation": true,
	"user": true,
}

// governed are fields of Chat Completions that are no fields of Responses and that the translation itself decides on. They are not
// passed on even where unknown fields are: an answer with several choices, say, could not be told in the caller's schema.
var governed = map[string]bool{
	"audio": true, "function_call": true, "functions": true, "logprobs": true, "max_completion_tokens": true, "max_tokens": true,
	"messages": true, "modalities": true, "n": true, "reasoning_effort": true, "response_format": true, "verbosity": true,
	"web_search_options": true,
}

// kept are fields that have no meaning without a store of answers, and why they are refused.
var kept = []struct{ name, reason string }{
	{"previous_response_id", "earlier answers are not kept here; send the whole conversation as input"},
	{"conversation", "conversations are not kept here; send the whole conversation as input"},
	{"prompt", "prompts are not kept here; send their text as instructions and input"},
	{"context_management", "the context is not managed here; leave the field out"},
	{"moderation", "nothing is moderated on the way; leave the field out"},
}

// translate reads the request and writes out.
func (q *request) translate(body []byte) error {
	if !utf8.Valid(body) || !frame.Valid(body) {
		return adapter.Refuse("", "The request is no JSON.")
	}
	root := gjson.ParseBytes(body)
	if !root.IsObject() {
		return adapter.Refuse("", "The request is no JSON object.")
	}
	q.in = make([]field, 0, 16)
	root.ForEach(func(key, value gjson.Result) bool {
		name := key.String()
		q.more = q.more || !known[name]
		q.in = append(q.in, field{name, value})
		return true
	})
	if err := q.unkept(); err != nil {
		return err
	}
	q.out = make([]byte, 0, len(body)+len(body)/4+128)
	q.out = gjson.AppendJSONString(append(q.out, `{"model":`...), q.call.Model)
	for _, step := range []func() error{
		q.conversation, q.toolFields, q.limits, q.thinking, q.format, q.streaming, q.person, q.caching, q.leftovers,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	q.out = append(q.out, '}')
	return nil
}

// unkept refuses what cannot be done without a store of answers.
func (q *request) unkept() error {
	for _, f := range kept {
		if v, ok := q.get(f.name); ok && (!v.IsArray() || adapter.Some(v)) {
			return q.cannot(f.name, f.reason)
		}
	}
	if background, _, err := q.boolean("background"); err != nil || background {
		if err == nil {
			err = q.cannot("background", "requests are answered while the caller waits; leave the field out")
		}
		return err
	}
	return nil
}

// limits writes the numbers and names that both schemas have.
func (q *request) limits() error {
	if v, ok := q.get("max_output_tokens"); ok {
		if n := v.Int(); v.Type != gjson.Number || n < 1 || v.Raw != strconv.FormatInt(n, 10) {
			return q.wrong("max_output_tokens", "it must be a whole number above 0")
		}
		name := "max_completion_tokens"
		if q.opt.GetMaxTokensField() == controlv1.MaxTokensField_MAX_TOKENS_FIELD_MAX_TOKENS {
			name = "max_tokens"
		}
		q.field(name, v.Raw)
	}
	for _, name := range []string{"temperature", "top_p"} {
		if v, ok := q.get(name); ok {
			if v.Type != gjson.Number {
				return q.wrong(name, "it must be a number")
			}
			q.field(name, v.Raw)
		}
	}
	if v, ok := q.get("top_logprobs"); ok && v.Raw != "0" {
		return q.cannot("top_logprobs", "probabilities of tokens are not translated; leave the field out")
	}
	if v, ok := q.get("max_tool_calls"); ok && v.Type != gjson.Number {
		return q.wrong("max_tool_calls", "it must be a number")
	} else if ok {
		if err := q.drop("max_tool_calls"); err != nil {
			return err
		}
	}
	if v, ok := q.get("service_tier"); ok {
		if v.Type != gjson.String {
			return q.wrong("service_tier", "it must be a text")
		}
		if v.Str != "auto" { // which is what there is without the field
			q.field("service_tier", v.Raw)
		}
	}
	return nil
}

// thinking writes how much is to be thought.
func (q *request) thinking() error {
	v, ok := q.get("reasoning")
	if !ok {
		return nil
	}
	if !v.IsObject() {
		return q.wrong("reasoning", "it must be an object")
	}
	if effort := v.Get("effort"); jsontext.Present(effort) {
		if effort.Type != gjson.String {
			return q.wrong("reasoning.effort", "it must be a text")
		}
		if q.opt.GetThinking() == controlv1.Thinking_THINKING_OFF {
			if err := q.drop("reasoning.effort"); err != nil {
				return err
			}
		} else {
			q.field("reasoning_effort", effort.Raw)
		}
	}
	for _, name := range []string{"summary", "generate_summary", "context"} {
		if jsontext.Present(v.Get(name)) {
			if err := q.drop("reasoning." + name); err != nil {
				return err
			}
		}
	}
	return nil
}

// streaming writes whether the answer is a stream.
func (q *request) streaming() error {
	streams, ok, err := q.boolean("stream")
	if err != nil || !ok {
		return err
	}
	q.streams = streams
	if streams {
		q.field("stream", "true")
		if !q.opt.GetNoStreamUsage() {
			q.field("stream_options", `{"include_usage":true}`)
		}
	}
	return nil
}

// person writes who the caller's user is.
func (q *request) person() error {
	names := []string{"user", "safety_identifier"}
	if q.opt.GetSafetyIdentifier() {
		slices.Reverse(names)
	}
	sent := false
	for _, name := range names {
		v, ok := q.get(name)
		if !ok {
			continue
		}
		if v.Type != gjson.String {
			return q.wrong(name, "it must be a text")
		}
		if sent {
			if err := q.drop(name); err != nil {
				return err
			}
			continue
		}
		sent = true
		q.field(names[0], string(gjson.AppendJSONString(nil, shortened(v.String(), names[0]))))
	}
	return nil
}

const mostIdentifier = 64

// shortened is an identifier of a person as a field takes it: safety_identifier has a most length.
func shortened(id, field string) string {
	if field == "safety_identifier" && len(id) > mostIdentifier {
		sum := sha256.Sum256([]byte(id))
		return hex.EncodeToString(sum[:])
	}
	return id
}

// caching writes what the vendor is to remember of the prompt.
func (q *request) caching() error {
	for _, name := range []string{"prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"} {
		v, ok := q.get(name)
		switch {
		case !ok:
		case q.opt.GetCacheBreakpoints():
			q.field(name, v.Raw)
		default:
			if err := q.drop(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// leftovers goes through the fields that have no counterpart, or that nobody knows.
func (q *request) leftovers() error {
	if v, ok := q.get("include"); ok {
		if !v.IsArray() {
			return q.wrong("include", "it must be a list")
		}
		if adapter.Some(v) {
			if err := q.drop("include"); err != nil {
				return err
			}
		}
	}
	if v, ok := q.get("truncation"); ok && v.String() != "disabled" {
		if err := q.drop("truncation"); err != nil {
			return err
		}
	}
	if v, ok := q.get("stream_options"); ok && v.Get("include_obfuscation").Bool() {
		if err := q.drop("stream_options.include_obfuscation"); err != nil {
			return err
		}
	}
	store, _, err := q.boolean("store")
	if err != nil {
		return err
	}
	if store {
		// Most clients ask for it without meaning to, so that not even a strict deployment refuses.
		q.dropped = adapter.Leave(q.dropped, "store")
	}
	if v, ok := q.get("metadata"); ok && !v.IsObject() {
		return q.wrong("metadata", "it must be an object")
	}
	if q.more {
		return q.unknown()
	}
	return nil
}

// unknown goes through the fields that nobody knows.
func (q *request) unknown() error {
	pass := q.opt.GetExtraFields() == controlv1.ExtraFields_EXTRA_FIELDS_PASS
	last := map[string]int{}
	for i, f := range q.in {
		last[f.name] = i
	}
	for i, f := range q.in {
		switch {
		case last[f.name] != i || known[f.name] || f.value.Type == gjson.Null:
		case pass && !governed[f.name]:
			q.out = append(gjson.AppendJSONString(append(q.out, ','), f.name), ':')
			q.out = append(q.out, f.value.Raw...)
		default:
			if err := q.drop(f.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// field writes a field whose value is JSON already.
func (q *request) field(name, raw string) {
	q.out = append(append(append(append(q.out, `,"`...), name...), `":`...), raw...)
}

// boolean is a field that is true or false, and whether it is there.
func (q *request) boolean(name string) (value, ok bool, err error) {
	v, ok := q.get(name)
	if ok && !v.IsBool() {
		return false, false, q.wrong(name, "it must be true or false")
	}
	return v.Bool(), ok, nil
}

// drop leaves a field out, unless the deployment would rather refuse.
func (q *request) drop(name string) error {
	if q.opt.GetExtraFields() == controlv1.ExtraFields_EXTRA_FIELDS_REFUSE {
		return q.cannot(printable(name), "the vendor's schema has no counterpart of it")
	}
	q.dropped = adapter.Leave(q.dropped, name)
	return nil
}

// cannot refuses what is right in itself and has no counterpart.
func (q *request) cannot(param, reason string) error {
	return q.call.Cannot(param, "%s", reason)
}

// wrong refuses what is wrong in any schema.
func (q *request) wrong(param, reason string) error {
	return adapter.Wrong(param, "%s", reason)
}

const mostName = 64

// printable is a field's name as it may stand in a header: callers choose names, and headers cannot hold everything.
func printable(name string) string {
	name = name[:min(len(name), mostName)]
	return strings.Map(func(c rune) rune {
		if c > ' ' && c < 0x7f && c != ',' {
			return c
		}
		return '_'
	}, name)
}

// at names an element of a list.
func at(param string, i int) string { return param + "[" + strconv.Itoa(i) + "]" }
