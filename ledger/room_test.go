package ledger_test

import (
	"strings"
	"testing"

	"tollgate/internal/contract"
)

// Guarantee: what is booked never fills the stream up, so that edges are not refused for days until
// it ages; and as much of it as there is room for stays, for a database that is restored.
func TestBookedSpendMakesRoom(t *testing.T) {
	t.Parallel()
	w := setup(t)
	cfg := w.config()
	cfg.StreamMaxBytes = 16 << 20
	w.ready(w.start(cfg))
	const batches, events = 200, 500 // 27 MB
	for i := range uint64(batches) {
		b := batch(7, "edge-1", i*events+1, events, 1)
		for _, e := range b.GetEvents() {
			e.KeyId, e.EndpointId = strings.Repeat("k", 128), strings.Repeat("e", 120)
		}
		w.spend(b)
	}
	w.totals(batches*events, batches*events)
	s, err := w.js.Stream(t.Context(), contract.SpendStream(0))
	if err != nil {
		t.Fatal(err)
	}
	if state := s.CachedInfo().State; state.Bytes < uint64(cfg.StreamMaxBytes)/4 {
		t.Errorf("only %d of %d bytes are kept", state.Bytes, cfg.StreamMaxBytes)
	}
}
