package responses

import (
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/jsontext"
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
	q.echoedTools = make([]byte, 0, len(v.Raw)+128)
	before := len(q.out)
	q.out = append(q.out, `,"tools":[`...)
	var search gjson.Result
	var err error
	i := 0
	v.ForEach(func(_, value gjson.Result) bool {
		param := where{"tools", i, ""}
		i++
		var tool tool
		tool.read(value)
		q.echoTool(value.Raw, &tool)
		switch kind := tool.kind; {
		case kind == "function":
			if q.tools {
				q.out = append(q.out, ',')
			}
			q.tools = true
			err = q.function(param, &tool)
		case isWebSearch(kind) && q.opt.GetWebSearch():
			if jsontext.Present(value.Get("filters.allowed_domains")) {
				err = q.cannot(param.String()+".filters", "a search cannot be kept to certain sites")
			}
			search = value
		case kind == "":
			err = q.wrong(param.String()+".type", "every tool has a type")
		default:
			err = q.cannot(param.String(), "the tool "+kind+" is one of OpenAI's own; only functions can be called")
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	if q.tools {
		q.out = append(q.out, ']')
	} else {
		q.out = q.out[:before]
	}
	if search.Exists() {
		q.webSearch(search)
	}
	return nil
}

// tool is a tool of the request.
type tool struct {
	kind                                                                string
	name, description, parameters, strict, callers, deferred, outSchema gjson.Result
}

// read takes a tool apart in one pass: many a request is made of little else.
func (t *tool) read(v gjson.Result) {
	if !v.IsObject() {
		return
	}
	v.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "type":
			t.kind = value.String()
		case "name":
			t.name = value
		case "description":
			t.description = value
		case "parameters":
			t.parameters = value
		case "strict":
			t.strict = value
		case "allowed_callers":
			t.callers = value
		case "defer_loading":
			t.deferred = value
		case "output_schema":
			t.outSchema = value
		}
		return true
	})
}

// function writes a function.
func (q *request) function(param where, t *tool) error {
	if t.name.Type != gjson.String || t.name.Str == "" {
		return q.wrong(param.String()+".name", "every function has a name")
	}
	if jsontext.Present(t.callers) && !strings.Contains(t.callers.Raw, `"direct"`) {
		return q.cannot(param.String()+".allowed_callers", "programs of the vendor's cannot call functions here")
	}
	q.out = gjson.AppendJSONString(append(q.out, `{"type":"function","function":{"name":`...), q.names.Vendors(t.name.Str))
	if v := t.description; jsontext.Present(v) {
		if v.Type != gjson.String {
			return q.wrong(param.String()+".description", "it must be a text")
		}
		q.out = append(append(q.out, `,"description":`...), v.Raw...)
	}
	if v := t.parameters; jsontext.Present(v) {
		if !v.IsObject() {
			return q.wrong(param.String()+".parameters", "it must be a JSON schema")
		}
		q.out = append(append(q.out, `,"parameters":`...), v.Raw...)
	}
	// Where the caller does not say, OpenAI's own service rewrites the schema until it is strict. A schema is not rewritten
	// here, and one that is not strict would be refused if it were called so.
	if v := t.strict; jsontext.Present(v) {
		if !v.IsBool() {
			return q.wrong(param.String()+".strict", "it must be true or false")
		}
		q.out = append(append(q.out, `,"strict":`...), v.Raw...)
	}
	q.out = append(q.out, "}}"...)
	if jsontext.Present(t.deferred) && t.deferred.Raw != "false" {
		if err := q.drop("tools.defer_loading"); err != nil {
			return err
		}
	}
	if jsontext.Present(t.outSchema) && t.outSchema.Raw != "false" {
		return q.drop("tools.output_schema")
	}
	return nil
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
	if v := text.Get("verbosity"); jsontext.Present(v) {
		if v.Type != gjson.String {
			return q.wrong("text.verbosity", "it must be a text")
		}
		q.field("verbosity", v.Raw)
	}
	f := text.Get("format")
	if !jsontext.Present(f) {
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
