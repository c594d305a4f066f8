package chat

import (
	"strconv"

	"github.com/tidwall/gjson"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// thinking is what the vendor is told of thinking.
type thinking struct {
	off    bool
	budget int64  // tokens; 0 for none
	effort string // in Anthropic's words; empty for none
}

// on says whether the model is made to think.
func (t thinking) on() bool { return t.budget > 0 || t.effort != "" }

// leastBudget is what Anthropic takes at least.
const leastBudget = 1024

// budgets are the tokens that an effort stands for.
var budgets = map[string]int64{"minimal": 1024, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384}

// think reads reasoning_effort.
func (r *request) think() error {
	v := r.effort
	if !v.Exists() {
		return nil
	}
	how := r.call.Options.GetThinking()
	if v.Str == "none" {
		r.thinking.off = how != controlv1.Thinking_THINKING_OFF
		return nil
	}
	budget, known := budgets[v.Str]
	if !known || v.Type != gjson.String {
		return r.wrong("reasoning_effort", "it must be none, minimal, low, medium, high, xhigh or max")
	}
	switch how {
	case controlv1.Thinking_THINKING_OFF:
		return r.leave("reasoning_effort")
	case controlv1.Thinking_THINKING_EFFORT:
		r.thinking.effort = v.Str
		if v.Str == "minimal" {
			r.thinking.effort = "low"
		}
		return nil
	default:
	}
	if r.limit <= leastBudget {
		// Thoughts count as tokens of the answer, and so few leave no room for any.
		return r.leave("reasoning_effort")
	}
	// A quarter is kept for the answer itself, as long as the rest is enough to think with.
	r.thinking.budget = min(budget, max(r.limit-r.limit/4, leastBudget))
	return nil
}

// goOn is for a conversation that ends in the middle of what the assistant was doing. With a budget, Anthropic wants that to have begun with
// thoughts and their signature, which Chat Completions has no place for: it goes on without thinking.
func (r *request) goOn() error {
	if r.thinking.budget == 0 {
		return nil
	}
	r.thinking = thinking{}
	return r.leave("reasoning_effort")
}

// output writes what is said of thinking and of the answer's form.
func (r *request) output(dst []byte) ([]byte, error) {
	switch t := r.thinking; {
	case t.off:
		dst = append(dst, `,"thinking":{"type":"disabled"}`...)
	case t.budget > 0:
		dst = append(dst, `,"thinking":{"type":"enabled","budget_tokens":`...)
		dst = append(strconv.AppendInt(dst, t.budget, 10), '}')
	case t.effort != "":
		dst = append(dst, `,"thinking":{"type":"adaptive"}`...)
	}
	schema, err := r.schema()
	if err != nil || schema == "" && r.thinking.effort == "" {
		return dst, err
	}
	dst = append(dst, `,"output_config":{`...)
	if e := r.thinking.effort; e != "" {
		dst = append(append(append(dst, `"effort":"`...), e...), '"')
	}
	if schema != "" {
		dst = append(comma(dst), `"format":{"type":"json_schema","schema":`...)
		dst = append(append(dst, schema...), '}')
	}
	return append(dst, '}'), nil
}

// schema is the schema of the answer; empty for any text.
func (r *request) schema() (string, error) {
	v := r.format
	if !v.Exists() {
		return "", nil
	}
	switch v.Get("type").Str {
	case "text":
		return "", nil
	case "json_schema":
		schema := v.Get("json_schema.schema")
		if !schema.IsObject() {
			return "", r.wrong("response_format.json_schema.schema", "it must be a JSON Schema")
		}
		return schema.Raw, nil
	case "json_object":
		if r.call.Options.GetJsonObjectAsSchema() {
			return `{"type":"object"}`, nil
		}
		return "", r.cannot("response_format", "JSON of any form cannot be asked for there; use json_schema")
	default:
		return "", r.wrong("response_format.type", "it must be text, json_schema or json_object")
	}
}
