package registry

import "tollgate/internal/id"

// Field is one of which a single value says whether it can be right, whatever the others are.
type Field uint8

// The fields.
const (
	FieldName Field = iota + 1
	FieldPath
	FieldTarget
	FieldHeader
)

// FieldProblem is what the rules find wrong with one value of a field of an endpoint; an empty code for nothing.
func FieldProblem(field Field, value string) (code, reason string) {
	p := &Problems{}
	switch field {
	case FieldName:
		checkName(p, endpointName, id.Endpoint, value)
	case FieldPath:
		return pathProblem(value, true)
	case FieldTarget:
		return targetProblem(value)
	case FieldHeader:
		checkHeaders(p, "", []Header{{Name: value}}, nil)
	}
	if len(p.list) == 0 {
		return "", ""
	}
	return p.list[0].Code, p.list[0].Reason
}
