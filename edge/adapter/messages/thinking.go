package messages

import (
	"strconv"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter/jsontext"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (r *request) refusesExtra() bool {
	return r.opts.GetExtraFields() == controlv1.ExtraFields_EXTRA_FIELDS_REFUSE
}

// showsThoughts says whether the caller is shown what the model thought: unless it asked not to be, or thinking is off.
func (r *request) showsThoughts() bool {
	return r.opts.GetThinking() != controlv1.Thinking_THINKING_OFF &&
		r.thinking.Get("type").Str != "disabled" && r.thinking.Get("display").Str != "omitted"
}

// writeThinking writes how hard the model should think. An effort that was named counts; a budget of tokens becomes one.
func (r *request) writeThinking(out []byte) ([]byte, error) {
	effort, err := r.effort()
	if err != nil {
		return nil, err
	}
	from := ""
	if effort != "" {
		from = "output_config.effort"
	}
	if jsontext.Present(r.thinking) {
		budget, err := r.budget()
		if err != nil {
			return nil, err
		}
		switch kind := r.thinking.Get("type").Str; {
		case kind == "disabled":
			// The effort is about thinking; none is wanted.
			if effort != "" {
				r.leave(from)
			}
			return out, nil
		case kind == "enabled" && effort == "":
			effort, from = effortOf(budget), "thinking"
		case kind == "adaptive" && effort == "":
			effort, from = "high", "thinking"
		}
	}
	if effort == "" {
		return out, nil
	}
	if r.opts.GetThinking() == controlv1.Thinking_THINKING_OFF {
		return out, r.drop(from)
	}
	return append(append(append(out, `,"reasoning_effort":"`...), effort...), '"'), nil
}

// budget checks the wish to think, and is the tokens that it allows.
func (r *request) budget() (int64, error) {
	if !r.thinking.IsObject() {
		return 0, r.invalid("thinking", "it must be an object")
	}
	switch kind := r.thinking.Get("type"); kind.Str {
	case "disabled", "adaptive":
		return 0, nil
	case "enabled":
	default:
		return 0, r.invalid("thinking.type", "it must be enabled, disabled or adaptive")
	}
	n, err := strconv.ParseInt(r.thinking.Get("budget_tokens").Raw, 10, 64)
	switch {
	case err != nil || n < 1:
		return 0, r.invalid("thinking.budget_tokens", "it is required and must be a whole number above 0")
	case r.limit > 0 && n >= r.limit:
		return 0, r.invalid("thinking.budget_tokens", "it must be less than max_tokens, which is %d", r.limit)
	}
	return n, nil
}

// effortOf says how hard to think for a budget of tokens.
func effortOf(budget int64) string {
	switch {
	case budget < 1024:
		return "minimal"
	case budget < 2048:
		return "low"
	case budget < 4096:
		return "medium"
	default:
		return "high"
	}
}

func (r *request) effort() (string, error) {
	if !jsontext.Present(r.outputConfig) {
		return "", nil
	}
	if !r.outputConfig.IsObject() {
		return "", r.invalid("output_config", "it must be an object")
	}
	v := r.outputConfig.Get("effort")
	if !jsontext.Present(v) {
		return "", nil
	}
	switch v.Str {
	case "low", "medium", "high", "xhigh", "max":
		return v.Str, nil
	}
	return "", r.invalid("output_config.effort", "it must be low, medium, high, xhigh or max")
}

// writeOutput writes the form that the answer must have.
func (r *request) writeOutput(out []byte) ([]byte, error) {
	form, param := r.outputFormat, "output_format"
	if jsontext.Present(r.outputConfig) {
		var err error
		r.outputConfig.ForEach(func(key, v gjson.Result) bool {
			switch {
			case key.Str == "effort" || !jsontext.Present(v):
			case key.Str == "format":
				form, param = v, "output_config.format"
			default:
				err = r.drop("output_config." + key.Str)
			}
			return err == nil
		})
		if err != nil {
			return nil, err
		}
	}
	if !jsontext.Present(form) {
		return out, nil
	}
	if !form.IsObject() || form.Get("type").Str != "json_schema" {
		return nil, r.cannot(param, "it must be an object of the type json_schema")
	}
	schema := form.Get("schema")
	if !schema.IsObject() {
		return nil, r.invalid(param+".schema", "it is required and must be an object")
	}
	out = append(out, `,"response_format":{"type":"json_schema","json_schema":{"name":"structured_output","schema":`...)
	return append(append(out, schema.Raw...), "}}"...), nil
}
