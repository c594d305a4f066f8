package clienttest

import "testing"

// Run tries the engine whose clients are made by n.
func Run(t *testing.T, n New) {
	t.Helper()
	for name, test := range map[string]func(*testing.T){
		"request bytes":          n.requestBytes,
		"bad answers":            n.badAnswers,
		"broken bodies":          n.brokenBodies,
		"trailers and interims":  n.trailersAndInterims,
		"closed kept connection": n.closedKeptConnection,
		"early answer":           n.earlyAnswer,
		"100 Continue":           n.waitsToBeAsked,
		"unreachable":            n.unreachable,
		"arrived body":           n.arrivedBody,
		"arrived body fails":     n.arrivedBodyFails,
		"sync":                   n.sync,
		"links apart":            n.linksApart,
		"TLS":                    n.secure,
		"no TLS":                 n.unsecured,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}
