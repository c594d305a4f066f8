package main

import (
	"errors"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"tollgate/internal/fault"
)

// databaseFailure says in one line why a database could not be connected to; other errors stay as
// they are. The driver names every address that it tried, most of them twice.
func databaseFailure(err error, hint string) error {
	connect, ok := errors.AsType[*pgconn.ConnectError](err)
	if !ok {
		return err
	}
	reason := lastLine(connect.Error())
	if op, ok := errors.AsType[*net.OpError](err); ok {
		reason = op.Error()
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		reason = refused.Message
	}
	return fault.New(fault.UnavailableErr, "The database cannot be connected to (%s).", reason).WithHint("%s", hint).WithCause(err)
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
