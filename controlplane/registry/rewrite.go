package registry

import (
	"slices"
	"strings"
)

// environ begins a reference to an environment variable in configurations of LiteLLM.
const environ = "os.environ/"

// Headers that LiteLLM makes one of: the two keys of a project of Langfuse.
const (
	langfusePublic = "LANGFUSE_PUBLIC_KEY"
	langfuseSecret = "LANGFUSE_SECRET_KEY"
)

// rewrite puts what people bring from LiteLLM into our form. It works on copies: the lists may be those of
// a request.
func (e *Endpoint) rewrite() {
	e.Headers, e.Query = rewriteHeaders(e.Headers), rewriteQuery(e.Query)
	e.AWS = e.AWS.rewritten()
	e.Credentials = slices.Clone(e.Credentials)
	for i := range e.Credentials {
		c := &e.Credentials[i]
		c.Headers, c.Query = rewriteHeaders(c.Headers), rewriteQuery(c.Query)
	}
}

func rewriteQuery(query []Query) []Query {
	query = slices.Clone(query)
	for i := range query {
		query[i].Value = fromEnviron(query[i].Value)
	}
	return query
}

func rewriteHeaders(headers []Header) []Header {
	headers = slices.Clone(headers)
	public, secret := -1, -1
	for i := range headers {
		h := &headers[i]
		h.Value = fromEnviron(h.Value)
		switch {
		case h.Mode > ModeSet:
		case strings.EqualFold(h.Name, langfusePublic):
			public = i
		case strings.EqualFold(h.Name, langfuseSecret):
			secret = i
		}
	}
	if public < 0 || secret < 0 || ends(headers[public].Value) || ends(headers[secret].Value) {
		return headers
	}
	headers[public] = Header{
		Name: "Authorization", Value: "Basic ${base64:" + headers[public].Value + ":" + headers[secret].Value + "}", Mode: headers[public].Mode,
	}
	return slices.Delete(headers, secret, secret+1)
}

// ends says whether a text would end the reference that it is put into: it has a brace that closes none of
// its own.
func ends(text string) bool {
	open := 0
	for i := range len(text) {
		switch {
		case strings.HasPrefix(text[i:], "${") && (i == 0 || text[i-1] != '$'):
			open++
		case text[i] == '}':
			if open--; open < 0 {
				return true
			}
		}
	}
	return open != 0
}

// fromEnviron writes each "os.environ/NAME" as "${env:NAME}". One without a name, or where a $ before it
// would make text of the reference, stays for the rules to find.
func fromEnviron(text string) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, environ)
		out.WriteString(before)
		if !found {
			return out.String()
		}
		name := variableName(after)
		if name == "" || strings.HasSuffix(before, "$") {
			out.WriteString(environ)
		} else {
			out.WriteString("${env:" + name + "}")
			after = after[len(name):]
		}
		text = after
	}
}

// variableName is the name at the beginning of a text.
func variableName(s string) string {
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return s[:i]
		}
	}
	return s
}
