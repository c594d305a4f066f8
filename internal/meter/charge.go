package meter

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// charge says which answers are charged.
type charge struct {
	statuses []string // empty: 2xx
	methods  []string // of prices that are no meters
	sugar    bool     // methods are looked at
	onlyIf   []int    // conditions
	unless   []int
}

// Asks says whether a method only asks for what is there. Such requests are not charged unless somebody names the method.
func Asks(method string) bool { return method == "GET" || method == "HEAD" || method == "OPTIONS" }

func (c *charge) method(r *Request) bool {
	switch {
	case !c.sugar || r.WebSocket:
		return true
	case len(c.methods) > 0:
		return slices.Contains(c.methods, r.Method)
	default:
		return !Asks(r.Method)
	}
}

func (c *charge) status(status int, webSocket bool) bool {
	if webSocket && status == 101 {
		status = 200 // as good as an answer
	}
	if status < 100 || status > 599 {
		return false
	}
	if len(c.statuses) == 0 {
		return status/100 == 2
	}
	digits := [3]byte{byte('0' + status/100), byte('0' + status/10%10), byte('0' + status%10)}
	return slices.ContainsFunc(c.statuses, func(s string) bool {
		return s == "any" || s == string(digits[:]) || s[0] == digits[0] && strings.HasSuffix(s, "xx")
	})
}

// condition holds if something has one of some values, or, without any, if it is there.
type condition struct {
	source source
	in     []string
}

func (c *condition) holds(v value) bool {
	if !v.there {
		return false
	}
	if v.doc && v.typed.IsArray() && len(c.in) > 0 {
		found := false
		v.typed.ForEach(func(_, item gjson.Result) bool {
			found = c.holds(docValue(item))
			return !found
		})
		return found
	}
	if len(c.in) > 0 {
		return slices.Contains(c.in, v.String())
	}
	if c.source.place == measure {
		return v.text != "0"
	}
	return v.String() != "" && (!v.doc || v.typed.Type != gjson.False)
}
