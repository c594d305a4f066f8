package client_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"connectrpc.com/connect"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/sdk/client"
)

func seen(token string, ids ...string) *controlv1.TailRequestsResponse {
	out := &controlv1.TailRequestsResponse{ResumeToken: token}
	for _, id := range ids {
		out.Requests = append(out.Requests, &controlv1.SeenRequest{RequestId: id})
	}
	return out
}

// Guarantee: a tail that breaks goes on after the last message, with the same filter, and its request is left as it was; it ends
// with what trying again cannot mend.
func TestTailGoesOn(t *testing.T) {
	t.Parallel()
	var asked []string
	s := &server{tail: func(call int, q *controlv1.TailRequestsRequest, send func(*controlv1.TailRequestsResponse) error) error {
		asked = append(asked, q.GetFilter().GetText()+" "+q.GetResumeToken())
		switch call {
		case 1:
			return errors.Join(send(seen("t1", "a")), send(seen("t2", "b")), refusal(connect.CodeUnavailable, "unavailable", nil))
		case 2:
			return nil // a server that stops ends its streams
		case 3:
			return send(seen("t3", "c"))
		default:
			return refusal(connect.CodePermissionDenied, "permission_denied", nil)
		}
	}}
	req := &controlv1.TailRequestsRequest{Filter: &controlv1.SeenFilter{Text: "x"}}
	var ids []string
	var last error
	for m, err := range newClient(t, s.start(t)).Tail(t.Context(), req) {
		for _, r := range m.GetRequests() {
			ids = append(ids, r.GetRequestId())
		}
		last = err
	}
	if want := []string{"a", "b", "c"}; !slices.Equal(ids, want) {
		t.Errorf("requests %q", ids)
	}
	if want := []string{"x ", "x t2", "x t2", "x t3"}; !slices.Equal(asked, want) {
		t.Errorf("the server was asked %q", asked)
	}
	if client.CodeOf(last) != client.PermissionDenied || req.GetResumeToken() != "" {
		t.Errorf("it ended with %v, and the request is %v", last, req)
	}
}

// Guarantee: a stream that nobody wants any more ends at the server, whether the loop was left or its context ended.
func TestTailEnds(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 2)
	s := &server{}
	s.tail = func(_ int, _ *controlv1.TailRequestsRequest, send func(*controlv1.TailRequestsResponse) error) error {
		for {
			if err := send(seen("t", "a")); err != nil {
				ended <- struct{}{}
				return err
			}
		}
	}
	c := newClient(t, s.start(t))
	for _, err := range c.Tail(t.Context(), nil) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	<-ended
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for m, err := range c.Tail(ctx, nil) {
		if cancel(); m == nil {
			last = err
		}
	}
	<-ended
	if !errors.Is(last, context.Canceled) {
		t.Errorf("it ended with %v", last)
	}
}

// Guarantee: a server that was never reached is tried as often as for any call, and then the reason is told.
func TestTailOfNobody(t *testing.T) {
	t.Parallel()
	n := 0
	for _, err := range newClient(t, dead(t)).Tail(t.Context(), nil) {
		if n++; client.CodeOf(err) != client.Unavailable {
			t.Errorf("got %v", err)
		}
	}
	if n != 1 {
		t.Errorf("%d messages", n)
	}
}

// Guarantee: changes go on after the last revision, and revisions of another history are told as a reset.
func TestChangesGoOn(t *testing.T) {
	t.Parallel()
	var asked []int64
	s := &server{watch: func(call int, q *controlv1.WatchChangesRequest, send func(*controlv1.WatchChangesResponse) error) error {
		asked = append(asked, q.GetAfterRevision())
		switch call {
		case 1:
			return send(&controlv1.WatchChangesResponse{Revision: 7, Epoch: 1})
		case 2:
			return send(&controlv1.WatchChangesResponse{Revision: 9, Epoch: 1})
		case 3:
			return send(&controlv1.WatchChangesResponse{Revision: 9, Epoch: 2})
		default:
			return refusal(connect.CodeUnauthenticated, "unauthenticated", nil)
		}
	}}
	var resets []bool
	for m, err := range newClient(t, s.start(t)).Changes(t.Context(), nil) {
		if err == nil {
			resets = append(resets, m.GetReset_())
		} else if client.CodeOf(err) != client.Unauthenticated {
			t.Error(err)
		}
	}
	if !slices.Equal(asked, []int64{0, 7, 9, 9}) || !slices.Equal(resets, []bool{false, false, true}) {
		t.Errorf("asked after %v, resets %v", asked, resets)
	}
}
