package proxy

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// kept is the body of a request that may be sent more than once: what was read of it is kept, as long as
// it is not too long.
type kept struct {
	from *limited
	most int64
	ctx  context.Context //nolint:containedctx // of the exchange
	size int64           // of a body that has come as a whole; else 0
	room *room
	// given says that the room was given back. It is of the goroutine of the exchange.
	given bool

	reading sync.Mutex // held while the caller is waited for
	mu      sync.Mutex // guards what follows
	data    []byte
	taken   int64 // of the room
	end     error // how it ended: io.EOF, or why it could not be read
	lost    bool  // it is too long, or there is no room, and nothing of it is kept

	first replay // the view of the first attempt, which needs no memory of its own then
}

// mostKept is how many bytes of bodies an edge keeps in all. Where there is no room for another one, its
// request is served like one that is not to be sent again.
const mostKept = 256 << 20

// room is what is left for bodies that are kept.
type room struct{ used atomic.Int64 }

// take takes so many bytes, or none.
func (r *room) take(n int64) bool {
	if r.used.Add(n) > mostKept {
		r.used.Add(-n)
		return false
	}
	return true
}

// reserve takes room for a body of which so many bytes are to be kept. k.mu is held, or nobody else has k.
func (k *kept) reserve(n int64) bool {
	more := n - k.taken
	if more <= 0 {
		return true
	}
	if !k.room.take(more) {
		return false
	}
	k.taken = n
	return true
}

// release gives the room back. Attempts are over then, and nothing more is kept.
func (k *kept) release() {
	if k.given {
		return
	}
	k.given = true
	k.mu.Lock()
	defer k.mu.Unlock()
	k.drop()
}

// drop forgets what is kept. k.mu is held.
func (k *kept) drop() {
	if k.taken > 0 {
		k.room.used.Add(-k.taken)
	}
	k.data, k.taken, k.lost = nil, 0, true
}

// whole says whether all that was read can be sent again.
func (k *kept) whole() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.lost
}

// ended says whether all of it is kept.
func (k *kept) ended() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.lost && errors.Is(k.end, io.EOF)
}

// begun says whether the caller was asked for it.
func (k *kept) begun() bool { return k.from.touched() }

// view is the body from its beginning, for one attempt.
func (k *kept) view() *replay {
	if k.first.kept == nil {
		k.first.kept = k
		return &k.first
	}
	return &replay{kept: k}
}

// replay is a kept body as one attempt reads it.
type replay struct {
	*kept

	pay  func(p []byte) error // for what is about to go on; nil where that costs nothing
	at   int                  // of what is kept, as far as it was read; guarded by mu of kept
	done bool                 // the attempt is over; guarded as well
	all  atomic.Bool          // it was read to its end
	dear atomic.Pointer[error]
}

// Read reads on: what is kept first, then from the caller.
func (r *replay) Read(p []byte) (int, error) {
	n, err := r.next(p)
	if errors.Is(err, io.EOF) {
		r.all.Store(true)
	}
	if n > 0 && r.pay != nil {
		if unpaid := r.pay(p[:n]); unpaid != nil {
			return 0, tooDear(&r.dear, unpaid)
		}
	}
	return n, err
}

func (r *replay) next(p []byte) (int, error) {
	if n, err, ok := r.have(p); ok {
		return n, err
	}
	r.reading.Lock()
	defer r.reading.Unlock()
	// An attempt that is over may have waited for the caller, and what came then is kept.
	if n, err, ok := r.have(p); ok {
		return n, err
	}
	n, err := r.from.Read(p)
	return r.keep(p[:n], err)
}

// All is the whole body, if it has come.
func (r *replay) All() ([]byte, error) {
	if r.size == 0 {
		return nil, nil
	}
	r.reading.Lock()
	defer r.reading.Unlock()
	if err := r.fill(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.at = len(r.data)
	r.mu.Unlock()
	r.all.Store(true)
	if r.pay != nil {
		if unpaid := r.pay(r.data); unpaid != nil {
			return nil, tooDear(&r.dear, unpaid)
		}
	}
	return r.data, nil
}

// fill reads what is not kept yet of a body that has come. reading is held, so that nobody else does.
func (k *kept) fill() error {
	k.mu.Lock()
	have, err, lost := k.data, k.end, k.lost
	if lent, ok := k.from.Body.(Borrowed); ok && !lost && err == nil && len(have) == 0 {
		defer k.mu.Unlock()
		if k.data, k.end = k.from.took(lent.Bytes()), io.EOF; int64(len(k.data)) != k.size {
			k.end = io.ErrUnexpectedEOF
			return k.end
		}
		return nil
	}
	k.mu.Unlock()
	if lost {
		return errOver
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if int64(len(have)) == k.size {
		return nil
	}
	data := make([]byte, k.size)
	n := copy(data, have)
	m, err := io.ReadFull(k.from, data[n:])
	k.mu.Lock()
	defer k.mu.Unlock()
	k.data = data[:n+m]
	if err != nil {
		k.end = err
		return err
	}
	k.end = io.EOF
	return nil
}

// have is what needs no waiting.
func (r *replay) have(p []byte) (n int, err error, ok bool) { //nolint:revive // the error is what a Read returns
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.done:
		return 0, errOver, true
	case r.at < len(r.data):
		n = copy(p, r.data[r.at:])
		r.at += n
		return n, nil, true
	case r.end != nil:
		return 0, r.end, true
	default:
		return 0, nil, false
	}
}

// keep takes in what the caller has sent.
func (r *replay) keep(p []byte, err error) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.end = err
	}
	switch {
	case r.lost:
	case !r.done && (int64(len(r.data)+len(p)) > r.most || !r.reserve(int64(len(r.data)+len(p)))):
		// Nobody but this attempt will read it.
		r.drop()
		r.at = 0
	default:
		r.data = append(r.data, p...)
	}
	if r.done {
		return 0, errOver
	}
	if !r.lost {
		r.at += len(p)
	}
	return len(p), err
}

// finish ends the reading of this attempt and says whether another one can read all of it.
func (r *replay) finish() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = true
	return !r.lost
}

// Interrupt ends the reading of this attempt; and what waits for the caller if the exchange is over.
func (r *replay) Interrupt() {
	r.finish()
	if r.ctx.Err() != nil {
		r.from.Interrupt()
	}
}

// Drain has nothing to do: what the caller still sends is the exchange's to take.
func (r *replay) Drain() {}

// Trailers are what came behind the body.
func (r *replay) Trailers() []Header { return r.from.Trailers() }

func (r *replay) unpaid() error {
	if err := r.dear.Load(); err != nil {
		return *err
	}
	return nil
}

// sent says whether all of a body of this length has gone to the target.
func (r *replay) sent(length int64) bool {
	if r.all.Load() {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost {
		return r.from.complete(length)
	}
	return length >= 0 && int64(r.at) == length
}

// mostWhole is how long a body may be that is read whole before the first attempt, where the endpoint
// says nothing about bodies to be sent again.
const mostWhole = 1 << 20

// openBody prepares for the body to be read. Where a second attempt may be made beside the first one,
// it is read now.
func (c *call) openBody(ctx context.Context) error {
	if c.x.Body == nil {
		return nil
	}
	if c.kept != nil { // and nobody reads it at present
		c.kept.ctx = ctx
	} else {
		c.wrapBody(ctx, 0)
	}
	if c.signs() {
		return c.keepWhole(ctx)
	}
	early := c.mayHedge() && c.x.Length >= 0
	if c.kept == nil || !early || c.kept.ended() || c.x.Length > c.kept.most || !c.kept.reserve(c.x.Length) {
		return nil
	}
	defer context.AfterFunc(ctx, c.x.Body.Interrupt)()
	if _, err := io.Copy(io.Discard, c.kept.view()); err != nil {
		return c.unreadable(ctx, err)
	}
	return nil
}

// wrapBody makes the body one that is counted, and kept if it may be sent again or ahead bytes of it are read before it is
// sent.
func (c *call) wrapBody(ctx context.Context, ahead int64) {
	c.bodies.limited, c.bodies.kept = limited{}, kept{}
	c.body = &c.bodies.limited
	c.body.Body, c.body.left, c.body.limit = c.x.Body, c.limit, c.limit
	e, most := c.endpoint, int64(mostWhole)
	if e.Retry != nil {
		most = e.Retry.MaxBody
	}
	if c.signs() {
		ahead = max(ahead, mostSigned)
	}
	// One that has come costs little to keep, and more to read while the request leaves.
	arrived := c.x.Arrived && c.x.Length > 0 && !c.x.Continue && len(c.x.TrailerNames) == 0
	early := c.mayHedge() && c.x.Length >= 0
	if ahead == 0 && (e.Retry == nil && !c.mayHedge() && !arrived || c.x.Length > most) {
		return
	}
	if ahead > 0 && e.Retry == nil {
		most = ahead
	}
	k := &c.bodies.kept
	k.from, k.most, k.ctx, k.room = c.body, max(most, ahead), ctx, &c.g.room
	if arrived && c.x.Length <= k.most {
		k.size = c.x.Length // the engine has it already, so that it takes no room of others
	}
	if ahead == 0 && early && !k.reserve(c.x.Length) { // what is read early must stay
		return
	}
	c.kept = k
}

// resendable says whether the body can go to another target as well.
func (c *call) resendable() bool {
	switch {
	case c.body == nil || !c.body.touched():
		return true
	case c.kept != nil:
		return c.kept.whole()
	default:
		return false
	}
}
