package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/loadtest/deployment"
)

// answer is one of a vendor.
func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{deployment.Marker: {"1"}}, Body: io.NopCloser(strings.NewReader(body))}
}

// Guarantee: an answer with another status, other bytes, less or more of them is a failure.
func TestWhole(t *testing.T) {
	t.Parallel()
	if err := whole(answer(200, "text"), nil, 200, []byte("text")); err != nil {
		t.Error(err)
	}
	for _, resp := range []*http.Response{answer(500, "text"), answer(200, "tent"), answer(200, "tex"), answer(200, "text.")} {
		if err := whole(resp, nil, 200, []byte("text")); err == nil {
			t.Errorf("%d passed", resp.StatusCode)
		}
	}
	if err := whole(nil, io.ErrUnexpectedEOF, 200, nil); err == nil {
		t.Error("no answer passed")
	}
	for _, text := range []string{"", "eve", "evens"} {
		if err := expect(strings.NewReader(text), []byte("event")); err == nil {
			t.Errorf("%q passed for an event", text)
		}
	}
}

// Guarantee: any message comes back from a frame as it went in.
func TestFrames(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := frame{
			op: byte(rapid.IntRange(0, 15).Draw(t, "op")), masked: rapid.Bool().Draw(t, "masked"),
			payload: content(rapid.Uint64().Draw(t, "seed"), rapid.SampledFrom([]int{0, 1, 125, 126, 127, 65535, 65536, 70000}).Draw(t, "n")),
		}
		var wire bytes.Buffer
		if err := f.writeTo(&wire); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(&wire)
		got, err := readFrame(r)
		if err != nil || got.op != f.op || got.masked != f.masked || !bytes.Equal(got.payload, f.payload) {
			t.Fatalf("opcode %d, %d bytes, %v", got.op, len(got.payload), err)
		}
		if _, err := readFrame(r); !errors.Is(err, io.EOF) {
			t.Fatalf("after a frame: %v", err)
		}
	})
}

// Guarantee: what is replaced stays in use until the last user has given it back, and nobody gets it any
// more.
func TestRotation(t *testing.T) {
	t.Parallel()
	var r rotation[string]
	if before := r.replace("a"); before != nil {
		t.Errorf("before the first there was %q", before.value)
	}
	a := r.take()
	before := r.replace("b")
	unused := make(chan struct{})
	go func() {
		before.users.Wait()
		close(unused)
	}()
	if b := r.take(); b.value != "b" {
		t.Errorf("%q was taken", b.value)
	}
	select {
	case <-unused:
		t.Error("it was given up while it was in use")
	default:
	}
	a.give()
	<-unused
}
