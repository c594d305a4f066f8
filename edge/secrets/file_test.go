package secrets

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

type files struct {
	t            *testing.T
	dir, outside string
}

func newFiles(t *testing.T) *files {
	t.Helper()
	at := t.TempDir()
	f := &files{t, filepath.Join(at, "allowed"), filepath.Join(at, "outside")}
	f.write("../outside", plain)
	f.write("token", "first\n")
	return f
}

func (f *files) write(name, text string) {
	f.t.Helper()
	if err := errors.Join(os.MkdirAll(f.dir, 0o700), os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600)); err != nil {
		f.t.Fatal(err)
	}
}

func (f *files) ref(name string) string { return "file:" + filepath.Join(f.dir, name) }

// Guarantee: a file is read without its line end and again when it changes; while it is away or empty, what it held is used.
func TestFiles(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	f.write("lines", "a\nb\r\n")
	b := setup(t, Config{Files: []string{"/nowhere", f.dir}})
	b.is(t, f.ref("token"), "first") // before it was asked to follow it, as at a start
	b.is(t, f.ref("lines"), "a\nb")
	b.Want([]string{f.ref("token"), f.ref("lines")})
	f.write("token", "second\r\n")
	if !b.round(t.Context(), true) {
		t.Error("no change was seen")
	}
	b.is(t, f.ref("token"), "second")
	f.write("token", "")
	if b.round(t.Context(), true) {
		t.Error("a file that is being written is a change")
	}
	if err := os.Remove(filepath.Join(f.dir, "token")); err != nil {
		t.Fatal(err)
	}
	b.round(t.Context(), true)
	b.is(t, f.ref("token"), "second")
	if log := b.log.String(); !strings.Contains(log, "is empty") || !strings.Contains(log, "there is no file") || strings.Contains(log, "second") {
		t.Errorf("log: %s", log)
	}
	// Kubernetes puts files behind links within the directory.
	f.write("data", "linked")
	if err := os.Symlink("data", filepath.Join(f.dir, "token")); err != nil {
		t.Fatal(err)
	}
	b.round(t.Context(), true)
	b.is(t, f.ref("token"), "linked")
}

// Guarantee: nothing outside of the directories is read, by whatever way; what is no plain file of a usable size is not
// waited for.
func TestFilesStayInside(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	f.write("empty", "\n")
	f.write("long", strings.Repeat("x", maxValue+1))
	if err := errors.Join(
		os.Symlink("../outside", filepath.Join(f.dir, "relative")),
		os.Symlink(f.outside, filepath.Join(f.dir, "absolute")),
		syscall.Mkfifo(filepath.Join(f.dir, "pipe"), 0o600),
		os.Mkdir(filepath.Join(f.dir, "folder"), 0o700),
	); err != nil {
		t.Fatal(err)
	}
	b := setup(t, Config{Files: []string{f.dir}})
	for ref, why := range map[string]string{
		"file:" + f.outside:     "in none of the directories",
		"file:" + f.dir:         "in none of the directories",
		"file:" + f.dir + "2/x": "in none of the directories",
		"file:/etc/shadow":      "in none of the directories",
		f.ref("relative"):       "leads out of its directory",
		f.ref("absolute"):       "leads out of its directory",
		f.ref("pipe"):           "is not a file",
		f.ref("folder"):         "is not a file",
		f.ref("empty"):          "is empty",
		f.ref("long"):           "is longer than",
		f.ref("missing"):        "there is no file",
		"env:UNSET":             "environment variable UNSET is not set",
		"":                      "A reference is",
	} {
		b.fails(t, ref, why)
	}
	b.is(t, "env:SET", "value of SET")
}
