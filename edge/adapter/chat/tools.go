package chat

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
)

// Anthropic takes names of tools that are not longer than mostName, and is not known to bound identifiers of their calls.
const (
	mostName   = 128
	mostCallID = 1 << 10
)

// callID is the identifier of a tool's call as the vendor gets it.
func callID(id string) string { return adapter.Identifier(id, mostCallID) }

// toolbox writes the tools.
func (r *request) toolbox(dst []byte) ([]byte, error) {
	allowed, err := r.allowed()
	if err != nil {
		return nil, err
	}
	start := len(dst)
	dst = append(dst, `,"tools":[`...)
	empty := len(dst)
	add := func(field string, v gjson.Result) error {
		var f function
		f.read(v)
		if f.name.Type != gjson.String || f.name.Str == "" {
			return r.wrong(field+".name", "it must be the name of a function")
		}
		if allowed != nil && !allowed[f.name.Str] {
			return nil
		}
		name := r.names.Vendors(f.name.Str)
		r.offered = append(r.offered, name)
		dst, err = r.function(comma(dst), field, name, &f)
		return err
	}
	if r.tools.Exists() && !r.tools.IsArray() {
		return nil, r.wrong("tools", "it must be a list")
	}
	for i, t := range adapter.Elements(r.tools) {
		field := "tools[" + strconv.Itoa(i) + "]"
		if typ := t.Get("type").Str; typ != "function" {
			return nil, r.cannot(field+".type", "tools of the type %q are OpenAI's own; use functions", typ)
		}
		if err := add(field+".function", t.Get("function")); err != nil {
			return nil, err
		}
	}
	for i, f := range adapter.Elements(r.functions) {
		if err := add("functions["+strconv.Itoa(i)+"]", f); err != nil {
			return nil, err
		}
	}
	if dst, err = r.webSearch(dst); err != nil {
		return nil, err
	}
	if len(dst) == empty {
		return dst[:start], nil
	}
	return append(dst, ']'), nil
}

// function is a function that the caller offers.
type function struct{ name, description, parameters, strict gjson.Result }

// read takes a function apart in one pass.
func (f *function) read(v gjson.Result) {
	if !v.IsObject() {
		return
	}
	v.ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "name":
			f.name = v
		case "description":
			f.description = v
		case "parameters":
			f.parameters = v
		case "strict":
			f.strict = v
		}
		return true
	})
}

func (r *request) function(dst []byte, field, name string, f *function) ([]byte, error) {
	dst = append(append(append(dst, `{"name":"`...), name...), '"')
	if d := f.description; d.Type == gjson.String && d.Str != "" {
		dst = append(append(dst, `,"description":`...), d.Raw...)
	}
	dst = append(dst, `,"input_schema":`...)
	switch p := f.parameters; {
	case p.Type == gjson.Null:
		dst = append(dst, `{"type":"object","properties":{}}`...)
	case !p.IsObject():
		return nil, r.wrong(field+".parameters", "it must be a JSON Schema")
	case p.Get("type").Str == "object":
		dst = append(dst, p.Raw...)
	case p.Get("type").Exists():
		return nil, r.cannot(field+".parameters", "parameters are an object there, and its type is %s", p.Get("type").Raw)
	case strings.TrimSpace(p.Raw[1:len(p.Raw)-1]) == "":
		dst = append(dst, `{"type":"object","properties":{}}`...)
	default:
		dst = append(append(dst, `{"type":"object",`...), p.Raw[1:]...)
	}
	if f.strict.Type == gjson.True {
		dst = append(dst, `,"strict":true`...)
	}
	return append(dst, '}'), nil
}

// webSearch offers Anthropic's own search, where the deployment may have it.
func (r *request) webSearch(dst []byte) ([]byte, error) {
	if !r.search.Exists() {
		return dst, nil
	}
	if !r.call.Options.GetWebSearch() {
		return nil, r.cannot("web_search_options", "this deployment does not offer web search")
	}
	if r.search.Get("search_context_size").Exists() {
		if err := r.leave("web_search_options.search_context_size"); err != nil {
			return nil, err
		}
	}
	dst = append(comma(dst), `{"type":"web_search_20250305","name":"web_search"`...)
	if at := r.search.Get("user_location.approximate"); at.IsObject() {
		dst = append(dst, `,"user_location":{"type":"approximate"`...)
		for _, k := range []string{"city", "region", "country", "timezone"} {
			if v := at.Get(k); v.Type == gjson.String {
				dst = append(append(append(append(dst, `,"`...), k...), `":`...), v.Raw...)
			}
		}
		dst = append(dst, '}')
	}
	return append(dst, '}'), nil
}

// allowed is the names of the tools that tool_choice leaves; nil for all of them.
func (r *request) allowed() (map[string]bool, error) {
	if r.toolChoice.Get("type").Str != "allowed_tools" {
		return nil, nil
	}
	list := r.toolChoice.Get("allowed_tools.tools")
	if !list.IsArray() {
		return nil, r.wrong("tool_choice.allowed_tools.tools", "it must be a list")
	}
	names := map[string]bool{}
	for i, t := range adapter.Elements(list) {
		name := t.Get("function.name").Str
		if name == "" {
			return nil, r.cannot("tool_choice.allowed_tools.tools["+strconv.Itoa(i)+"]", "it is no function")
		}
		names[name] = true
	}
	return names, nil
}

// wanted is what the request says of the use of tools: Anthropic's type of choice, and the name of a tool.
func (r *request) wanted() (field, choice, name string, err error) {
	field, v := "tool_choice", r.toolChoice
	if !v.Exists() && r.functionCall.Exists() {
		field, v = "function_call", r.functionCall
	}
	word, named := v.Str, ""
	if v.IsObject() {
		switch typ := v.Get("type").Str; {
		case field == "function_call":
			named = v.Get("name").Str
		case typ == "function":
			named = v.Get("function.name").Str
		case typ == "allowed_tools":
			word = v.Get("allowed_tools.mode").Str
		default:
			return field, "", "", r.cannot(field+".type", "a choice of the type %q is OpenAI's own; use function", typ)
		}
	}
	switch {
	case named != "":
		return field, "tool", r.names.Vendors(named), nil
	case !v.Exists():
		return field, "", "", nil
	case word == "auto", word == "none":
		return field, word, "", nil
	case word == "required", word == "any": // as Mistral's clients have it
		return field, "any", "", nil
	default:
		return field, "", "", r.wrong(field, "it must be auto, none, required or a function")
	}
}

// choice writes which tools are to be used.
func (r *request) choice(dst []byte) ([]byte, error) {
	field, choice, name, err := r.wanted()
	if err != nil {
		return nil, err
	}
	forced := choice == "any" || choice == "tool"
	if len(r.offered) == 0 && !r.search.Exists() {
		if forced {
			return nil, r.wrong(field, "it asks for a tool, and the request has none that may be used")
		}
		return dst, nil
	}
	if choice == "tool" && !slices.Contains(r.offered, name) {
		return nil, r.wrong(field, "it names the function %q, which the request does not have", r.names.Callers(name))
	}
	if forced && r.thinking.on() {
		return nil, r.cannot(field, "a model that thinks cannot be made to use a tool there; leave out reasoning_effort, or use auto")
	}
	// Who knows functions and not tools takes one call at a time.
	single := r.parallel.Type == gjson.False || r.legacy()
	if choice == "" && single {
		choice = "auto"
	}
	if choice == "" {
		return dst, nil
	}
	dst = append(append(append(dst, `,"tool_choice":{"type":"`...), choice...), '"')
	if name != "" {
		dst = append(append(append(dst, `,"name":"`...), name...), '"')
	}
	if single && choice != "none" {
		dst = append(dst, `,"disable_parallel_tool_use":true`...)
	}
	return append(dst, '}'), nil
}
