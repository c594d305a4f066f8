package conformance_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/translate"
	"tollgate/internal/testenv/schemas"
)

// Guarantee: every row of the state machines holds: the events are those of the table, in its order, and a client's own reading of them
// finds nothing wrong.
func TestStreams(t *testing.T) {
	t.Parallel()
	eachStream(t, func(t *testing.T, g *group, c *example, stream []byte) {
		t.Helper()
		got := run(t, c.opener(t, g), [][]byte{stream}, !c.Cut)
		if c.Fails == nil && got.err != nil {
			t.Fatalf("%v\n%s", got.err, got.out)
		}
		if c.Fails != nil {
			if err := c.Fails.is(got.err, adapter.Broken); err != nil {
				t.Error(err)
			}
		}
		if err := got.legal(g.Client.Schema, c.wantsUsage()); err != nil {
			t.Errorf("%v\n%s", err, got.out)
		}
		var events []string
		if err := schemas.Events(got.out, func(_ string, data []byte) error {
			events = append(events, string(data))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if len(events) != len(c.Events) {
			t.Errorf("there are %d events and not %d", len(events), len(c.Events))
		}
		for i, e := range events {
			if i >= len(c.Events) || !covers(e, c.Events[i]) {
				t.Errorf("event %d is %s", i, e)
			}
		}
	})
}

// Guarantee: it does not matter where a stream is cut in two, whether it comes byte by byte, or which ends its lines have.
func TestStreamsInPieces(t *testing.T) {
	t.Parallel()
	forAllClients(t, func(t *testing.T, open func() adapter.Translation, g *group, c *example, lf []byte) {
		t.Helper()
		want := run(t, open, [][]byte{lf}, !c.Cut)
		for _, end := range []string{"\n", "\r\n", "\r"} {
			stream := bytes.ReplaceAll(lf, []byte("\n"), []byte(end))
			check := func(how string, pieces [][]byte) {
				if got := run(t, open, pieces, !c.Cut); !got.same(want) {
					t.Fatalf("lines end with %q, cut %s:\n%s (%v)\nand not\n%s (%v)", end, how, got.out, got.err, want.out, want.err)
				}
			}
			check("everywhere", bytes.SplitAfter(stream, nil))
			if end == "\r" || g.Client.Schema == adapter.Responses {
				continue // what is behind the reader of lines has seen all cuts
			}
			for i := range stream {
				if end == "\r\n" && !besideAnEnd(stream, i) {
					continue // the same cut as without the "\r"
				}
				check(fmt.Sprint("at ", i), [][]byte{stream[:i], stream[i:]})
			}
		}
	})
}

// besideAnEnd says whether a cut is before, in or behind the end of a line.
func besideAnEnd(stream []byte, at int) bool {
	return bytes.ContainsAny(stream[max(0, at-1):min(len(stream), at+1)], "\r\n")
}

// Guarantee: no part of a stream that breaks off looks whole to its client; one that comes to its end looks whole only if the
// vendor has said that it is.
func TestStreamsThatEndEarly(t *testing.T) {
	t.Parallel()
	forAllClients(t, func(t *testing.T, open func() adapter.Translation, g *group, c *example, stream []byte) {
		t.Helper()
		for _, whole := range []bool{false, true} {
			var last result
			for i := range stream {
				if !besideAnEnd(stream, i) && i%8 != 0 {
					continue // an unfinished line is one wherever it is broken off; some are tried
				}
				got := run(t, open, [][]byte{stream[:i]}, whole)
				if got.err == nil && !ended(g.Vendor.Schema, stream[:i], whole) {
					t.Fatalf("%d bytes, whole: %v: it looks whole\n%s", i, whole, got.out)
				}
				if i > 0 && got.same(last) {
					continue // as it was a byte before
				}
				last = got
				if err := got.legal(g.Client.Schema, c.wantsUsage()); err != nil {
					t.Fatalf("%d bytes: %v\n%s", i, err, got.out)
				}
			}
		}
	})
}

// forAllClients runs a test for every case of a stream, with the client that it is for, and with one of Responses.
func forAllClients(t *testing.T, do func(*testing.T, func() adapter.Translation, *group, *example, []byte)) {
	t.Helper()
	eachStream(t, func(t *testing.T, g *group, c *example, stream []byte) {
		t.Helper()
		do(t, c.opener(t, g), g, c, stream)
		other := *c
		other.Text = `{"model":"mine","input":"Hi","stream":true,"tools":[{"type":"function","name":"f"},{"type":"function","name":"g"}]}`
		responses := &group{Client: schema{adapter.Responses}, Vendor: g.Vendor}
		do(t, other.opener(t, responses), responses, &other, stream)
	})
}

// opener makes the same translation again and again: each has one stream.
func (c *example) opener(tb testing.TB, g *group) func() adapter.Translation {
	tb.Helper()
	body, call := c.request(tb, g.Client.Schema), c.call(tb)
	return func() adapter.Translation {
		x, err := translate.New(g.Client.Schema, g.Vendor.Schema, body, call)
		if err != nil {
			tb.Fatal(err)
		}
		return x
	}
}

// ended says whether a vendor has said in a stream that its answer is whole.
func ended(vendor adapter.Schema, stream []byte, whole bool) bool {
	if vendor == adapter.Messages {
		return bytes.Contains(stream, []byte(`{"type":"message_stop"}`)) || whole && bytes.Contains(stream, []byte(`"stop_reason":"`))
	}
	return bytes.Contains(stream, []byte("data: [DONE]")) || whole && bytes.Contains(stream, []byte(`"finish_reason":"`))
}

// Guarantee: what is sent while the vendor is silent is never wrong, wherever it comes.
func TestPings(t *testing.T) {
	t.Parallel()
	eachStream(t, func(t *testing.T, g *group, c *example, stream []byte) {
		t.Helper()
		s := c.accepted(t, g).Stream(t.Context())
		var got result
		got.out = s.Ping(nil)
		for _, event := range bytes.SplitAfter(stream, []byte("\n\n")) {
			if got.out, got.err = s.Next(got.out, event); got.err != nil {
				break
			}
			if !got.complete(g.Client.Schema) {
				got.out = s.Ping(got.out)
			}
		}
		if got.err == nil {
			got.out, got.err = s.End(got.out, !c.Cut)
		}
		got.fail(t, s)
		if err := got.legal(g.Client.Schema, c.wantsUsage()); err != nil {
			t.Errorf("%v\n%s", err, got.out)
		}
	})
}

// eachStream runs a test for every case of a stream.
func eachStream(t *testing.T, do func(*testing.T, *group, *example, []byte)) {
	t.Helper()
	each(t, func(t *testing.T, g *group, c *example) {
		t.Helper()
		if c.Stream != nil {
			do(t, g, c, c.stream(t, g.Vendor.Schema))
		}
	})
}

// stream is that of a case as the vendor sends it.
func (c *example) stream(tb testing.TB, vendor adapter.Schema) (out []byte) {
	tb.Helper()
	for _, raw := range c.Stream {
		var text string
		if json.Unmarshal(raw, &text) == nil {
			if !strings.HasPrefix(text, ":") {
				text = "data: " + text
			}
			out = append(out, text+"\n\n"...)
			continue
		}
		var event bytes.Buffer
		if err := json.Compact(&event, raw); err != nil {
			tb.Fatal(err)
		}
		if vendor == adapter.Messages {
			out = append(out, "event: "+gjson.GetBytes(raw, "type").Str+"\n"...)
		}
		out = append(append(append(out, "data: "...), event.Bytes()...), "\n\n"...)
	}
	return out
}

// wantsUsage says whether a client of Chat Completions has asked for usage.
func (c *example) wantsUsage() bool {
	return gjson.GetBytes(c.Request, "stream_options.include_usage").Bool()
}

// result is what a client gets of a stream.
type result struct {
	out []byte
	err error
}

// run translates a stream.
func run(tb testing.TB, open func() adapter.Translation, pieces [][]byte, whole bool) (r result) {
	tb.Helper()
	s := open().Stream(tb.Context())
	for _, p := range pieces {
		if r.out, r.err = s.Next(r.out, p); r.err != nil {
			break
		}
	}
	if r.err == nil {
		r.out, r.err = s.End(r.out, whole)
	}
	r.fail(tb, s)
	return r
}

// fail appends the error as the last event, as the gateway does.
func (r *result) fail(tb testing.TB, s adapter.Stream) {
	tb.Helper()
	if r.err == nil {
		return
	}
	var e *adapter.Error
	if !errors.As(r.err, &e) {
		tb.Fatalf("%v is of the type %T", r.err, r.err)
	}
	r.out = s.Fail(r.out, e, "req_1")
}

func (r result) same(other result) bool {
	return bytes.Equal(r.out, other.out) && reflect.DeepEqual(r.err, other.err)
}

// complete says whether a client takes the stream for a whole answer.
func (r result) complete(client adapter.Schema) bool {
	switch client {
	case adapter.Messages:
		return bytes.Contains(r.out, []byte("event: message_stop\n"))
	case adapter.Responses:
		return bytes.Contains(r.out, []byte("event: response.completed\n")) || bytes.Contains(r.out, []byte("event: response.incomplete\n"))
	default:
		return bytes.Contains(r.out, []byte("data: [DONE]\n"))
	}
}

// legal says what a client finds wrong with the stream, which must be whole if and only if there was no error.
func (r result) legal(client adapter.Schema, usage bool) error {
	if r.complete(client) != (r.err == nil) {
		return fmt.Errorf("complete: %v, and there was %w", r.complete(client), r.err)
	}
	switch client {
	case adapter.Messages:
		var s schemas.MessagesStream
		if err := s.Read(r.out); err != nil {
			return err
		}
		if s.Complete() != (r.err == nil) || s.Failed() != (r.err != nil) {
			return fmt.Errorf("complete: %v, failed: %v, and there was %w", s.Complete(), s.Failed(), r.err)
		}
	case adapter.Responses:
		s, err := schemas.ResponsesStream(r.out)
		if err != nil {
			return err
		}
		if failed := s.Error != "" || gjson.Get(s.Final, "status").Str == "failed"; failed != (r.err != nil) {
			return fmt.Errorf("the last response is %s, the error %s, and there was %w", s.Final, s.Error, r.err)
		}
	default:
		s, err := schemas.ChatStream(r.out, usage)
		if err != nil {
			return err
		}
		if s.Done != (r.err == nil) || (s.Error != "") != (r.err != nil) {
			return fmt.Errorf("done: %v, error: %s, and there was %w", s.Done, s.Error, r.err)
		}
	}
	return nil
}

// covers says whether an event has all that is wanted of it.
func covers(event string, want json.RawMessage) bool {
	var text string
	if json.Unmarshal(want, &text) == nil {
		return text == event
	}
	var g, w any
	return json.Unmarshal([]byte(event), &g) == nil && json.Unmarshal(want, &w) == nil && within(w, g)
}

// within says whether all of a is in b; lists are compared whole.
func within(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		for k, v := range a {
			have, has := b[k]
			ok = ok && has && within(v, have)
		}
		return ok
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !within(a[i], b[i]) {
				return false
			}
		}
		return true
	default:
		return reflect.DeepEqual(a, b)
	}
}
