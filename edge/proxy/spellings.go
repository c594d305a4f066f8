package proxy

import (
	"bytes"
	"encoding/base64"
)

// spellings are the characters that only a secret decides in the base64 of anything that holds it, for each place where it may
// begin in a group of three, in both alphabets.
type spellings struct {
	text []byte // one behind the other
	ends [2 * 3]int
}

// shortestSpelling is the length of the shortest one of a secret.
func shortestSpelling(secret string) int { return len(secret)*4/3 - 2 }

// inBase64 finds the secret in the base64 of anything that holds it, such as Basic credentials with
// whatever user name. How its characters come out depends on where in a group of three it begins.
func (c *credential) inBase64(text string) bool {
	if !hasRun(text, shortestSpelling(c.secret)) {
		return false
	}
	s := c.spellings.Load()
	if s == nil {
		if s = c.room; s == nil || c.taken.Swap(true) {
			s = &spellings{}
		}
		s.of(c.secret)
		c.spellings.Store(s)
	}
	return s.in(text)
}

// hasRun says whether so many characters of base64 follow one another in a text, as they do in nearly none.
func hasRun(text string, least int) bool {
	if len(text) < least {
		return false
	}
	run := 0
	for i := range len(text) {
		if !ofBase64[text[i]] {
			run = 0
			if len(text)-i-1 < least {
				return false
			}
			continue
		}
		if run++; run >= least {
			return true
		}
	}
	return false
}

var ofBase64 = func() (of [256]bool) {
	for c := range of {
		of[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '-' || c == '_'
	}
	return of
}()

// of fills them with those of a secret.
func (s *spellings) of(secret string) {
	s.text = s.text[:0]
	var few [192]byte
	for before := range 3 {
		raw := append(append(few[:0], make([]byte, before)...), secret...)
		first, end := (before*8+5)/6, len(raw)*8/6
		for i, alphabet := range [...]*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			begin := len(s.text)
			s.text = alphabet.AppendEncode(s.text, raw)
			copy(s.text[begin:], s.text[begin+first:begin+end])
			s.text = s.text[:begin+end-first]
			s.ends[2*before+i] = len(s.text)
		}
	}
}

func (s *spellings) in(text string) bool {
	begin := 0
	for _, end := range s.ends {
		if bytes.Contains([]byte(text), s.text[begin:end]) {
			return true
		}
		begin = end
	}
	return false
}
