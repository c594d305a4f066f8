package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// multiplexed is a connection of HTTP/2 on which several requests are under way. Each answer makes the next request.
type multiplexed struct {
	c      net.Conn
	framer *http2.Framer
	out    bytes.Buffer // frames that were not sent yet
	fields bytes.Buffer
	enc    *hpack.Encoder
	dec    *hpack.Decoder
	job    Job
	body   []byte

	next   uint32
	open   map[uint32]*stream
	status string // of the head that is decoded
	taken  uint32 // bytes of bodies for which the peer was not given room yet
	window int64  // how much the peer takes on the connection
}

// stream is a request that is under way.
type stream struct {
	began time.Time
	got   int
}

const (
	room      = 1 << 30 // that the peer has to send; far more than it uses
	roomAgain = 1 << 20
	frameSize = 16 << 10
)

func newMultiplexed(j Job) (prepared, tally, error) {
	c, err := dial(j, "h2")
	if err != nil {
		return nil, tally{}, err
	}
	one := &multiplexed{c: c, job: j, body: body(j.Body), next: 1, open: map[uint32]*stream{}, window: 1<<16 - 1}
	one.framer = http2.NewFramer(&one.out, bufio.NewReaderSize(c, readSize))
	one.framer.SetReuseFrames()
	one.enc = hpack.NewEncoder(&one.fields)
	one.dec = hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if f.Name == ":status" {
			one.status = f.Value
		}
	})
	if err := one.begin(); err != nil {
		return nil, tally{}, errors.Join(err, c.Close())
	}
	return one, tally{sent: 1}, nil
}

func (one *multiplexed) close() { _ = one.c.Close() }

// begin greets the peer and has one request answered.
func (one *multiplexed) begin() error {
	if err := one.c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	one.out.WriteString(http2.ClientPreface)
	if err := errors.Join(
		one.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: room}, http2.Setting{ID: http2.SettingEnablePush, Val: 0}),
		one.framer.WriteWindowUpdate(0, room),
		one.send(),
	); err != nil {
		return err
	}
	for len(one.open) > 0 {
		if _, _, err := one.turn(); err != nil {
			return err
		}
	}
	return nil
}

// start keeps so many requests under way until the time is over.
func (one *multiplexed) start(_, until time.Time) tally {
	t := tally{late: NewHistogram()}
	if t.err = one.c.SetDeadline(until.Add(patience)); t.err != nil {
		return t
	}
	for range one.job.AtOnce {
		if t.err = one.send(); t.err != nil {
			return t
		}
		t.sent++
	}
	for len(one.open) > 0 {
		ended, took, err := one.turn()
		if err != nil {
			t.err = err
			return t
		}
		if !ended {
			continue
		}
		t.done++
		record(t.late, took)
		if time.Now().Before(until) {
			if t.err = one.send(); t.err != nil {
				return t
			}
			t.sent++
		}
	}
	return t
}

// send begins a request. Its frames leave with the next turn.
func (one *multiplexed) send() error {
	one.fields.Reset()
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: "localhost"},
		{Name: ":path", Value: one.job.Path},
		{Name: "user-agent", Value: "compare/1.0"},
		{Name: "accept", Value: "application/json"},
		{Name: "authorization", Value: "Bearer " + one.job.Key},
		{Name: "content-type", Value: "application/json"},
		{Name: "content-length", Value: strconv.Itoa(len(one.body))},
	} {
		if err := one.enc.WriteField(f); err != nil {
			return err
		}
	}
	if len(one.body) > frameSize || int64(len(one.body)) > one.window {
		return fmt.Errorf("the peer takes %d bytes, and a request has %d", one.window, len(one.body))
	}
	one.window -= int64(len(one.body))
	id := one.next
	one.next += 2
	one.open[id] = &stream{began: time.Now()}
	return errors.Join(
		one.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: one.fields.Bytes(), EndHeaders: true}),
		one.framer.WriteData(id, true, one.body),
	)
}

// turn sends what there is to send and takes the next frame, which may end a request.
func (one *multiplexed) turn() (ended bool, took time.Duration, err error) {
	if one.out.Len() > 0 {
		if _, err := one.c.Write(one.out.Bytes()); err != nil {
			return false, 0, err
		}
		one.out.Reset()
	}
	f, err := one.framer.ReadFrame()
	if err != nil {
		return false, 0, err
	}
	switch f := f.(type) {
	case *http2.HeadersFrame:
		one.status = ""
		if _, err := one.dec.Write(f.HeaderBlockFragment()); err != nil {
			return false, 0, err
		}
		if one.status != "200" || !f.HeadersEnded() {
			return false, 0, fmt.Errorf("answered %q", one.status)
		}
		return one.end(f.StreamID, f.StreamEnded())
	case *http2.DataFrame:
		s := one.open[f.StreamID]
		if s == nil {
			return false, 0, errors.New("a body for no request")
		}
		s.got += len(f.Data())
		if one.taken += f.Length; one.taken > roomAgain {
			if err := one.framer.WriteWindowUpdate(0, one.taken); err != nil {
				return false, 0, err
			}
			one.taken = 0
		}
		return one.end(f.StreamID, f.StreamEnded())
	case *http2.SettingsFrame:
		if !f.IsAck() {
			return false, 0, one.framer.WriteSettingsAck()
		}
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			one.window += int64(f.Increment)
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			return false, 0, one.framer.WritePing(true, f.Data)
		}
	case *http2.RSTStreamFrame:
		if one.open[f.StreamID] == nil && f.ErrCode == http2.ErrCodeNo {
			return false, 0, nil // the answer was complete before the request was
		}
		return false, 0, fmt.Errorf("a request was reset: %s", f.ErrCode)
	case *http2.GoAwayFrame:
		return false, 0, fmt.Errorf("the peer goes away: %s", f.ErrCode)
	}
	return false, 0, nil
}

// end looks at an answer that may be complete.
func (one *multiplexed) end(id uint32, ended bool) (bool, time.Duration, error) {
	if !ended {
		return false, 0, nil
	}
	s := one.open[id]
	if s == nil {
		return false, 0, errors.New("an answer to no request")
	}
	delete(one.open, id)
	if s.got != one.job.Expect {
		return false, 0, fmt.Errorf("an answer of %d bytes where %d were expected", s.got, one.job.Expect)
	}
	return true, time.Since(s.began), nil
}
