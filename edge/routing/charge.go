package routing

import (
	"fmt"
	"slices"
	"strings"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/meter"
)

// Charge says which requests are charged, and after which answers. Asking it costs next to nothing, because every
// request does.
type Charge struct {
	statuses [10]uint64 // a bit for each status below 640
	others   bool       // whether statuses beyond these are charged
	changing bool       // all methods but those that only look
	methods  []string   // these alone; nil for all, but for changing
	text     string
}

// answered2xx is what is charged where nothing is said.
var answered2xx = func() (c Charge) {
	c.add(200, 299)
	c.text = "of status 2xx"
	return c
}()

// newCharge reads a rule for an endpoint that answers some methods, or all without any.
func newCharge(from *controlv1.Charge, methods []string) (Charge, error) {
	var c Charge
	for _, s := range from.GetStatuses() {
		switch {
		case s == "any":
			c.add(0, 64*len(c.statuses)-1)
			c.others = true
		case len(s) == 3 && '1' <= s[0] && s[0] <= '5' && s[1:] == "xx":
			first := int(s[0]-'0') * 100
			c.add(first, first+99)
		default:
			var n int
			if _, err := fmt.Sscanf(s, "%3d", &n); err != nil || len(s) != 3 || n < 100 || n > 599 {
				return c, fmt.Errorf("status %q of its charge is not known", s)
			}
			c.add(n, n)
		}
	}
	switch all := from.GetStatuses(); {
	case len(all) == 0:
		c = answered2xx
	case c.others:
		c.text = "of any status"
	default:
		c.text = "of status " + strings.Join(all, ", ")
	}
	c.methods = from.GetMethods()
	c.changing = len(c.methods) == 0 && len(methods) == 0
	return c, nil
}

func (c *Charge) add(first, last int) {
	for n := first; n <= last; n++ {
		c.statuses[n/64] |= 1 << (n % 64)
	}
}

// Status says whether an answer with a status is charged.
func (c *Charge) Status(status int) bool {
	if status < 0 || status >= 64*len(c.statuses) {
		return c.others
	}
	return c.statuses[status/64]&(1<<(status%64)) != 0
}

// String says which answers are charged, in words.
func (c *Charge) String() string { return c.text }

// Request says whether a request is charged at all. One that becomes a WebSocket always is.
func (c *Charge) Request(method string, webSocket bool) bool {
	switch {
	case webSocket:
		return true
	case len(c.methods) > 0:
		return slices.Contains(c.methods, method)
	case !c.changing:
		return true
	default:
		return !meter.Asks(method)
	}
}
