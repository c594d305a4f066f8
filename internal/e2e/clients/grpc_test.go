package clients_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// grpcRoute is an endpoint in front of a gRPC service, and a client of the gateway.
func grpcRoute(t *testing.T, name string) (*testService, grpc_testing.TestServiceClient, context.Context) {
	t.Helper()
	s := startService(t)
	// Every service has its own path, and a test its own endpoint: the gateway takes the test's part away.
	must(t, "endpoint", "create", name, "--path", "/"+name, "--target", "http://"+s.addr+" http=2",
		"--forward", "all", "--header", "authorization: Bearer ${env:VENDOR_KEY}", "--price", price)
	key := newKey(t, name, name)
	s.mu.Lock()
	s.key = key
	s.mu.Unlock()
	t.Cleanup(func() {
		s.mu.Lock()
		for _, p := range s.problems {
			t.Errorf("the target: %s", p)
		}
		s.mu.Unlock()
		// A target ends a call whose time is up by itself, about when the caller leaves: either may be booked.
		compareBooks(t, name, 0, func(booked []record) error {
			if n := s.count(); len(booked) != n || n == 0 {
				return fmt.Errorf("%d calls, and %+v", n, booked)
			}
			for _, b := range booked {
				if b.Status > 200 || b.Status != 0 && b.Outcome == "unreachable" {
					return fmt.Errorf("%+v", b)
				}
			}
			return nil
		})
	})
	return s, grpc_testing.NewTestServiceClient(below{dial(t), "/" + name}), metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+key)
}

func dial(t *testing.T) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(strings.TrimPrefix(theGateway.url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// below calls methods below a path, which is how endpoints of several tests can have the same service.
type below struct {
	*grpc.ClientConn
	path string
}

func (b below) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return b.ClientConn.Invoke(ctx, b.path+method, args, reply, opts...)
}

func (b below) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return b.ClientConn.NewStream(ctx, desc, b.path+method, opts...)
}

// Guarantee: gRPC's own client reaches a gRPC server through the gateway with all that gRPC has: metadata and
// trailers, also binary, messages of a megabyte, compression, streams either way and both ways at once.
func TestGRPC(t *testing.T) {
	t.Parallel()
	_, client, ctx := grpcRoute(t, "grpc")
	data := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{3}).Read(data)
	for _, opts := range [][]grpc.CallOption{nil, {grpc.UseCompressor(gzip.Name)}} {
		var head, tail metadata.MD
		sent := metadata.AppendToOutgoingContext(ctx, "x-echo-text", "a value", "x-echo-text", "another", "x-echo-data-bin", "\x00\xff,")
		out, err := client.UnaryCall(sent, &grpc_testing.SimpleRequest{Payload: &grpc_testing.Payload{Body: data}},
			append(opts, grpc.Header(&head), grpc.Trailer(&tail))...)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.GetPayload().GetBody(), data) {
			t.Error("the message is another")
		}
		for md, name := range map[*metadata.MD]string{&head: "x-echo-", &tail: "behind-x-echo-"} {
			if got := md.Get(name + "text"); !slices.Equal(got, []string{"a value", "another"}) {
				t.Errorf("%stext is %q", name, got)
			}
			if got := md.Get(name + "data-bin"); !slices.Equal(got, []string{"\x00\xff,"}) {
				t.Errorf("%sdata-bin is %q", name, got)
			}
		}
		if len(head.Get("x-tollgate-request-id")) != 1 {
			t.Errorf("the metadata has no request id: %v", head)
		}
	}

	var sizes []*grpc_testing.ResponseParameters
	for i := range 50 {
		sizes = append(sizes, &grpc_testing.ResponseParameters{Size: int32(1 + i*1000)})
	}
	down, err := client.StreamingOutputCall(ctx, &grpc_testing.StreamingOutputCallRequest{ResponseParameters: sizes})
	if err != nil {
		t.Fatal(err)
	}
	for i := range sizes {
		m, err := down.Recv()
		if err != nil || len(m.GetPayload().GetBody()) != int(sizes[i].GetSize()) {
			t.Fatalf("message %d: %d bytes, %v", i, len(m.GetPayload().GetBody()), err)
		}
	}
	if _, err := down.Recv(); err != io.EOF || !slices.Equal(down.Trailer().Get("sent"), []string{"50"}) {
		t.Errorf("the stream ends with %v, %v", err, down.Trailer())
	}

	up, err := client.StreamingInputCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := up.Send(&grpc_testing.StreamingInputCallRequest{Payload: &grpc_testing.Payload{Body: data[:100_000]}}); err != nil {
			t.Fatal(err)
		}
	}
	if sum, err := up.CloseAndRecv(); err != nil || sum.GetAggregatedPayloadSize() != 2_000_000 {
		t.Errorf("the target counts %d bytes, %v", sum.GetAggregatedPayloadSize(), err)
	}

	both, err := client.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 { // none is sent before the last was answered
		payload := &grpc_testing.Payload{Body: data[i : 100*i+1]}
		if err := both.Send(&grpc_testing.StreamingOutputCallRequest{Payload: payload}); err != nil {
			t.Fatal(err)
		}
		if m, err := both.Recv(); err != nil || !proto.Equal(m.GetPayload(), payload) {
			t.Fatalf("answer %d: %v", i, err)
		}
	}
	if err := both.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := both.Recv(); status.Code(err) != codes.Aborted || status.Convert(err).Message() != "all was read" {
		t.Errorf("both ways at once ends with %v", err)
	}
}

// Guarantee: gRPC's statuses go through whole, with details; deadlines and callers who leave end the call at
// the target; and what the gateway refuses is a status of gRPC.
func TestGRPCTrouble(t *testing.T) {
	t.Parallel()
	s, client, ctx := grpcRoute(t, "grpc-trouble")
	wanted := &grpc_testing.EchoStatus{Code: int32(codes.FailedPrecondition), Message: "100 % \n „nicht jetzt“"}
	payload := &grpc_testing.Payload{Body: []byte("detail")}
	_, err := client.UnaryCall(ctx, &grpc_testing.SimpleRequest{ResponseStatus: wanted, Payload: payload})
	st := status.Convert(err)
	if st.Code() != codes.FailedPrecondition || st.Message() != wanted.GetMessage() || len(st.Details()) != 2 || !proto.Equal(st.Details()[1].(proto.Message), payload) {
		t.Errorf("the status is %v with %v", err, st.Details())
	}
	if _, err := client.UnimplementedCall(ctx, &grpc_testing.Empty{}); status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "UnimplementedCall") {
		t.Errorf("a method that the target has not: %v", err)
	}

	short, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	if _, err := client.EmptyCall(short, &grpc_testing.Empty{}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("after its deadline: %v", err)
	}
	awaitClosed(t, "the end of a call whose time was up", s.ended)

	leaving, leave := context.WithCancel(ctx)
	defer leave()
	down, err := client.StreamingOutputCall(leaving, &grpc_testing.StreamingOutputCallRequest{
		ResponseParameters: []*grpc_testing.ResponseParameters{{Size: 10}, {Size: 0}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := down.Recv(); err != nil {
		t.Fatal(err)
	}
	leave()
	awaitClosed(t, "the end of a stream that the caller left", s.ended)
	if _, err := down.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("the caller sees %v", err)
	}

	seen := s.count()
	stranger := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer tgk_not-a-key")
	if _, err := client.UnaryCall(stranger, &grpc_testing.SimpleRequest{}); status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), "key") {
		t.Errorf("with a wrong key: %v", err)
	}
	if open, err := client.FullDuplexCall(stranger); err != nil {
		t.Error(err)
	} else if _, err := open.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a stream with a wrong key: %v", err)
	}
	nowhere := grpc_testing.NewTestServiceClient(below{dial(t), "/grpc-nowhere"})
	if _, err := nowhere.UnaryCall(ctx, &grpc_testing.SimpleRequest{}); status.Code(err) == codes.OK || status.Code(err) == codes.Unknown {
		t.Errorf("a path that no endpoint has: %v", err)
	}
	if n := s.count(); n != seen {
		t.Errorf("%d refused calls have reached the target", n-seen)
	}
}
