package cli

import "tollgate/internal/fault"

// Exit codes. Each has one meaning, so that a script can tell what to do.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitNotFound    = 3
	ExitDenied      = 4
	ExitConflict    = 5
	ExitUnreachable = 6
	ExitRefused     = 7
	ExitPending     = 8
	ExitDifferent   = 10
	ExitInterrupted = 130
)

// exitOf is the exit code of a kind of failure.
func exitOf(kind fault.Kind) int {
	switch kind {
	case fault.Invalid:
		return ExitUsage
	case fault.Unauthenticated, fault.Denied:
		return ExitDenied
	case fault.NotFound:
		return ExitNotFound
	case fault.Exists, fault.Conflict, fault.Precondition:
		return ExitConflict
	case fault.Exhausted:
		return ExitRefused
	case fault.Unavailable, fault.Timeout:
		return ExitUnreachable
	default:
		return ExitFailed
	}
}

const exitCodes = `Exit codes:
  0    ok
  1    failed
  2    bad flags or invalid input
  3    not found
  4    not signed in, or not allowed
  5    conflict: it exists, changed meanwhile, or something else stands in the way
  6    server, gateway or target unreachable, or too slow
  7    refused by a budget or limit
  8    accepted, but not finished in the time allowed
  10   compared, and it differs
  130  interrupted
`
