package proxy

import (
	"net/url"
	"strings"

	"tollgate/edge/routing"
)

// scrub is what may leave of a caller's header: its value, without cookies that hold the key, or
// nothing if it holds the key or, where a key would be read, another one of this gateway. It applies
// whatever the endpoint forwards.
func (c *credential) scrub(name, value, keyHeader string, isOurs func(secret string) bool) (string, bool) {
	return c.scrubbed(Header{name, value}, kindOf(name), keyHeader, isOurs)
}

// scrubbed is scrub for a header of which it is known what kind it is.
func (c *credential) scrubbed(h Header, k kind, keyHeader string, isOurs func(secret string) bool) (string, bool) {
	name, value := h.Name, h.Value
	mayBeKey := k&keyed != 0 || keyHeader != "" && sameHeader(keyHeader, name)
	if !mayBeKey && c.tooShort(name) && c.tooShort(value) {
		return value, true
	}
	if c.inName(name) {
		return "", false
	}
	if k&cookies != 0 {
		return c.scrubCookies(value)
	}
	plain, user, password := trimmed(value), "", ""
	if mayHaveScheme(plain) {
		plain = secretIn(value)
		user, password = halves(value)
	}
	if c.hiddenIn(value) || len(plain) < len(value) && c.in(plain) || c.in(user) || c.in(password) {
		return "", false
	}
	if mayBeKey {
		for _, secret := range [...]string{plain, user, password} {
			if secret != "" && isOurs(secret) {
				return "", false
			}
		}
	}
	return value, true
}

// tooShort says whether a text cannot give the key away: every way of writing it makes it longer.
func (c *credential) tooShort(text string) bool { return len(text) < len(c.secret) || c.secret == "" }

// halves are the user name and the password of Basic credentials.
func halves(value string) (user, password string) {
	if scheme, rest := cutScheme(trimmed(value)); len(scheme) == len("basic") && strings.EqualFold(scheme, "basic") {
		user, password, _ = basic(rest)
	}
	return user, password
}

// inName says whether the name of a header holds the key. The engine has changed the case of its
// letters.
func (c *credential) inName(name string) bool {
	return len(c.secret) >= shortestScrubbed && len(name) >= len(c.secret) &&
		strings.Contains(strings.ToLower(name), strings.ToLower(c.secret))
}

// scrubProtocols is what may leave of a list of subprotocols: all but the key and what else is a key of
// this gateway, and no credential at all unless the endpoint lets the vendor's through.
func (c *credential) scrubProtocols(value string, vendors bool, isOurs func(secret string) bool) (string, bool) {
	var kept []string
	dropped := false
	for token := range strings.SplitSeq(value, ",") {
		token = strings.Trim(token, " \t")
		secret, ok := strings.CutPrefix(token, protocolPrefix)
		if c.hiddenIn(token) || ok && (!vendors || c.in(secret) || isOurs(secret)) {
			dropped = true
			continue
		}
		kept = append(kept, token)
	}
	if dropped {
		if value = strings.Join(kept, ", "); strings.Trim(value, ", ") == "" {
			return "", false
		}
	}
	if c.hiddenIn(value) { // the secret holds a comma and reaches over two tokens
		return "", false
	}
	return value, true
}

func (c *credential) scrubCookies(value string) (string, bool) {
	if !c.hiddenIn(value) {
		return value, true
	}
	var kept []string
	for cookie := range strings.SplitSeq(value, ";") {
		if cookie = strings.TrimSpace(cookie); !c.hiddenIn(cookie) {
			kept = append(kept, cookie)
		}
	}
	// The secret may hold a semicolon and so reach over two pieces.
	out := strings.Join(kept, "; ")
	if len(kept) == 0 || c.hiddenIn(out) {
		return "", false
	}
	return out, true
}

// scrubQuery removes the parameters that hold the key, and ?key= with another key of this gateway.
// All other bytes stay as they are.
func (c *credential) scrubQuery(query string, isOurs func(secret string) bool) string {
	if query == "" {
		return ""
	}
	drop := func(piece string) bool {
		if c.hiddenIn(piece) {
			return true
		}
		name, value, _ := strings.Cut(piece, "=")
		if name != "key" || value == "" {
			return false
		}
		plain, err := url.QueryUnescape(value)
		return err == nil && isOurs(plain)
	}
	out, dropped := query, false
	for piece := range strings.SplitSeq(query, "&") {
		dropped = dropped || drop(piece)
	}
	if dropped {
		var kept []string
		for piece := range strings.SplitSeq(query, "&") {
			if !drop(piece) {
				kept = append(kept, piece)
			}
		}
		out = strings.Join(kept, "&")
	}
	if c.hiddenIn(out) { // the secret holds an ampersand and reaches over two pieces
		return ""
	}
	return out
}

// in says whether text gives the secret away, as it is or in base64. One that is too short to be
// looked for is found where it is all of the text.
func (c *credential) in(text string) bool {
	if c.tooShort(text) {
		return false
	}
	if len(c.secret) < shortestScrubbed {
		return text == c.secret
	}
	return strings.Contains(text, c.secret) || c.inBase64(text)
}

// mostEncoded is how many times over something may be percent-encoded. Nobody sends more, and no
// server decodes more; what is, is taken to hide something.
const mostEncoded = 6

// hiddenIn is in for text that may be percent-encoded, also several times over, or be a name=value of
// which only the value is the secret.
func (c *credential) hiddenIn(text string) bool {
	for range mostEncoded {
		if c.tooShort(text) {
			return false
		}
		if c.in(text) {
			return true
		}
		if len(c.secret) < shortestScrubbed {
			if _, value, ok := strings.Cut(text, "="); ok && c.in(strings.Trim(value, `"`)) {
				return true
			}
		}
		// A plus sign stands for a space in forms, which only an imported key can hold.
		if strings.IndexByte(text, '+') >= 0 && strings.IndexByte(c.secret, ' ') >= 0 && c.in(routing.Unescape(strings.ReplaceAll(text, "+", " "))) {
			return true
		}
		plain := routing.Unescape(text)
		if len(plain) == len(text) {
			return false
		}
		text = plain
	}
	return true
}
