// Package jsontext copies values from one JSON document into another as they were written. Texts keep their escapes and numbers
// their digits, so that nothing changes on its way.
//
// It reads documents that were found valid, and checks nothing again. It knows nothing of what the values mean.
package jsontext

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// Present says whether a field has a value: null is as good as nothing.
func Present(v gjson.Result) bool { return v.Type != gjson.Null }

// Inner is what is between the quotes of a text, escapes and all. What is no text has nothing there.
func Inner(v gjson.Result) string {
	if v.Type != gjson.String {
		return ""
	}
	return Bare(v.Raw)
}

// Bare takes the quotes off a text that is JSON.
func Bare(quoted string) string {
	if len(quoted) < 2 {
		return ""
	}
	return quoted[1 : len(quoted)-1]
}

// Quote writes a text as JSON.
func Quote(text string) []byte { return gjson.AppendJSONString(nil, text) }

// OrNull writes a text as JSON, and null for an empty one.
func OrNull(dst []byte, text string) []byte {
	if text == "" {
		return append(dst, "null"...)
	}
	return gjson.AppendJSONString(dst, text)
}

// mostCounted bounds what is counted: sums of several such counts are still numbers that every client can hold.
const mostCounted = 1 << 50

// Count is a number of tokens or the like. ok is false for what is no number.
func Count(v gjson.Result) (n int64, ok bool) {
	if v.Type != gjson.Number {
		return 0, false
	}
	n, err := strconv.ParseInt(v.Raw, 10, 64)
	if err != nil {
		n = v.Int()
	}
	return min(max(0, n), mostCounted), true
}
