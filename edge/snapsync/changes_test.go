package snapsync

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"tollgate/edge/admit"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/seal"
)

// life is a process life of an edge on a disk.
type life struct {
	*Sync
	routes routing.Holder
	keys   admit.Keys
}

func begin(t rapid.TB, dir string, key *seal.Key) *life {
	t.Helper()
	l := &life{}
	l.Sync = New(Config{Dir: dir}, nil, key, &l.routes, &l.keys, nil, slog.New(slog.DiscardHandler))
	l.changes.most, l.older.most = 2000, 2000
	if err := l.LoadFromDisk(); err != nil {
		t.Fatal(err)
	}
	return l
}

// take applies a value as if it had come from the stream.
func (l *life) take(t rapid.TB, subject string, revision int64, m proto.Message) {
	t.Helper()
	data, err := contract.Encode(contract.Version{Epoch: 1, Revision: revision}, m)
	if err == nil {
		err = l.apply(subject, data, true)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// change applies a revision: a shard with one key, or at -1 an endpoint, and the head.
func (l *life) change(t rapid.TB, revision int64, at int) {
	t.Helper()
	if at >= 0 {
		hash := [32]byte{byte(at >> 2), byte(at << 6), byte(revision), byte(revision >> 8)}
		l.take(t, contract.ConfigKeys(uint32(at)), revision, &eventv1.KeyShard{Shard: uint32(at), Keys: []*eventv1.ShardKey{{Sha256: hash[:], Id: "key_1", Name: "ci"}}})
	} else {
		l.take(t, contract.ConfigRoutes, revision, &eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{{
			Id: "ep_1", Name: "e", Path: "/e", Targets: []string{"https://e.example"}, PriceNanos: 1, PriceVersion: revision,
		}}})
	}
	l.take(t, contract.ConfigHead, revision, &eventv1.ConfigHead{})
}

// equal says whether two lives serve the same.
func (l *life) equal(other *life) bool {
	if l.Applied() != other.Applied() || l.keys.Len() != other.keys.Len() || l.HaveRoutes() != other.HaveRoutes() {
		return false
	}
	for subject, v := range l.versions {
		if other.versions[subject] != v {
			return false
		}
	}
	return !l.HaveRoutes() || l.routes.Current().Version() == other.routes.Current().Version()
}

// Guarantee: an edge that is killed at any moment serves from its disk what it has said it serves, however its changes were folded;
// and one that was stopped leaves files that the version before reads.
func TestKilledEdgeServesTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		key, err := seal.Parse(seal.Generate())
		if err != nil {
			r.Fatal(err)
		}
		dir := t.TempDir()
		e, revision := begin(r, dir, key), int64(0)
		r.Repeat(map[string]func(*rapid.T){
			"change": func(t *rapid.T) {
				revision++
				e.change(t, revision, rapid.IntRange(-1, 6).Draw(t, "shard"))
			},
			"fold": func(*rapid.T) { e.foldOne(&e.older) },
			"kill": func(t *rapid.T) {
				next := begin(t, dir, key)
				if !e.equal(next) {
					t.Fatalf("after %s: %s, %v and %v", e.Applied(), next.Applied(), e.versions, next.versions)
				}
				e = next
			},
			"stop": func(t *rapid.T) {
				e.foldAll(time.Now().Add(time.Minute))
				for _, name := range []string{changesName, olderName} {
					if _, err := os.Stat(filepath.Join(e.folder(), name)); err == nil {
						t.Fatalf("%s was left, which the version before does not read", name)
					}
				}
			},
		})
		if next := begin(r, dir, key); !e.equal(next) {
			r.Fatalf("at the end, after %s: %s", e.Applied(), next.Applied())
		}
	})
}

// Guarantee: changes that were cut off or damaged somewhere leave an edge with a configuration that there was, and none of what came after.
func TestDamagedChanges(t *testing.T) {
	t.Parallel()
	key, err := seal.Parse(seal.Generate())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	e := begin(t, dir, key)
	var ends []int64 // of the changes
	for revision := range int64(6) {
		e.change(t, revision+1, int(revision%3)-1)
		ends = append(ends, e.changes.size)
	}
	whole, err := os.ReadFile(e.changes.path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(whole); at += 3 {
		flipped := slices.Clone(whole)
		flipped[at] ^= 1
		want := int64(0)
		for i, end := range ends {
			if int64(at) >= end {
				want = int64(i) + 1
			}
		}
		for what, data := range map[string][]byte{"cut off": whole[:at], "damaged": flipped} {
			if err := os.WriteFile(e.changes.path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			next := begin(t, dir, key)
			if got := next.Applied().Revision; got != want {
				t.Fatalf("%s at %d: revision %d, not %d", what, at, got, want)
			}
			for subject, v := range next.versions {
				if v.Revision > want+1 {
					t.Fatalf("%s at %d: %s of revision %d", what, at, subject, v.Revision)
				}
			}
		}
	}
	// What comes next is kept behind what is whole.
	next := begin(t, dir, key)
	next.change(t, 7, 4)
	if again := begin(t, dir, key); !next.equal(again) {
		t.Errorf("%s after %s", again.Applied(), next.Applied())
	}
}
