package messages

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter/jsontext"
)

// writeTools writes the tools and which of them are to be used.
func (r *request) writeTools(out []byte) ([]byte, error) {
	if !jsontext.Present(r.tools) {
		return r.writeChoice(out, false)
	}
	if !r.tools.IsArray() {
		return nil, r.invalid("tools", "it must be a list of tools")
	}
	start := len(out)
	out = append(out, `,"tools":`...)
	list := len(out)
	var search []byte
	var err error
	i := 0
	r.tools.ForEach(func(_, v gjson.Result) bool {
		at := "tools[" + strconv.Itoa(i) + "]"
		i++
		if !v.IsObject() {
			err = r.invalid(at, "it must be an object")
			return false
		}
		kind := v.Get("type")
		switch {
		case !jsontext.Present(kind) || kind.Str == "custom":
			out, err = r.writeTool(append(out, ','), v, at)
		case strings.HasPrefix(kind.Str, "web_search_") && r.opts.GetWebSearch():
			search, err = r.writeSearch(v, at)
		default:
			err = r.cannot(at, "the tool %q of the type %q runs at Anthropic or is known to its models alone; use a tool of your own", v.Get("name").String(), kind.String())
		}
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	some := len(out) > list
	if some {
		out[list] = '[' // in place of the first comma
		out = append(out, ']')
	} else {
		out = out[:start]
	}
	return r.writeChoice(append(out, search...), some)
}

// writeTool writes a tool that the caller runs.
func (r *request) writeTool(out []byte, v gjson.Result, at string) ([]byte, error) {
	var name, description, schema, strict gjson.Result
	var err error
	v.ForEach(func(key, f gjson.Result) bool {
		switch key.Str {
		case "name":
			name = f
		case "description":
			description = f
		case "input_schema":
			schema = f
		case "strict":
			strict = f
		case "type":
		case "allowed_callers":
			if jsontext.Present(f) && !calledDirectly(f) {
				err = r.cannot(at+".allowed_callers", "its models call every tool directly; add direct, or leave it out")
			}
		default:
			if jsontext.Present(f) {
				r.leave("tools." + key.Str)
			}
		}
		return err == nil
	})
	switch {
	case err != nil:
		return nil, err
	case name.Type != gjson.String || name.Str == "":
		return nil, r.invalid(at+".name", "it is required and must be a text")
	case jsontext.Present(description) && description.Type != gjson.String:
		return nil, r.invalid(at+".description", "it must be a text")
	case !schema.IsObject():
		return nil, r.invalid(at+".input_schema", "it is required and must be an object")
	case jsontext.Present(strict) && !strict.IsBool():
		return nil, r.invalid(at+".strict", "it must be true or false")
	}
	out = gjson.AppendJSONString(append(out, `{"type":"function","function":{"name":`...), r.names.Vendors(name.Str))
	if jsontext.Present(description) {
		out = append(append(out, `,"description":`...), description.Raw...)
	}
	out = append(append(out, `,"parameters":`...), schema.Raw...)
	if jsontext.Present(strict) {
		out = append(append(out, `,"strict":`...), strict.Raw...)
	}
	return append(out, "}}"...), nil
}

func calledDirectly(callers gjson.Result) bool {
	direct := false
	callers.ForEach(func(_, v gjson.Result) bool {
		direct = v.Str == "direct"
		return !direct
	})
	return direct
}

// writeSearch writes a wish to search the web, for models that do nothing else.
func (r *request) writeSearch(v gjson.Result, at string) ([]byte, error) {
	out := []byte(`,"web_search_options":{`)
	var err error
	v.ForEach(func(key, f gjson.Result) bool {
		if !jsontext.Present(f) {
			return true
		}
		switch key.Str {
		case "type", "name":
		case "allowed_domains", "blocked_domains":
			if f.Get("#").Int() > 0 {
				err = r.cannot(at+"."+key.Str, "it searches everywhere; leave it out")
			}
		case "user_location":
			where := []byte{}
			f.ForEach(func(k, part gjson.Result) bool {
				switch k.Str {
				case "city", "region", "country", "timezone":
					if part.Type == gjson.String {
						where = append(append(append(where, `,"`...), k.Str...), `":`...)
						where = append(where, part.Raw...)
					}
				}
				return true
			})
			if len(where) > 0 {
				out = append(out, `"user_location":{"type":"approximate","approximate":{`...)
				out = append(append(out, where[1:]...), "}}"...)
			}
		default:
			r.leave("tools." + key.Str)
		}
		return err == nil
	})
	return append(out, '}'), err
}

// writeChoice writes which tools are to be used. It means nothing without tools.
func (r *request) writeChoice(out []byte, tools bool) ([]byte, error) {
	if !jsontext.Present(r.toolChoice) {
		return out, nil
	}
	if !r.toolChoice.IsObject() {
		return nil, r.invalid("tool_choice", "it must be an object")
	}
	choice := []byte{}
	switch kind := r.toolChoice.Get("type"); kind.Str {
	case "auto":
		choice = append(choice, `"auto"`...)
	case "any":
		choice = append(choice, `"required"`...)
	case "none":
		choice = append(choice, `"none"`...)
	case "tool":
		name := r.toolChoice.Get("name")
		if name.Type != gjson.String || name.Str == "" {
			return nil, r.invalid("tool_choice.name", "it is required and must be the name of a tool")
		}
		choice = gjson.AppendJSONString(append(choice, `{"type":"function","function":{"name":`...), r.names.Vendors(name.Str))
		choice = append(choice, "}}"...)
	default:
		if jsontext.Present(kind) {
			return nil, r.invalid("tool_choice.type", "it must be auto, any, tool or none")
		}
	}
	alone := r.toolChoice.Get("disable_parallel_tool_use")
	if jsontext.Present(alone) && !alone.IsBool() {
		return nil, r.invalid("tool_choice.disable_parallel_tool_use", "it must be true or false")
	}
	if !tools {
		r.leave("tool_choice")
		return out, nil
	}
	if len(choice) > 0 {
		out = append(append(out, `,"tool_choice":`...), choice...)
	}
	if alone.Bool() {
		out = append(out, `,"parallel_tool_calls":false`...)
	}
	return out, nil
}
