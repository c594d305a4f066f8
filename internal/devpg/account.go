package devpg

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user who runs the server in place of root, for whom it
// refuses. A nil account is the current user.
type account struct {
	name     string
	uid, gid uint32
}

func runAs() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	// Only accounts that exist: the server looks its user up by number.
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		return &account{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")
}

func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Lchown(path, int(a.uid), int(a.gid))
}

func (a *account) ownTree(root string) error {
	if a == nil {
		return nil
	}
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return a.own(path)
	})
}

// reaches says whether the account may enter dir and every folder above it.
func (a *account) reaches(dir string) bool {
	if a == nil {
		return true
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	for ; ; real = filepath.Dir(real) {
		info, err := os.Stat(real)
		if err != nil {
			return false
		}
		bit := fs.FileMode(0o001)
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			switch {
			case st.Uid == a.uid:
				bit = 0o100
			case st.Gid == a.gid:
				bit = 0o010
			}
		}
		if info.Mode().Perm()&bit == 0 {
			return false
		}
		if real == filepath.Dir(real) {
			return true
		}
	}
}

// place makes the directory to use for want: want itself, or, where the
// account cannot get there, one under the temporary directory that is the same
// on every start.
func place(want string, a *account) (string, error) {
	dir, err := filepath.Abs(want)
	if err != nil {
		return "", err
	}
	//nolint:gosec // the account has to get through the folders above its own
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	if !a.reaches(filepath.Dir(dir)) {
		sum := sha256.Sum256([]byte(dir))
		dir = filepath.Join(os.TempDir(), "tollgate-pg-"+hex.EncodeToString(sum[:6]))
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	// In a directory that everyone may write to, this name may have been taken
	// by someone else, or be a link to somewhere else.
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	mine := ok && (int(st.Uid) == os.Geteuid() || a != nil && st.Uid == a.uid)
	if !info.IsDir() || !mine {
		return "", fmt.Errorf("%s is not a directory of user %d", dir, os.Geteuid())
	}
	//nolint:gosec // a directory needs the execute bit
	if err := os.Chmod(dir, 0o700); err != nil {
		return "", err
	}
	return dir, a.own(dir)
}
