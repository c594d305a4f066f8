package rpc_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"testing"

	"connectrpc.com/connect"

	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
)

// Explain is the edge of a bundle: it keeps what it is asked.
func (b *bundle) Explain(_ context.Context, edge string, call *eventv1.ExplainCall) (*controlv1.Explanation, error) {
	if edge != "" {
		return nil, fault.New(fault.UnavailableErr, "There is no edge %q connected.", edge)
	}
	b.asked = call
	return &controlv1.Explanation{Edge: "edge-1", Admitted: true}, nil
}

// Guarantee: an edge is asked with the hash of the key that is named, and with all that was said of the
// request; a key that does not exist, or an edge that is not there, is told.
func TestExplain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made, err := b.keys.CreateKey(t.Context(), &controlv1.CreateKeyRequest{Name: "ci-bot"})
	if err != nil {
		t.Fatal(err)
	}
	res, err := b.explain.Explain(t.Context(), &controlv1.ExplainRequest{
		Method: "POST", Path: "/bria?x=1", Key: "ci-bot", BodyBytes: 7, Headers: []*controlv1.ExplainHeader{{Name: "a", Value: "b"}},
	})
	if err != nil || res.GetExplanation().GetEdge() != "edge-1" {
		t.Fatalf("%v, %v", res, err)
	}
	hash := sha256.Sum256([]byte(made.GetSecret()))
	if q := b.asked; !bytes.Equal(q.GetKeySha256(), hash[:]) || q.GetMethod() != "POST" || q.GetPath() != "/bria?x=1" || q.GetBodyBytes() != 7 || len(q.GetHeaders()) != 1 {
		t.Errorf("the edge was asked %v", q)
	}
	for _, req := range []*controlv1.ExplainRequest{
		{Method: "POST", Path: "/", Body: []byte("12345")}, {Method: "POST", Path: "/", Body: []byte("12345"), BodyBytes: 5},
	} {
		if _, err := b.explain.Explain(t.Context(), req); err != nil || string(b.asked.GetBody()) != "12345" || b.asked.GetBodyBytes() != 5 {
			t.Errorf("with a body, the edge was asked %v, %v", b.asked, err)
		}
	}
	for want, req := range map[connect.Code]*controlv1.ExplainRequest{
		connect.CodeNotFound:        {Method: "GET", Path: "/", Key: "nobody"},
		connect.CodeUnavailable:     {Method: "GET", Path: "/", Edge: "edge-9"},
		connect.CodeInvalidArgument: {Method: "GET", Path: "bria"},
	} {
		if _, err := b.explain.Explain(t.Context(), req); connect.CodeOf(err) != want {
			t.Errorf("%v: %v, want %v", req, err, want)
		}
	}
}
