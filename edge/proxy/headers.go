package proxy

import (
	"net/http"
	"strings"

	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// hopByHop are the headers that belong to one connection. They go neither way. Expect and Host are
// among them because the engine makes them anew.
var hopByHop = names(
	"connection", "keep-alive", "te", "transfer-encoding", "upgrade", "trailer", "http2-settings",
	"proxy-authenticate", "proxy-authorization", "proxy-authentication-info", "proxy-connection",
	"expect", "host", "content-length",
)

// describing are the headers that say what the body is: they go along in every mode.
var describing = names(
	"content-type", "content-encoding", "content-language", "content-disposition", "content-md5",
	"content-digest", "digest",
)

// safe are the headers of the safe list, besides those that describe the body. None of them is a
// credential, names the caller or selects who is billed.
var safe = names(
	"accept", "accept-language", "accept-encoding", "accept-charset", "user-agent", "prefer",
	"range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range",
	"cache-control", "pragma", "idempotency-key", "x-request-id",
	"anthropic-version", "anthropic-beta", "openai-beta",
)

// forwarded says where and who the caller has been; a gateway that adds nothing passes on nothing. The
// name is dashed.
func forwarded(name string) bool {
	return name == "forwarded" || name == "x-real-ip" || strings.HasPrefix(name, "x-forwarded-")
}

// tracing is the W3C trace context, which leaves only where the endpoint says so.
var tracing = names("traceparent", "tracestate", "baggage")

// webSocket begins the names of the headers that make a WebSocket; subprotocol is the one in which browsers,
// which cannot set others, send a key.
const (
	webSocket   = "sec-websocket-"
	subprotocol = "sec-websocket-protocol"
)

func names(list ...string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, n := range list {
		m[n] = true
	}
	return m
}

// lowered has the lower case of the names above, so that the common ones cost no allocation.
var lowered = func() map[string]string {
	m := map[string]string{}
	for _, list := range []map[string]bool{
		hopByHop, describing, safe, tracing, names(credentialHeaders...),
		names("cookie", "set-cookie", "date", "server", "location", "etag", "vary", "age", "last-modified", "accept-ranges", "via"),
	} {
		for name := range list {
			m[http.CanonicalHeaderKey(name)] = name
		}
	}
	return m
}()

// lower is the lower-case form of a name.
func lower(name string) string {
	if short, ok := lowered[name]; ok {
		return short
	}
	return strings.ToLower(name)
}

// dashed is the name that some servers take a lower-case name for: those that make a variable of each
// header tell no underscore from a dash.
func dashed(name string) string {
	if strings.IndexByte(name, '_') < 0 {
		return name
	}
	return strings.ReplaceAll(name, "_", "-")
}

// connectionNames are the headers that Connection names: they belong to the connection as well.
// Every Connection header counts, also after an empty first one.
func connectionNames(headers []Header) map[string]bool {
	var out map[string]bool
	for _, h := range headers {
		if !strings.EqualFold(h.Name, "connection") {
			continue
		}
		for token := range strings.SplitSeq(h.Value, ",") {
			if token = strings.TrimSpace(token); token != "" {
				if out == nil {
					out = make(map[string]bool)
				}
				out[lower(token)] = true
			}
		}
	}
	return out
}

// connectionSays says whether a Connection header names something.
func connectionSays(headers []Header, name string) bool {
	for i := range headers {
		if !strings.EqualFold(headers[i].Name, "connection") {
			continue
		}
		for token := range strings.SplitSeq(headers[i].Value, ",") {
			if strings.EqualFold(strings.TrimSpace(token), name) {
				return true
			}
		}
	}
	return false
}

// passes says whether the mode of an endpoint lets a caller's header through.
func passes(k kind, e *routing.Endpoint) bool {
	if k&traces != 0 {
		return e.ForwardTrace
	}
	switch e.Forward {
	case eventv1.ForwardMode_FORWARD_MODE_ALL:
		return true
	case eventv1.ForwardMode_FORWARD_MODE_NONE:
		return k&describes != 0
	default:
		return k&(describes|listed) != 0
	}
}

// mostOurs is how many headers the gateway adds to an answer, and rarely more.
const mostOurs = 10

// Headers of every answer of the gateway.
const (
	HeaderRequestID = "X-Tollgate-Request-Id"
	HeaderEndpoint  = "X-Tollgate-Endpoint"
	HeaderCost      = "X-Tollgate-Cost"
	HeaderRemaining = "X-Tollgate-Budget-Remaining"
	// HeaderSunset tells the caller with a key's old secret when that stops.
	HeaderSunset = "X-Tollgate-Key-Sunset"
	headerTiming = "Server-Timing"
)

// reserved says whether a header of an answer, in lower case, is the gateway's to set.
func reserved(name string) bool {
	return strings.HasPrefix(name, ownHeader) || name == "server-timing"
}

// fromTarget makes the headers of an answer out of a target's, in the memory of into.
func fromTarget(into, in []Header) []Header {
	out := takeList(into, len(in)+mostOurs)
	var few [4]string
	named := few[:0]
	for i := range in {
		if h := &in[i]; len(h.Name) == len("connection") && strings.EqualFold(h.Name, "connection") {
			named = appendNamed(named, h.Value)
		}
	}
	for i := range in {
		h := &in[i]
		k := kindOf(h.Name)
		// Content-Length describes the message, and an answer to HEAD has it without a body.
		drop := k&perHop != 0 && k&sized == 0 || k&(owned|timing) != 0
		if drop && k&underscored == 0 || len(named) > 0 && isNamed(named, h.Name) {
			continue
		}
		out = append(out, *h)
	}
	return out
}
