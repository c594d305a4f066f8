package vendor_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tollgate/internal/testenv/vendor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func client(t *testing.T, v *vendor.Vendor, change func(*http.Protocols)) *http.Client {
	t.Helper()
	p := new(http.Protocols)
	change(p)
	tr := &http.Transport{TLSClientConfig: v.TLS(), Protocols: p}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

func http1(p *http.Protocols) { p.SetHTTP1(true) }

func get(t *testing.T, c *http.Client, url string) (*http.Response, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err == nil {
		t.Cleanup(func() { _ = res.Body.Close() })
	}
	return res, err
}

// Guarantee: the order, the spelling and the raw target of a request are kept,
// also of the second one on a connection whose first quoted it in its body.
func TestRecordsWhatCame(t *testing.T) {
	t.Parallel()
	v := vendor.New(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(v.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	second := "GET /b%2Fc?q=%zz HTTP/1.1\r\nhOST: h\r\nX-two: 2\r\nx-TWO:  3 \r\nAccept:\r\n\r\n"
	quoted := strings.Replace(second, "X-two", "X-bad", 1)
	for _, text := range []string{
		fmt.Sprintf("POST /a HTTP/1.1\r\nHost: h\r\nZ-First: 1\r\nContent-Length: %d\r\n\r\n%s", len(quoted), quoted),
		second,
		"POST /chunked HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nSum: 5\r\n\r\n",
		second,
	} {
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(res.Body); err != nil || string(body) != "{}" {
			t.Fatalf("%s, %v", body, err)
		}
	}
	all := v.Await(t, 4)
	want := []vendor.Field{{"hOST", "h"}, {"X-two", "2"}, {"x-TWO", "3"}, {"Accept", ""}}
	for _, i := range []int{1, 3} {
		if r := all[i]; !slices.Equal(r.Header, want) || r.URI != "/b%2Fc?q=%zz" || r.Host != "h" {
			t.Errorf("request %d: %+v", i, r)
		}
	}
	if r := all[0]; string(r.Body) != quoted || r.Get("z-first") != "1" || r.Has("X-Bad") {
		t.Errorf("first: %+v", r)
	}
	if r := all[2]; string(r.Body) != "abcde" || r.Trailer.Get("Sum") != "5" {
		t.Errorf("chunked: %+v", r)
	}
	if got := all[1].Values("X-Two"); !slices.Equal(got, []string{"2", "3"}) {
		t.Errorf("values %q", got)
	}
	if v.Count() != 4 || v.Conns() != 1 {
		t.Errorf("%d requests on %d connections", v.Count(), v.Conns())
	}
	v.Reset()
	if v.Count() != 0 {
		t.Error("still there")
	}
}

func TestProtocols(t *testing.T) {
	t.Parallel()
	plain, secure := vendor.New(t), vendor.NewTLS(t)
	tests := map[string]struct {
		v     *vendor.Vendor
		set   func(*http.Protocols)
		proto string
	}{
		"http/1.1": {plain, http1, "HTTP/1.1"},
		"h2c":      {plain, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }, "HTTP/2.0"},
		"tls":      {secure, http1, "HTTP/1.1"},
		"h2":       {secure, func(p *http.Protocols) { p.SetHTTP2(true) }, "HTTP/2.0"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			res, err := get(t, client(t, tc.v, tc.set), tc.v.URL+"/x")
			if err != nil {
				t.Fatal(err)
			}
			if last := tc.v.Last(t); last.Proto != tc.proto || !last.Has("User-Agent") || res.StatusCode != 200 {
				t.Errorf("%+v", last)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	v := vendor.New(t)
	c := client(t, v, http1)
	v.Next(vendor.Status(503), vendor.Drop(), vendor.Truncate(200, 10, "abc"))
	v.Handle(vendor.JSON(201, map[string]int{"n": 1}))

	if res, err := get(t, c, v.URL); err != nil || res.StatusCode != 503 {
		t.Errorf("status: %v %v", res, err)
	}
	// A POST, because the client repeats a GET whose used connection broke.
	if _, err := c.Post(v.URL, "text/plain", strings.NewReader("x")); err == nil {
		t.Error("drop: got an answer")
	}
	res, err := get(t, c, v.URL)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); !errors.Is(err, io.ErrUnexpectedEOF) || string(body) != "abc" {
		t.Errorf("truncate: %q, %v", body, err)
	}
	if res, err = get(t, c, v.URL); err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != `{"n":1}` || res.StatusCode != 201 {
		t.Errorf("json: %q, %v", body, err)
	}
}

// Guarantee: each event arrives before the next is sent, a client's leaving is
// noticed, and an abort looks like one.
func TestStream(t *testing.T) {
	t.Parallel()
	v := vendor.New(t)
	c := client(t, v, http1)

	t.Run("step by step", func(t *testing.T) {
		s, h := vendor.SSE("X-Extra", "1")
		v.Next(h)
		res, err := get(t, c, v.URL)
		if err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(res.Body)
		for i := range 3 {
			s.Event(t, fmt.Sprint(i))
			if line, err := in.ReadString('\n'); err != nil || line != fmt.Sprintf("data: %d\n", i) {
				t.Fatalf("%q, %v", line, err)
			}
			if _, err := in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		s.End(t)
		if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 || res.Header.Get("X-Extra") != "1" {
			t.Errorf("%q, %v", rest, err)
		}
	})
	t.Run("client leaves", func(t *testing.T) {
		s, h := vendor.SSE()
		v.Next(h)
		res, err := get(t, c, v.URL)
		if err != nil {
			t.Fatal(err)
		}
		s.AwaitOpened(t)
		_ = res.Body.Close()
		s.AwaitGone(t)
		if s.TrySend(t, "x") {
			t.Error("sent to nobody")
		}
	})
	t.Run("abort", func(t *testing.T) {
		s, h := vendor.SSE()
		v.Next(h)
		res, err := get(t, c, v.URL)
		if err != nil {
			t.Fatal(err)
		}
		s.Send(t, "data: half")
		s.Abort(t)
		if body, err := io.ReadAll(res.Body); err == nil || string(body) != "data: half" {
			t.Errorf("%q, %v", body, err)
		}
	})
}

func TestStall(t *testing.T) {
	t.Parallel()
	v := vendor.New(t)
	c := client(t, v, http1)
	hold, h := vendor.Stall(vendor.Status(204))
	v.Next(h, h)
	status := make(chan int, 1)
	go func() {
		res, err := c.Get(v.URL)
		if err != nil {
			status <- 0
			return
		}
		_ = res.Body.Close()
		status <- res.StatusCode
	}()
	hold.AwaitOpened(t)
	hold.Release()
	if got := <-status; got != 204 {
		t.Errorf("status %d", got)
	}

	hold, h = vendor.Stall(vendor.Status(204))
	v.Handle(h)
	v.Next() // the second of the queue is still there: use it up
	if res, err := get(t, c, v.URL); err != nil || res.StatusCode != 204 {
		t.Fatal(res, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { hold.AwaitOpened(t); cancel() }()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(req); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	hold.AwaitGone(t)
}

// Guarantee: a body can be watched while it arrives.
func TestRecordEarly(t *testing.T) {
	t.Parallel()
	v := vendor.New(t)
	v.RecordEarly()
	first := make(chan string, 1)
	v.Handle(func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 3)
		_, _ = io.ReadFull(r.Body, buf)
		first <- string(buf)
		_, _ = io.Copy(io.Discard, r.Body)
	})
	r, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, "abc")
		<-first
		_, _ = io.WriteString(w, "def")
		_ = w.Close()
	}()
	c := client(t, v, http1)
	res, err := c.Post(v.URL, "text/plain", r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if got := v.Last(t); string(got.Body) != "abcdef" {
		t.Errorf("%+v", got)
	}
}

// Guarantee: a test that ends with requests still waiting ends at once.
func TestEndsWithOpenRequests(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 1)
	t.Run("inner", func(t *testing.T) {
		v := vendor.New(t)
		hold, h := vendor.Stall(vendor.Status(204))
		v.Handle(h)
		c := client(t, v, http1)
		go func() {
			res, err := c.Get(v.URL)
			if err == nil {
				_ = res.Body.Close()
			}
			failed <- err
		}()
		hold.AwaitOpened(t)
	})
	if err := <-failed; err == nil {
		t.Error("got an answer")
	}
}
