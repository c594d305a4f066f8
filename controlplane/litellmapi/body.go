package litellmapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tollgate/internal/fault"
	"tollgate/internal/money"
)

// body is a request's JSON object. Its fields are read by name; numbers stay the text that was sent.
type body struct {
	fields map[string]any
	taken  map[string]bool
	bad    []fault.Violation
}

// deepest is how far objects and lists may be nested.
const deepest = 32

// parseBody reads a body. None is an empty object.
func parseBody(raw []byte) (*body, error) {
	b := &body{fields: map[string]any{}, taken: map[string]bool{}}
	if len(bytes.TrimSpace(raw)) == 0 {
		return b, nil
	}
	if !utf8.Valid(raw) {
		return nil, invalid("body", "The body is not UTF-8.")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&b.fields); err != nil || b.fields == nil {
		return nil, invalid("body", "The body is no JSON object.")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("body", "Something follows the JSON object of the body.")
	}
	if deep(b.fields, deepest) {
		return nil, invalid("body", "The body is nested more than %d levels deep.", deepest)
	}
	return b, nil
}

func deep(v any, left int) bool {
	if left == 0 {
		return true
	}
	switch v := v.(type) {
	case map[string]any:
		for _, w := range v {
			if deep(w, left-1) {
				return true
			}
		}
	case []any:
		for _, w := range v {
			if deep(w, left-1) {
				return true
			}
		}
	}
	return false
}

// anew is the body as if nothing had been read of it.
func (b *body) anew() *body { return &body{fields: b.fields, taken: map[string]bool{}} }

// has says whether a field was sent, also as null.
func (b *body) has(name string) bool {
	_, ok := b.fields[name]
	return ok
}

// value takes a field; nil for one that is null or was not sent.
func (b *body) value(name string) any {
	b.taken[name] = true
	return b.fields[name]
}

func (b *body) wrong(name, format string, args ...any) {
	b.bad = append(b.bad, fault.Violation{Field: name, Code: "invalid", Reason: fmt.Sprintf(format, args...)})
}

// text is a field with a text; empty for null.
func (b *body) text(name string) string {
	switch v := b.value(name).(type) {
	case nil:
		return ""
	case string:
		if strings.ContainsRune(v, 0) {
			b.wrong(name, "%s cannot have a NUL in it.", name)
			return ""
		}
		return v
	default:
		b.wrong(name, "%s is a text.", name)
		return ""
	}
}

// texts is a field with a list of texts, or one text.
func (b *body) texts(name string) []string {
	switch v := b.value(name).(type) {
	case nil:
		return nil
	case []any:
		out := make([]string, 0, len(v))
		for _, item := range v {
			s, ok := item.(string)
			if !ok || strings.ContainsRune(s, 0) {
				b.wrong(name, "%s is a list of texts.", name)
				return nil
			}
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
		return out
	default:
		b.wrong(name, "%s is a list of texts.", name)
		return nil
	}
}

// flag is a field with true or false; nil for null.
func (b *body) flag(name string) *bool {
	switch v := b.value(name).(type) {
	case nil:
		return nil
	case bool:
		return &v
	default:
		b.wrong(name, "%s is true or false.", name)
		return nil
	}
}

// count is a field with a whole number that is not negative; nil for null.
func (b *body) count(name string) *int64 {
	v := b.value(name)
	if v == nil {
		return nil
	}
	number, ok := v.(json.Number)
	if ok {
		if n, err := strconv.ParseInt(strings.TrimSuffix(number.String(), ".0"), 10, 64); err == nil && n >= 0 {
			return &n
		}
	}
	b.wrong(name, "%s is a whole number.", name)
	return nil
}

// amount is a field with US dollars; nil for null.
func (b *body) amount(name string) *money.Nanos {
	v := b.value(name)
	if v == nil {
		return nil
	}
	number, ok := v.(json.Number)
	if !ok {
		b.wrong(name, "%s is a number of US dollars.", name)
		return nil
	}
	n, err := dollars(number.String())
	switch {
	case err != nil:
		b.wrong(name, "%s: %v.", name, err)
	case n < 0:
		b.wrong(name, "%s is not negative.", name)
	default:
		return &n
	}
	return nil
}

// object is a field with an object; nil for null.
func (b *body) object(name string) map[string]any {
	switch v := b.value(name).(type) {
	case nil:
		return nil
	case map[string]any:
		return v
	default:
		b.wrong(name, "%s is an object.", name)
		return nil
	}
}

// rest takes the fields that are kept for what LiteLLM's clients read of them, and finds fault with all that nobody has read: to
// leave them out could weaken what the script relies on. One that says nothing is no fault.
func (b *body) rest(kept ...string) map[string]any {
	out := map[string]any{}
	for _, name := range kept {
		if v := b.value(name); !empty(v) {
			out[name] = v
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.fields)) {
		if b.taken[name] || empty(b.fields[name]) {
			continue
		}
		if why, ok := noCounterpart[name]; ok {
			b.wrong(name, "%s has no counterpart here: %s", name, why)
		} else {
			b.wrong(clip(name), "%s is not known here.", clip(name))
		}
	}
	return out
}

func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

// err is what was found wrong.
func (b *body) err() error {
	if len(b.bad) == 0 {
		return nil
	}
	return fault.New(fault.InvalidArgument, "%s", b.bad[0].Reason).WithViolations(b.bad...)
}

// empty is a value that asks for nothing.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	default:
		return false
	}
}

// noCounterpart says of fields of LiteLLM's why a request with them is refused.
var noCounterpart = map[string]string{
	"guardrails":                      "there are no guardrails, and content would pass that LiteLLM blocks.",
	"policies":                        "there are no policies, and content would pass that LiteLLM blocks.",
	"permissions":                     "what a key may do is said by models and allowed_routes.",
	"object_permission":               "there are no MCP servers and vector stores to allow.",
	"model_max_budget":                "budgets are on keys, teams, customers, tags and endpoints.",
	"model_rpm_limit":                 "limits are on keys, teams, customers, tags and endpoints.",
	"model_tpm_limit":                 "limits are on keys, teams, customers, tags and endpoints.",
	"mcp_rpm_limit":                   "there are no MCP servers.",
	"tag_rpm_limit":                   "make a limit on the tag instead.",
	"tag_tpm_limit":                   "make a limit on the tag instead.",
	"enforced_params":                 "fields of requests cannot be demanded.",
	"allowed_vector_store_indexes":    "there are no vector stores.",
	"allowed_model_region":            "models have no regions.",
	"aliases":                         "give the model an alias instead.",
	"model_aliases":                   "give the model an alias instead.",
	"config":                          "a key has no configuration of a model.",
	"budget_fallbacks":                "a budget that is used up refuses.",
	"router_settings":                 "how models are routed is said by the models.",
	"access_group_ids":                "name the models instead.",
	"team_member_budget":              "members of a team have no budget of their own.",
	"team_member_rpm_limit":           "members of a team have no limits of their own.",
	"team_member_tpm_limit":           "members of a team have no limits of their own.",
	"max_budget_in_team":              "members of a team have no budget of their own.",
	"auto_rotate":                     "keys are rotated by a call.",
	"rotation_interval":               "keys are rotated by a call.",
	"throttle_on_budget_exceeded":     "a budget that is used up refuses.",
	"custom_auth_parser":              "Basic credentials are read everywhere.",
	"new_master_key":                  "the admin token is a setting of the control plane.",
	"temp_budget_expiry":              "it goes together with temp_budget_increase.",
	"default_model":                   "an endpoint has a default model, and a customer none.",
	"allowed_cache_controls":          "answers are not cached.",
	"default_estimated_output_tokens": "prices say what is held for a request.",
}

var number = regexp.MustCompile(`^-?[0-9]{1,40}(\.[0-9]{1,60})?([eE][+-]?[0-9]{1,3})?$`)

// dollars reads an amount from the text of a JSON number, exactly.
func dollars(text string) (money.Nanos, error) {
	if !number.MatchString(text) {
		return 0, fmt.Errorf("%s is no amount in US dollars", clip(text))
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return 0, fmt.Errorf("%s is no amount in US dollars", clip(text))
	}
	r.Mul(r, new(big.Rat).SetInt64(int64(money.Dollar)))
	switch {
	case !r.IsInt():
		return 0, fmt.Errorf("%s has more than nine decimals", clip(text))
	case !r.Num().IsInt64():
		return 0, fmt.Errorf("%s is too large", clip(text))
	}
	return money.Nanos(r.Num().Int64()), nil
}

// amountOf is an amount as JSON has it: its exact decimal, as a number.
func amountOf(n money.Nanos) json.Number {
	whole, frac, _ := strings.Cut(n.String(), ".")
	if frac = strings.TrimRight(frac, "0"); frac == "" {
		frac = "0"
	}
	return json.Number(whole + "." + frac)
}
