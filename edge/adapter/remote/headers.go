package remote

import (
	"fmt"
	"strings"

	"golang.org/x/net/http/httpguts"

	"tollgate/edge/proxy"
	adapterv1 "tollgate/gen/tollgate/adapter/v1"
)

// Header is one header line.
type Header = proxy.Header

func header(name, value string) Header { return Header{Name: name, Value: value} }

// shownNames are the headers that adapters see, besides those that select a version.
var shownNames = map[string]bool{
	"accept": true, "accept-language": true, "content-language": true, "content-type": true, "user-agent": true,
	"retry-after": true,
}

// shown are the headers that an adapter gets: those that describe a body or select a version, "anthropic-version" and its
// like. All others might say who somebody is.
func shown(headers []Header) []*adapterv1.Header {
	var out []*adapterv1.Header
	for _, h := range headers {
		name := strings.ToLower(h.Name)
		if shownNames[name] || strings.HasSuffix(name, "-version") || strings.HasSuffix(name, "-beta") {
			out = append(out, &adapterv1.Header{Name: name, Value: strings.ToValidUTF8(h.Value, "\ufffd")})
		}
	}
	return out
}

// keptBack are headers that no adapter decides of: credentials, those of a connection, those about where a request came
// from, and those that follow from the body.
var keptBack = map[string]bool{
	"authorization": true, "proxy-authorization": true, "proxy-authenticate": true, "www-authenticate": true, "authentication-info": true,
	"proxy-authentication-info": true, "cookie": true, "set-cookie": true, "api-key": true, "apikey": true, "x-api-key": true,
	"x-goog-api-key": true, "x-amz-security-token": true, "x-auth-token": true, "x-subscription-token": true, "ocp-apim-subscription-key": true,
	"connection": true, "keep-alive": true, "proxy-connection": true, "te": true, "trailer": true, "transfer-encoding": true, "upgrade": true,
	"expect": true, "host": true, "content-length": true, "content-encoding": true, "accept-encoding": true, "http2-settings": true,
	"forwarded": true, "via": true, "x-real-ip": true, "strict-transport-security": true, "alt-svc": true,
}

var keptBackPrefixes = []string{"x-tollgate-", "x-forwarded-", "x-pass-", "proxy-", "sec-", "access-control-", ":"}

// mostHeaders is how many an adapter may answer with.
const mostHeaders = 64

// taken are the headers of an adapter's answer that may go on.
func taken(headers []*adapterv1.Header) ([]Header, error) {
	if len(headers) > mostHeaders {
		return nil, fmt.Errorf("it answered with more than %d headers", mostHeaders)
	}
	var out []Header
next:
	for _, h := range headers {
		name := strings.ToLower(h.GetName())
		if keptBack[name] {
			continue
		}
		for _, prefix := range keptBackPrefixes {
			if strings.HasPrefix(name, prefix) {
				continue next
			}
		}
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(h.GetValue()) {
			return nil, fmt.Errorf("it answered with a header %q that is none", shorten(name))
		}
		out = append(out, header(name, h.GetValue()))
	}
	return out, nil
}

// valueOf is the first header of a name in lower case.
func valueOf(headers []Header, name string) string {
	for _, h := range headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// isEvents says whether a body is a stream of server-sent events by its headers.
func isEvents(headers []Header) bool {
	kind, _, _ := strings.Cut(valueOf(headers, "content-type"), ";")
	return strings.EqualFold(strings.TrimSpace(kind), eventStream)
}

const eventStream = "text/event-stream"

func shorten(s string) string { return s[:min(len(s), 64)] }
