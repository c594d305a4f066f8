package signin

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/internal/fault"
)

// Guarantee: five attempts are free; every further failure doubles the wait, for this address and account alone, and success ends
// it.
func TestAttempts(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0).Add(24 * time.Hour)
	a := newAttempts(func() time.Time { return now })
	for range freeAttempts {
		if err := a.begin("x"); err != nil {
			t.Fatal(err)
		}
	}
	for _, wait := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		now = now.Add(wait - time.Millisecond)
		f, ok := errors.AsType[*fault.Error](a.begin("x"))
		if !ok || f.RetryAfter != time.Millisecond {
			t.Fatalf("after %s: %v", wait, f)
		}
		now = now.Add(time.Millisecond)
		if err := a.begin("x"); err != nil {
			t.Fatalf("after %s: %v", wait, err)
		}
	}
	if err := a.begin("y"); err != nil {
		t.Error(err)
	}
	a.succeed("x")
	if err := a.begin("x"); err != nil {
		t.Error(err)
	}
}

// Guarantee: however many try, what is remembered of them is bounded.
func TestAttemptsAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0).Add(24 * time.Hour)
	a := newAttempts(func() time.Time { return now })
	for i := range watched + 100 {
		if err := a.begin(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.all) > watched {
		t.Errorf("%d are remembered", len(a.all))
	}
}

// Guarantee: a password matches its own hash and no other password's, and nothing matches where there is none.
func TestPasswords(t *testing.T) {
	t.Parallel()
	p := newPasswords()
	kept, err := p.hash(t.Context(), "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		password, hash string
		want           bool
	}{{"correct horse battery", kept, true}, {"correct horse batterx", kept, false}, {"", kept, false}, {"nobody's", "", false}} {
		if got, err := p.matches(t.Context(), test.password, test.hash); err != nil || got != test.want {
			t.Errorf("%q: %t %v", test.password, got, err)
		}
	}
	if err := checkPassword("password", strings.Repeat("ä", 11)); err == nil {
		t.Error("eleven letters are taken")
	}
	if err := checkPassword("password", strings.Repeat("ä", 12)); err != nil {
		t.Error(err)
	}
}

// FuzzParse: nothing is taken for a hash that could not have been made, or whose cost is out of bounds.
func FuzzParse(f *testing.F) {
	f.Add(hash([]byte("x"), make([]byte, saltBytes)))
	f.Add("$argon2id$v=19$m=4294967295,t=2,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2i$v=19$m=19456,t=2,p=1$$")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		sum, salt, memory, cost, threads, err := parse(text)
		if err == nil && (len(sum) < 16 || len(salt) < 8 || memory > 1<<20 || cost > 16 || threads == 0 || !strings.HasPrefix(text, "$argon2id$")) {
			t.Errorf("%q was taken", text)
		}
	})
}

// Guarantee: a caller's address is what the last proxy of ours says, and nobody else is believed.
func TestAddress(t *testing.T) {
	t.Parallel()
	nets, err := parseProxies([]string{"10.0.0.0/8", "::1"})
	if err != nil {
		t.Fatal(err)
	}
	s := &Service{proxies: nets}
	for _, test := range []struct{ remote, said, want string }{
		{"192.0.2.1:5", "", "192.0.2.1"},
		{"192.0.2.1:5", "198.51.100.7", "192.0.2.1"},
		{"10.1.2.3:5", "198.51.100.7", "198.51.100.7"},
		{"10.1.2.3:5", "203.0.113.9, 198.51.100.7, 10.9.9.9", "198.51.100.7"},
		{"10.1.2.3:5", "10.9.9.9", "10.9.9.9"},
		{"10.1.2.3:5", "nonsense", "10.1.2.3"},
		{"[::1]:5", "2001:db8::1", "2001:db8::1"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = test.remote
		if test.said != "" {
			r.Header.Set("X-Forwarded-For", test.said)
		}
		if got := s.Address(r); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
	if CheckProxies([]string{"10.0.0.0/8", "x"}) == nil {
		t.Error("nonsense is taken for a network")
	}
}

// Guarantee: after signing in nobody is sent to another site.
func TestLocalPath(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom([]rune("/\\a.:@\t\r\n?#"))).Draw(t, "path")
		got := localPath(text)
		if !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\\\t\r\n") {
			t.Errorf("%q became %q", text, got)
		}
	})
}

// Guarantee: a cookie of ours opens until it expires, for what it was made, and nobody else's does.
func TestSealedCookies(t *testing.T) {
	t.Parallel()
	s, err := newSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	other, err := newSealer([]byte(strings.Repeat("x", 32)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.seal("a", journey{State: "s"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var j journey
	if err := s.open("a", text, &j); err != nil || j.State != "s" {
		t.Error(err, j)
	}
	late, err := s.seal("a", journey{}, -time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"another purpose": s.open("b", text, &j), "another key": other.open("a", text, &j), "expired": s.open("a", late, &j), "nonsense": s.open("a", "x", &j),
	} {
		if err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}
