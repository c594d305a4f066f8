package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"tollgate/controlplane/registry"
	"tollgate/internal/fault"
)

// The cost of a hash: what a guess costs an attacker who has the table, and a sign-in this server.
const (
	hashMemory  = 19 << 10 // KiB
	hashTime    = 2
	hashThreads = 1
	hashBytes   = 32
	saltBytes   = 16

	leastPassword = 12
	mostPassword  = 1024
)

// passwords hashes and compares, no more of them at a time than there are processors: each takes 19 MiB, and anybody may ask.
type passwords struct {
	slots chan struct{}
	dummy func() string
}

func newPasswords() *passwords {
	return &passwords{
		slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0))),
		dummy: sync.OnceValue(func() string { return hash([]byte("nobody's"), make([]byte, saltBytes)) }),
	}
}

func (p *passwords) enter(ctx context.Context) (leave func(), err error) {
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// hash is the text form of a new hash of a password.
func (p *passwords) hash(ctx context.Context, password string) (string, error) {
	leave, err := p.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	salt := make([]byte, saltBytes)
	rand.Read(salt)
	return hash([]byte(password), salt), nil
}

// matches compares a password with the text form of a hash. Without one it takes as long and is false, so that it cannot be
// told who has an account.
func (p *passwords) matches(ctx context.Context, password, text string) (bool, error) {
	leave, err := p.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	known := text != ""
	if !known {
		text = p.dummy()
	}
	want, salt, memory, time, threads, err := parse(text)
	if err != nil {
		return false, err
	}
	got := argon2.IDKey([]byte(password), salt, time, memory, threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1 && known, nil
}

func hash(password, salt []byte) string {
	sum := argon2.IDKey(password, salt, hashTime, hashMemory, hashThreads, hashBytes)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashTime, hashThreads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum))
}

// parse reads the text form, which says at what cost it was made, so that the cost can be raised later.
func parse(text string) (sum, salt []byte, memory, time uint32, threads uint8, err error) {
	bad := func() ([]byte, []byte, uint32, uint32, uint8, error) {
		return nil, nil, 0, 0, 0, fmt.Errorf("a hash of a password is not one")
	}
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return bad()
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &time, &threads); err != nil {
		return bad()
	}
	salt, saltErr := base64.RawStdEncoding.DecodeString(parts[4])
	sum, sumErr := base64.RawStdEncoding.DecodeString(parts[5])
	if saltErr != nil || sumErr != nil || len(salt) < 8 || len(salt) > 64 || len(sum) < 16 || len(sum) > 64 ||
		memory < 8 || memory > 1<<20 || time < 1 || time > 16 || threads < 1 || threads > 16 {
		return bad()
	}
	return sum, salt, memory, time, threads, nil
}

// checkPassword refuses passwords that are too short to be one, or so long that hashing them is work.
func checkPassword(field, password string) error {
	if n := utf8.RuneCountInString(password); n >= leastPassword && len(password) <= mostPassword {
		return nil
	}
	reason := fmt.Sprintf("A password has at least %d characters and at most %d bytes.", leastPassword, mostPassword)
	return fault.New(fault.InvalidArgument, "%s", reason).WithViolations(fault.Violation{Field: field, Code: registry.Range, Reason: reason})
}
