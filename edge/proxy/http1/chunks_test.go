package http1

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"tollgate/edge/proxy"
)

// unchunk feeds a body to c as it would come over a connection: up to each of the ends, in order, and then all of it. It returns
// the data, how many bytes were used up, and how it ended; nil is that more is needed.
func unchunk(c *Chunks, body []byte, ends ...int) (data []byte, used int, err error) {
	for _, end := range append(ends, len(body)) {
		for {
			piece, n, err := c.Next(body[used:end:end])
			data = append(data, piece...)
			used += n
			if err != nil {
				return data, used, err
			}
			if piece == nil {
				break
			}
		}
	}
	return data, used, nil
}

// chunkCase is a chunked body, in which "¶" is CR LF, and the data in it.
type chunkCase struct {
	why, text, data string
	err             error // io.EOF for none; nil if more is needed
}

// chunkCases are chunked bodies, by RFC 9112, 7.1.
var chunkCases = []chunkCase{
	{"a body", "3¶abc¶0¶¶", "abc", io.EOF},
	{"nothing", "0¶¶", "", io.EOF},
	{"chunks", "1¶a¶2¶bc¶00¶¶", "abc", io.EOF},
	{"hexadecimal", "A¶0123456789¶a¶0123456789¶0¶¶", "01234567890123456789", io.EOF},
	{"zeros before a size", "0000000000000003¶abc¶0¶¶", "abc", io.EOF},
	{"line ends in data", "4¶¶¶¶0¶¶", "\r\n\r\n", io.EOF},
	{"an extension", "3;a=b;c=\"d\"¶abc¶0;e¶¶", "abc", io.EOF},
	{"an extension with tabs and high bytes", "3;\ta=\xff¶abc¶0¶¶", "abc", io.EOF},
	{"spaces behind a size", "3 \t¶abc¶0  ¶¶", "abc", io.EOF},
	{"trailers", "3¶abc¶0¶A: b¶c:d ¶¶", "abc", io.EOF},
	{"no end", "3¶abc¶", "abc", nil},
	{"no end of a chunk", "3¶abc", "abc", nil},
	{"no end of the end", "3¶abc¶0¶", "abc", nil},
	{"no end of the trailers", "3¶abc¶0¶A: b¶", "abc", nil},
	{"no size", "¶abc¶0¶¶", "", ErrChunk},
	{"no size but an extension", ";a¶abc¶0¶¶", "", ErrChunk},
	{"a space before the size", " 3¶abc¶0¶¶", "", ErrChunk},
	{"a space before an extension", "3 ;a¶abc¶0¶¶", "", ErrChunk},
	{"a size in two parts", "3 3¶abc¶0¶¶", "", ErrChunk},
	{"a sign", "+3¶abc¶0¶¶", "", ErrChunk},
	{"a negative size", "-3¶abc¶0¶¶", "", ErrChunk},
	{"a prefix", "0x3¶abc¶0¶¶", "", ErrChunk},
	{"an underscore", "1_0¶0123456789abcdef¶0¶¶", "", ErrChunk},
	{"no digit", "g¶abc¶0¶¶", "", ErrChunk},
	{"a high digit", "\xd9\xa3¶abc¶0¶¶", "", ErrChunk},
	{"17 digits", "00000000000000003¶abc¶0¶¶", "", ErrChunk},
	{"a size beyond 64 bits", "10000000000000003¶abc¶0¶¶", "", ErrChunk},
	{"a size beyond 63 bits", "ffffffffffffffff¶abc¶0¶¶", "", ErrChunk},
	{"LF alone behind a size", "3\nabc¶0¶¶", "", ErrChunk},
	{"CR alone behind a size", "3\rabc¶0¶¶", "", ErrChunk},
	{"two CR behind a size", "3\r\r\nabc¶0¶¶", "", ErrChunk},
	{"CR alone behind a size, and no more", "3\rabc", "", ErrChunk},
	{"a vertical tab before LF", "3\x0b\nabc¶0¶¶", "", ErrChunk},
	{"LF in an extension", "3;a\nabc¶0¶¶", "", ErrChunk},
	{"CR in an extension", "3;a\rb¶abc¶0¶¶", "", ErrChunk},
	{"NUL in an extension", "3;a\x00b¶abc¶0¶¶", "", ErrChunk},
	{"NUL behind a size", "3\x00¶abc¶0¶¶", "", ErrChunk},
	{"a vertical tab behind a size", "3\x0b¶abc¶0¶¶", "", ErrChunk},
	{"more than the size", "3¶abcd¶0¶¶", "abc", ErrChunk},
	{"less than the size", "4¶abc¶0¶¶", "abc\r", ErrChunk},
	{"LF alone behind a chunk", "3¶abc\n0¶¶", "abc", ErrChunk},
	{"CR alone behind a chunk", "3¶abc\r0¶¶", "abc", ErrChunk},
	{"CR and something behind a chunk", "3¶abc\rx0¶¶", "abc", ErrChunk},
	{"nothing behind a chunk", "3¶abc0¶¶", "abc", ErrChunk},
	{"LF alone at the end", "0¶\n", "", ErrChunk},
	{"LF alone before the end", "0\n¶", "", ErrChunk},
	{"a trailer without a name", "0¶: b¶¶", "", ErrChunk},
	{"a trailer without a colon", "0¶a¶¶", "", ErrChunk},
	{"a trailer with a space before the colon", "0¶a : b¶¶", "", ErrChunk},
	{"a folded trailer", "0¶a: b¶ c¶¶", "", ErrChunk},
	{"a trailer that ends in LF", "0¶a: b\n¶", "", ErrChunk},
	{"NUL in a trailer", "0¶a: \x00¶¶", "", ErrChunk},
	{"a request behind a chunk", "0¶GET / HTTP/1.1¶Host: a¶¶", "", ErrChunk},
	{"a long extension", "3;" + strings.Repeat("a", 4090) + "¶abc¶0¶¶", "abc", io.EOF},
	{"too long an extension", "3;" + strings.Repeat("a", 4093) + "¶abc¶0¶¶", "", ErrChunk},
	{"an endless extension", "3;" + strings.Repeat("a", 5000), "", ErrChunk},
	{"endless extensions", strings.Repeat("1;"+strings.Repeat("a", 2000)+"¶x¶", 20) + "0¶¶", "xxxxxxxx", ErrChunk},
	{"endless trailers", "0¶" + strings.Repeat("a: b¶", 1000) + "¶", "", ErrChunk},
	{"an endless trailer", "0¶a: " + strings.Repeat("b", 5000), "", ErrChunk},
}

// Guarantee: A chunked body is read as RFC 9112 has it, wherever it is cut into pieces, and one that others might read in another way
// ends with an error.
func TestChunks(t *testing.T) {
	t.Parallel()
	for _, tc := range chunkCases {
		t.Run(tc.why, func(t *testing.T) {
			t.Parallel()
			body := headCase{text: tc.text}.bytes()
			for cut := 0; cut <= len(body); cut += stride(body) {
				var c Chunks
				data, used, err := unchunk(&c, body, cut)
				if string(data) != tc.data || !errors.Is(err, tc.err) {
					t.Fatalf("%.60q, cut at %d: %q, %v", body, cut, data, err)
				}
				if errors.Is(err, io.EOF) && used != len(body) {
					t.Fatalf("%.60q, cut at %d: %d bytes are left", body, cut, len(body)-used)
				}
			}
		})
	}
}

// Guarantee: Trailers are had once the body is over, as they were sent, and what follows is not touched.
func TestChunksTrailers(t *testing.T) {
	t.Parallel()
	buf := []byte("1\r\na\r\n0\r\nx-Sum:  1\t\r\nX-Sum: 2\r\nE:\r\n\r\nHTTP/1.1 200 OK\r\n")
	var c Chunks
	_, used, err := unchunk(&c, buf)
	if !errors.Is(err, io.EOF) || !strings.HasPrefix(string(buf[used:]), "HTTP/1.1 ") {
		t.Fatalf("%v, and %q follows", err, buf[used:])
	}
	for i := range buf {
		buf[i] = 'x'
	}
	want := []proxy.Header{{Name: "x-Sum", Value: "1"}, {Name: "X-Sum", Value: "2"}, {Name: "E"}}
	if got := c.Trailers(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if data, n, err := c.Next([]byte("1\r\na")); data != nil || n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %q, %d, %v", data, n, err)
	}
	c.Reset()
	if _, _, err := unchunk(&c, []byte("0\r\n\r\n")); !errors.Is(err, io.EOF) || c.Trailers() != nil {
		t.Errorf("another body: %v, %v", err, c.Trailers())
	}
}

// Guarantee: What is read of a chunked body is where it came, and takes no memory.
func TestChunksInPlace(t *testing.T) {
	body := []byte("5;a=b\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
	var c Chunks
	piece, n, err := c.Next(body)
	if err != nil || string(piece) != "hello" || &piece[0] != &body[7] || n != 14 {
		t.Fatalf("%q, %d, %v", piece, n, err)
	}
	if n := testing.AllocsPerRun(100, func() {
		c.Reset()
		for rest := body; ; {
			_, n, err := c.Next(rest)
			if rest = rest[n:]; err != nil {
				return
			}
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
