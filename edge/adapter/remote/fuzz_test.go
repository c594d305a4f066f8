package remote

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"google.golang.org/protobuf/proto"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/sse"
	"tollgate/edge/metrics"
	adapterv1 "tollgate/gen/tollgate/adapter/v1"
	"tollgate/internal/fault"
)

// FuzzAnswers has adapters answer anything: what comes of it is either fit to go on or an error that says whose fault it is.
func FuzzAnswers(f *testing.F) {
	seed := func(messages ...proto.Message) {
		for _, m := range messages {
			text, err := proto.Marshal(m)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text, true, true)
			f.Add(text, false, false)
		}
	}
	headers := []*adapterv1.Header{{Name: "content-type", Value: "text/event-stream"}, {Name: "Authorization", Value: "x"}, {Name: "a b", Value: "\r\n"}}
	seed(
		&adapterv1.TranslateRequestResponse{Result: &adapterv1.TranslateRequestResponse_Request{Request: &adapterv1.Request{
			Method: "GET", Path: "/a/%2e./b", Query: "a=b", Headers: headers[:2], Body: []byte(chatText),
		}}},
		&adapterv1.TranslateRequestResponse{Result: &adapterv1.TranslateRequestResponse_Refusal{Refusal: &adapterv1.Refusal{Status: 999, Message: "x"}}},
		&adapterv1.TranslateResponseResponse{Response: &adapterv1.Response{Status: 200, Headers: headers, Body: []byte(`{"error":{}}`)}},
		&adapterv1.TranslateStreamResponse{Response: &adapterv1.Response{Status: 200, Headers: headers[:2]}},
		&adapterv1.TranslateStreamResponse{Events: []*adapterv1.Event{{Type: "a", Data: []byte(`{"a":1}`)}, {Data: []byte("x\r\ny")}, {Data: []byte("[DONE]")}}},
	)
	f.Fuzz(func(t *testing.T, text []byte, client, asEvents bool) {
		role := Vendor
		if client {
			role = Client
		}
		x := &Exchange{role: role, server: &server{
			name: "under-test", log: slog.New(slog.DiscardHandler), metrics: metrics.New().Adapter("under-test"), maxBytes: 1 << 20, timeout: time.Second,
		}}
		known := func(err error) {
			t.Helper()
			_, ours := errors.AsType[*fault.Error](err)
			_, theirs := errors.AsType[*adapter.Error](err)
			if err != nil && !ours && !theirs {
				t.Errorf("nobody knows what %v is", err)
			}
		}
		clean := func(headers []Header) {
			t.Helper()
			for _, h := range headers {
				if keptBack[strings.ToLower(h.Name)] || strings.ContainsAny(h.Name+h.Value, "\r\n\x00") {
					t.Errorf("header %q", h)
				}
			}
		}
		var request adapterv1.TranslateRequestResponse
		if proto.Unmarshal(text, &request) == nil {
			if r := request.GetRefusal(); r != nil {
				known(x.server.refused(r))
			}
			if x.take(request.GetRequest()) == nil {
				clean(x.Request().Headers)
				if client && gjson.GetBytes(x.Request().Body, "model").Str == "" {
					t.Errorf("a request without a model: %q", x.Request().Body)
				}
				if p := x.Request().Path; !client && (strings.Contains(p, "/../") || !strings.HasPrefix(p, "/") || strings.ContainsAny(p+x.Request().Query, " \r\n#")) {
					t.Errorf("path %q", p)
				}
			}
		}
		var whole adapterv1.TranslateResponseResponse
		if proto.Unmarshal(text, &whole) == nil {
			if r, err := x.response(whole.GetResponse()); err == nil {
				clean(r.Headers)
				if r.Status < 200 || r.Status > 599 {
					t.Errorf("status %d", r.Status)
				}
			}
		}
		var streamed adapterv1.TranslateStreamResponse
		if proto.Unmarshal(text, &streamed) == nil {
			s := &Stream{x: x, parent: context.Background()}
			known(s.begun(&Response{Status: http.StatusOK}, &streamed))
			s = &Stream{x: x, parent: context.Background(), events: asEvents || !client}
			checkWritten(t, s, streamed.GetEvents())
		}
	})
}

// checkWritten writes events, and reads back as many as were written.
func checkWritten(t *testing.T, s *Stream, list []*adapterv1.Event) {
	t.Helper()
	var out []byte
	written := 0
	for _, e := range list {
		next, err := s.write(out, e)
		if err != nil {
			if _, ok := errors.AsType[*adapter.Error](err); !ok || !bytes.Equal(next, out) {
				t.Errorf("%v after %q", err, next)
			}
			break
		}
		out = next
		written++
	}
	read := 0
	if s.events {
		var r sse.Reader
		err := r.Next(out, func(sse.Event) error { read++; return nil })
		if err != nil {
			t.Fatal(err)
		}
	} else {
		read = bytes.Count(out, []byte{'\n'})
	}
	if read != written {
		t.Errorf("%d events were written and %d are read: %q", written, read, out)
	}
}
