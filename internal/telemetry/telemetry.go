// Package telemetry makes the logger and the tracer provider of a process and
// knows the version of the binary. Everything it makes is handed to whoever
// needs it: no default logger and no global provider is ever set, so that
// parallel tests and several roles in one process do not mix.
//
// Metrics are not here. The packages that measure own their instruments.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// NewLogger writes to w in format "json" or "text", from level "debug",
// "info", "warn" or "error" upwards. Anything else is treated as json and
// info, because a logger is needed to say so; check with CheckLogging first.
func NewLogger(w io.Writer, format, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: l}
	if strings.EqualFold(format, "text") {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

// CheckLogging says what is wrong with a format or a level, for the Validate
// method of a configuration.
func CheckLogging(format, level string) error {
	switch strings.ToLower(format) {
	case "json", "text":
	default:
		return fmt.Errorf("log format %q is neither json nor text", format)
	}
	switch strings.ToLower(level) {
	case "debug", "info", "warn", "error":
	default:
		return fmt.Errorf("log level %q is none of debug, info, warn, error", level)
	}
	return nil
}
