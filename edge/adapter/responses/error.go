package responses

import (
	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
)

// Fail appends the event of an error. OpenAI's reference has its fields in the event itself, while its service and its clients
// have them in an object "error": both are there.
func (s *stream) Fail(dst []byte, err *adapter.Error, requestID string) []byte {
	if s.over {
		return dst
	}
	s.over = true
	told := gjson.GetBytes(adapter.Append(nil, adapter.Responses, err, requestID), "error")
	s.dst = dst
	s.start("error")
	for _, name := range [...]string{"code", "message", "param"} {
		s.dst = append(append(append(append(s.dst, `,"`...), name...), `":`...), told.Get(name).Raw...)
	}
	s.dst = append(append(s.dst, `,"error":`...), told.Raw...)
	s.end()
	return s.dst
}
