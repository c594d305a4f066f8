package snapsync

import (
	"log/slog"
	"testing"

	"tollgate/edge/admit"
	"tollgate/edge/routing"
	"tollgate/internal/contract"
	"tollgate/internal/seal"
)

// BenchmarkKeep brings a value of 20 KB and a head to the disk, as each change does, with what is folded of those before.
func BenchmarkKeep(b *testing.B) {
	key, err := seal.Parse(seal.Generate())
	if err != nil {
		b.Fatal(err)
	}
	s := New(Config{Dir: b.TempDir()}, nil, key, &routing.Holder{}, &admit.Keys{}, nil, slog.New(slog.DiscardHandler))
	value, head := make([]byte, 20_000), make([]byte, 60)
	for i := uint32(0); b.Loop(); i++ {
		s.persist(contract.ConfigKeys(i%contract.KeyShards), value)
		s.persist(contract.ConfigHead, head)
		s.foldOne(&s.older)
	}
	if s.diskBad {
		b.Fatal("the disk could not be written to")
	}
}
