package spool_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/id"
	"tollgate/internal/money"
)

var anyIntent = rapid.Custom(func(t *rapid.T) spool.Intent {
	i := spool.Intent{
		Request: id.Bytes(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "request")), Attempt: rapid.Uint32().Draw(t, "attempt"),
		At: time.UnixMilli(rapid.Int64().Draw(t, "at")), KeyID: rapid.StringN(0, 40, 1024).Draw(t, "key"),
		EndpointID: rapid.StringN(0, 40, 1024).Draw(t, "endpoint"), PriceVersion: rapid.Int64().Draw(t, "price"),
		Amount: money.Nanos(rapid.Int64Min(0).Draw(t, "amount")),
	}
	for range rapid.IntRange(0, 8).Draw(t, "windows") {
		i.Windows = append(i.Windows, contract.Window{
			Account: rapid.Int64().Draw(t, "account"), Gen: rapid.Uint32().Draw(t, "gen"), Start: rapid.Int64().Draw(t, "start"),
		})
	}
	return i
})

// Guarantee: events are what proto.Marshal would make of them, and never longer than what their
// intent reserved.
func TestEventEncoding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		i := anyIntent.Draw(t, "intent")
		end := spool.Settlement{
			At: time.UnixMilli(rapid.Int64().Draw(t, "at")), Status: rapid.IntRange(0, math.MaxInt32).Draw(t, "status"),
			Outcome: eventv1.SpendOutcome(rapid.IntRange(0, 7).Draw(t, "outcome")),
			Cost:    money.Nanos(rapid.Int64Min(0).Draw(t, "cost")), Duration: time.Duration(rapid.Int64Min(0).Draw(t, "duration")),
		}
		got := spool.AppendEvent(nil, &i, &end)
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(settled(i, end))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("event\n got %x\nwant %x", got, want)
		}
		if n := int64(len(spool.EventRecord(nil, spool.TypeSettle, math.MaxUint64, math.MaxUint64, got))); n > spool.LongestSettle(&i) {
			t.Fatalf("record of %d bytes, %d reserved", n, spool.LongestSettle(&i))
		}
	})
}

// Guarantee: an intent is read as it was written.
func TestIntentEncoding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		i := anyIntent.Draw(t, "intent")
		n, got, err := spool.ParseIntent(spool.IntentRecord(nil, 42, &i)[spool.RecordHead:])
		if err != nil || n != 42 {
			t.Fatal(n, err)
		}
		if d := cmp.Diff(i, got); d != "" {
			t.Fatal(d)
		}
	})
}

func FuzzParseIntent(f *testing.F) {
	i := anIntent(1)
	f.Add(spool.IntentRecord(nil, 42, &i)[spool.RecordHead:])
	f.Fuzz(func(t *testing.T, body []byte) {
		n, i, err := spool.ParseIntent(body)
		if err != nil {
			return
		}
		if back := spool.IntentRecord(nil, n, &i)[spool.RecordHead:]; !bytes.Equal(back, body) {
			t.Errorf("%x became %x", body, back)
		}
	})
}

// Guarantee: whatever is in the files of an old incarnation, recovery neither panics nor refuses to
// start; it comes to an end with CLOSE, and doing it again changes nothing.
func FuzzRecovery(f *testing.F) {
	const inc = int64(1_700_000_000_000 << 20)
	i := anIntent(1)
	whole := append(spool.SegmentHeader(inc, 0), spool.IntentRecord(nil, 1, &i)...)
	end := ok(1)
	one := spool.EventRecord(nil, spool.TypeSettle, 1, 1, spool.AppendEvent(nil, &i, &end))
	far := spool.EventRecord(nil, spool.TypeSettle, 7, 1, spool.AppendEvent(nil, &i, &end))
	f.Add(whole, []byte(nil))
	f.Add(append(bytes.Clone(whole), one...), []byte{})
	f.Add(append(bytes.Clone(whole), far...), append(spool.SegmentHeader(inc, 9), one...))
	f.Add(append(bytes.Clone(whole), one[:len(one)-3]...), spool.SegmentHeader(inc, 1))
	f.Add(append(bytes.Clone(whole), spool.EventRecord(nil, spool.TypeClose, 1, 0, nil)...), make([]byte, 100))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		o := spool.Options{Dir: t.TempDir()}
		dir := filepath.Join(o.Dir, strconv.FormatInt(inc, 10))
		if err := errors.Join(os.Mkdir(dir, 0o700),
			os.WriteFile(filepath.Join(dir, "0000000000000001.seg"), first, 0o600),
			os.WriteFile(filepath.Join(dir, "0000000000000002.seg"), second, 0o600)); err != nil {
			t.Fatal(err)
		}
		read := func() []byte {
			s := mustOpen(t, o)
			defer s.Crash()
			last, there := s.Incarnations()[inc]
			if !there {
				t.Fatal("not recovered")
			}
			data, err := s.Batch(inc, max(last, 30)-29)
			if err != nil {
				// Only what was given back, or is not there at all, cannot be read.
				data, err = s.Batch(inc, last)
			}
			if err != nil {
				t.Fatal(err)
			}
			return bytes.Clone(data)
		}
		if one, two := read(), read(); !bytes.Equal(one, two) {
			t.Errorf("recovered once:\n%x\ntwice:\n%x", one, two)
		}
	})
}
