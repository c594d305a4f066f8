// Package inject changes the bodies of exchanges where an endpoint says so: it sets fields of a request that the
// caller has not set, and leaves out of the answer what came for that reason alone, so that the caller does not
// notice. Every other byte stays as it was.
//
// It does not decide what is set or when; that is the price's. It reads bodies that are not compressed.
package inject

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"tollgate/internal/meter/frame"
)

// Field is a field to set in a JSON body.
type Field struct {
	Path  string // plain names with points between them: "stream_options.include_usage"
	Value string // JSON
}

var errNoObject = errors.New("the body is no JSON object")

// Set sets the fields that a JSON body does not have, or has as null, or as false where they are to be true, and says which
// these are. A body that is no JSON
// object is an error, and so is one with something else than an object in the way of a field, or with a name
// twice there: readers do not agree which of them counts.
func Set(body []byte, fields ...Field) (changed []byte, set []Field, err error) {
	const space = " \t\r\n"
	inner := bytes.Trim(body, space)
	if len(inner) == 0 || inner[0] != '{' || !frame.Valid(inner) {
		return nil, nil, errNoObject
	}
	before := len(body) - len(bytes.TrimLeft(body, space))
	lead, trail := body[:before], body[before+len(inner):]
	for _, f := range fields {
		there, err := has(inner, f)
		if err != nil {
			return nil, nil, err
		}
		if there {
			continue
		}
		if inner, err = sjson.SetRawBytes(inner, f.Path, []byte(f.Value)); err != nil {
			return nil, nil, fmt.Errorf("%s cannot be set: %w", f.Path, err)
		}
		set = append(set, f)
	}
	if set == nil {
		return body, nil, nil
	}
	return append(append(bytes.Clone(lead), inner...), trail...), set, nil
}

// has says whether an object has a field, and not as good as not.
func has(object []byte, f Field) (bool, error) {
	at := gjson.ParseBytes(object)
	names := strings.Split(f.Path, ".")
	for i, name := range names {
		var found gjson.Result
		n := 0
		at.ForEach(func(key, value gjson.Result) bool {
			if key.String() == name {
				found = value
				n++
			}
			return true
		})
		switch {
		case n > 1:
			return false, fmt.Errorf("%s is there twice", strings.Join(names[:i+1], "."))
		case n == 0 || found.Type == gjson.Null:
			return false, nil
		case i == len(names)-1:
			return found.Type != gjson.False || f.Value != "true", nil
		case !found.IsObject():
			return false, fmt.Errorf("%s is no object", strings.Join(names[:i+1], "."))
		}
		at = found
	}
	return false, nil
}

// Refused says whether a target's answer to a changed request says that it does not know one of its fields: a 400 or 422
// that names it, or the object that was made for it.
func Refused(status int, body []byte, fields []Field) bool {
	if status != 400 && status != 422 {
		return false
	}
	for _, f := range fields {
		for name := range strings.SplitSeq(f.Path, ".") {
			if bytes.Contains(body, []byte(name)) {
				return true
			}
		}
	}
	return false
}
