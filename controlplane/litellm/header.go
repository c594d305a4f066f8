package litellm

import (
	"strings"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/plan"
)

// environPrefix begins a reference to an environment variable. In a header everything after it, to
// the end of the value, is the variable's name.
const environPrefix = "os.environ/"

const (
	langfusePublic = "LANGFUSE_PUBLIC_KEY"
	langfuseSecret = "LANGFUSE_SECRET_KEY"
	callerKey      = "litellm_user_api_key"
)

const (
	maxHeaders     = 64
	maxHeaderValue = 8192
	maxSecret      = 65536
)

// connectionHeaders belong to one connection or to the message's framing, which the edge decides.
var connectionHeaders = map[string]bool{
	"connection": true, "content-length": true, "host": true, "keep-alive": true, "proxy-authenticate": true,
	"proxy-authorization": true, "proxy-connection": true, "te": true, "trailer": true, "transfer-encoding": true,
	"upgrade": true, "http2-settings": true,
}

// headers reads an entry's headers.
func (e *entry) headers(f field) error {
	path := e.path + "." + f.key
	all, err := e.v.fields(f.value, path)
	if err != nil {
		return err
	}
	var public, secret *field
	at := map[string]int{}
	for i, h := range all {
		path := path + "." + h.key
		lower := strings.ToLower(h.key)
		switch {
		case strings.EqualFold(h.key, langfusePublic):
			public = &all[i]
			continue
		case strings.EqualFold(h.key, langfuseSecret):
			secret = &all[i]
			continue
		case lower == callerKey:
			e.callerKey(h, path)
			continue
		case !headerName(h.key):
			e.refuse(h.line, path, "%s is not a header name.", quote(h.key))
			continue
		case lower == "host" && !strings.Contains(scalar(h.value), environPrefix):
			e.endpoint.HostHeader = &controlv1.HostHeader{Kind: &controlv1.HostHeader_Text{Text: scalar(h.value)}}
			continue
		case connectionHeaders[lower]:
			e.v.note(h.line, plan.Warning, path, "It is not sent: the edge sets this header itself.")
			continue
		}
		value, ok := e.text(h, path)
		if !ok {
			continue
		}
		header := &controlv1.Header{Name: h.key, Value: value}
		if i, twice := at[lower]; twice {
			e.v.note(h.line, plan.Warning, path, "It replaces the header of the same name above, which differs in case only.")
			e.endpoint.Headers[i] = header
			continue
		}
		at[lower] = len(e.endpoint.Headers)
		e.endpoint.Headers = append(e.endpoint.Headers, header)
	}
	e.langfuse(path, public, secret, at)
	if len(e.endpoint.Headers) > maxHeaders {
		e.refuse(f.line, path, "It has %d headers; an endpoint has at most %d.", len(e.endpoint.Headers), maxHeaders)
	}
	return nil
}

// callerKey reads the header that does not go to the target but names where the caller's key is.
func (e *entry) callerKey(h field, path string) {
	name := scalar(h.value)
	if !headerName(name) {
		e.refuse(h.line, path, "The value is not the name of a header.")
		return
	}
	e.endpoint.KeyHeader = name
	e.v.note(h.line, plan.Info, path, "Callers may present their key in %s. The header %s itself is no longer sent to the target.", name, callerKey)
}

// langfuse makes the Basic credentials that LiteLLM makes of Langfuse's two keys.
func (e *entry) langfuse(path string, public, secret *field, at map[string]int) {
	if public == nil && secret == nil {
		return
	}
	if public == nil || secret == nil {
		have := public
		if have == nil {
			have = secret
		}
		e.refuse(have.line, path+"."+have.key, "%s and %s belong together; one of them is missing.", langfusePublic, langfuseSecret)
		return
	}
	user, ok := e.langfuseKey(*public, path)
	password, ok2 := e.langfuseKey(*secret, path)
	if !ok || !ok2 {
		return
	}
	header := &controlv1.Header{Name: "Authorization", Value: "Basic ${base64:" + user + ":" + password + "}"}
	if i, twice := at["authorization"]; twice {
		e.v.note(public.line, plan.Warning, path+"."+public.key, "Langfuse's keys replace the Authorization header that is also set.")
		e.endpoint.Headers[i] = header
		return
	}
	e.endpoint.Headers = append(e.endpoint.Headers, header)
}

func (e *entry) langfuseKey(h field, path string) (string, bool) {
	path += "." + h.key
	text := scalar(h.value)
	if name, ok := strings.CutPrefix(text, environPrefix); ok {
		return e.reference(h.line, path, name)
	}
	if text == "" || len(text) > maxHeaderValue || !sendable(text) {
		e.refuse(h.line, path, "The value is empty, too long or no single line of text.")
		return "", false
	}
	return "${secret:" + e.secret(slug(h.key, "langfuse"), text) + "}", true
}

// escape keeps text from being read as a reference.
func escape(s string) string { return strings.ReplaceAll(s, "${", "$${") }

// credentialName says whether a header of this name mostly carries a credential.
func credentialName(name string) bool {
	name = strings.ToLower(name)
	for _, part := range []string{"auth", "key", "token", "secret", "cookie", "password", "credential", "signature"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// scheme says whether a value begins like a credential, whatever the header is called.
func scheme(value string) bool {
	first, _, ok := strings.Cut(value, " ")
	return ok && (strings.EqualFold(first, "bearer") || strings.EqualFold(first, "basic"))
}

// sendable says whether text can stand in a header.
func sendable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return (r < ' ' && r != '\t') || r == 0x7f })
}
