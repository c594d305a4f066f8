package meter

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// charge says which answers are charged.
type charge struct {
	statuses []string // empty: 2xx
	methods  []string // of prices that are no meters
	sugar    bool     // methods are looked at
	onlyIf   []int    // conditions
	unless   []int
}

// asking are the methods of requests that ask for what is there, and are not charged unless somebody names them.
var asking = []string{"GET", "HEAD", "OPTIONS"}

func (c *charge) method(r *Request) bool {
	switch {
	case !c.sugar || r.WebSocket:
		return true
	case len(c.methods) > 0:
		return slices.Contains(c.methods, r.Method)
	default:
		return !slices.Contains(asking, r.Method)
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

func readCharge(c *controlv1.Charge) charge {
	return charge{statuses: c.GetStatuses(), methods: c.GetMethods()}
}
