package litellm

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/headervalue"
	"tollgate/internal/plan"
)

// query reads an entry's default query parameters.
func (e *entry) query(f field) error {
	path := e.path + "." + f.key
	if resolve(f.value).Kind != yaml.MappingNode {
		e.refuse(f.line, path, "It is no mapping of names to values.")
		return nil
	}
	all, err := e.v.fields(f.value, path)
	if err != nil {
		return err
	}
	add := func(q field, path string) {
		if strings.Contains(scalar(q.value), environPrefix) {
			e.v.note(q.line, plan.Warning, path, "%s is read as a reference. LiteLLM sends the text itself in a query.", environPrefix)
		}
		if value, ok := e.text(q, path); ok {
			e.endpoint.Query = append(e.endpoint.Query, &controlv1.QueryParameter{Name: q.key, Value: value, Mode: controlv1.Mode_MODE_DEFAULT})
		}
	}
	for _, q := range all {
		path := path + "." + q.key
		n := resolve(q.value)
		if n == nil || n.Kind != yaml.SequenceNode {
			add(q, path)
			continue
		}
		if len(n.Content) > 0 {
			e.v.note(q.line, plan.Warning, path, "Each value of the list becomes a parameter. LiteLLM sends the list as one text.")
		}
		for _, item := range n.Content {
			q.value, q.line = item, item.Line
			add(q, path)
		}
	}
	return nil
}

// text turns the value of a header or a query parameter into a template.
func (e *item) text(h field, path string) (string, bool) {
	if n := resolve(h.value); n != nil && len(n.Content) > 0 {
		e.refuse(h.line, path, "The value is no text.")
		return "", false
	}
	text := scalar(h.value)
	if len(escape(text)) > maxHeaderValue-2 { // a reference is up to two bytes longer than LiteLLM's
		e.refuse(h.line, path, "The value has %d bytes; at most %d are sent.", len(text), maxHeaderValue)
		return "", false
	}
	if !sendable(text) {
		e.refuse(h.line, path, "The value has a line end or another control character in it, which cannot be sent.")
		return "", false
	}
	before, name, refers := strings.Cut(text, environPrefix)
	if !refers {
		if text != "" && (credentialName(h.key) || scheme(text)) {
			return "${secret:" + e.secret(slug(h.key, "header"), text) + "}", true
		}
		return escape(text), true
	}
	if strings.HasSuffix(before, "$") {
		e.refuse(h.line, path, "A $ right before %s cannot be kept apart from the reference.", environPrefix)
		return "", false
	}
	if rest := strings.TrimSpace(before); rest != "" && strings.ContainsAny(rest, " :") {
		e.v.note(h.line, plan.Warning, path, "The text before %s is kept as it is, readable by all who may read endpoints.", environPrefix)
	}
	if _, known := e.v.vars[name]; !known && !wholeName(name) {
		value, ok := e.several(h.line, path, name)
		return escape(before) + value, ok
	}
	reference, ok := e.reference(h.line, path, name)
	return escape(before) + reference, ok
}

// several reads a value in which something stands behind a reference. LiteLLM takes all of it for the
// variable's name, finds none, and sends the text itself; what was meant is clear all the same.
func (e *item) several(line int, path, text string) (string, bool) {
	var out strings.Builder
	for {
		end := strings.IndexFunc(text, func(r rune) bool {
			return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		})
		if end < 0 {
			end = len(text)
		}
		reference, ok := e.reference(line, path, text[:end])
		if !ok {
			return "", false
		}
		out.WriteString(reference)
		between, next, more := strings.Cut(text[end:], environPrefix)
		if more && strings.HasSuffix(between, "$") {
			e.refuse(line, path, "A $ right before %s cannot be kept apart from the reference.", environPrefix)
			return "", false
		}
		out.WriteString(escape(between))
		if !more {
			e.v.note(line, plan.Warning, path, "The name of a variable ends where its letters, digits and underscores do. LiteLLM takes everything after the first %s for one name, and sends the text itself.", environPrefix)
			return out.String(), true
		}
		text = next
	}
}

// wholeName says whether a text can be the name of a variable as a whole.
func wholeName(name string) bool {
	parsed, err := headervalue.Parse("${" + string(headervalue.Env) + ":" + name + "}")
	return name == "" || err == nil && len(parsed.Refs()) == 1 && parsed.Refs()[0].Name == name
}

// reference is what stands for os.environ/NAME.
func (e *item) reference(line int, path, name string) (string, bool) {
	if name == "" {
		e.refuse(line, path, "%s names no variable. LiteLLM would send the text itself to the target.", environPrefix)
		return "", false
	}
	literal, variable, _ := e.v.variable(name)
	if variable == "" {
		if literal == "" {
			e.refuse(line, path, "The variable %s is empty in environment_variables.", quote(name))
			return "", false
		}
		if len(literal) > maxSecret || !sendable(literal) {
			e.refuse(line, path, "The variable %s is too long or no single line of text in environment_variables.", quote(name))
			return "", false
		}
		return "${secret:" + e.sharedSecret(name) + "}", true
	}
	reference := "${" + string(headervalue.Env) + ":" + variable + "}"
	if parsed, err := headervalue.Parse(reference); err != nil || len(parsed.Refs()) != 1 {
		e.refuse(line, path, "%s is not the name of a variable.", quote(variable))
		return "", false
	}
	if e.v.getenv != nil && e.v.getenv(variable) == "" {
		e.v.note(line, plan.Warning, path, "%s is read on the edges, and is not set here. An edge without it refuses requests, where LiteLLM would send the reference itself to the target.", variable)
	} else {
		e.v.note(line, plan.Info, path, "%s is read on the edges, each of which must have it.", variable)
	}
	return reference, true
}

// usualPlaces are headers in which edges look for a key on every endpoint.
var usualPlaces = []string{"authorization", "x-api-key", "api-key", "x-goog-api-key", "x-litellm-api-key"}

// keyHeader: a header that the entry sets for the target is still read for the caller's key if keys are
// looked for there anyway, and so need not be named.
func (e *entry) keyHeader() {
	name := e.endpoint.GetKeyHeader()
	set := slices.ContainsFunc(e.endpoint.GetHeaders(), func(h *controlv1.Header) bool { return strings.EqualFold(h.GetName(), name) })
	if set && slices.Contains(usualPlaces, strings.ToLower(name)) {
		e.endpoint.KeyHeader = ""
	}
}
