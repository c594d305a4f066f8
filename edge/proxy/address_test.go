package proxy

import (
	"strings"
	"testing"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Guarantee: the guard is asked for the address that is connected to, after the name was resolved.
func TestGuardedDial(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1", "localhost"} {
		b := newBench(t, func(o *options) {
			o.client.AllowPrivate = false
			for _, e := range o.endpoints {
				e.Targets[0] = strings.Replace(e.GetTargets()[0], "127.0.0.1", host, 1)
			}
		})
		c := b.dial()
		c.send("%s", auth(get1("/x")))
		if m := c.answer("GET"); m.status() != 502 || !strings.Contains(m.body, "does not connect to") {
			t.Errorf("got %s %s", m.first, m.body)
		}
		b.wantSettled(0, eventv1.SpendOutcome_SPEND_OUTCOME_UNREACHABLE, 0)
	}
}
