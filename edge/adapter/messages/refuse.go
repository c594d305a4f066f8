package messages

import (
	"fmt"
	"strconv"

	"tollgate/edge/adapter"
)

// place is where in the conversation something stands, for those who have to find it.
type place struct {
	message int // systemPrompt for the system prompt
	block   int // -1 for none
	inner   int // block within a block; -1 for none
}

const systemPrompt = -1

// String is the place as it is written in code.
func (p place) String() string {
	if p.message == systemPrompt {
		if p.block < 0 {
			return "system"
		}
		return "system[" + strconv.Itoa(p.block) + "]"
	}
	s := "messages[" + strconv.Itoa(p.message) + "]"
	if p.block >= 0 {
		s += ".content[" + strconv.Itoa(p.block) + "]"
	}
	if p.inner >= 0 {
		s += ".content[" + strconv.Itoa(p.inner) + "]"
	}
	return s
}

// invalid refuses what is wrong whoever is asked.
func (r *request) invalid(param, why string, args ...any) *adapter.Error {
	return adapter.Refuse(param, "%s: %s", param, fmt.Sprintf(why, args...))
}

// cannot refuses what the vendor's schema has no words for.
func (r *request) cannot(param, why string, args ...any) *adapter.Error {
	return adapter.Refuse(param, "%s cannot be sent to %s, which speaks OpenAI Chat Completions: %s", param, r.call.Vendor, fmt.Sprintf(why, args...))
}

// leave leaves something out that changes nothing of what the model is asked.
func (r *request) leave(name string) { r.dropped = adapter.Leave(r.dropped, name) }

// drop leaves a field out that has no counterpart, unless the vendor's options say that this is to be refused.
func (r *request) drop(name string) error {
	if r.refusesExtra() {
		return r.cannot(name, "it has no counterpart; leave it out")
	}
	r.leave(name)
	return nil
}
