package proxy

import (
	"strconv"
	"strings"

	"tollgate/internal/fault"
)

// isGRPC says whether the caller reads errors where gRPC has them.
func isGRPC(headers []Header) bool {
	const prefix = "application/grpc"
	kind := get(headers, "Content-Type")
	if len(kind) < len(prefix) || !strings.EqualFold(kind[:len(prefix)], prefix) {
		return false
	}
	rest := kind[len(prefix):]
	return rest == "" || rest[0] == '+' || rest[0] == ';' || rest[0] == ' '
}

// grpcError is an error as gRPC has it: in headers, without a body.
func grpcError(f *fault.Error) []Header {
	text := f.Message
	if f.Hint != "" {
		text += " " + f.Hint
	}
	return []Header{
		{"Content-Type", "application/grpc"},
		{"Grpc-Status", strconv.Itoa(grpcStatus(f))},
		{"Grpc-Message", grpcText(text)},
	}
}

// grpcStatus is the code of gRPC that comes closest.
func grpcStatus(f *fault.Error) int {
	const (
		invalidArgument   = 3
		deadlineExceeded  = 4
		permissionDenied  = 7
		resourceExhausted = 8
		unimplemented     = 12
		internal          = 13
		unavailable       = 14
		unauthenticated   = 16
	)
	switch f.Code { //nolint:exhaustive // the kinds say enough of the others
	case fault.BodyTooLarge, fault.HeadersTooLarge:
		return resourceExhausted
	case fault.EndpointNotFound, fault.MethodNotAllowed, fault.UpgradeUnsupported:
		return unimplemented
	}
	switch f.Kind() {
	case fault.Unauthenticated:
		return unauthenticated
	case fault.Denied:
		return permissionDenied
	case fault.Exhausted:
		return resourceExhausted
	case fault.Timeout:
		return deadlineExceeded
	case fault.Unavailable:
		return unavailable
	case fault.Invalid:
		return invalidArgument
	default:
		return internal
	}
}

// grpcText is a text as a header of gRPC carries it: percent-encoded but for plain characters.
func grpcText(text string) string {
	const digits = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(text) {
		if b := text[i]; b >= ' ' && b <= '~' && b != '%' {
			out.WriteByte(b)
		} else {
			out.Write([]byte{'%', digits[b>>4], digits[b&15]})
		}
	}
	return out.String()
}
