package ticket_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"tollgate/internal/seal"
	"tollgate/internal/ticket"
)

func newKey(tb testing.TB) *seal.Key {
	tb.Helper()
	k, err := seal.Parse(seal.Generate())
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// Guarantee: a ticket says what it was made for, no two are the same, and what it says cannot be read from it.
func TestTicketIsOpenedWhole(t *testing.T) {
	t.Parallel()
	key, hash := newKey(t), [32]byte{1, 2, 3}
	text, expires, err := ticket.Make(key, hash, "fra-1", "console", now)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ticket.Open(key, text)
	if err != nil || [32]byte(got.GetKeySha256()) != hash || got.GetEdge() != "fra-1" || got.GetSource() != "console" || got.GetExpireUnixMs() != expires.UnixMilli() {
		t.Errorf("%v %v", got, err)
	}
	if !expires.Equal(now.Add(time.Minute)) || !strings.HasPrefix(text, ticket.Prefix) {
		t.Errorf("%s until %s", text, expires)
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, ticket.Prefix))
	if err != nil || strings.Contains(string(raw), "fra-1") {
		t.Errorf("it can be read: %q %v", raw, err)
	}
	if other, _, err := ticket.Make(key, hash, "fra-1", "console", now); err != nil || other == text {
		t.Errorf("twice the same: %v", err)
	}
}

// Guarantee: a ticket of another key, one in which any byte was changed, and a value that was sealed for another purpose are refused.
func TestForgedTicketsAreRefused(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	text, _, err := ticket.Make(key, [32]byte{1}, "e", "", now)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what, text string, key *seal.Key) {
		t.Helper()
		if got, err := ticket.Open(key, text); !errors.Is(err, ticket.ErrForged) {
			t.Errorf("%s: opened %v, %v", what, got, err)
		}
	}
	refused("another key", text, newKey(t))
	sealed, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, ticket.Prefix))
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		sealed[i] ^= 1
		refused("a changed byte", ticket.Prefix+base64.RawURLEncoding.EncodeToString(sealed), key)
		sealed[i] ^= 1
	}
	secret, err := key.Seal([]byte("x"), "secret:bria")
	if err != nil {
		t.Fatal(err)
	}
	empty, err := key.Seal(nil, "ticket")
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"a secret": ticket.Prefix + base64.RawURLEncoding.EncodeToString(secret), "nothing in it": ticket.Prefix + base64.RawURLEncoding.EncodeToString(empty),
		"no text": "", "the prefix": ticket.Prefix, "a key": "tgk_" + strings.TrimPrefix(text, ticket.Prefix), "a long one": text + strings.Repeat("A", 1024),
		"cut off": text[:len(text)-1], "a line end": text + "\n",
	} {
		refused(what, text, key)
	}
}

// FuzzOpen: no text but one that was sealed is opened.
func FuzzOpen(f *testing.F) {
	key := newKey(f)
	text, _, err := ticket.Make(key, [32]byte{1}, "e", "cli", now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(text[:len(text)/2])
	f.Add(ticket.Prefix + "AAAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, given string) {
		got, err := ticket.Open(key, given)
		if err == nil && given != text {
			t.Fatalf("%q opens as %v", given, got)
		}
		if err != nil && !errors.Is(err, ticket.ErrForged) {
			t.Fatal(err)
		}
	})
}
