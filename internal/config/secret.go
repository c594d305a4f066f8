package config

import (
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a setting that nothing prints, logs or writes out. Only Reveal
// gives the value, so that every use of it can be found.
type Secret string

// Reveal is the value itself.
func (s Secret) Reveal() string { return string(s) }

// String says only whether there is a value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// Format covers every verb: with an unfitting one such as %d, fmt would
// otherwise show the value in its complaint.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// LogValue keeps the value out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps the value out of JSON and other encodings.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML keeps the value out of a printed configuration.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }
