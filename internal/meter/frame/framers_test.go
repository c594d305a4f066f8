package frame_test

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/internal/meter/frame"
)

// Guarantee: how a body is made of frames is known by its content type, whatever its case and its parameters.
func TestTheKindOfABody(t *testing.T) {
	t.Parallel()
	for kind, types := range map[frame.Kind][]string{
		frame.JSON:   {"application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json", "application/problem+json;x=y"},
		frame.Events: {"text/event-stream", "text/event-stream; charset=utf-8", " TEXT/EVENT-STREAM"},
		frame.Lines:  {"application/x-ndjson", "application/jsonl", "application/x-jsonlines", "application/json-lines", "application/stream+json"},
		frame.AWS:    {"application/vnd.amazon.eventstream"},
		frame.None:   {"", "text/plain", "image/png", "audio/mpeg", "+json", "application/+json", "json", "multipart/form-data; boundary=json"},
	} {
		for _, s := range types {
			if got := frame.KindOf(s); got != kind {
				t.Errorf("%q: got %d, want %d", s, got, kind)
			}
		}
	}
}

// header is a header of an AWS message that is a text.
func header(name, value string) string {
	return string(rune(len(name))) + name + "\x07" + string([]byte{byte(len(value) >> 8), byte(len(value))}) + value
}

// message is an AWS message.
func message(headers, payload string) string {
	total := uint32(12 + len(headers) + len(payload) + 4)
	b := binary.BigEndian.AppendUint32(nil, total)
	b = binary.BigEndian.AppendUint32(b, uint32(len(headers)))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	b = append(append(b, headers...), payload...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return string(b)
}

func wrapped(doc string) string {
	return `{"p":"abcdef","bytes":"` + base64.StdEncoding.EncodeToString([]byte(doc)) + `"}`
}

var framings = []struct {
	name    string
	kind    frame.Kind
	body    string
	want    string
	trouble string // a part of it
}{
	{"a document", frame.JSON, ` {"a":1,"b":2} ` + "\n", `{"a":1}`, ""},
	{"a document with a mark before it", frame.JSON, "\xef\xbb\xbf" + `{"a":1}`, `{"a":1}`, ""},
	{"a document that is a number", frame.JSON, "12", "null", ""},
	{"no document", frame.JSON, " ", "", ""},
	{"a document that breaks off", frame.JSON, `{"a":1`, "-…", "broke off"},
	{"a document that is none", frame.JSON, `{"a":1}}`, "-", "not JSON"},
	{"two documents", frame.JSON, `{"a":1}{"a":2}`, "-", "not JSON"},
	{"a page", frame.JSON, `<html>`, "-", "not JSON"},
	{"an array", frame.JSON, "[{\"a\":1},\n{\"a\":2,\"type\":\"t\"} ,3]\n", `{"a":1} t:{"a":2,"type":"t"} null`, ""},
	{"an empty array", frame.JSON, `[ ]`, "", ""},
	{"an array that breaks off in an element", frame.JSON, `[{"a":1},{"a"`, `{"a":1} -…`, "broke off"},
	{"an array that breaks off behind an element", frame.JSON, `[{"a":1}`, `{"a":1}`, "broke off"},
	{"an array with something behind it", frame.JSON, `[{"a":1}]x`, `{"a":1}`, "behind"},
	{"an array without a comma", frame.JSON, `[{"a":1}{"a":2}]`, `{"a":1}`, "belong"},
	{"an array with a comma too much", frame.JSON, `[1,]`, `null -`, "not JSON"},

	{"events", frame.Events, "data: {\"a\":1}\n\ndata:{\"a\":2}\n\n", `{"a":1} {"a":2}`, ""},
	{"events with CRLF", frame.Events, "event: x\r\ndata: {\"a\":1}\r\n\r\ndata: {\"a\":2}\r\n\r\n", `x:{"a":1} {"a":2}`, ""},
	{"events with CR", frame.Events, "data: {\"a\":1}\r\rdata: {\"a\":2}\r\r", `{"a":1} {"a":2}`, ""},
	{"events with all of them", frame.Events, "data: {\"a\":1}\r\n\ndata: {\"a\":2}\n\r\ndata: {\"a\":3}\r\n\rdata: {\"a\":4}\n\n", `{"a":1} {"a":2} {"a":3} {"a":4}`, ""},
	{"the name behind the data", frame.Events, "data: {\"a\":1}\nevent: x\n\ndata: {}\n\n", `x:{"a":1} {}`, ""},
	{"the name in the data", frame.Events, "data: {\"a\":1,\"type\":\"y\"}\n\nevent: x\ndata: {\"type\":\"y\"}\n\n", `y:{"a":1,"type":"y"} x:{"type":"y"}`, ""},
	{"the other name in the data", frame.Events, "data: {\"event_type\":\"y\\u0061\"}\n\n", `ya:{"event_type":"y\u0061"}`, ""},
	{"a mark, comments and other fields", frame.Events, "\xef\xbb\xbf: ping\n\nid: 7\nretry: 5\nretry\ndata: {\"a\":1}\n:\n\n", `{"a":1}`, ""},
	{"data in several lines", frame.Events, "data: {\"a\":\ndata: 1}\ndata\n\n", `{"a":1}`, ""},
	{"data that are no JSON", frame.Events, "data: [DONE]\n\ndata: hello\n\n", `- -`, ""},
	{"data that begin as JSON", frame.Events, "data: {\"a\":1]\n\n", `-`, "event 1 is not JSON"},
	{"events without data", frame.Events, "event: ping\n\ndata\n\ndata:\n\nevent\ndata: {}\n\n", `{}`, ""},
	{"a field whose name begins so", frame.Events, "database: 1\ndat: 2\nevents: x\ndata: {}\n\n", `{}`, ""},
	{"a last event without an end", frame.Events, "data: {\"a\":1}\n\nevent: x\ndata: {\"a\":2}", `{"a":1} x:{"a":2}…`, ""},
	{"a last event that broke off", frame.Events, "data: {\"a\":1}\n\ndata: {\"a\"", `{"a":1} -…`, "not JSON"},

	{"lines", frame.Lines, "{\"a\":1}\n{\"a\":2}\r\n\n  \r\n {\"a\":3} \n", `{"a":1} {"a":2} {"a":3}`, ""},
	{"a last line without an end", frame.Lines, "{\"a\":1}\n{\"event_type\":\"e\"}", `{"a":1} e:{"event_type":"e"}`, ""},
	{"a last line that broke off", frame.Lines, "{\"a\":1}\n{\"a\":", `{"a":1} -…`, "line 2"},
	{"a line that is none", frame.Lines, "{\"a\":1}x\n{\"a\":2}\n", `- {"a":2}`, "line 1"},

	{"messages of AWS", frame.AWS, message(header(":event-type", "m")+header(":content-type", "application/json"), `{"a":1}`) +
		message("\x01x\x00\x01y\x04\x00\x00\x00\x01"+header(":exception-type", "tooMuch")+header(":event-type", "m"), `{"a":2}`) + message("", ""), `m:{"a":1} tooMuch:{"a":2} -`, ""},
	{"chunks of Bedrock", frame.AWS, message(header(":event-type", "chunk"), wrapped(`{"a":1,"b":2}`)) +
		message(header(":event-type", "chunk"), strings.ReplaceAll(wrapped(`{"a":"?>?>é"}`), "/", `\/`)), `chunk:{"a":1} chunk:{"a":"?>?>é"}`, ""},
	{"chunks with something else", frame.AWS, message(header(":event-type", "chunk"), `{"bytes":"!","a":1}`) +
		message(header(":event-type", "chunk"), `{"a":2}`) + message(header(":event-type", "chunk"), `{"a":3,"bytes":"e30=e30="}`) +
		message(header(":event-type", "m"), wrapped(`{"a":9}`)), `chunk:{"a":1} chunk:{"a":2} chunk:{"a":3} m:{}`, ""},
	{"a message of AWS that broke off", frame.AWS, message(header(":event-type", "m"), `{"a":1}`)[:36], "m:-…", "broke off"},
	{"a message of AWS with a wrong sum", frame.AWS, strings.Replace(message(header(":event-type", "m"), `{"a":1}`), "1}", "2}", 1) + message("", "{}"), "", "wrong checksum"},
	{"a message of AWS with a wrong beginning", frame.AWS, "\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "", "at its beginning"},
	{"a message of AWS with wrong headers", frame.AWS, message("\x05abc", "{}"), "", "headers"},

	{"nothing that is read", frame.None, `{"a":1}`, "", ""},
}

// Guarantee: the frames of a body are these, whether it comes at once or in single bytes, and each in its kind.
func TestFramesOfBodies(t *testing.T) {
	t.Parallel()
	for _, c := range framings {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := paths(t, "a")
			whole, bytes := readAll(c.kind, "", p, c.body), readAll(c.kind, "", p, split(c.body)...)
			if whole.docs() != c.want || c.kind != frame.None && int(whole.count) != len(whole.frames) {
				t.Errorf("whole: got %d: %s, want %s", whole.count, whole.docs(), c.want)
			}
			if bytes.docs() != c.want {
				t.Errorf("in bytes: got %s, want %s", bytes.docs(), c.want)
			}
			for _, r := range []read{whole, bytes} {
				if (r.trouble != "") != (c.trouble != "") || !strings.Contains(r.trouble, c.trouble) {
					t.Errorf("trouble: got %q, want %q", r.trouble, c.trouble)
				}
			}
		})
	}
}

// pieces cuts a body at random places.
func pieces(t *rapid.T, body string) []string {
	var out []string
	most := rapid.SampledFrom([]int{1, 2, 7, 64, 4096}).Draw(t, "most")
	for body != "" {
		n := min(rapid.IntRange(1, most).Draw(t, "piece"), len(body))
		out = append(out, body[:n])
		body = body[n:]
	}
	return out
}

// Guarantee: the frames of a body, its trouble included, do not depend on the pieces in which it comes, however it is
// damaged.
func TestFramesDoNotDependOnPieces(t *testing.T) {
	t.Parallel()
	p := paths(t, "a")
	rapid.Check(t, func(t *rapid.T) {
		c := framings[rapid.IntRange(0, len(framings)-1).Draw(t, "case")]
		body := strings.Repeat(c.body, rapid.IntRange(1, 3).Draw(t, "times"))
		for range rapid.IntRange(0, 3).Draw(t, "mistakes") {
			at := rapid.IntRange(0, len(body)).Draw(t, "at")
			junk := rapid.SampledFrom([]string{"", "\n", "\r", "\r\n\r\n", ":", "{", "}", "[", "]", ",", "\"", "\x00", "data:"}).Draw(t, "junk")
			body = body[:at] + junk + body[min(len(body), at+rapid.IntRange(0, 2).Draw(t, "instead")):]
		}
		whole, cut := readAll(c.kind, "", p, body), readAll(c.kind, "", p, pieces(t, body)...)
		if !slices.Equal(whole.frames, cut.frames) || whole.trouble != cut.trouble {
			t.Fatalf("%q\nwhole  %s %q\npieces %s %q", body, whole.docs(), whole.trouble, cut.docs(), cut.trouble)
		}
	})
}

// Guarantee: it is known how much of a piece ends with a whole frame, so that a stream can be cut there.
func TestTheBoundaryOfFrames(t *testing.T) {
	t.Parallel()
	aws := message("", "{}")
	for _, c := range []struct {
		name   string
		kind   frame.Kind
		pieces []string
		want   []int
	}{
		{"events", frame.Events, []string{"data: {}\n", "\ndata: {}\n\ndat", "a: {}", "\r\n\r", "\ndata"}, []int{0, 11, 0, 3, 1}},
		{"lines", frame.Lines, []string{"{}\n{}", "\n", "{"}, []int{3, 1, 0}},
		{"an array", frame.JSON, []string{"[{}", ",{}, {", "}]"}, []int{3, 3, 1}},
		{"AWS", frame.AWS, []string{aws + aws[:5], aws[5:]}, []int{len(aws), len(aws) - 5}},
		{"a WebSocket", frame.Messages, []string{"\x81\x02{}\x81", "\x02{", "}"}, []int{4, 0, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := frame.New(c.kind, "", paths(t), func(*frame.Frame) {})
			for i, piece := range c.pieces {
				if s.Write([]byte(piece)); s.Boundary() != c.want[i] {
					t.Errorf("piece %d: got %d, want %d", i, s.Boundary(), c.want[i])
				}
			}
			s.End(true)
		})
	}
}

// FuzzFrames looks for bodies whose frames depend on where they are cut.
func FuzzFrames(f *testing.F) {
	for _, c := range framings {
		f.Add(uint8(c.kind), []byte(c.body), 7)
	}
	f.Fuzz(func(t *testing.T, kind uint8, body []byte, cut int) {
		p := paths(t, "a")
		k := frame.Kind(kind % 6)
		at := max(0, min(cut, len(body)))
		whole, parts := readAll(k, "", p, string(body)), readAll(k, "", p, string(body[:at]), string(body[at:]))
		if !slices.Equal(whole.frames, parts.frames) || whole.trouble != parts.trouble || whole.count != parts.count {
			t.Fatalf("%q\nwhole  %s %q\ncut %d %s %q", body, whole.docs(), whole.trouble, at, parts.docs(), parts.trouble)
		}
	})
}
