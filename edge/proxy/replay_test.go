package proxy

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"tollgate/edge/routing"
)

// Guarantee: a body that is kept is the same for each attempt, however an earlier one was reading it when
// it ended, and ends as the caller's did.
func TestKeptBody(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789", 10)
	pieces := make(chan string)
	from := &limited{Body: sentBody{&fed{pieces: pieces}}}
	k := &kept{from: from, most: 100, ctx: t.Context(), room: &room{}}
	first, second := k.view(), k.view()
	buf := make([]byte, 100)
	type read struct {
		n   int
		err error
	}
	reading := make(chan read)
	go func() {
		n, err := first.Read(buf)
		reading <- read{n, err}
	}()
	pieces <- text[:30]
	if r := <-reading; r.n != 30 || r.err != nil {
		t.Fatalf("read %+v", r)
	}
	// The first attempt waits for the caller when it ends; what comes then is not lost.
	began := make(chan struct{})
	from.Body = sentBody{&fed{pieces: pieces, began: began}}
	go func() {
		n, err := first.Read(buf)
		reading <- read{n, err}
	}()
	<-began
	if !first.finish() {
		t.Fatal("it is lost")
	}
	whole := make(chan string)
	go func() {
		var out strings.Builder
		for b := make([]byte, 64); ; {
			n, err := second.Read(b)
			out.Write(b[:n])
			if err != nil {
				whole <- out.String() + err.Error()
				return
			}
		}
	}()
	pieces <- text[30:60]
	if r := <-reading; r.n != 0 || !errors.Is(r.err, errOver) {
		t.Errorf("an attempt that is over read %+v", r)
	}
	pieces <- text[60:]
	close(pieces)
	if got := <-whole; got != text+"EOF" {
		t.Errorf("the second attempt read %q", got)
	}
	if !second.sent(-1) || !k.ended() {
		t.Error("it has not ended")
	}
}

// Guarantee: an edge keeps no more of all bodies than it has room for; one that finds none is sent once,
// whole, and what is no longer needed makes room.
func TestRoomForBodies(t *testing.T) {
	t.Parallel()
	all := &room{}
	open := func(length int) *kept {
		from := &limited{Body: sentBody{strings.NewReader(strings.Repeat("x", length))}}
		return &kept{from: from, most: 1000, ctx: t.Context(), room: all}
	}
	all.used.Store(mostKept - 500)
	first, second := open(400), open(400)
	for i, k := range []*kept{first, second} {
		view := k.view()
		if text, err := io.ReadAll(view); err != nil || len(text) != 400 {
			t.Errorf("body %d: %d bytes, %v", i, len(text), err)
		}
		if again := view.finish(); again != (i == 0) {
			t.Errorf("body %d can be sent again: %t", i, again)
		}
	}
	if used := all.used.Load(); used != mostKept-100 {
		t.Errorf("%d are left", mostKept-used)
	}
	first.release()
	first.release()
	second.release()
	if used := all.used.Load(); used != mostKept-500 {
		t.Errorf("in the end %d are left", mostKept-used)
	}
}

// Guarantee: a request that may be sent again and finds no room is served all the same, and leaves no trace.
func TestNoRoomForBodies(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(e *routing.Endpoint){
		"retry": again(1),
		"hedge": func(e *routing.Endpoint) { e.Hedge = &routing.Hedge{After: time.Hour, AnyMethod: true} },
	} {
		for _, full := range []bool{false, true} {
			s, u := newTries(t, 2, change, step{status: 200, body: "fine", reads: -1})
			var before int64
			if full {
				before = mostKept
			}
			s.gateway.room.used.Store(before)
			out := s.call(t.Context(), "PUT", "hello", 5)
			if out.status != 200 || u.bodies[0] != "hello" {
				t.Errorf("%s, full %t: got %d, the target %q", name, full, out.status, u.bodies)
			}
			if used := s.gateway.room.used.Load(); used != before {
				t.Errorf("%s, full %t: %d are kept", name, full, used-before)
			}
		}
	}
}

// fed is a body whose pieces a test gives.
type fed struct {
	pieces <-chan string
	began  chan<- struct{} // closed by the first Read
}

func (f *fed) Read(p []byte) (int, error) {
	if f.began != nil {
		close(f.began)
		f.began = nil
	}
	piece, ok := <-f.pieces
	if !ok {
		return 0, io.EOF
	}
	return copy(p, piece), nil
}

// Guarantee: a body that has come is whole for each attempt, also for one after another that has read some
// of it, and is paid for by each.
func TestArrivedBody(t *testing.T) {
	t.Parallel()
	from := &limited{Body: sentBody{strings.NewReader("abcdef")}}
	k := &kept{from: from, most: 100, size: 6, ctx: t.Context(), room: &room{}}
	piece := make([]byte, 2)
	if n, err := k.view().Read(piece); n != 2 || err != nil {
		t.Fatalf("read %d, %v", n, err)
	}
	for range 2 {
		paid := 0
		r := k.view()
		r.pay = func(p []byte) error { paid += len(p); return nil }
		if all, err := r.All(); string(all) != "abcdef" || err != nil || paid != 6 || !r.sent(6) {
			t.Errorf("%q, %v, paid for %d", all, err, paid)
		}
	}
	poor, unpaid := k.view(), errors.New("no money")
	poor.pay = func([]byte) error { return unpaid }
	if all, err := poor.All(); all != nil || !errors.Is(err, errTooDear) || !errors.Is(poor.unpaid(), unpaid) {
		t.Errorf("unpaid: %q, %v", all, err)
	}
	broken := &kept{from: &limited{Body: sentBody{strings.NewReader("abc")}}, most: 100, size: 6, ctx: t.Context(), room: &room{}}
	for range 2 {
		if all, err := broken.view().All(); all != nil || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("broken: %q, %v", all, err)
		}
	}
	if all, err := (&kept{from: from, most: 100, ctx: t.Context(), room: &room{}}).view().All(); all != nil || err != nil {
		t.Errorf("one that has not come: %q, %v", all, err)
	}
}
