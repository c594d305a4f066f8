package proxy

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"tollgate/edge/pool"
	metering "tollgate/internal/meter"
	"tollgate/internal/meter/inject"
)

// edits are fields that are set in the request's body for the meter's sake.
type edits struct {
	made  []metering.Edit // those that the caller has not set itself
	body  *kept           // with them; nil if there are none
	known bool            // whether that was found out
	off   bool            // a target did not take them, and the request is sent as the caller wrote it
	by    refusal         // which target that was
}

// usageOnly names the frame that is left out of an answer to a caller who did not ask for it.
const usageOnly = "usage_only"

// edit puts the request's fields into a copy of its body, once, and says which an attempt has: none if its target is
// known not to take them. What cannot be edited goes as it is.
func (t *try) edit() []metering.Edit {
	if !t.metered() || len(t.plan.hold.Edits) == 0 || t.plan.edits.off {
		return nil
	}
	e := &t.plan.edits
	if !e.known {
		e.known = true
		t.makeEdits(e)
	}
	if e.body == nil || t.c.g.refusals.has(refusal{t.by.ID, t.choice.Target.Name}) {
		return nil
	}
	return e.made
}

// digests are headers that say what a body is. One that does not fit would have the request refused.
var digests = [...]string{"Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "Content-Encoding"}

// sealed says whether a body cannot be changed without breaking it.
func sealed(headers []Header) bool {
	for i := range headers {
		h := &headers[i]
		if n := len(h.Name); h.Value == "" || n != len("Digest") && n != len("Content-Md5") && n != len("Repr-Digest") && n < len("Content-Digest") {
			continue // as nearly all
		}
		if !strings.EqualFold(h.Value, "identity") && slices.ContainsFunc(digests[:], func(name string) bool { return strings.EqualFold(name, h.Name) }) {
			return true
		}
	}
	return false
}

func (t *try) makeEdits(e *edits) {
	r := &t.plan.request
	if !r.Whole || r.Sealed || len(r.Body) == 0 || t.body == nil {
		return
	}
	wanted := make([]inject.Field, 0, len(t.plan.hold.Edits))
	for _, edit := range t.plan.hold.Edits {
		wanted = append(wanted, inject.Field{Path: edit.Path, Value: edit.Value})
	}
	body, set, err := inject.Set(r.Body, wanted...)
	if err != nil || len(set) == 0 {
		return
	}
	k := &kept{from: t.body.from, ctx: t.body.ctx, room: t.body.room, most: int64(len(body)), end: io.EOF}
	if !k.reserve(int64(len(body))) {
		return
	}
	if k.data = body; t.request.Length >= 0 && len(t.request.TrailerNames) == 0 {
		k.size = int64(len(body))
	}
	e.body = k
	for _, edit := range t.plan.hold.Edits {
		if slices.Contains(set, inject.Field{Path: edit.Path, Value: edit.Value}) {
			e.made = append(e.made, edit)
		}
	}
}

// sendEdited makes an attempt send the body with its edits. Its answer must be readable.
func (t *try) sendEdited() {
	body := t.plan.edits.body
	t.body = body.view()
	t.request.Body = t.body
	if t.request.Length >= 0 {
		t.request.Length = int64(len(body.data))
	}
	t.request.Headers = readable(t.request.Headers)
}

// readable asks a target for an answer that is not compressed.
func readable(headers []Header) []Header {
	headers = slices.DeleteFunc(headers, func(h Header) bool { return strings.EqualFold(h.Name, "accept-encoding") })
	return append(headers, Header{"Accept-Encoding", "identity"})
}

// strips says whether something is to be left out of an answer that the caller did not ask for.
func (t *try) strips(a *Answer) bool {
	return len(t.edits) > 0 && a.Conn == nil && isEventStream(get(a.Headers, "Content-Type")) && uncoded(a.Headers) &&
		slices.ContainsFunc(t.edits, func(e metering.Edit) bool { return e.Strip == usageOnly })
}

// mostRefusal is how long an answer is at most that is looked at for why a request was refused.
const mostRefusal = 64 << 10

// unedited says where the request goes once more, as the caller wrote it, if its target does not take the fields that
// were set in it.
func (c *call) unedited(t *try) *pool.Choice {
	a := t.answer
	if len(t.edits) == 0 || a.Conn != nil || a.Status != 400 && a.Status != 422 || a.Length > mostRefusal {
		return nil
	}
	fields := make([]inject.Field, 0, len(t.edits))
	for _, e := range t.edits {
		fields = append(fields, inject.Field{Path: e.Path, Value: e.Value})
	}
	if !inject.Refused(a.Status, t.peek(), fields) {
		return nil
	}
	t.plan.edits.off, t.plan.edits.by = true, refusal{t.by.ID, t.choice.Target.Name}
	choice, err := c.g.d.Pools.Pick(c.pool, &c.tries, nil)
	if err != nil {
		return nil
	}
	t.body.finish()
	return choice
}

// accepted remembers a target that has taken a request without the fields that it did not take before: for some time no
// others are sent there with them. One that does not take it without them either may have refused what the
// caller has written, who must not decide for all others.
func (t *try) accepted() {
	if p := t.plan; p != nil && p.edits.off && p.edits.by.target == t.choice.Target.Name {
		t.c.g.refusals.add(p.edits.by)
	}
}

// peek is the beginning of an answer, which can still be passed on after it.
func (t *try) peek() []byte {
	a := t.answer
	defer t.listen().stop()
	seen, err := io.ReadAll(io.LimitReader(a.Body, mostRefusal))
	rest := io.Reader(a.Body)
	if err != nil {
		rest = failed{err}
	}
	a.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(seen), rest), a.Body}
	return seen
}

// failed is a body that could not be read.
type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }

// refusal is a target that does not take what an endpoint sets.
type refusal struct{ endpoint, target string }

// refusedFor is how long a target is remembered that did not take a field: some learn it.
const refusedFor = 10 * time.Minute

// refusals are targets that were sent fields that they do not take.
type refusals struct{ until sync.Map } // of refusal to time.Time

func (r *refusals) add(of refusal) { r.until.Store(of, time.Now().Add(refusedFor)) }

func (r *refusals) has(of refusal) bool {
	until, ok := r.until.Load(of)
	if !ok {
		return false
	}
	if time.Now().Before(until.(time.Time)) { //nolint:forcetypeassert // nothing else is stored
		return true
	}
	r.until.CompareAndDelete(of, until)
	return false
}

// forget drops endpoints that keep refuses.
func (r *refusals) forget(keep func(endpointID string) bool) {
	r.until.Range(func(of, _ any) bool {
		if !keep(of.(refusal).endpoint) { //nolint:forcetypeassert // nothing else is stored
			r.until.Delete(of)
		}
		return true
	})
}
