package seen_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/seen"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
	"tollgate/internal/id"
	"tollgate/internal/lifecycle"
	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

const patience = 20 * time.Second

func connect(t *testing.T, url string) *bus.Conn {
	t.Helper()
	conn, err := bus.Connect(bus.Config{URL: url}, testenv.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// start runs a log as one control plane has it.
func start(t *testing.T, url string) *seen.Log {
	t.Helper()
	l := seen.New(connect(t, url), 1, testenv.Logger(t))
	var g lifecycle.Group
	g.Go("seen", func(ctx context.Context) { _ = l.Run(ctx) })
	t.Cleanup(g.Stop)
	return l
}

// teller is an edge that tells of requests with numbers in their paths.
type teller struct {
	t    *testing.T
	conn *bus.Conn
	next int
	ids  []string
}

func newTeller(t *testing.T, url string) *teller {
	t.Helper()
	w := &teller{t: t, conn: connect(t, url)}
	testenv.Eventually(t, patience, func() error {
		_, err := w.conn.JetStream().Stream(t.Context(), contract.StreamSeen)
		return err
	})
	return w
}

// tell tells of the next n requests in one batch.
func (w *teller) tell(n int) {
	w.t.Helper()
	b := &eventv1.SeenBatch{Edge: "lon-1"}
	for range n {
		b.Requests = append(b.Requests, &controlv1.SeenRequest{RequestId: id.New(id.Request), Path: fmt.Sprint(w.next), Time: timestamppb.Now()})
		w.ids = append(w.ids, b.GetRequests()[len(b.GetRequests())-1].GetRequestId())
		w.next++
	}
	data, err := proto.Marshal(b)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.conn.JetStream().Publish(w.t.Context(), contract.Seen("lon-1"), data); err != nil {
		w.t.Fatal(err)
	}
}

// read takes what a tail tells until it has so many, and says whether some may be missing.
func read(t *testing.T, tail *seen.Tail, n int) (paths []string, gap bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for len(paths) < n {
		batches, missing, err := tail.Next(ctx, patience)
		if err != nil {
			t.Fatalf("%d of %d: %v", len(paths), n, err)
		}
		gap = gap || missing
		for _, b := range batches {
			for _, r := range b.Requests {
				paths = append(paths, r.GetPath())
			}
		}
	}
	return paths, gap
}

func numbers(from, until int) (out []string) {
	for i := from; i < until; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

// Guarantee: a tail that is resumed in the middle, with its own control plane or another one, gets every request exactly once and in
// order, also those that no control plane keeps in memory any more.
func TestResume(t *testing.T) {
	t.Parallel()
	url := testenv.NATS(t).URL()
	first, second := start(t, url), start(t, url)
	w := newTeller(t, url)
	tail := first.TailSince(time.Now().Add(-time.Hour))
	defer tail.Close()
	w.tell(100)
	got, gap := read(t, tail, 100)
	token := tail.Position().Token()
	// More than is kept in memory, so that the beginning has to come from the stream.
	const batches = 100
	for range batches {
		w.tell(256)
	}
	at, err := seen.ParseToken(token)
	if err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, patience, func() error {
		if second.ByID(t.Context(), w.ids[len(w.ids)-1], 0) == nil {
			return errors.New("the second has not read all")
		}
		return nil
	})
	if second.ByID(t.Context(), w.ids[0], 0) != nil {
		t.Error("all of it is kept in memory, so that the test shows nothing")
	}
	resumed := second.Tail(at)
	defer resumed.Close()
	for len(got) < w.next { // each piece with another control plane
		more, missing := read(t, resumed, min(1000, w.next-len(got)))
		got, gap = append(got, more...), gap || missing
		at, err = seen.ParseToken(resumed.Position().Token())
		if err != nil {
			t.Fatal(err)
		}
		resumed.Close()
		first, second = second, first
		resumed = second.Tail(at)
	}
	if gap {
		t.Error("a gap is told, and there is none")
	}
	if !slices.Equal(got, numbers(0, w.next)) {
		t.Errorf("%d requests, want %d, each once and in order", len(got), w.next)
	}
}

// Guarantee: where requests are missing, because an edge lost some, or the stream is another one or has dropped them, the tail says so
// and goes on.
func TestGap(t *testing.T) {
	t.Parallel()
	url := testenv.NATS(t).URL()
	l := start(t, url)
	w := newTeller(t, url)
	w.tell(1)
	tail := l.TailSince(time.Now().Add(-time.Hour))
	defer tail.Close()
	if _, gap := read(t, tail, 1); gap {
		t.Error("a gap at the beginning of all")
	}
	old := tail.Position()

	lost, err := proto.Marshal(&eventv1.SeenBatch{Edge: "lon-1", Lost: 3, Requests: []*controlv1.SeenRequest{{RequestId: "x", Path: "after"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.conn.JetStream().Publish(t.Context(), contract.Seen("lon-1"), lost); err != nil {
		t.Fatal(err)
	}
	if got, gap := read(t, tail, 1); !gap || got[0] != "after" {
		t.Errorf("%v, gap %v, where an edge has lost some", got, gap)
	}

	stream, err := w.conn.JetStream().Stream(t.Context(), contract.StreamSeen)
	if err != nil {
		t.Fatal(err)
	}
	w.tell(1)
	read(t, tail, 1)
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	fresh := start(t, url) // has nothing of what was dropped
	w.tell(1)
	late := fresh.Tail(old)
	defer late.Close()
	if got, gap := read(t, late, 1); !gap || got[0] != "2" {
		t.Errorf("%v, gap %v, where the stream has dropped some", got, gap)
	}

	if err := w.conn.JetStream().DeleteStream(t.Context(), contract.StreamSeen); err != nil {
		t.Fatal(err)
	}
	again := newTeller(t, url) // when a control plane has made it anew
	again.next = 100
	again.tell(1)
	if got, gap := read(t, tail, 1); !gap || got[0] != "100" {
		t.Errorf("%v, gap %v, of another stream", got, gap)
	}
}

// Guarantee: a tail that reads slowly, or not at all, holds up no other one, and has missed nothing when it reads again.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	url := testenv.NATS(t).URL()
	l := start(t, url)
	w := newTeller(t, url)
	slow, fast := l.TailSince(time.Now().Add(-time.Hour)), l.TailSince(time.Now().Add(-time.Hour))
	defer slow.Close()
	defer fast.Close()
	w.tell(1)
	read(t, slow, 1)
	read(t, fast, 1)
	for range 50 { // five seconds of 500 requests each
		w.tell(50)
		if got, gap := read(t, fast, 50); gap || len(got) != 50 {
			t.Fatalf("%d, gap %v", len(got), gap)
		}
	}
	if got, gap := read(t, slow, 2500); gap || !slices.Equal(got, numbers(1, 2501)) {
		t.Errorf("%d, gap %v, of 2500", len(got), gap)
	}
}

// Guarantee: a tail from now on has nothing of before, one from a moment on nothing of before that, and both wait where there is
// nothing; a request is found by its id as soon as it is told of.
func TestBeginAndFind(t *testing.T) {
	t.Parallel()
	url := testenv.NATS(t).URL()
	l := start(t, url)
	w := newTeller(t, url)
	w.tell(5)
	if l.ByID(t.Context(), w.ids[4], patience) == nil {
		t.Fatal("not found")
	}
	now := l.TailNow()
	defer now.Close()
	late := start(t, url).TailNow() // one that has read nothing so far
	defer late.Close()
	if batches, gap, err := now.Next(t.Context(), time.Millisecond); len(batches) != 0 || gap || err != nil {
		t.Errorf("%v %v %v where nothing comes", batches, gap, err)
	}
	if batches, gap, err := late.Next(t.Context(), 300*time.Millisecond); len(batches) != 0 || gap || err != nil {
		t.Errorf("%v %v %v where nothing comes, of one that begins", batches, gap, err)
	}
	found := make(chan *controlv1.SeenRequest, 1)
	next := id.New(id.Request)
	go func() { found <- l.ByID(t.Context(), next, patience) }()
	data, err := proto.Marshal(&eventv1.SeenBatch{Edge: "lon-1", Requests: []*controlv1.SeenRequest{{RequestId: next, Path: "5"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.conn.JetStream().Publish(t.Context(), contract.Seen("lon-1"), data); err != nil {
		t.Fatal(err)
	}
	if r := <-found; r.GetPath() != "5" || r.GetEdge() != "lon-1" {
		t.Errorf("found %v", r)
	}
	for _, tail := range []*seen.Tail{now, late} {
		if got, gap := read(t, tail, 1); gap || got[0] != "5" {
			t.Errorf("%v, gap %v", got, gap)
		}
	}
	if l.ByID(t.Context(), id.New(id.Request), time.Millisecond) != nil {
		t.Error("found what was never told")
	}
}

// Guarantee: nobody speaks for another edge, and what cannot be read is a gap and no end.
func TestForeignMessages(t *testing.T) {
	t.Parallel()
	url := testenv.NATS(t).URL()
	l := start(t, url)
	w := newTeller(t, url)
	tail := l.TailSince(time.Now().Add(-time.Hour))
	defer tail.Close()
	other, err := proto.Marshal(&eventv1.SeenBatch{Edge: "b", Requests: []*controlv1.SeenRequest{{RequestId: "forged"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range [][]byte{other, {0xff}} {
		if _, err := w.conn.JetStream().Publish(t.Context(), contract.Seen("lon-1"), data); err != nil {
			t.Fatal(err)
		}
	}
	w.tell(1)
	if got, gap := read(t, tail, 1); !gap || got[0] != "0" {
		t.Errorf("%v, gap %v", got, gap)
	}
	if l.ByID(t.Context(), "forged", 0) != nil {
		t.Error("forged requests are found")
	}
}

// Guarantee: any text either is a token as it is made, or is refused.
func FuzzParseToken(f *testing.F) {
	f.Add(seen.Position{Stream: 5, Seq: 7}.Token())
	f.Add("")
	f.Add("czE6MDow")
	f.Add("czE6KzE6Mg")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := seen.ParseToken(text); err == nil && p.Token() != text {
			t.Errorf("%q was read as %v", text, p)
		}
	})
}
