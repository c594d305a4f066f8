package proxy

import (
	"slices"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/messages"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// headerEstimate marks a count of tokens that is none of the vendor's.
const headerEstimate = "X-Tollgate-Estimate"

// counting is how the tokens of a request are counted for a deployment whose vendor has another way for that.
type counting struct {
	root     bool // its path begins at the root of the server
	estimate bool
	tokens   int64 // of an estimate
}

// makeCount makes what a deployment is sent to have the tokens of a request counted.
func (a *ask) makeCount(h *hop, call *adapter.Call) error {
	switch h.d.Options.GetCountTokens() {
	case controlv1.CountTokens_COUNT_TOKENS_ESTIMATE:
		h.count = &counting{estimate: true, tokens: messages.Estimate(a.body)}
		return nil
	case controlv1.CountTokens_COUNT_TOKENS_RESPONSES, controlv1.CountTokens_COUNT_TOKENS_TOKENIZE:
		asks, err := messages.Count(a.body, call)
		if err != nil {
			return err
		}
		h.count, h.path, h.schema = &counting{root: asks.Root}, asks.Path, adapter.Chat
		return a.keep(h, asks.Body)
	default:
		return &adapter.Error{Kind: adapter.NotFound, Message: "The vendor of " + h.d.Name + " can't count tokens before a request is sent."}
	}
}

// countHere answers with an estimate where nobody else counts: a vendor's own count is better.
func (a *ask) countHere() error {
	estimates := func(h *hop) bool { return h.err == nil && h.count != nil && h.count.estimate }
	if slices.ContainsFunc(a.hops, func(h hop) bool { return h.err == nil && !estimates(&h) }) {
		for i := range a.hops {
			if h := &a.hops[i]; estimates(h) {
				h.err = &adapter.Error{Kind: adapter.NotFound, Message: "Another deployment counts what " + h.d.Name + " would estimate."}
				a.c.tries.Exclude(i)
			}
		}
		return nil
	}
	for i := range a.hops {
		if h := &a.hops[i]; h.err == nil {
			return a.answer(messages.Answered(h.count.tokens), Header{headerEstimate, "true"}, Header{HeaderModel, h.d.Name})
		}
	}
	return a.reason()
}

// answer is the caller's answer of the vendor's.
func (c *counting) answer(body []byte) ([]byte, error) {
	n, err := messages.Counted(body)
	if err != nil {
		return nil, err
	}
	return messages.Answered(n), nil
}
