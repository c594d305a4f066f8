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
	k := &kept{from: from, most: 100, over: func() bool { return false }}
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
