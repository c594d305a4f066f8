package keyuse

import (
	"log/slog"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

func told(tb testing.TB, m *eventv1.KeyUses) []byte {
	tb.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// Guarantee: what all process lives of all edges saw of a secret is added up, each life's newest message once, the last use with
// its circumstances; what was seen before the rotation in question is left out, and a life that ended long ago has no last hour.
func TestSums(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	u := New(nil, 1, slog.New(slog.DiscardHandler))
	u.now = func() time.Time { return now }
	ms := func(ago time.Duration) int64 { return now.Add(-ago).UnixMilli() }
	secret, other := [32]byte{1}, [32]byte{2}
	tell := func(edge string, inc int64, secrets ...*eventv1.KeyUse) {
		t.Helper()
		if err := u.take(contract.KeyUse(edge, inc), told(t, &eventv1.KeyUses{Edge: edge, Inc: inc, Secrets: secrets}), now); err != nil {
			t.Fatal(err)
		}
	}
	use := func(hash [32]byte, requests, hour int64, first, last time.Duration, address string) *eventv1.KeyUse {
		return &eventv1.KeyUse{
			Sha256: hash[:], Requests: requests, RequestsLastHour: hour, FirstUnixMs: ms(first), LastUnixMs: ms(last),
			LastAddress: address, LastAgent: "curl",
		}
	}
	tell("a", 1, use(secret, 5, 5, 3*time.Hour, 2*time.Hour, "10.0.0.1"))
	tell("a", 2, use(secret, 2, 2, time.Hour, time.Minute, "10.0.0.2"))
	tell("a", 2, use(secret, 3, 3, time.Hour, time.Minute, "10.0.0.3"), use(other, 1, 1, 0, 0, ""))
	tell("b", 7, use(secret, 4, 1, 50*time.Minute, 40*time.Minute, "10.0.0.4"))
	tell("c", 1, use(secret, 100, 100, 48*time.Hour, 47*time.Hour, "10.0.0.5"))

	rotated := now.Add(-4 * time.Hour)
	want := Use{Requests: 12, LastHour: 4, First: ms(3 * time.Hour), Last: ms(time.Minute), Address: "10.0.0.3", Agent: "curl", Edge: "a"}
	if got := u.Of(secret, rotated); got != want {
		t.Errorf("uses are %+v, want %+v", got, want)
	}
	if got := u.Of([32]byte{3}, rotated); got != (Use{}) {
		t.Errorf("nobody used it: %+v", got)
	}
	tell("a", 2, use(secret, 1, 1, time.Minute, 0, "10.0.0.6")) // counted anew
	if got := u.Of(other, rotated); got != (Use{}) {
		t.Errorf("it is counted no more: %+v", got)
	}
	if got := u.Of(secret, now.Add(-2*time.Minute)); got.Requests != 1 {
		t.Errorf("since the last rotation: %+v", got)
	}
	now = now.Add(32 * 24 * time.Hour)
	tell("d", 1)
	if len(u.lives) != 1 {
		t.Errorf("%d lives are remembered after a month", len(u.lives))
	}
}

// Guarantee: no message, however wrong, does more than be ignored: a life does not speak for another, and counts are never negative.
func FuzzTake(f *testing.F) {
	hash := make([]byte, 32)
	f.Add("a", int64(1), told(f, &eventv1.KeyUses{Edge: "a", Inc: 1, Secrets: []*eventv1.KeyUse{{Sha256: hash, Requests: 2}}}))
	f.Add("a", int64(1), told(f, &eventv1.KeyUses{Edge: "b", Inc: 1}))
	f.Add("a", int64(1), told(f, &eventv1.KeyUses{Edge: "a", Inc: 1, Secrets: []*eventv1.KeyUse{{Sha256: hash[:3]}}}))
	f.Add("a", int64(1), told(f, &eventv1.KeyUses{Edge: "a", Inc: 1, Secrets: []*eventv1.KeyUse{{Sha256: hash, Requests: -2}}}))
	f.Add("a", int64(1), []byte("x"))
	f.Fuzz(func(t *testing.T, edge string, inc int64, data []byte) {
		u := New(nil, 1, slog.New(slog.DiscardHandler))
		if u.take(contract.KeyUse(edge, inc), data, time.Now()) != nil {
			if len(u.lives) != 0 {
				t.Fatal("what was refused is remembered")
			}
			return
		}
		for _, l := range u.lives {
			if l.edge != edge {
				t.Fatalf("%q spoke for %q", edge, l.edge)
			}
			for hash := range l.secrets {
				if got := u.Of(hash, time.Time{}); got.Requests < 0 || got.LastHour < 0 {
					t.Fatalf("%+v", got)
				}
			}
		}
	})
}
