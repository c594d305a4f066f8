package spool_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/id"
	"tollgate/internal/money"
)

var (
	aText = rapid.StringMatching(`[^\x00]{0,40}`)
	aDraw = rapid.Custom(func(t *rapid.T) contract.Draw {
		return contract.Draw{
			Window: contract.Window{Account: rapid.Int64().Draw(t, "account"), Gen: rapid.Uint32().Draw(t, "gen"), Start: rapid.Int64().Draw(t, "start")},
			Part:   rapid.Uint32Range(0, 4095).Draw(t, "part"),
		}
	})
	anyIntent = rapid.Custom(func(t *rapid.T) *spool.Intent {
		return &spool.Intent{
			Request: id.Bytes(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "request")), Attempt: rapid.Uint32().Draw(t, "attempt"),
			At: time.UnixMilli(rapid.Int64().Draw(t, "at")), KeyID: aText.Draw(t, "key"), EndpointID: aText.Draw(t, "endpoint"),
			Team: aText.Draw(t, "team"), Customer: aText.Draw(t, "customer"), Model: aText.Draw(t, "model"),
			Deployment: rapid.OneOf(rapid.Just(""), aText).Draw(t, "deployment"), Tags: rapid.SliceOfN(aText, 0, 8).Draw(t, "tags"), PriceVersion: rapid.Int64().Draw(t, "price"),
			Amount: money.Nanos(rapid.Int64Min(0).Draw(t, "amount")), Draws: rapid.SliceOfN(aDraw, 0, 8).Draw(t, "draws"),
			Abandoned: eventv1.AbandonedPolicy(rapid.IntRange(0, 3).Draw(t, "abandoned")),
		}
	})
	anyEnd = rapid.Custom(func(t *rapid.T) *spool.Settlement {
		return &spool.Settlement{
			At: time.UnixMilli(rapid.Int64().Draw(t, "at")), Status: rapid.IntRange(0, math.MaxInt32).Draw(t, "status"),
			Outcome: eventv1.SpendOutcome(rapid.IntRange(0, 9).Draw(t, "outcome")), Units: rapid.Int64Min(0).Draw(t, "units"),
			Cost: money.Nanos(rapid.Int64Min(0).Draw(t, "cost")), Duration: time.Duration(rapid.Int64Min(0).Draw(t, "duration")),
			Unpriced: rapid.Bool().Draw(t, "unpriced"), Model: aText.Draw(t, "model"),
			Meter: aText.Draw(t, "meter"), Counts: aText.Draw(t, "counts"), Job: rapid.Ptr(anyJob, true).Draw(t, "job"),
		}
	})
)

// Guarantee: events are what proto.Marshal would make of them, and their record is never longer than
// what their intent reserved.
func TestEventEncoding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		i, end := anyIntent.Draw(t, "intent"), anyEnd.Draw(t, "end")
		got := spool.AppendEvent(i, end)
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(settled(i, end))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("event\n got %x\nwant %x", got, want)
		}
		seqs := map[uint32]uint64{0: math.MaxUint64}
		for _, d := range i.Draws {
			seqs[d.Part] = math.MaxUint64
		}
		if n := int64(len(spool.SettleRecord(1, math.MaxUint64, i, end, seqs))); n > spool.LongestSettle(i)+spool.DetailLength(end) {
			t.Fatalf("record of %d bytes, %d reserved", n, spool.LongestSettle(i)+spool.DetailLength(end))
		}
		if n := int64(len(spool.CloseRecord(1, seqs))); n > spool.LongestClose(len(seqs)) {
			t.Fatalf("CLOSE of %d bytes, %d reserved", n, spool.LongestClose(len(seqs)))
		}
		if n := int64(len(spool.IntentRecord(1, 42, i))); n != spool.IntentLength(i) {
			t.Fatalf("intent of %d bytes, %d foreseen", n, spool.IntentLength(i))
		}
	})
}

// body is that of a record with its padding.
func body(rec []byte) []byte { return rec[spool.RecordHead : binary.LittleEndian.Uint32(rec)+8] }

// Guarantee: an intent is read as it was written.
func TestIntentEncoding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		i := anyIntent.Draw(t, "intent")
		n, got, err := spool.ParseIntent(body(spool.IntentRecord(1, 42, i)))
		if err != nil || n != 42 {
			t.Fatal(n, err)
		}
		if d := cmp.Diff(i, &got, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
	})
}

// Guarantee: what a release that knows no deployments has written is read, and what is written where there are none is what it would
// have written.
func TestIntentWithoutDeployment(t *testing.T) {
	t.Parallel()
	with, without, old := anIntent(1), anIntent(1), anIntent(1)
	with.Deployment, without.Deployment, old.Deployment = "gpt/one", "", ""
	old.Model += "\x00gpt/one" // as such a release reads the other one
	if got, want := spool.IntentRecord(1, 42, with), spool.IntentRecord(1, 42, old); !bytes.Equal(got, want) {
		t.Errorf("%x\nis not the record of an intent of that model\n%x", got, want)
	}
	if got, want := spool.IntentLength(without), spool.IntentLength(with); got >= want {
		t.Errorf("%d bytes without one, %d with it", got, want)
	}
}

func FuzzParseIntent(f *testing.F) {
	f.Add(body(spool.IntentRecord(1, 42, anIntent(1))))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, i, err := spool.ParseIntent(data)
		if err != nil {
			return
		}
		back := body(spool.IntentRecord(1, n, &i))
		copy(back[52:60], data[52:60]) // what it had cost so far is no part of an intent that begins
		if !bytes.Equal(back, data) {
			t.Errorf("%x became %x", data, back)
		}
	})
}

// Guarantee: whatever is in the files of an old incarnation, recovery neither panics nor refuses to
// start; it comes to an end with CLOSE, and doing it again changes nothing.
func FuzzRecovery(f *testing.F) {
	const inc = int64(1_700_000_000_000 << 20)
	at := func(seq uint64) map[uint32]uint64 { return map[uint32]uint64{0: seq, 1: seq + 1} }
	settle := func(seq uint64) []byte { return spool.SettleRecord(inc, 1, anIntent(1), ok(1), at(seq)) }
	whole := append(spool.SegmentHeader(inc, at(0)), spool.IntentRecord(inc, 1, anIntent(1))...)
	one := settle(1)
	f.Add(whole, []byte(nil))
	f.Add(append(bytes.Clone(whole), one...), []byte{})
	f.Add(append(bytes.Clone(whole), settle(7)...), append(spool.SegmentHeader(inc, at(9)), one...))
	f.Add(append(bytes.Clone(whole), one[:len(one)-3]...), spool.SegmentHeader(inc, at(1)))
	f.Add(append(bytes.Clone(whole), spool.CloseRecord(inc, at(1))...), make([]byte, 100))
	for _, name := range []string{"open", "closed"} {
		f.Add(format1(f, name), []byte(nil))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		o := spool.Options{Dir: t.TempDir()}
		dir := filepath.Join(o.Dir, spool.Dir(inc))
		if err := errors.Join(os.Mkdir(dir, 0o700),
			os.WriteFile(filepath.Join(dir, "0000000000000001.seg"), first, 0o600),
			os.WriteFile(filepath.Join(dir, "0000000000000002.seg"), second, 0o600)); err != nil {
			t.Fatal(err)
		}
		read := func() map[uint32][]byte {
			s := mustOpen(t, o)
			defer s.Crash()
			parts, there := s.Parts()[inc]
			if !there {
				t.Fatal("not recovered")
			}
			all := map[uint32][]byte{}
			for part, last := range parts {
				data, err := s.BatchOf(inc, part, max(last, 30)-29)
				if err != nil {
					// Only what was given back, or is not there at all, cannot be read.
					data, err = s.BatchOf(inc, part, last)
				}
				if err != nil {
					t.Fatal(err)
				}
				all[part] = bytes.Clone(data)
			}
			return all
		}
		if d := cmp.Diff(read(), read()); d != "" {
			t.Errorf("recovered once and twice:\n%s", d)
		}
	})
}
