package proxy

import (
	"bytes"
	"context"
	"strings"
	"time"

	metering "tollgate/internal/meter"
)

// begun takes in the beginning of an answer. mu is held, here and below.
func (m *meter) begun(ctx context.Context, a *Answer) {
	m.stream = isEventStream(get(a.Headers, "Content-Type")) && uncoded(a.Headers) && a.Conn == nil
	m.tunnel = a.Conn != nil
	m.reading.Answered(a.Status, func(name string) string { return joined(a.Headers, name) })
	m.follow(ctx)
}

// joined is all that the headers of a name say, with commas between it, as in one header. So a number that is there twice is
// none, and nobody has to choose.
func joined(headers []Header, name string) string {
	value, found, again := "", false, false
	for i := range headers {
		switch {
		case len(headers[i].Name) != len(name) || !strings.EqualFold(headers[i].Name, name):
		case !found:
			value, found = headers[i].Value, true
		case again || headers[i].Value != value || strings.EqualFold(name, "content-encoding"):
			value, again = value+", "+headers[i].Value, true
		}
	}
	return value
}

// follow holds more for what it costs by now, where there is more. The answer goes on in any case: what it costs is
// known only when it is there.
func (m *meter) follow(ctx context.Context) {
	if !m.short && m.afford(ctx) != nil {
		m.short = true
	}
}

// afford holds what it costs by now, or says why there is not as much.
func (m *meter) afford(ctx context.Context) error {
	if cost := m.cost(); cost > m.safe {
		if err := m.hold(ctx, cost, cost); err != nil {
			return err
		}
	}
	m.note()
	return nil
}

// read says how much of a piece of the answer may go on. A stream that cannot be paid any more ends after the last
// frame that was; an error says why. What the target has sent by then is charged as far as it could be held.
func (m *meter) read(ctx context.Context, p []byte) (fits int, err error) {
	if !m.tunnel && !m.reading.Streams() {
		m.reading.Received(p)
		m.follow(ctx)
		return len(p), nil
	}
	whole, found := 0, !m.partial
	for at := 0; at < len(p); {
		piece := p[at:]
		if i := bytes.IndexByte(piece, '\n'); i >= 0 && m.stream {
			piece = piece[:i+1]
		}
		m.reading.Received(piece)
		end := m.reading.Boundary()
		if err := m.afford(ctx); err != nil {
			if ctx.Err() != nil {
				return 0, err
			}
			if found {
				at = whole
			}
			if at > 0 {
				m.last = p[at-1]
			}
			return at, err
		}
		if m.partial = end < len(piece); end > 0 {
			whole, found = at+end, true
		}
		at += len(piece)
	}
	if len(p) > 0 {
		m.last = p[len(p)-1]
	}
	return len(p), nil
}

// unanswered takes a request that was sent whole for one that was answered in order: its target does the work, and
// what that costs is not known.
func (m *meter) unanswered() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reading != nil {
		m.reading.Answered(200, func(string) string { return "" })
	}
}

// unknown says whether it is known by now that the cost will not be.
func (m *meter) unknown() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reading != nil && !m.over && m.reading.Unpriced()
}

// bill ends the reading. It may be called once.
func (m *meter) bill(whole bool, elapsed time.Duration, trailers []Header) *metering.Bill {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.over = true
	return m.reading.End(metering.End{
		Whole: whole, Elapsed: elapsed, Held: m.amount, Trailer: func(name string) string { return joined(trailers, name) },
	})
}
