package spool_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
	"tollgate/internal/lifecycle"
	"tollgate/internal/testenv"
)

// Guarantee: with a real stream that is deleted and made again in the middle, the events of this and
// of an old incarnation arrive complete, in order and under the ids that the stream knows.
func TestJetStream(t *testing.T) {
	t.Parallel()
	conn, err := bus.Connect(bus.Config{URL: testenv.NATS(t).URL()}, testenv.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js := conn.JetStream()
	create := func() {
		testenv.Eventually(t, 10*time.Second, func() error {
			_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
				Name: contract.SpendStream(0), Subjects: []string{contract.SpendSubjects(0)},
				Discard: jetstream.DiscardNew, Storage: jetstream.MemoryStorage, Duplicates: 2 * time.Minute,
			})
			return err
		})
	}
	create()

	o := spool.Options{Dir: t.TempDir(), Edge: "e1"}
	s := mustOpen(t, o)
	old := s.Inc()
	for n := range 1000 {
		s.Settle(mustIntent(t, s, anIntent(n)), ok(n))
	}
	s.Crash()
	s = mustOpen(t, o)
	defer s.Crash()
	p := spool.NewPublisher(s, func(ctx context.Context, subject, msgID string, data []byte) error {
		_, err := js.Publish(ctx, subject, data, jetstream.WithMsgID(msgID))
		return err
	}, testenv.Logger(t))
	var g lifecycle.Group
	defer g.Stop()
	g.Go("publisher", func(ctx context.Context) {
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	add := func(from, to int) {
		for n := from; n < to; n++ {
			s.Settle(mustIntent(t, s, anIntent(n)), ok(n))
		}
	}
	published := func(want map[int64]uint64) {
		t.Helper()
		testenv.Eventually(t, 20*time.Second, func() error { return streamHas(t.Context(), js, want) })
	}
	add(0, 2000)
	published(map[int64]uint64{old: 1001, s.Inc(): 2000})

	if err := js.DeleteStream(t.Context(), contract.SpendStream(0)); err != nil {
		t.Fatal(err)
	}
	add(2000, 2500) // while there is no stream
	create()
	p.Mark(&eventv1.Mark{Inc: old, Hwm: 500, Gap: true})
	p.Mark(&eventv1.Mark{Inc: s.Inc(), Hwm: 1, Gap: true})
	published(map[int64]uint64{old: 501, s.Inc(): 2499})
}

// streamHas checks that the stream ends in so many events of each incarnation, one behind the other.
func streamHas(ctx context.Context, js jetstream.JetStream, want map[int64]uint64) error {
	stream, err := js.Stream(ctx, contract.SpendStream(0))
	if err != nil {
		return err
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return err
	}
	next, got := map[int64]uint64{}, map[int64]uint64{}
	for seq := info.State.FirstSeq; seq > 0 && seq <= info.State.LastSeq; seq++ {
		msg, err := stream.GetMsg(ctx, seq)
		if err != nil {
			return err
		}
		var b eventv1.SpendBatch
		if err := proto.Unmarshal(msg.Data, &b); err != nil {
			return err
		}
		if n, ok := next[b.GetInc()]; ok && n != b.GetFirstSeq() {
			got[b.GetInc()] = 0 // what is before was under way when it went back
		}
		next[b.GetInc()] = b.GetFirstSeq() + uint64(len(b.GetEvents()))
		got[b.GetInc()] += uint64(len(b.GetEvents()))
		if msg.Header.Get("Nats-Msg-Id") == "" {
			return errors.New("a message has no id")
		}
	}
	for inc, n := range want {
		if got[inc] != n {
			return fmt.Errorf("incarnation %d: %d events in a row, want %d", inc, got[inc], n)
		}
	}
	return nil
}
