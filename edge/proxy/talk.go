package proxy

import (
	"errors"
	"sync"
	"time"

	"tollgate/edge/adapter"
)

// pingAfter is how long a vendor may be silent before the caller of a translated stream hears that it goes on: a vendor's own pings
// are about another connection.
const pingAfter = 15 * time.Second

// errGone means that the caller takes no more.
var errGone = errors.New("the caller takes no more of the answer")

// talk is a translated stream on its way to the caller. It is used by the goroutine of the exchange; pings come beside that.
type talk struct {
	mu     sync.Mutex // guards what follows, and the use of both
	out    Responder
	stream adapter.Stream
	text   []byte
	timer  *time.Timer
	over   bool
	gone   bool
}

func newTalk(out Responder, stream adapter.Stream) *talk {
	k := &talk{out: out, stream: stream}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.timer = time.AfterFunc(pingAfter, k.ping)
	return k
}

// ping says that the connection is still of use.
func (k *talk) ping() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over || k.gone {
		return
	}
	k.text = k.stream.Ping(k.text[:0])
	_ = k.send() // whoever writes next finds out
	k.timer.Reset(pingAfter)
}

// send writes and flushes what there is. mu is held.
func (k *talk) send() error {
	if k.gone {
		return errGone
	}
	if len(k.text) == 0 {
		return nil
	}
	if _, err := k.out.Write(k.text); err != nil {
		k.gone = true
		return errGone
	}
	if err := k.out.Flush(); err != nil {
		k.gone = true
		return errGone
	}
	return nil
}

// flush sends the headers.
func (k *talk) flush() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.out.Flush()
}

// next translates a piece of the vendor's stream and sends what it comes to.
func (k *talk) next(piece []byte) error {
	if len(piece) == 0 {
		return nil
	}
	return k.with(func(dst []byte) ([]byte, error) { return k.stream.Next(dst, piece) })
}

// end sends what is missing at the end.
func (k *talk) end(whole bool) error {
	return k.with(func(dst []byte) ([]byte, error) { return k.stream.End(dst, whole) })
}

// fail sends an error as the last event.
func (k *talk) fail(err *adapter.Error, requestID string) error {
	return k.with(func(dst []byte) ([]byte, error) { return k.stream.Fail(dst, err, requestID), nil })
}

// with sends what a part of the stream comes to, also of one that fails in the middle.
func (k *talk) with(part func(dst []byte) ([]byte, error)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var failed error
	k.text, failed = part(k.text[:0])
	if err := k.send(); err != nil {
		return err
	}
	if !k.over {
		k.timer.Reset(pingAfter)
	}
	return failed
}

// stop ends the pings: after it, nobody else uses the answer.
func (k *talk) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.over = true
	k.timer.Stop()
}
