package rpc

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"strings"
	"testing"

	"pgregory.net/rapid"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Guarantee: a body that is pasted without its headers is read as what it looks like, and not at all where that
// could be anything.
func TestContentTypeIsGuessed(t *testing.T) {
	t.Parallel()
	message := binary.BigEndian.AppendUint32(nil, 24)
	message = append(binary.BigEndian.AppendUint32(message, 4), make([]byte, 16)...)
	for body, want := range map[string]string{
		`{"usage": {"tokens": 1}}`:              "application/json",
		"\n  [1, 2]\n":                          "application/json",
		"\xef\xbb\xbf{\"a\": 1}":                "application/json",
		"{\n  \"a\": 1\n}\n":                    "application/json",
		"{\"a\": 1}\n{\"a\": 2}\n":              "application/x-ndjson",
		"{\"a\": 1}\n{\"a\":":                   "application/x-ndjson",
		`{"broken`:                              "application/json",
		"data: {\"a\": 1}\n\n":                  "text/event-stream",
		": a comment\n\ndata: 1\n\n":            "text/event-stream",
		"event: message_start\ndata: {}\n\n":    "text/event-stream",
		string(message):                         "application/vnd.amazon.eventstream",
		string(message) + string(message):       "application/vnd.amazon.eventstream",
		string(message[:20]):                    "",
		"plain text":                            "",
		"\xff\xd8\xff\xe0 a picture of a house": "",
		"":                                      "",
		" ":                                     "",
	} {
		if got := contentType([]byte(body)); got != want {
			t.Errorf("%q is taken for %q, want %q", body, got, want)
		}
	}
}

// Guarantee: what a sample leaves out is what a caller means; what it says stays.
func TestSampleIsFilledIn(t *testing.T) {
	t.Parallel()
	x := newExchange(&controlv1.Sample{Body: []byte(`{"a": 1}`), RequestBody: []byte("12"), Path: "v1/chat?x=1"})
	if r := x.request; r.Method != "POST" || r.Path != "/v1/chat" || r.Query != "x=1" || string(r.Body) != "12" || !r.Whole || r.Length != 2 || r.WebSocket {
		t.Errorf("request %+v", r)
	}
	if x.status != 200 || x.answer.Get("content-type") != "application/json" || !x.whole || len(x.notes) != 1 {
		t.Errorf("answer %d %v, whole %v, notes %q", x.status, x.answer, x.whole, x.notes)
	}
	header := func(name, value string) []*controlv1.SampleHeader {
		return []*controlv1.SampleHeader{{Name: name, Value: value}}
	}
	x = newExchange(&controlv1.Sample{
		Method: "put", Status: 404, Interrupted: true, Body: []byte(`{"a": 1}`), Headers: header("content-TYPE", "text/plain"),
		RequestHeaders: header("content-encoding", "gzip"), RequestBody: []byte("123"),
	})
	if r := x.request; r.Method != "PUT" || r.Path != "/" || r.Body != nil || r.Whole || r.Length != 3 || r.Header("Content-Encoding") != "gzip" {
		t.Errorf("request %+v", r)
	}
	if len(x.notes) != 1 {
		t.Errorf("notes %q", x.notes)
	}
	if x.status != 404 || x.answer.Get("Content-Type") != "text/plain" || x.whole || string(x.sent) != "123" {
		t.Errorf("answer %d %v, whole %v", x.status, x.answer, x.whole)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(`{"model":"m"}`)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	x = newExchange(&controlv1.Sample{RequestHeaders: header("content-encoding", "gzip"), RequestBody: packed.Bytes()})
	if r := x.request; string(r.Body) != `{"model":"m"}` || !r.Whole || r.Length != int64(packed.Len()) || len(x.notes) > 0 {
		t.Errorf("a body that is compressed is %+v, %q", r, x.notes)
	}
	x = newExchange(&controlv1.Sample{RequestHeaders: header("upgrade", "WebSocket"), Body: []byte("{}\r\n\n[]"), RequestBody: []byte("{}")})
	if !x.request.WebSocket || x.request.Method != "GET" || x.status != 101 || string(x.received) != "\x81\x02{}\x81\x02[]" || string(x.sent) != "\x81\x82\x00\x00\x00\x00{}" {
		t.Errorf("WebSocket %+v, %d, %q, %q", x.request, x.status, x.sent, x.received)
	}
}

// Guarantee: whatever the lengths of messages, their frames can be taken apart again by the rules of RFC 6455.
func TestMessagesAreFramed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var want []string
		for range rapid.IntRange(0, 5).Draw(t, "messages") {
			n := rapid.SampledFrom([]int{1, 125, 126, 127, 65535, 65536, 70000}).Draw(t, "length")
			want = append(want, strings.Repeat("x", n))
		}
		masked := rapid.Bool().Draw(t, "masked")
		rest := messages([]byte(strings.Join(want, "\n")), masked)
		for _, text := range want {
			if rest[0] != 0x81 || rest[1]&0x80 != 0 != masked {
				t.Fatalf("a frame begins with % x", rest[:2])
			}
			n := int(rest[1] & 0x7f)
			switch rest = rest[2:]; n {
			case 126:
				n, rest = int(binary.BigEndian.Uint16(rest)), rest[2:]
			case 127:
				n, rest = int(binary.BigEndian.Uint64(rest)), rest[8:]
			}
			if masked {
				rest = rest[4:]
			}
			if !bytes.Equal(rest[:n], []byte(text)) {
				t.Fatalf("%d bytes of %d came back", n, len(text))
			}
			rest = rest[n:]
		}
		if len(rest) != 0 {
			t.Fatalf("%d bytes are left", len(rest))
		}
	})
}
