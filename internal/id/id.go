// Package id makes and checks the typed identifiers of Tollgate: a prefix that says what is named,
// then 26 characters that sort by time of making. It promises uniqueness, not secrecy.
package id

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Prefix says what an identifier names.
type Prefix string

// The prefixes.
const (
	Endpoint Prefix = "ep"
	Key      Prefix = "key"
	Budget   Prefix = "bud"
	Secret   Prefix = "sec"
	Team     Prefix = "team"
	Limit    Prefix = "lim"
	Model    Prefix = "mdl"
	Adapter  Prefix = "adp"
	Request  Prefix = "req"
	Audit    Prefix = "aud"
	Person   Prefix = "usr"
	Session  Prefix = "ses"
	Token    Prefix = "tok"
	Plan     Prefix = "plan"
	Channel  Prefix = "chn"
	Alert    Prefix = "alt"
)

// alphabet is Crockford's, in lower case: it sorts as bytes do and has no letters that look alike.
var alphabet = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// Bytes is the unprefixed form: a UUID of version 7.
type Bytes [16]byte

// NewBytes makes an identifier in binary form.
func NewBytes() Bytes {
	return Bytes(uuid.Must(uuid.NewV7()))
}

// At makes an identifier in binary form for a moment that is known. Those of two moments sort by them, to the nanosecond; those
// of the same moment differ, and sort by chance. Unlike NewBytes it shares nothing with other goroutines.
func At(moment time.Time) (b Bytes) {
	const million = 1_000_000
	ns := moment.UnixNano()
	ms, part := ns/million, uint64(ns%million) // of which 20 bits are used: 12 beside the version, 8 beside the variant
	r := rand.Uint64()                         //nolint:gosec // they need not be hard to guess
	binary.BigEndian.PutUint64(b[:8], uint64(ms)<<16|7<<12|part>>8)
	binary.BigEndian.PutUint64(b[8:], 2<<62|part&0xff<<54|r>>10)
	return b
}

// New makes an identifier.
func New(p Prefix) string { return NewBytes().Text(p) }

// Time is when b was made, by the clock of the machine that made it, to the millisecond.
func (b Bytes) Time() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(b[:]) >> 16))
}

// Text is the prefixed form of b.
func (b Bytes) Text(p Prefix) string {
	return string(b.Append(make([]byte, 0, len(p)+1+26), p))
}

// Append appends the prefixed form of b.
func (b Bytes) Append(to []byte, p Prefix) []byte {
	return alphabet.AppendEncode(append(append(to, p...), '_'), b[:])
}

// Parse reads the prefixed form, and only as Text writes it: each identifier has one spelling.
func Parse(p Prefix, s string) (Bytes, error) {
	text, ok := strings.CutPrefix(s, string(p)+"_")
	if !ok || len(text) != 26 {
		return Bytes{}, fmt.Errorf("%q is not an identifier of the form %s_…", s, p)
	}
	raw, err := alphabet.DecodeString(text)
	if err != nil {
		return Bytes{}, fmt.Errorf("%q is not an identifier: %w", s, err)
	}
	// The decoder passes over line breaks, and over bits of the last character that mean nothing.
	if len(raw) != len(Bytes{}) || Bytes(raw).Text(p) != s {
		return Bytes{}, fmt.Errorf("%q is not an identifier of the form %s_…", s, p)
	}
	return Bytes(raw), nil
}

// Is says whether s has the form of an identifier of p.
func Is(p Prefix, s string) bool {
	_, err := Parse(p, s)
	return err == nil
}
