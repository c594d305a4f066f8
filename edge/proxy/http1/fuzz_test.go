package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/net/http/httpguts"

	"tollgate/edge/proxy"
)

// asMap is a list of headers as net/http has it.
func asMap(headers []proxy.Header) http.Header {
	h := http.Header{}
	for _, kv := range headers {
		h.Add(kv.Name, kv.Value)
	}
	return h
}

// uncached undoes what net/http adds to a message that says only Pragma, which is not from the one who has sent it.
func uncached(got, want http.Header) {
	if want["Cache-Control"] == nil && len(want["Pragma"]) > 0 && want["Pragma"][0] == "no-cache" {
		got.Del("Cache-Control")
	}
}

// reader is what net/http reads a message from; left says how much it has not taken.
type reader struct {
	*bufio.Reader
	rest *bytes.Reader
}

func read(data []byte) reader {
	rest := bytes.NewReader(data)
	return reader{bufio.NewReaderSize(rest, max(len(data), 16)), rest}
}

func (r reader) left() int { return r.Buffered() + r.rest.Len() }

// stride is how far apart the places are at which something is cut: all of them are tried, but for what is long.
func stride(data []byte) int { return max(len(data)/500, 1) }

// FuzzRequest: what is vouched for means the same to net/http and its server would take it, and no beginning of it is taken for a
// request or refused.
func FuzzRequest(f *testing.F) {
	for _, c := range requestCases {
		f.Add(c.bytes())
	}
	f.Add(benchRequest)
	f.Fuzz(func(t *testing.T, data []byte) {
		var r, again Request
		n, v := r.Parse(data, Limits{})
		if v == Plain {
			prefixes(t, data[:n], Plain, func(buf []byte) Verdict {
				_, v := again.Parse(buf, Limits{})
				return v
			})
		}
		if v != Plain {
			for i := 0; i < len(data); i += stride(data) {
				if _, was := again.Parse(data[:i:i], Limits{}); was == Plain || was == Strange && v == Incomplete {
					t.Fatalf("%q: verdict %d, and %d of the whole", data[:i], was, v)
				}
			}
			return
		}
		if m, v := again.Parse(data[:n:n], Limits{}); v != Plain || m != n || !reflect.DeepEqual(r, again) {
			t.Fatalf("without what follows: verdict %d, %d bytes of %d, %+v and %+v", v, m, n, again, r)
		}
		in := read(data)
		want, err := http.ReadRequest(in.Reader)
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", data[:n], err)
		}
		if left := in.left(); left != len(data)-n {
			t.Fatalf("net/http leaves %d bytes, and not %d", left, len(data)-n)
		}
		got := asMap(r.Headers)
		uncached(want.Header, got)
		if r.Sized {
			want.Header.Del("Content-Length")
		}
		if r.Method != want.Method || r.Target != want.RequestURI || r.Host != want.Host || r.Length != want.ContentLength ||
			r.Close != want.Close || !want.ProtoAtLeast(1, 1) || len(want.TransferEncoding) > 0 || !reflect.DeepEqual(got, want.Header) {
			t.Fatalf("got %+v\nwant %+v", r, want)
		}
		if r.Host == "" || !httpguts.ValidHostHeader(r.Host) || got["Expect"] != nil || got["Upgrade"] != nil {
			t.Fatalf("the server would do something else with %+v", r)
		}
		for _, h := range r.Headers {
			if !httpguts.ValidHeaderFieldName(h.Name) || !httpguts.ValidHeaderFieldValue(h.Value) {
				t.Fatalf("the server would not take %+v", h)
			}
		}
	})
}

// FuzzResponse: what is vouched for means the same to net/http, and no beginning of it is taken for an answer or refused.
func FuzzResponse(f *testing.F) {
	for _, c := range answerCases {
		f.Add(c.bytes(), c.method == http.MethodHead)
	}
	f.Add(benchResponse, false)
	f.Fuzz(func(t *testing.T, data []byte, head bool) {
		method := http.MethodGet
		if head {
			method = http.MethodHead
		}
		var r, again Response
		n, v := r.Parse(data, method, Limits{})
		if v != Plain {
			for i := 0; i < len(data); i += stride(data) {
				if _, was := again.Parse(data[:i:i], method, Limits{}); was == Plain || was == Strange && v == Incomplete {
					t.Fatalf("%q: verdict %d, and %d of the whole", data[:i], was, v)
				}
			}
			return
		}
		prefixes(t, data[:n], Plain, func(buf []byte) Verdict {
			_, v := again.Parse(buf, method, Limits{})
			return v
		})
		in := read(data)
		want, err := http.ReadResponse(in.Reader, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", data[:n], err)
		}
		defer want.Body.Close()
		if left := in.left(); left != len(data)-n {
			t.Fatalf("net/http leaves %d bytes, and not %d", left, len(data)-n)
		}
		got := asMap(r.Headers)
		uncached(want.Header, got)
		if want.Close {
			got.Del("Connection") // which net/http has read
			want.Header.Del("Connection")
		}
		if want.TransferEncoding != nil {
			checkTrailer(t, got, want)
		}
		length := r.Length
		if head {
			length = r.Declared
		}
		if r.Status != want.StatusCode || length != want.ContentLength || r.Close != want.Close ||
			r.Chunked != (want.TransferEncoding != nil && want.Body != http.NoBody) || !reflect.DeepEqual(got, want.Header) {
			t.Fatalf("got %+v\nwant %+v", r, want)
		}
		if (r.Length == 0) != (want.Body == http.NoBody) {
			t.Fatalf("got a body of %d, want %T", r.Length, want.Body)
		}
	})
}

// checkTrailer compares the names of trailers, which net/http keeps apart where there may be some.
func checkTrailer(t *testing.T, got http.Header, want *http.Response) {
	t.Helper()
	announced := map[string]bool{}
	for _, value := range got["Trailer"] {
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.Trim(name, " \t"); name != "" {
				announced[http.CanonicalHeaderKey(name)] = true
			}
		}
	}
	for name := range want.Trailer {
		if !announced[name] {
			t.Fatalf("no trailer %q in %q", name, got["Trailer"])
		}
	}
	if len(announced) != len(want.Trailer) {
		t.Fatalf("trailers %q, want %v", got["Trailer"], want.Trailer)
	}
	got.Del("Trailer")
}

// FuzzChunks: a chunked body that is read to its end is read so by net/http, with its trailers and what follows, and wherever it is cut
// the same is read of it.
func FuzzChunks(f *testing.F) {
	for _, c := range chunkCases {
		if body := (headCase{text: c.text}).bytes(); len(body) < 1<<10 { // what is longer takes all the time
			f.Add(body)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var c Chunks
		body, used, err := unchunk(&c, data)
		trailers := c.Trailers()
		for cut := 0; cut <= len(data); cut += stride(data) {
			c.Reset()
			if b, u, e := unchunk(&c, data, cut); !errors.Is(e, err) || !bytes.Equal(b, body) || e == nil && u != used ||
				errors.Is(e, io.EOF) && (u != used || !reflect.DeepEqual(trailers, c.Trailers())) {
				t.Fatalf("cut at %d: %q, %d, %v; whole: %q, %d, %v", cut, b, u, e, body, used, err)
			}
		}
		c.Reset()
		var ends []int
		for i := 0; i < len(data) && len(data) < 1024; i++ {
			ends = append(ends, i)
		}
		if b, u, e := unchunk(&c, data, ends...); !errors.Is(e, err) || !bytes.Equal(b, body) || errors.Is(e, io.EOF) && u != used {
			t.Fatalf("byte by byte: %q, %d, %v; whole: %q, %d, %v", b, u, e, body, used, err)
		}
		if !errors.Is(err, io.EOF) {
			return
		}
		want, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(data)))
		if err != nil || !bytes.Equal(body, want) {
			t.Fatalf("got %q, want %q, %v", body, want, err)
		}
		rest := bytes.NewReader(append([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), data...))
		in := bufio.NewReader(rest)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if want, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(body, want) {
			t.Fatalf("got %q, want %q, %v", body, want, err)
		}
		if left := in.Buffered() + rest.Len(); left != len(data)-used {
			t.Fatalf("net/http leaves %d bytes, and not %d", left, len(data)-used)
		}
		if got := asMap(trailers); len(got)+len(resp.Trailer) > 0 && !reflect.DeepEqual(got, resp.Trailer) {
			t.Fatalf("got trailers %v, want %v", got, resp.Trailer)
		}
	})
}
