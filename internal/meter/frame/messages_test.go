package frame_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"
	"pgregory.net/rapid"

	"tollgate/internal/meter/frame"
)

// wire is one frame of a WebSocket; mask 0 for none.
func wire(first byte, mask uint32, payload string) string {
	b := []byte{first}
	masked := byte(0)
	if mask != 0 {
		masked = 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b = append(b, masked|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, masked|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, masked|127), uint64(n))
	}
	if mask == 0 {
		return string(b) + payload
	}
	b = binary.BigEndian.AppendUint32(b, mask)
	key := b[len(b)-4:]
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return string(b)
}

// deflated are messages as permessage-deflate writes them, each referring to those before it.
func deflated(texts ...string) (out []string) {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 6)
	for _, text := range texts {
		_, _ = w.Write([]byte(text))
		_ = w.Flush()
		out = append(out, strings.TrimSuffix(b.String(), "\x00\x00\xff\xff"))
		b.Reset()
	}
	return out
}

// final are messages each of which ends its own stream.
func final(text string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 6)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String() + "\x00"
}

const text, binaryMessage, more, last, compressed = 0x81, 0x82, 0x01, 0x80, 0xc1

// sockets are what one side of a WebSocket sends.
func sockets() map[string]struct{ body, want, trouble string } {
	long := `{"b":"` + strings.Repeat("x", 70_000) + `","a":1}`
	middle := `{"b":"` + strings.Repeat("x", 1000) + `","a":1}`
	z := deflated(`{"type":"t","a":1}`, `{"type":"t","a":2}`, "", `{"type":"t","a":3}`)
	return map[string]struct{ body, want, trouble string }{
		"messages":       {wire(text, 0, `{"a":1}`) + wire(binaryMessage, 0, `{"a":2,"type":"t"}`) + wire(text, 0, "no"), `{"a":1} t:{"a":2,"type":"t"} -`, ""},
		"masked":         {wire(text, 0x12345678, `{"a":1,"b":"0123456789"}`) + wire(text, 1, `{"a":2}`), `{"a":1} {"a":2}`, ""},
		"of all lengths": {wire(text, 7, middle) + wire(text, 0x01020304, long) + wire(text, 9, ""), `{"a":1} {"a":1} -`, ""},
		"in parts with pings between": {
			wire(more, 0, `{"a"`) + wire(0x89, 0, "ping") + wire(0x00, 0, ":1") + wire(0x8a, 0, "") + wire(last, 0, "}") + wire(0x88, 0, "\x03\xe8"),
			`{"a":1}`, "",
		},
		"compressed": {
			wire(compressed, 5, z[0]) + wire(0x41, 5, z[1][:2]) + wire(last, 5, z[1][2:]) + wire(compressed, 0, z[2]) + wire(text, 0, "{}") + wire(compressed, 0, z[3]),
			`t:{"type":"t","a":1} t:{"type":"t","a":2} - {} t:{"type":"t","a":3}`, "",
		},
		"compressed each on its own":     {wire(compressed, 0, final(`{"a":1}`)) + wire(compressed, 0, final(`{"a":2}`)), `{"a":1} {"a":2}`, ""},
		"compressed in a way of its own": {wire(compressed, 0, "\xff\xff\xff") + wire(text, 0, "{}"), "", "compressed in a way"},
		"broken off":                     {wire(text, 0, `{"a":1}`) + wire(text, 0, `{"a":2}`)[:5], `{"a":1} -…`, ""},
		"no frame":                       {wire(0x83, 0, "{}"), "", "no frame of the protocol"},
		"a long ping":                    {wire(0x89, 0, strings.Repeat("x", 126)), "", "no frame of the protocol"},
		"a message in another":           {wire(more, 0, "{") + wire(text, 0, "{}"), "", "does not go on"},
		"a part of nothing":              {wire(last, 0, "{}"), "", "does not go on"},
	}
}

// Guarantee: the messages of a WebSocket are these, whole or in bytes, masked, in parts and compressed.
func TestMessagesOfWebSockets(t *testing.T) {
	t.Parallel()
	for name, c := range sockets() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, r := range []read{readAll(frame.Messages, "", paths(t, "a"), c.body), readAll(frame.Messages, "", paths(t, "a"), split(c.body)...)} {
				if r.docs() != c.want || (r.trouble != "") != (c.trouble != "") || !strings.Contains(r.trouble, c.trouble) {
					t.Errorf("got %s %q, want %s %q", r.docs(), r.trouble, c.want, c.trouble)
				}
			}
		})
	}
}

// Guarantee: messages with a mask are from the caller, those without one from the target.
func TestWhoSentAMessage(t *testing.T) {
	t.Parallel()
	r := readAll(frame.Messages, "", paths(t), wire(text, 3, "{}")+wire(text, 0, "{}"))
	if len(r.frames) != 2 || !r.frames[0].sent || r.frames[1].sent {
		t.Errorf("got %+v", r.frames)
	}
}

// Guarantee: a compressed message where none was agreed on is trouble, and nothing behind it is read.
func TestCompressionThatWasNotAgreedOn(t *testing.T) {
	t.Parallel()
	s := frame.New(frame.Messages, "", paths(t), func(*frame.Frame) { t.Error("there is a frame") })
	s.Write([]byte(wire(compressed, 0, deflated("{}")[0]) + wire(text, 0, "{}")))
	s.End(true)
	if !strings.Contains(s.Trouble(), "not agreed on") {
		t.Errorf("got %q", s.Trouble())
	}
}

// Guarantee: the messages of a WebSocket do not depend on the pieces in which they come, however they are damaged.
func TestMessagesDoNotDependOnPieces(t *testing.T) {
	t.Parallel()
	all := sockets()
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	p := paths(t, "a")
	rapid.Check(t, func(t *rapid.T) {
		body := all[rapid.SampledFrom(names).Draw(t, "case")].body
		for range rapid.IntRange(0, 2).Draw(t, "mistakes") {
			at := rapid.IntRange(0, min(len(body), 64)).Draw(t, "at")
			body = body[:at] + rapid.StringN(0, 2, 4).Draw(t, "junk") + body[at:]
		}
		whole, cut := readAll(frame.Messages, "", p, body), readAll(frame.Messages, "", p, pieces(t, body)...)
		if !slices.Equal(whole.frames, cut.frames) || whole.trouble != cut.trouble {
			t.Fatalf("%.200q\nwhole  %s %q\npieces %s %q", body, whole.docs(), whole.trouble, cut.docs(), cut.trouble)
		}
	})
}

// FuzzMessages looks for a WebSocket whose messages depend on where they are cut.
func FuzzMessages(f *testing.F) {
	for _, c := range sockets() {
		f.Add([]byte(c.body), 7)
	}
	f.Fuzz(func(t *testing.T, body []byte, cut int) {
		p := paths(t, "a")
		at := max(0, min(cut, len(body)))
		whole, parts := readAll(frame.Messages, "", p, string(body)), readAll(frame.Messages, "", p, string(body[:at]), string(body[at:]))
		if !slices.Equal(whole.frames, parts.frames) || whole.trouble != parts.trouble {
			t.Fatalf("%q\nwhole  %s %q\ncut %d %s %q", body, whole.docs(), whole.trouble, at, parts.docs(), parts.trouble)
		}
	})
}
