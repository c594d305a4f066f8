package proxy

import (
	"strings"

	"tollgate/edge/adapter"
)

// unechoed is a vendor's error without its words if those repeat the credential of the deployment, as some do that show what they have
// got. It is only for answers that are translated: others go on byte by byte.
func (h *hop) unechoed(e *adapter.Error) *adapter.Error {
	said := e.Message + " " + e.Param + " " + e.Code
	sent := h.d.Upstream
	for i := range sent.Headers {
		if echoes(said, sent.Headers[i].Source, sent.Headers[i].Value) {
			return withheld(e)
		}
	}
	for i := range sent.Query {
		if echoes(said, sent.Query[i].Source, sent.Query[i].Value) {
			return withheld(e)
		}
	}
	return e
}

// echoes says whether a text has a secret in it that a configured value has in place of a reference.
func echoes(said, source, value string) bool {
	before, rest, refers := strings.Cut(source, "${")
	if !refers {
		return false
	}
	secret := strings.TrimSuffix(strings.TrimPrefix(value, before), rest[strings.LastIndexByte(rest, '}')+1:])
	return len(secret) >= shortestScrubbed && strings.Contains(said, secret)
}

func withheld(e *adapter.Error) *adapter.Error {
	return &adapter.Error{Kind: e.Kind, Status: e.Status, RetryAfter: e.RetryAfter, Message: "The vendor's message repeats the gateway's credential, and is not passed on."}
}
