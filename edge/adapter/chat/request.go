package chat

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// defaultMaxTokens is the answer's length where neither the request nor the deployment names one: Anthropic wants a number.
const defaultMaxTokens = 8192

// request is a request on its way: what was found in it, and what is known by it.
type request struct {
	call *adapter.Call

	messages                       gjson.Result
	maxTokens, maxCompletionTokens gjson.Result
	temperature, topP, topK, stop  gjson.Result
	tools, toolChoice, parallel    gjson.Result
	functions, functionCall        gjson.Result
	user, safetyID                 gjson.Result
	effort, format, tier, search   gjson.Result
	streams, usage                 bool
	extras                         []extra
	names                          adapter.Names
	dropped                        []string
	offered                        []string // names of tools, as the vendor gets them
	limit                          int64    // max_tokens
	thinking                       thinking
}

// extra is a field that nobody knows.
type extra struct{ name, raw string }

// cannot refuses what Anthropic Messages has no words for.
func (r *request) cannot(field, format string, args ...any) error {
	return r.call.Cannot(field, format, args...)
}

// wrong refuses what no vendor would take.
func (r *request) wrong(field, format string, args ...any) error {
	return adapter.Wrong(field, format, args...)
}

func (r *request) strict() bool {
	return r.call.Options.GetExtraFields() == controlv1.ExtraFields_EXTRA_FIELDS_REFUSE
}

// leave leaves a field out, which may not be wanted.
func (r *request) leave(field string) error {
	if r.strict() {
		return r.cannot(field, "it has no counterpart there, and this deployment refuses what it would have to leave out")
	}
	r.dropped = adapter.Leave(r.dropped, field)
	return nil
}

// legacy says that the caller knows functions only, so that its answer has to have them.
func (r *request) legacy() bool { return r.functions.Exists() && !r.tools.Exists() }

// read finds the fields. Those that are null are as good as absent.
func (r *request) read(doc gjson.Result) (err error) {
	doc.ForEach(func(k, v gjson.Result) bool {
		if v.Type != gjson.Null {
			err = r.field(k.String(), v)
		}
		return err == nil
	})
	return err
}

func (r *request) field(name string, v gjson.Result) error {
	switch name {
	case "model":
	case "messages":
		r.messages = v
	case "max_tokens":
		r.maxTokens = v
	case "max_completion_tokens":
		r.maxCompletionTokens = v
	case "temperature":
		r.temperature = v
	case "top_p":
		r.topP = v
	case "top_k":
		r.topK = v
	case "stop":
		r.stop = v
	case "tools":
		r.tools = v
	case "tool_choice":
		r.toolChoice = v
	case "parallel_tool_calls":
		r.parallel = v
	case "functions":
		r.functions = v
	case "function_call":
		r.functionCall = v
	case "user":
		r.user = v
	case "safety_identifier":
		r.safetyID = v
	case "reasoning_effort":
		r.effort = v
	case "response_format":
		r.format = v
	case "service_tier":
		r.tier = v
	case "web_search_options":
		r.search = v
	case "stream":
		if !v.IsBool() {
			return r.wrong(name, "it must be true or false")
		}
		r.streams = v.Bool()
	case "stream_options":
		// Obfuscation is padding, which nobody misses.
		r.usage = v.Get("include_usage").Bool()
	default:
		return r.without(name, v)
	}
	return nil
}

// without is for the fields that Anthropic Messages has nothing for. They are left out where the answer is as good without them, and
// refused where it would be another one.
func (r *request) without(name string, v gjson.Result) error {
	switch name {
	case "n":
		if v.Raw != "1" {
			return r.cannot(name, "Anthropic Messages gives one answer to a request; leave n out, or send several requests")
		}
	case "logprobs":
		if v.Type != gjson.False {
			return r.cannot(name, "Anthropic Messages has no log probabilities")
		}
	case "top_logprobs":
		if v.Raw != "0" {
			return r.cannot(name, "Anthropic Messages has no log probabilities")
		}
	case "modalities":
		for i, m := range adapter.Elements(v) {
			if m.Str != "text" {
				return r.cannot("modalities["+strconv.Itoa(i)+"]", "Anthropic Messages answers with text alone")
			}
		}
	case "audio":
		return r.cannot(name, "Anthropic Messages neither takes nor makes audio")
	case "frequency_penalty", "presence_penalty":
		if v.Num != 0 {
			return r.leave(name)
		}
	case "logit_bias", "metadata":
		if v.Raw != "{}" {
			return r.leave(name)
		}
	case "store":
		if v.Type != gjson.False {
			return r.leave(name)
		}
	case "prediction", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "seed", "verbosity":
		return r.leave(name)
	default:
		if r.call.Options.GetExtraFields() == controlv1.ExtraFields_EXTRA_FIELDS_PASS {
			r.extras = append(r.extras, extra{name, v.Raw})
			return nil
		}
		return r.leave(name)
	}
	return nil
}

// write writes the vendor's request.
func (r *request) write(dst []byte) (_ []byte, err error) {
	if err := r.length(); err != nil {
		return nil, err
	}
	if err := r.think(); err != nil {
		return nil, err
	}
	dst = append(dst, `{"model":`...)
	dst = gjson.AppendJSONString(dst, r.call.Model)
	dst = append(dst, `,"max_tokens":`...)
	dst = strconv.AppendInt(dst, r.limit, 10)
	for _, part := range []func([]byte) ([]byte, error){
		r.conversation, r.toolbox, r.choice, r.sampling, r.stops, r.who, r.output, r.tiers, r.rest,
	} {
		if dst, err = part(dst); err != nil {
			return nil, err
		}
	}
	if r.streams {
		dst = append(dst, `,"stream":true`...)
	}
	return append(dst, '}'), nil
}

// length reads how long the answer may be.
func (r *request) length() error {
	field, v := "max_completion_tokens", r.maxCompletionTokens
	if !v.Exists() {
		field, v = "max_tokens", r.maxTokens
	}
	if !v.Exists() {
		r.limit = r.call.Options.GetDefaultMaxTokens()
		if r.limit <= 0 {
			r.limit = defaultMaxTokens
		}
		return nil
	}
	n, err := strconv.ParseInt(v.Raw, 10, 64)
	if err != nil || n <= 0 {
		return r.wrong(field, "it must be a whole number above 0")
	}
	r.limit = n
	return nil
}

func (r *request) sampling(dst []byte) ([]byte, error) {
	if v := r.temperature; v.Exists() {
		raw := v.Raw
		switch {
		case v.Type != gjson.Number || v.Num < 0:
			return nil, r.wrong("temperature", "it must be a number that is not below 0")
		case v.Num > 1 && r.strict():
			return nil, r.cannot("temperature", "it goes up to 1 there")
		case v.Num > 1:
			raw = "1"
		}
		if r.thinking.on() && v.Num < 1 {
			return nil, r.cannot("temperature", "a model that thinks has a temperature of 1 there; leave out temperature or reasoning_effort")
		}
		dst = append(append(dst, `,"temperature":`...), raw...)
	}
	if v := r.topP; v.Exists() {
		if v.Type != gjson.Number {
			return nil, r.wrong("top_p", "it must be a number")
		}
		if r.thinking.on() && v.Num < 0.95 {
			return nil, r.cannot("top_p", "a model that thinks has a top_p of at least 0.95 there; leave out top_p or reasoning_effort")
		}
		dst = append(append(dst, `,"top_p":`...), v.Raw...)
	}
	if v := r.topK; v.Exists() {
		// Not a field of OpenAI's, but what many clients send to vendors that know it.
		if !r.call.Options.GetTopK() && r.call.Options.GetExtraFields() != controlv1.ExtraFields_EXTRA_FIELDS_PASS {
			return dst, r.leave("top_k")
		}
		if _, err := strconv.ParseUint(v.Raw, 10, 32); err != nil {
			return nil, r.wrong("top_k", "it must be a whole number")
		}
		dst = append(append(dst, `,"top_k":`...), v.Raw...)
	}
	return dst, nil
}

func (r *request) stops(dst []byte) ([]byte, error) {
	if !r.stop.Exists() {
		return dst, nil
	}
	if !adapter.Some(r.stop) {
		return dst, nil
	}
	most := int(r.call.Options.GetMaxStopSequences())
	dst = append(dst, `,"stop_sequences":[`...)
	for i, s := range adapter.Elements(r.stop) {
		if most > 0 && i == most {
			return nil, r.cannot("stop", "it takes at most %d stop sequences, and these are more", most)
		}
		field := "stop"
		if r.stop.IsArray() {
			field += "[" + strconv.Itoa(i) + "]"
		}
		if s.Type != gjson.String {
			return nil, r.wrong(field, "it must be text")
		}
		if strings.TrimSpace(s.Str) == "" {
			return nil, r.cannot(field, "a stop sequence must have something else in it than white space there")
		}
		dst = append(comma(dst), s.Raw...)
	}
	return append(dst, ']'), nil
}

// who names the person who asks.
func (r *request) who(dst []byte) ([]byte, error) {
	field, v := "safety_identifier", r.safetyID
	if !v.Exists() {
		field, v = "user", r.user
	}
	if !v.Exists() {
		return dst, nil
	}
	if v.Type != gjson.String {
		return nil, r.wrong(field, "it must be text")
	}
	if v.Str == "" {
		return dst, nil
	}
	return append(append(append(dst, `,"metadata":{"user_id":`...), v.Raw...), '}'), nil
}

func (r *request) tiers(dst []byte) ([]byte, error) {
	switch v := r.tier; {
	case !v.Exists():
	case v.Str == "auto":
		dst = append(dst, `,"service_tier":"auto"`...)
	case v.Str == "default":
		dst = append(dst, `,"service_tier":"standard_only"`...)
	default:
		return dst, r.leave("service_tier")
	}
	return dst, nil
}

// rest passes on what nobody knows. What was translated into a field of the same name stays.
func (r *request) rest(dst []byte) ([]byte, error) {
	if len(r.extras) == 0 {
		return dst, nil
	}
	last := map[string]int{"stream": -1} // of each name, which extra counts
	for i, x := range r.extras {
		last[x.name] = i
	}
	gjson.Parse(string(dst) + "}").ForEach(func(k, _ gjson.Result) bool {
		last[k.String()] = -1
		return true
	})
	for i, x := range r.extras {
		if last[x.name] != i {
			r.dropped = adapter.Leave(r.dropped, x.name)
			continue
		}
		dst = gjson.AppendJSONString(append(dst, ','), x.name)
		dst = append(append(dst, ':'), x.raw...)
	}
	return dst, nil
}

// comma begins another element of a list or object that was begun.
func comma(dst []byte) []byte {
	if c := dst[len(dst)-1]; c != '[' && c != '{' {
		return append(dst, ',')
	}
	return dst
}
