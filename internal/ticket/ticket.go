// Package ticket is the form of tickets, by which one request may act as a key whose secret its sender does not have. A ticket is sealed
// for edges, so nobody without the sealing key makes, reads or changes one; its text form can stand where a key stands. Whether a ticket
// is taken is no matter of this package: it knows no clock and remembers none.
package ticket

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/seal"
)

// Prefix begins the text form of every ticket.
const Prefix = "tgt_"

// Lifetime is how long a ticket works.
const Lifetime = time.Minute

const (
	boundTo  = "ticket"
	hashLen  = 32
	nonceLen = 16
	longest  = 1024 // of the text form
)

// Make seals a ticket for the key with a hash, for one edge, from a moment on.
func Make(key *seal.Key, hash [32]byte, edge, source string, now time.Time) (text string, expires time.Time, err error) {
	nonce := make([]byte, nonceLen)
	rand.Read(nonce)
	expires = now.Add(Lifetime).Truncate(time.Millisecond)
	raw, err := proto.Marshal(&eventv1.Ticket{
		KeySha256: hash[:], Edge: edge, Nonce: nonce, ExpireUnixMs: expires.UnixMilli(), Source: source,
	})
	if err != nil {
		return "", time.Time{}, err
	}
	sealed, err := key.Seal(raw, boundTo)
	if err != nil {
		return "", time.Time{}, err
	}
	return Prefix + base64.RawURLEncoding.EncodeToString(sealed), expires, nil
}

// ErrForged is all that is said of a text that is no ticket of this deployment.
var ErrForged = errors.New("it is not a ticket of this gateway")

// Open reads the text form. What it returns is whole.
func Open(key *seal.Key, text string) (*eventv1.Ticket, error) {
	rest, ok := strings.CutPrefix(text, Prefix)
	if !ok || len(text) > longest || strings.ContainsAny(rest, "\r\n") { // line ends mean nothing in base64
		return nil, ErrForged
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if err != nil {
		return nil, ErrForged
	}
	raw, err := key.Open(sealed, boundTo)
	if err != nil {
		return nil, ErrForged
	}
	t := &eventv1.Ticket{}
	if err := proto.Unmarshal(raw, t); err != nil {
		return nil, ErrForged
	}
	if len(t.GetKeySha256()) != hashLen || len(t.GetNonce()) != nonceLen || t.GetEdge() == "" || t.GetExpireUnixMs() <= 0 {
		return nil, ErrForged
	}
	return t, nil
}
