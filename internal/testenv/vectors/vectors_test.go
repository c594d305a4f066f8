package vectors

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"
)

// listed is the checksum of SHA256SUMS, so that a file cannot change together with its line.
const listed = "759d2501757b6fab4cfbd9f2ea3add841c794403013ab6ca56728174070d98e0"

// Guarantee: the recordings are the ones that were taken over: none was changed, added or lost.
func TestFilesAreUnchanged(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	if sum := hexSum(text); sum != listed {
		t.Errorf("the list of checksums is another one: %s", sum)
	}
	want := map[string]string{}
	for line := range strings.Lines(string(text)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok {
			t.Fatalf("line %q", line)
		}
		want[name] = sum
	}
	data := os.DirFS("testdata")
	err = fs.WalkDir(data, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(data, name)
		if err != nil {
			return err
		}
		if sum := hexSum(content); sum != want[name] {
			t.Errorf("%s is %s, and %q in the list", name, sum, want[name])
		}
		delete(want, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range want {
		t.Errorf("%s is missing", name)
	}
}

func hexSum(p []byte) string {
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:])
}

// fact is a line of the manifest.
type fact struct {
	File   string `json:"file"`
	Status int    `json:"status"`
	Method string `json:"method"`
	URL    string `json:"url"`
	Body   string `json:"body_file"`
}

// Guarantee: every file is part of exactly one exchange, which has the method, address and status that
// the manifest, made by another program, has for it.
func TestEveryFileIsPlayed(t *testing.T) {
	t.Parallel()
	text, err := fs.ReadFile(embedded, "testdata/"+manifest)
	if err != nil {
		t.Fatal(err)
	}
	facts := map[string]fact{}
	for line := range bytes.Lines(text) {
		var f fact
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatal(err)
		}
		facts[f.File] = f
	}
	seen := map[string]string{}
	for _, x := range All(t) {
		if f := facts[x.Name]; f.Status != 0 && (f.Status != x.Status || f.Method != x.Method || f.URL != x.URL) {
			t.Errorf("%s is %d %s %s, not %d %s %s", x.Name, x.Status, x.Method, x.URL, f.Status, f.Method, f.URL)
		}
		for _, file := range x.Files {
			if other := seen[file]; other != "" {
				t.Errorf("%s is in %s and in %s", file, other, x.Name)
			}
			seen[file] = x.Name
		}
	}
	for file := range facts {
		if seen[file] == "" {
			t.Errorf("%s is in no exchange", file)
		}
	}
	if len(seen) != len(facts) || len(facts) < 579 {
		t.Errorf("%d files are played, %d are in the manifest", len(seen), len(facts))
	}
}

// Guarantee: an exchange can be played: it has an address, a body on at least one side, headers without
// line ends, and no credential; a body that was recorded compressed is the other one.
func TestExchangesAreComplete(t *testing.T) {
	t.Parallel()
	streams, compressed := 0, 0
	for _, x := range All(t) {
		if u, err := url.Parse(strings.NewReplacer("<", "", ">", "").Replace(x.URL)); err != nil || u.Host == "" || u.Path == "" {
			t.Errorf("%s: address %q: %v", x.Name, x.URL, err)
		}
		if x.Vendor == "" || x.Method == "" || x.Status < 200 || len(x.Body)+len(x.RequestBody) == 0 {
			t.Errorf("%s: %q %q %d with %d and %d bytes", x.Name, x.Vendor, x.Method, x.Status, len(x.RequestBody), len(x.Body))
		}
		for _, h := range append(x.RequestHeaders, x.Headers...) {
			if strings.ContainsAny(h.Name+h.Value, "\r\n\x00") || h.Name == "" {
				t.Errorf("%s: header %q: %q", x.Name, h.Name, h.Value)
			}
		}
		if x.Stream {
			streams++
		}
		if x.Gzip != nil {
			compressed++
			if err := sameContent(x.Gzip, x.Body); err != nil {
				t.Errorf("%s: %v", x.Name, err)
			}
		}
	}
	if streams < 130 || compressed != 7 {
		t.Errorf("%d streams and %d compressed bodies", streams, compressed)
	}
}

// sameContent compares a compressed body with the one beside it, which is JSON that was written anew where
// it is JSON.
func sameContent(compressed, plain []byte) error {
	r, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return err
	}
	got, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	var a, b any
	if json.Unmarshal(got, &a) == nil && json.Unmarshal(plain, &b) == nil && reflect.DeepEqual(a, b) {
		return nil
	}
	if !bytes.Equal(got, plain) {
		return fmt.Errorf("the compressed body holds other bytes: %.100q", got)
	}
	return nil
}
