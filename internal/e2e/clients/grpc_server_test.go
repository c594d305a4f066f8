package clients_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// testService is gRPC's own service for tests, as a target that wants its credential.
type testService struct {
	grpc_testing.UnimplementedTestServiceServer

	addr  string
	ended chan struct{} // closed when a call that would last for ever has ended

	mu       sync.Mutex
	key      string // of the gateway: it must never arrive
	calls    int
	problems []string
}

// startService listens without TLS.
func startService(t *testing.T) *testService {
	t.Helper()
	s := &testService{ended: make(chan struct{}, 10)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	server := grpc.NewServer(
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
			s.inspect(ctx)
			return h(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, h grpc.StreamHandler) error {
			s.inspect(stream.Context())
			return h(srv, stream)
		}),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			s.inspect(stream.Context())
			return status.Error(codes.Unimplemented, "unknown to the target")
		}),
	)
	grpc_testing.RegisterTestServiceServer(server, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() { server.Stop(); <-done })
	return s
}

// inspect notes a call and what is wrong with its metadata.
func (s *testService) inspect(ctx context.Context) {
	md, _ := metadata.FromIncomingContext(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if got := md.Get("authorization"); len(got) != 1 || got[0] != "Bearer "+vendorKey {
		s.problems = append(s.problems, fmt.Sprintf("the credential is %q", got))
	}
	if got := md.Get(":authority"); len(got) != 1 || got[0] != s.addr {
		s.problems = append(s.problems, fmt.Sprintf("the authority is %q", got))
	}
	if strings.Contains(fmt.Sprint(md), s.key) {
		s.problems = append(s.problems, fmt.Sprintf("the gateway's key has arrived: %v", md))
	}
}

func (s *testService) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// UnaryCall answers with what it was sent, and with metadata of every kind before and behind it.
func (s *testService) UnaryCall(ctx context.Context, in *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	head, tail := metadata.MD{}, metadata.MD{}
	for name, values := range md {
		if strings.HasPrefix(name, "x-echo-") {
			head[name] = values
			tail["behind-"+name] = values
		}
	}
	if err := grpc.SetHeader(ctx, head); err != nil {
		return nil, err
	}
	if err := grpc.SetTrailer(ctx, tail); err != nil {
		return nil, err
	}
	if want := in.GetResponseStatus(); want.GetCode() != 0 {
		st, err := status.New(codes.Code(want.GetCode()), want.GetMessage()).WithDetails(want, in.GetPayload())
		if err != nil {
			return nil, err
		}
		return nil, st.Err()
	}
	return &grpc_testing.SimpleResponse{Payload: in.GetPayload()}, nil
}

// EmptyCall never answers.
func (s *testService) EmptyCall(ctx context.Context, _ *grpc_testing.Empty) (*grpc_testing.Empty, error) {
	<-ctx.Done()
	s.ended <- struct{}{}
	return nil, ctx.Err()
}

// StreamingOutputCall answers each size that is asked for; one of zero bytes lasts for ever.
func (s *testService) StreamingOutputCall(in *grpc_testing.StreamingOutputCallRequest, out grpc.ServerStreamingServer[grpc_testing.StreamingOutputCallResponse]) error {
	for _, p := range in.GetResponseParameters() {
		if p.GetSize() == 0 {
			<-out.Context().Done()
			s.ended <- struct{}{}
			return out.Context().Err()
		}
		if err := out.Send(&grpc_testing.StreamingOutputCallResponse{Payload: &grpc_testing.Payload{Body: make([]byte, p.GetSize())}}); err != nil {
			return err
		}
	}
	out.SetTrailer(metadata.Pairs("sent", fmt.Sprint(len(in.GetResponseParameters()))))
	return nil
}

// StreamingInputCall answers how many bytes it was sent.
func (s *testService) StreamingInputCall(in grpc.ClientStreamingServer[grpc_testing.StreamingInputCallRequest, grpc_testing.StreamingInputCallResponse]) error {
	sum := 0
	for {
		m, err := in.Recv()
		if err == io.EOF {
			return in.SendAndClose(&grpc_testing.StreamingInputCallResponse{AggregatedPayloadSize: int32(sum)})
		} else if err != nil {
			return err
		}
		sum += len(m.GetPayload().GetBody())
	}
}

// FullDuplexCall answers each message with what is in it before it reads the next.
func (s *testService) FullDuplexCall(both grpc.BidiStreamingServer[grpc_testing.StreamingOutputCallRequest, grpc_testing.StreamingOutputCallResponse]) error {
	for {
		m, err := both.Recv()
		if err == io.EOF {
			return status.Error(codes.Aborted, "all was read")
		} else if err != nil {
			s.ended <- struct{}{}
			return err
		}
		if err := both.Send(&grpc_testing.StreamingOutputCallResponse{Payload: m.GetPayload()}); err != nil {
			return err
		}
	}
}
