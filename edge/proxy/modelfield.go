package proxy

import (
	"bytes"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/internal/fault"
	"tollgate/internal/meter/frame"
)

// modelField is where a request names its model.
type modelField struct {
	name     string
	from, to int // of the value, with its quotes; 0 where the field is missing
}

// longestModel is how long the name of a model may be. Answers repeat it, in streams with every event.
const longestModel = 1 << 10

// modelOf finds the model that a JSON body names. A body in which readers might find different ones is refused: a vendor must not
// see another model than the one that was checked.
func modelOf(body []byte) (modelField, error) {
	var f modelField
	if !frame.Valid(body) {
		return f, fault.New(fault.BodyInvalid, "The body is not JSON.").WithHint("Send a JSON object.")
	}
	doc := gjson.ParseBytes(body)
	if !doc.IsObject() {
		return f, fault.New(fault.BodyInvalid, "The body is not a JSON object.").WithHint("Send a JSON object.")
	}
	var wrong error
	doc.ForEach(func(key, value gjson.Result) bool {
		// Some servers pay no heed to case in names.
		switch name := key.String(); {
		case !strings.EqualFold(name, "model"):
			return true
		case name != "model":
			wrong = fault.New(fault.BodyInvalid, "The field %q is not %q, and some vendors would take it for that.", name, "model").
				WithHint(`Name the model in "model" alone.`)
		case f.to > 0:
			wrong = fault.New(fault.BodyInvalid, `The field "model" is there twice, and readers do not agree which of them counts.`).WithHint("Send it once.")
		case len(value.Raw) > longestModel:
			wrong = fault.New(fault.BodyInvalid, `The field "model" has %s, and a name has at most %s.`, bytesText(int64(len(value.Raw))), bytesText(longestModel)).
				WithHint("Send the name of a model.")
		case value.Type != gjson.String:
			wrong = fault.New(fault.BodyInvalid, `The field "model" is not a text.`).WithHint("Send the name of a model.")
		default:
			f = modelField{value.Str, value.Index, value.Index + len(value.Raw)}
			return true
		}
		return false
	})
	if wrong != nil {
		return modelField{}, wrong
	}
	return f, nil
}

// with is the body with another model in it. Every other byte stays.
func (f modelField) with(body []byte, model string) []byte {
	name := gjson.AppendJSONString(nil, model)
	if f.to > 0 && bytes.Equal(body[f.from:f.to], name) {
		return body
	}
	out := make([]byte, 0, len(body)+len(name)+len(`"model":,`))
	if f.to > 0 {
		return append(append(append(out, body[:f.from]...), name...), body[f.to:]...)
	}
	begin, rest, _ := bytes.Cut(body, []byte{'{'})
	out = append(append(append(out, begin...), `{"model":`...), name...)
	if bytes.TrimLeft(rest, " \t\r\n")[0] != '}' {
		out = append(out, ',')
	}
	return append(out, rest...)
}
