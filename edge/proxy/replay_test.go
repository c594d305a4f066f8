package proxy

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// Guarantee: a body that is kept is the same for each attempt, however an earlier one was reading it when
// it ended, and ends as the caller's did.
func TestKeptBody(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789", 10)
	pieces := make(chan string)
	from := &limited{Body: sentBody{&fed{pieces: pieces}}}
	k := &kept{from: from, most: 100, ctx: t.Context()}
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
	k := &kept{from: from, most: 100, size: 6, ctx: t.Context()}
	piece := make([]byte, 2)
	if n, err := k.view().Read(piece); n != 2 || err != nil {
		t.Fatalf("read %d, %v", n, err)
	}
	for range 2 {
		paid := 0
		r := k.view()
		r.pay = func(n int) error { paid += n; return nil }
		if all, err := r.All(); string(all) != "abcdef" || err != nil || paid != 6 || !r.sent(6) {
			t.Errorf("%q, %v, paid for %d", all, err, paid)
		}
	}
	poor, unpaid := k.view(), errors.New("no money")
	poor.pay = func(int) error { return unpaid }
	if all, err := poor.All(); all != nil || !errors.Is(err, errTooDear) || !errors.Is(poor.unpaid(), unpaid) {
		t.Errorf("unpaid: %q, %v", all, err)
	}
	broken := &kept{from: &limited{Body: sentBody{strings.NewReader("abc")}}, most: 100, size: 6, ctx: t.Context()}
	for range 2 {
		if all, err := broken.view().All(); all != nil || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("broken: %q, %v", all, err)
		}
	}
	if all, err := (&kept{from: from, most: 100, ctx: t.Context()}).view().All(); all != nil || err != nil {
		t.Errorf("one that has not come: %q, %v", all, err)
	}
}
