package messages

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/jsontext"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/meter/frame"
)

// request is a request that is being translated.
type request struct {
	call *adapter.Call
	opts *controlv1.VendorOptions
	// counting says that only the tokens are asked for, so that what an answer needs may be missing.
	counting bool

	model, maxTokens, messages, system, stop, stream, temperature, topP, topK, metadata gjson.Result
	tools, toolChoice, thinking, outputConfig, outputFormat, serviceTier, management    gjson.Result

	extra   []extra
	limit   int64 // max_tokens
	streams bool
	dropped []string
	names   adapter.Names
	spare   []*block
}

const mostExtra = 64 // fields that are passed on

// extra is a field that nobody knows.
type extra struct {
	name  string
	value string // JSON
}

// read takes a request apart and checks what it is made of.
func read(body []byte, call *adapter.Call, counting bool) (*request, error) {
	if !frame.Valid(body) {
		return nil, adapter.Refuse("", "The request is no JSON document, or one that is nested too deep.")
	}
	doc := gjson.ParseBytes(body)
	if !doc.IsObject() {
		return nil, adapter.Refuse("", "The request is not a JSON object.")
	}
	r := &request{call: call, opts: call.Options, counting: counting}
	var err error
	doc.ForEach(func(key, v gjson.Result) bool {
		err = r.field(key.Str, v)
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	return r, r.check()
}

// field keeps a field of the request.
func (r *request) field(name string, v gjson.Result) error {
	var to *gjson.Result
	switch name {
	case "model":
		to = &r.model
	case "max_tokens":
		to = &r.maxTokens
	case "messages":
		to = &r.messages
	case "system":
		to = &r.system
	case "stop_sequences":
		to = &r.stop
	case "stream":
		to = &r.stream
	case "temperature":
		to = &r.temperature
	case "top_p":
		to = &r.topP
	case "top_k":
		to = &r.topK
	case "metadata":
		to = &r.metadata
	case "tools":
		to = &r.tools
	case "tool_choice":
		to = &r.toolChoice
	case "thinking":
		to = &r.thinking
	case "output_config":
		to = &r.outputConfig
	case "output_format":
		to = &r.outputFormat
	case "service_tier":
		to = &r.serviceTier
	case "context_management":
		to = &r.management
	case "cache_control":
		if jsontext.Present(v) {
			r.leave("cache_control")
		}
		return nil
	case "mcp_servers", "container", "inference_geo", "fallbacks":
		// An empty list asks for nothing.
		if !jsontext.Present(v) || v.IsArray() && v.Get("#").Int() == 0 {
			return nil
		}
		return r.cannot(name, "it has no counterpart; leave it out")
	case "thread":
		// A request that continues a thread has its last turn alone: without the others, the model would answer something else.
		if !jsontext.Present(v) {
			return nil
		}
		e := r.cannot(name, "the vendor keeps no conversations; send all of it with each request")
		e.Code = adapter.ThreadUnsupported
		return e
	default:
		return r.unknown(name, v)
	}
	*to = v
	return nil
}

// unknown takes a field that nobody knows, as the vendor's options say.
func (r *request) unknown(name string, v gjson.Result) error {
	if !jsontext.Present(v) {
		return nil
	}
	if r.opts.GetExtraFields() == controlv1.ExtraFields_EXTRA_FIELDS_PASS && !reserved(name) && len(r.extra) < mostExtra &&
		!slices.ContainsFunc(r.extra, func(x extra) bool { return x.name == name }) {
		r.extra = append(r.extra, extra{name, v.Raw})
		return nil
	}
	return r.drop(name)
}

// reserved says whether a field of the vendor's schema is not for callers to set here, because it is made of other fields, or
// because an answer to it could not be translated or counted.
func reserved(name string) bool {
	switch name {
	case "max_completion_tokens", "stream_options", "n", "stop", "parallel_tool_calls", "response_format", "reasoning_effort", "user",
		"safety_identifier", "functions", "function_call", "web_search_options", "modalities", "audio", "store", "logprobs",
		"top_logprobs", "continue_final_message", "add_generation_prompt", "echo":
		return true
	default:
		return false
	}
}

// check refuses what no vendor would take.
func (r *request) check() error {
	if r.model.Type != gjson.String || r.model.Str == "" {
		return r.invalid("model", "it is required and must be the name of a model")
	}
	if err := r.checkLimit(); err != nil {
		return err
	}
	if !r.messages.IsArray() || !r.messages.Get("0").Exists() {
		return r.invalid("messages", "it is required and must be a list of at least one message")
	}
	switch r.stream.Type {
	case gjson.Null, gjson.False:
	case gjson.True:
		r.streams = true
	default:
		return r.invalid("stream", "it must be true or false")
	}
	for _, f := range []struct {
		name string
		v    gjson.Result
	}{{"temperature", r.temperature}, {"top_p", r.topP}, {"top_k", r.topK}} {
		if jsontext.Present(f.v) && f.v.Type != gjson.Number {
			return r.invalid(f.name, "it must be a number")
		}
	}
	return r.checkManagement()
}

func (r *request) checkLimit() error {
	if !jsontext.Present(r.maxTokens) {
		if r.counting {
			return nil
		}
		return r.invalid("max_tokens", "it is required")
	}
	n, err := strconv.ParseInt(r.maxTokens.Raw, 10, 64)
	switch {
	case err != nil || n < 0:
		return r.invalid("max_tokens", "it must be a whole number above 0")
	case n == 0:
		return r.cannot("max_tokens", "0 warms a cache without an answer, which it cannot do; ask for at least 1")
	}
	r.limit = n
	return nil
}

// checkManagement refuses management of the context, but for what happens anyway: thoughts of earlier turns are not sent.
func (r *request) checkManagement() error {
	if !jsontext.Present(r.management) {
		return nil
	}
	var err error
	r.management.Get("edits").ForEach(func(i, edit gjson.Result) bool {
		if kind := edit.Get("type").Str; kind != "clear_thinking_20251015" || r.opts.GetReasoningContent() {
			err = r.cannot(fmt.Sprintf("context_management.edits[%d]", i.Int()), "it does not edit the conversation; leave it out")
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	r.management.ForEach(func(key, _ gjson.Result) bool {
		if key.Str != "edits" {
			err = r.cannot("context_management."+key.Str, "it does not edit the conversation; leave it out")
		}
		return err == nil
	})
	if err == nil && !r.management.IsObject() {
		err = r.invalid("context_management", "it must be an object")
	}
	if err == nil {
		r.leave("context_management")
	}
	return err
}

// write makes the translated request.
func (r *request) write() ([]byte, error) {
	out := make([]byte, 0, len(r.messages.Raw)+len(r.system.Raw)+len(r.tools.Raw)+512)
	out = gjson.AppendJSONString(append(out, `{"model":`...), r.call.Model)
	// Tools come first, because what is said of them in messages uses their names.
	tools, err := r.writeTools(make([]byte, 0, len(r.tools.Raw)+128))
	if err != nil {
		return nil, err
	}
	if out, err = r.writeMessages(append(out, `,"messages":`...)); err != nil {
		return nil, err
	}
	out = append(out, tools...)
	if r.limit > 0 {
		field := `,"max_completion_tokens":`
		if r.opts.GetMaxTokensField() == controlv1.MaxTokensField_MAX_TOKENS_FIELD_MAX_TOKENS {
			field = `,"max_tokens":`
		}
		out = strconv.AppendInt(append(out, field...), r.limit, 10)
	}
	for _, write := range []func([]byte) ([]byte, error){r.writeSampling, r.writeUser, r.writeThinking, r.writeOutput, r.writeTier} {
		if out, err = write(out); err != nil {
			return nil, err
		}
	}
	if r.streams {
		out = append(out, `,"stream":true`...)
		if !r.opts.GetNoStreamUsage() {
			out = append(out, `,"stream_options":{"include_usage":true}`...)
		}
	}
	for _, x := range r.extra {
		out = gjson.AppendJSONString(append(out, ','), x.name)
		out = append(append(out, ':'), x.value...)
	}
	return append(out, '}'), nil
}

func (r *request) writeSampling(out []byte) ([]byte, error) {
	if jsontext.Present(r.temperature) {
		out = append(append(out, `,"temperature":`...), r.temperature.Raw...)
	}
	if jsontext.Present(r.topP) {
		out = append(append(out, `,"top_p":`...), r.topP.Raw...)
	}
	if jsontext.Present(r.topK) {
		if r.opts.GetTopK() {
			out = append(append(out, `,"top_k":`...), r.topK.Raw...)
		} else if err := r.drop("top_k"); err != nil {
			return nil, err
		}
	}
	return r.writeStop(out)
}

const mostStops = 4 // that OpenAI takes

func (r *request) writeStop(out []byte) ([]byte, error) {
	if !jsontext.Present(r.stop) {
		return out, nil
	}
	if !r.stop.IsArray() {
		return nil, r.invalid("stop_sequences", "it must be a list of texts")
	}
	n, wrong := 0, -1
	list := []byte{}
	r.stop.ForEach(func(_, v gjson.Result) bool {
		if v.Type != gjson.String || v.Str == "" {
			wrong = n
		}
		list = append(append(list, ','), v.Raw...)
		n++
		return wrong < 0
	})
	if wrong >= 0 {
		return nil, r.invalid(fmt.Sprintf("stop_sequences[%d]", wrong), "it must be a text that is not empty")
	}
	most := int(r.opts.GetMaxStopSequences())
	if most == 0 {
		most = mostStops
	}
	if most > 0 && n > most {
		return nil, r.cannot("stop_sequences", "it takes at most %d, and there are %d", most, n)
	}
	if n == 0 {
		return out, nil
	}
	return append(append(append(out, `,"stop":[`...), list[1:]...), ']'), nil
}

const longestUser = 64 // characters of a safety identifier

func (r *request) writeUser(out []byte) ([]byte, error) {
	if !jsontext.Present(r.metadata) {
		return out, nil
	}
	if !r.metadata.IsObject() {
		return nil, r.invalid("metadata", "it must be an object")
	}
	var user gjson.Result
	var err error
	r.metadata.ForEach(func(key, v gjson.Result) bool {
		switch {
		case !jsontext.Present(v):
		case key.Str == "user_id":
			user = v
		default:
			err = r.drop("metadata." + key.Str)
		}
		return err == nil
	})
	switch {
	case err != nil:
		return nil, err
	case !jsontext.Present(user):
		return out, nil
	case user.Type != gjson.String:
		return nil, r.invalid("metadata.user_id", "it must be a text")
	case !r.opts.GetSafetyIdentifier():
		return append(append(out, `,"user":`...), user.Raw...), nil
	case len(user.Str) <= longestUser:
		return append(append(out, `,"safety_identifier":`...), user.Raw...), nil
	}
	sum := sha256.Sum256([]byte(user.Str))
	return append(append(append(out, `,"safety_identifier":"`...), hex.EncodeToString(sum[:])...), '"'), nil
}

func (r *request) writeTier(out []byte) ([]byte, error) {
	switch {
	case !jsontext.Present(r.serviceTier):
		return out, nil
	case r.serviceTier.Type != gjson.String:
		return nil, r.invalid("service_tier", "it must be a text")
	case r.serviceTier.Str == "standard_only":
		return append(out, `,"service_tier":"default"`...), nil
	case r.serviceTier.Str == "auto":
		return out, nil
	}
	return out, r.drop("service_tier")
}
