package e2e_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// fragment is how much of a secret counts as having leaked it. It is less than each of them has, and more than what is shown to
// tell them apart.
const fragment = 16

// needles find secrets in whatever form they are written down.
type needles struct {
	first [1 << 16]bool // of two bytes
	by    map[uint64][]needle
}

type needle struct {
	form   []byte
	secret string // its name
}

// thread makes needles of all secrets: plain, in hexadecimal and in base64, wherever in a longer text of base64 they begin.
// Percent encoding leaves alone what all of these secrets are made of.
func thread(secrets map[string]string) *needles {
	n := &needles{by: map[uint64][]needle{}}
	for name, secret := range secrets {
		for _, part := range parts(secret) {
			n.add(name, part, hex.EncodeToString([]byte(part)), strings.ToUpper(hex.EncodeToString([]byte(part))))
			for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				for shift := range 3 {
					text := enc.EncodeToString([]byte(strings.Repeat("\x00", shift) + part))
					// What is beside it has a part in the characters at the edges.
					from, to := []int{0, 2, 3}[shift], len(text)
					if (shift+len(part))%3 != 0 {
						to--
					}
					n.add(name, text[from:to])
				}
			}
		}
	}
	return n
}

// parts are the beginning and the end of what is random in a secret: one that is cut has leaked as well.
func parts(secret string) []string {
	if at := strings.IndexByte(secret, '_'); at >= 0 && at < 6 {
		secret = secret[at+1:]
	}
	if len(secret) <= fragment {
		return []string{secret}
	}
	return []string{secret[:fragment], secret[len(secret)-fragment:]}
}

func (n *needles) add(secret string, forms ...string) {
	for _, form := range forms {
		key := binary.LittleEndian.Uint64([]byte(form))
		n.first[uint16(key)] = true
		n.by[key] = append(n.by[key], needle{[]byte(form), secret})
	}
}

// in names the secrets that are in data or in what is packed in it, with what stands around them.
func (n *needles) in(data []byte) (found map[string]string) {
	found = map[string]string{}
	n.search(data, found)
	for _, packed := range unpacked(data) {
		n.search(packed, found)
	}
	return found
}

func (n *needles) search(data []byte, found map[string]string) {
	for i := 0; i+8 <= len(data); i++ {
		if !n.first[binary.LittleEndian.Uint16(data[i:])] {
			continue
		}
		for _, x := range n.by[binary.LittleEndian.Uint64(data[i:])] {
			if bytes.HasPrefix(data[i:], x.form) && found[x.secret] == "" {
				found[x.secret] = fmt.Sprintf("%q", data[max(0, i-160):min(len(data), i+len(x.form)+40)])
			}
		}
	}
}

// unpacked are the texts in data that are compressed. What only looks so is as much of it as can be read.
func unpacked(data []byte) (all [][]byte) {
	const most = 64 << 20
	each := func(magic string, open func(io.Reader) (io.Reader, error)) {
		for at := 0; ; at++ {
			next := bytes.Index(data[at:], []byte(magic))
			if next < 0 {
				return
			}
			at += next
			if r, err := open(bytes.NewReader(data[at:])); err == nil {
				text, _ := io.ReadAll(io.LimitReader(r, most))
				all = append(all, text)
			}
		}
	}
	frames, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		panic(err) // the options are constant
	}
	defer frames.Close()
	each("\x28\xb5\x2f\xfd", func(r io.Reader) (io.Reader, error) { return frames, frames.Reset(r) })
	each("\x1f\x8b\x08", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) })
	return all
}

// under searches all files of a directory, and says how many bytes they have.
func (n *needles) under(t *testing.T, dir string) (size int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		size += int64(len(text))
		n.report(t, path, text)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return size
}

func (n *needles) report(t *testing.T, where string, text []byte) {
	t.Helper()
	for secret, around := range n.in(text) {
		t.Errorf("%s has %s: %s", where, secret, around)
	}
}

// Guarantee: the search finds a secret in every form in which the tests look for it; one that found nothing would prove nothing.
func TestNeedlesFindWhatIsThere(t *testing.T) {
	t.Parallel()
	const secret = "tgk_Q7f-mZ0_xkWc31vRb9sLpA5yTnE8uHdJ"
	n := thread(map[string]string{"key": secret})
	forms := map[string][]byte{
		"plain": []byte("a " + secret + " b"), "cut": []byte("tgk_Q7f-mZ0_xkWc31vR…"), "its end": []byte("…b9sLpA5yTnE8uHdJ"),
		"hexadecimal": []byte(`\x00` + hex.EncodeToString([]byte(secret))), "upper case": []byte(strings.ToUpper(hex.EncodeToString([]byte(secret)))),
	}
	for shift := range 3 {
		text := strings.Repeat("\xff", shift) + secret + "\xfe\xff"
		forms[fmt.Sprint("base64 ", shift)] = []byte(base64.StdEncoding.EncodeToString([]byte(text)))
		forms[fmt.Sprint("base64url ", shift)] = []byte(base64.RawURLEncoding.EncodeToString([]byte(text)))
	}
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	forms["zstd"] = append([]byte("before"), append(w.EncodeAll([]byte(strings.Repeat(secret, 9)), nil), "behind"...)...)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	if _, err := zip.Write([]byte(secret)); err != nil || zip.Close() != nil {
		t.Fatal(err)
	}
	forms["gzip"] = packed.Bytes()
	for form, text := range forms {
		if len(n.in(text)) != 1 {
			t.Errorf("%s: not found in %q", form, text)
		}
	}
	if found := n.in([]byte("tgk_…uHdJ and tgk_Q7f-mZ0_xkWc31v")); len(found) != 0 {
		t.Errorf("found %v in what is too little", found)
	}
}
