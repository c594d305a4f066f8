// Package rpccode is the one place where a kind of fault becomes a Connect code. What else an error
// carries over the wire is up to the service that answers it.
package rpccode

import (
	"connectrpc.com/connect"

	"tollgate/internal/fault"
)

var codes = map[fault.Kind]connect.Code{
	fault.Internal:        connect.CodeInternal,
	fault.Invalid:         connect.CodeInvalidArgument,
	fault.Unauthenticated: connect.CodeUnauthenticated,
	fault.Denied:          connect.CodePermissionDenied,
	fault.NotFound:        connect.CodeNotFound,
	fault.Exists:          connect.CodeAlreadyExists,
	fault.Conflict:        connect.CodeAborted,
	fault.Precondition:    connect.CodeFailedPrecondition,
	fault.Exhausted:       connect.CodeResourceExhausted,
	fault.Unavailable:     connect.CodeUnavailable,
	fault.Timeout:         connect.CodeDeadlineExceeded,
}

// Of is the code of a kind; one that is not known is internal.
func Of(k fault.Kind) connect.Code {
	if code, ok := codes[k]; ok {
		return code
	}
	return connect.CodeInternal
}
