package responses

import (
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
)

// toolFields writes tools and how they are chosen.
func (q *request) toolFields() error {
	if err := q.functions(); err != nil {
		return err
	}
	if err := q.choice(); err != nil {
		return err
	}
	parallel, ok, err := q.boolean("parallel_tool_calls")
	if err != nil {
		return err
	}
	// Vendors refuse the field where there are no tools.
	if ok && !parallel && q.tools {
		q.field("parallel_tool_calls", "false")
	} else if ok && q.tools {
		q.field("parallel_tool_calls", "true")
	}
	return nil
}

// functions writes the tools.
func (q *request) functions() error {
	v, ok := q.get("tools")
	if !ok {
		return nil
	}
	if !v.IsArray() {
		return q.wrong("tools", "it must be a list")
	}
	var list []byte
	var search gjson.Result
	for i, tool := range adapter.Elements(v) {
		param := at("tools", i)
		switch kind := tool.Get("type").String(); {
		case kind == "function":
			if len(list) > 0 {
				list = append(list, ',')
			}
			var err error
			if list, err = q.function(list, param, tool); err != nil {
				return err
			}
		case isWebSearch(kind) && q.opt.GetWebSearch():
			if present(tool.Get("filters.allowed_domains")) {
				return q.cannot(param+".filters", "a search cannot be kept to certain sites")
			}
			search = tool
		case kind == "":
			return q.wrong(param+".type", "every tool has a type")
		default:
			return q.cannot(param, "the tool "+kind+" is one of OpenAI's own; only functions can be called")
		}
	}
	if len(list) > 0 {
		q.tools = true
		q.field("tools", "["+string(list)+"]")
	}
	if search.Exists() {
		q.webSearch(search)
	}
	return nil
}

// function appends a function.
func (q *request) function(dst []byte, param string, tool gjson.Result) ([]byte, error) {
	name := tool.Get("name")
	if name.Type != gjson.String || name.Str == "" {
		return nil, q.wrong(param+".name", "every function has a name")
	}
	if callers := tool.Get("allowed_callers"); present(callers) && !strings.Contains(callers.Raw, `"direct"`) {
		return nil, q.cannot(param+".allowed_callers", "programs of the vendor's cannot call functions here")
	}
	dst = gjson.AppendJSONString(append(dst, `{"type":"function","function":{"name":`...), q.names.Vendors(name.String()))
	if v := tool.Get("description"); present(v) {
		if v.Type != gjson.String {
			return nil, q.wrong(param+".description", "it must be a text")
		}
		dst = append(append(dst, `,"description":`...), v.Raw...)
	}
	if v := tool.Get("parameters"); present(v) {
		if !v.IsObject() {
			return nil, q.wrong(param+".parameters", "it must be a JSON schema")
		}
		dst = append(append(dst, `,"parameters":`...), v.Raw...)
	}
	// Where the caller does not say, OpenAI's own service rewrites the schema until it is strict. A schema is not rewritten
	// here, and one that is not strict would be refused if it were called so.
	if v := tool.Get("strict"); present(v) {
		if !v.IsBool() {
			return nil, q.wrong(param+".strict", "it must be true or false")
		}
		dst = append(append(dst, `,"strict":`...), v.Raw...)
	}
	for _, extra := range []string{"defer_loading", "output_schema"} {
		if v := tool.Get(extra); present(v) && v.Raw != "false" {
			if err := q.drop("tools." + extra); err != nil {
				return nil, err
			}
		}
	}
	return append(dst, "}}"...), nil
}

func isWebSearch(kind string) bool {
	switch kind {
	case "web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11":
		return true
	}
	return false
}

// webSearch writes the field that Chat Completions has in place of a tool.
func (q *request) webSearch(tool gjson.Result) {
	options := []byte{'{'}
	if v := tool.Get("search_context_size"); v.Type == gjson.String {
		options = append(append(options, `"search_context_size":`...), v.Raw...)
	}
	if where := tool.Get("user_location"); where.IsObject() {
		var place []byte
		for _, name := range []string{"city", "country", "region", "timezone"} {
			if v := where.Get(name); v.Type == gjson.String {
				if place != nil {
					place = append(place, ',')
				}
				place = append(append(append(append(place, '"'), name...), `":`...), v.Raw...)
			}
		}
		if place != nil {
			if len(options) > 1 {
				options = append(options, ',')
			}
			options = append(options, `"user_location":{"type":"approximate","approximate":{`...)
			options = append(append(options, place...), "}}"...)
		}
	}
	q.field("web_search_options", string(append(options, '}')))
}

// choice writes which of the tools is to be called.
func (q *request) choice() error {
	v, ok := q.get("tool_choice")
	if !ok {
		return nil
	}
	if v.Type == gjson.String {
		switch v.Str {
		case "auto", "none":
			if q.tools {
				q.field("tool_choice", v.Raw)
			}
			return nil
		case "required":
			if !q.tools {
				return q.wrong("tool_choice", "there are no functions that could be called")
			}
			q.field("tool_choice", v.Raw)
			return nil
		}
		return q.wrong("tool_choice", "it must be auto, none, required or an object")
	}
	if !v.IsObject() {
		return q.wrong("tool_choice", "it must be auto, none, required or an object")
	}
	if !q.tools {
		return q.wrong("tool_choice", "there are no functions that could be called")
	}
	switch kind := v.Get("type").String(); kind {
	case "function":
		one, err := q.chosen(nil, "tool_choice", v)
		if err != nil {
			return err
		}
		q.field("tool_choice", string(one))
	case "allowed_tools":
		return q.allowed(v)
	default:
		return q.cannot("tool_choice", "only functions can be chosen, and this is "+printable(kind))
	}
	return nil
}

// chosen appends the name of a function as Chat Completions refers to it.
func (q *request) chosen(dst []byte, param string, v gjson.Result) ([]byte, error) {
	if kind := v.Get("type").String(); kind != "function" {
		return nil, q.cannot(param, "only functions can be chosen, and this is "+printable(kind))
	}
	name := v.Get("name")
	if name.Type != gjson.String || name.Str == "" {
		return nil, q.wrong(param+".name", "it must be the name of a function")
	}
	dst = gjson.AppendJSONString(append(dst, `{"type":"function","function":{"name":`...), q.names.Vendors(name.String()))
	return append(dst, "}}"...), nil
}

// allowed writes a choice among some of the functions.
func (q *request) allowed(v gjson.Result) error {
	mode := v.Get("mode").String()
	if mode != "auto" && mode != "required" {
		return q.wrong("tool_choice.mode", "it must be auto or required")
	}
	list := v.Get("tools")
	if !list.IsArray() || !adapter.Some(list) {
		return q.wrong("tool_choice.tools", "it must be a list of tools")
	}
	out := []byte(`{"type":"allowed_tools","allowed_tools":{"mode":"` + mode + `","tools":[`)
	for i, tool := range adapter.Elements(list) {
		if i > 0 {
			out = append(out, ',')
		}
		var err error
		if out, err = q.chosen(out, at("tool_choice.tools", i), tool); err != nil {
			return err
		}
	}
	q.field("tool_choice", string(append(out, "]}}"...)))
	return nil
}

// format writes what the answer's text is to look like.
func (q *request) format() error {
	text, ok := q.get("text")
	if !ok {
		return nil
	}
	if !text.IsObject() {
		return q.wrong("text", "it must be an object")
	}
	if v := text.Get("verbosity"); present(v) {
		if v.Type != gjson.String {
			return q.wrong("text.verbosity", "it must be a text")
		}
		q.field("verbosity", v.Raw)
	}
	f := text.Get("format")
	if !present(f) {
		return nil
	}
	switch kind := f.Get("type").String(); kind {
	case "text":
	case "json_object":
		if q.opt.GetJsonObjectAsSchema() {
			q.field("response_format", `{"type":"json_schema","json_schema":{"name":"object","schema":{"type":"object"}}}`)
		} else {
			q.field("response_format", `{"type":"json_object"}`)
		}
	case "json_schema":
		return q.schema(f)
	default:
		return q.wrong("text.format.type", "it must be text, json_schema or json_object")
	}
	return nil
}

func (q *request) schema(f gjson.Result) error {
	name, schema := f.Get("name"), f.Get("schema")
	if name.Type != gjson.String || name.Str == "" {
		return q.wrong("text.format.name", "a schema has a name")
	}
	if !schema.IsObject() {
		return q.wrong("text.format.schema", "it must be a JSON schema")
	}
	out := append([]byte(`{"type":"json_schema","json_schema":{"name":`), name.Raw...)
	if v := f.Get("description"); v.Type == gjson.String {
		out = append(append(out, `,"description":`...), v.Raw...)
	}
	out = append(append(out, `,"schema":`...), schema.Raw...)
	if v := f.Get("strict"); v.IsBool() {
		out = append(append(out, `,"strict":`...), v.Raw...)
	}
	q.field("response_format", string(append(out, "}}"...)))
	return nil
}
