package proxy

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// Guarantee: however a body comes, what was read of it ahead is its beginning, it is whole exactly if all of it was read, and
// the attempt gets every byte of it.
func TestReadAhead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Repeat(rapid.StringN(0, 20, -1).Draw(t, "text"), rapid.IntRange(1, 8000).Draw(t, "times"))
		most := rapid.Int64Range(1, 100_000).Draw(t, "most")
		length := int64(-1)
		if rapid.Bool().Draw(t, "told") {
			length = int64(len(text))
		}
		var from io.Reader = strings.NewReader(text)
		if rapid.Bool().Draw(t, "in pieces") {
			from = iotest.HalfReader(from)
		}
		if rapid.Bool().Draw(t, "ends with its last piece") {
			from = iotest.DataErrReader(from)
		}
		shared := &room{}
		if rapid.Bool().Draw(t, "little room") {
			shared.used.Store(mostKept - rapid.Int64Range(0, 70_000).Draw(t, "room"))
		}
		before := shared.used.Load()
		k := &kept{from: &limited{Body: sentBody{from}}, most: most, ctx: t.Context(), room: shared}
		whole, err := k.ahead(most, length, false)
		if err != nil || !strings.HasPrefix(text, string(k.data)) || whole && len(k.data) != len(text) || int64(len(k.data)) > most {
			t.Fatalf("read %d bytes of %d, %v, %v", len(k.data), len(text), whole, err)
		}
		if !whole && int64(len(text)) < most && before == 0 {
			t.Fatalf("%d bytes are not whole with %d allowed", len(text), most)
		}
		got, err := io.ReadAll(k.view())
		if string(got) != text || err != nil {
			t.Fatalf("the attempt gets %d bytes of %d, %v", len(got), len(text), err)
		}
		if k.release(); shared.used.Load() != before {
			t.Fatalf("%d bytes of room are lost", shared.used.Load()-before)
		}
	})
}

// Guarantee: a body that breaks off, or is over the limit, is an error and nothing of it leaves.
func TestReadAheadBreaksOff(t *testing.T) {
	t.Parallel()
	k := &kept{from: &limited{Body: sentBody{io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(io.ErrUnexpectedEOF))}}, most: 100, ctx: t.Context(), room: &room{}}
	if _, err := k.ahead(100, 10, false); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("broken off: %v", err)
	}
	k = &kept{from: &limited{Body: sentBody{strings.NewReader("abcdef")}, limit: 5, left: 5}, most: 100, ctx: t.Context(), room: &room{}}
	if _, err := k.ahead(100, -1, false); !errors.Is(err, errTooLarge) || !k.from.over() {
		t.Errorf("over the limit: %v", err)
	}
}

// Guarantee: a request whose body cannot be read before it is sent is refused before anything is held or recorded; one that waits to
// be asked for its body is.
func TestBodyOfMeteredRequest(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *options) {
		e := metered(t, chat, "HOLD", boundHold)
		e.Id, e.Name, e.Path, e.Targets, e.MaxBodyBytes = "ep_chat", "m", "/meters", o.endpoints[0].GetTargets(), 100
		o.endpoints = append(o.endpoints, e)
	})
	for name, tc := range map[string]struct {
		request string
		status  int
		code    string
	}{
		"too long":      {"POST /meters/chat HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer " + testKey + "\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + strings.Repeat("x", 101) + "\r\n0\r\n\r\n", 413, "body_too_large"},
		"no chunk":      {"POST /meters/chat HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer " + testKey + "\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "body_invalid"},
		"not a meter's": {"POST /meters/other HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer " + testKey + "\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", 403, "not_priced"},
	} {
		c := b.dial()
		c.send("%s", tc.request)
		if m := c.answer("POST"); m.status() != tc.status || !strings.Contains(m.body, tc.code) {
			t.Errorf("%s: %s %s", name, m.first, m.body)
		}
	}
	if len(b.spool.order) != 0 {
		t.Errorf("%d intents", len(b.spool.order))
	}
	b.vendor.answer(reply("200 OK", "ok"))
	c := b.dial()
	c.send("%s", "POST /meters/chat HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer "+testKey+"\r\nContent-Length: 35\r\nExpect: 100-continue\r\n\r\n")
	if m := c.answer("POST"); m.status() != 100 {
		t.Fatalf("got %s", m.first)
	}
	c.send("%s", `{"model":"gpt-4o","max_tokens":1  }`)
	if m := c.answer("POST"); m.status() != 200 || m.body != "ok" {
		t.Errorf("got %s %s", m.first, m.body)
	}
	// No more than the bound, which it cannot have exceeded.
	if end := b.settled(); !end.Unpriced || end.Cost != 35*perIn+perOut {
		t.Errorf("settled %+v", end)
	}
}
