package pg

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// IsUnique says that a row exists already, and which constraint saw it.
func IsUnique(err error) (constraint string, ok bool) { return violated(err, "23505") }

// IsForeignKey says that a row refers to none, or is still referred to.
func IsForeignKey(err error) (constraint string, ok bool) { return violated(err, "23503") }

// IsCheck says that a value broke a check constraint.
func IsCheck(err error) (constraint string, ok bool) { return violated(err, "23514") }

// IsDuplicateTable says that a table of that name exists already.
func IsDuplicateTable(err error) bool { return code(err) == "42P07" }

// IsConflict says that the database ended a transaction that may succeed if it
// is run again: a serialization failure or a deadlock.
func IsConflict(err error) bool {
	c := code(err)
	return c == "40001" || c == "40P01"
}

// IsUnavailable says that the database could not be reached or is shutting
// down or starting up. Whether a commit on its way took effect is unknown.
// The end of the caller's own context is not the database's absence.
func IsUnavailable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	if c := code(err); c != "" {
		// 25006: a server that still follows another one, in the middle of a failover.
		return strings.HasPrefix(c, "08") || strings.HasPrefix(c, "57P0") || c == "53300" || c == "25006"
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed)
}

func violated(err error, want string) (string, bool) {
	pe, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || pe.Code != want {
		return "", false
	}
	return pe.ConstraintName, true
}

func code(err error) string {
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pe.Code
	}
	return ""
}
