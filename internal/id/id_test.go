package id_test

import (
	"slices"
	"testing"
	"time"

	"tollgate/internal/id"
)

// Guarantee: identifiers round-trip through text and sort in order of making.
func TestTextSortsByTime(t *testing.T) {
	t.Parallel()
	var texts []string
	for range 1000 {
		b := id.NewBytes()
		text := b.Text(id.Request)
		back, err := id.Parse(id.Request, text)
		if err != nil || back != b {
			t.Fatalf("Parse(%q) = %v, %v; want %v", text, back, err, b)
		}
		texts = append(texts, text)
	}
	if !slices.IsSorted(texts) {
		t.Error("identifiers do not sort in order of making")
	}
}

// Guarantee: any text either is an identifier as it would be printed, or is refused.
func FuzzParse(f *testing.F) {
	f.Add(id.New(id.Key))
	f.Add("key_")
	f.Add("ep_00000000000000000000000000")
	f.Add("key_000000000\n0000000000000000")
	f.Add("key_0000000000000000000000000z")
	f.Fuzz(func(t *testing.T, s string) {
		b, err := id.Parse(id.Key, s)
		if err == nil && b.Text(id.Key) != s {
			t.Errorf("%q parsed to %v, which prints %q", s, b, b.Text(id.Key))
		}
	})
}

// Guarantee: an identifier tells when it was made.
func TestTime(t *testing.T) {
	t.Parallel()
	before := time.Now().Truncate(time.Millisecond)
	made := id.NewBytes().Time()
	if after := time.Now(); made.Before(before) || made.After(after) {
		t.Errorf("made at %s, between %s and %s", made, before, after)
	}
	if got := (id.Bytes{5: 7, 6: 0x7f, 15: 9}).Time(); got.UnixMilli() != 7 {
		t.Errorf("made at %d ms", got.UnixMilli())
	}
}
