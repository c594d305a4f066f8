package proxy

import (
	"context"
	"slices"
	"testing"

	"tollgate/internal/fault"
)

// withTrailers is a caller that takes trailers.
type withTrailers struct {
	got

	trailers []Header
	after    int // bytes of the body that came before them
}

func (o *withTrailers) Trailers(headers []Header) { o.trailers, o.after = headers, o.body.Len() }

// Guarantee (52): what a target sends behind the body of its answer arrives behind it, but for what has no
// place there; and it is announced as the target did.
func TestTrailers(t *testing.T) {
	t.Parallel()
	s, _ := newTries(t, 1, nil)
	late := []Header{
		{"Grpc-Status", "0"},
		{"grpc-message", "fine"},
		{"X-Sum", "1"},
		{"X-Sum", "2"},
		{"Content-Length", "5"},
		{"Transfer-Encoding", "chunked"},
		{"Set-Cookie", "a=b"},
		{"Authorization", "Bearer x"},
		{"X-Tollgate-Cost", "0.00"},
		{"Connection", "close"},
		{"Trailer", "X"},
	}
	for length, announcement := range map[int64]string{-1: "Grpc-Status, X-Sum", 4: ""} {
		s.gateway.d.Upstream = upstreamFunc(func(context.Context, *Attempt) (*Answer, error) {
			to := &script{pieces: []string{"abcd"}}
			return &Answer{
				Status: 200, Length: length, Headers: []Header{{"Trailer", "Grpc-Status, Content-Length"}, {"Trailer", " X-Sum"}},
				Body: &scriptBody{s: to}, Trailers: func() []Header { return late },
			}, nil
		})
		out := &withTrailers{}
		s.gateway.Serve(t.Context(), &Exchange{Method: "GET", Target: "/x", Out: out, Headers: []Header{{"Authorization", s.key}}})
		if !slices.Equal(out.trailers, late[:4]) || out.after != 4 || get(out.headers, "Trailer") != announcement {
			t.Errorf("trailers %q after %d bytes, announced %q", out.trailers, out.after, get(out.headers, "Trailer"))
		}
	}

	// Behind an answer that broke off there is nothing to trust.
	s.gateway.d.Upstream = upstreamFunc(func(context.Context, *Attempt) (*Answer, error) {
		to := &script{pieces: []string{"abcd"}, breaks: errBroken}
		return &Answer{Status: 200, Length: -1, Body: &scriptBody{s: to}, Trailers: func() []Header { return late }}, nil
	})
	out := &withTrailers{}
	s.gateway.Serve(t.Context(), &Exchange{Method: "GET", Target: "/x", Out: out, Headers: []Header{{"Authorization", s.key}}})
	if !out.aborted || out.trailers != nil {
		t.Errorf("aborted %v, trailers %q", out.aborted, out.trailers)
	}
}

// Guarantee: a caller of gRPC reads an error of the gateway where gRPC has it, with the headers that every
// answer has.
func TestErrorsOfGRPC(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kind    string
		arrange func(s *stages)
		status  int
		code    string
	}{
		"no key":      {"application/grpc", func(s *stages) { s.key = "" }, 200, "16"},
		"no money":    {"application/grpc+proto", func(s *stages) { s.money.left = 0 }, 200, "8"},
		"unreachable": {"Application/GRPC; x=1", func(*stages) {}, 200, "14"},
		"another API": {"application/grpc-web", func(*stages) {}, 502, ""},
		"JSON":        {"application/json", func(*stages) {}, 502, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := newTries(t, 1, nil, step{fails: FailConnect})
			tc.arrange(s)
			out := s.call(t.Context(), "POST", "x", 1, Header{"Content-Type", tc.kind})
			if out.status != tc.status || get(out.headers, "Grpc-Status") != tc.code || get(out.headers, HeaderRequestID) == "" {
				t.Errorf("got %d %q", out.status, out.headers)
			}
			if tc.code != "" && (get(out.headers, "Content-Type") != "application/grpc" || out.body.Len() > 0 || get(out.headers, "Grpc-Message") == "") {
				t.Errorf("got %q %q", out.headers, out.body.String())
			}
		})
	}
	for code, want := range map[fault.Code]int{
		fault.KeyMissing: 16, fault.KeyUnknown: 16, fault.KeyExpired: 16, fault.KeyRevoked: 16, fault.KeyNotAllowed: 7,
		fault.EndpointNotFound: 12, fault.MethodNotAllowed: 12, fault.BudgetExhausted: 8, fault.RateLimited: 8, fault.BodyTooLarge: 8, fault.UpstreamThrottled: 8,
		fault.UpstreamTimeout: 4, fault.PathInvalid: 3, fault.LabelInvalid: 3, fault.BodyInvalid: 3, fault.InternalError: 13, fault.SecretUnresolved: 13,
		fault.UpstreamUnreachable: 14, fault.UpstreamUnavailable: 14, fault.BreakerOpen: 14, fault.ShuttingDown: 14, fault.SpoolUnavailable: 14, fault.Overloaded: 14,
	} {
		if got := grpcStatus(fault.New(code, "x")); got != want {
			t.Errorf("%s is %d, want %d", code, got, want)
		}
	}
	if got := grpcText("50% of\n\"é\""); got != `50%25 of%0A"%C3%A9"` {
		t.Errorf("got %q", got)
	}
}
