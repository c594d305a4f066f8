package proxy

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"

	"tollgate/internal/contract"
)

// keyPrefix begins every key that Tollgate makes.
const keyPrefix = "tgk_"

// shortestScrubbed is the length from which a secret is looked for inside other values. A shorter
// one, which only an imported key can be, would be found in values that have nothing to do with it;
// it is removed where it is the whole value.
const shortestScrubbed = 6

// credentialHeaders may carry a key, in the order in which they are looked at.
var credentialHeaders = []string{"authorization", "x-api-key", "api-key", "x-goog-api-key", "x-litellm-api-key"}

var isCredentialHeader = names(credentialHeaders...)

// credential is the key that a caller presented.
type credential struct{ secret string }

// findCredential looks for keys in the headers and in ?key=. A caller may send several credentials,
// of which only one is a key of this gateway: the first that known knows is taken, and the first of
// all if none is, so that the refusal is about the one that the caller most likely means.
func findCredential(headers []Header, query, keyHeader string, known func(hash [32]byte) bool) (credential, bool) {
	var all []string
	add := func(header string) {
		for _, h := range headers {
			if !strings.EqualFold(h.Name, header) {
				continue
			}
			if s := secretIn(h.Value); s != "" {
				all = append(all, s)
			}
		}
	}
	if keyHeader != "" {
		add(keyHeader)
	}
	for _, name := range credentialHeaders {
		if !strings.EqualFold(name, keyHeader) {
			add(name)
		}
	}
	for piece := range strings.SplitSeq(query, "&") {
		if name, value, _ := strings.Cut(piece, "="); name == "key" && value != "" {
			if s, err := url.QueryUnescape(value); err == nil {
				all = append(all, s)
			}
		}
	}
	if len(all) == 0 {
		return credential{}, false
	}
	if len(all) > 1 {
		for _, s := range all {
			if known(contract.KeyHash([]byte(s))) {
				return credential{s}, true
			}
		}
	}
	return credential{all[0]}, true
}

// secretIn is the secret in the value of a credential header: behind Bearer, the password of Basic
// or its user name where there is no password, or the value itself.
func secretIn(value string) string {
	value = strings.TrimSpace(value)
	scheme, rest, spaced := strings.Cut(value, " ")
	if !spaced {
		if strings.EqualFold(value, "bearer") || strings.EqualFold(value, "basic") {
			return ""
		}
		return value
	}
	rest = strings.TrimSpace(rest)
	switch {
	case strings.EqualFold(scheme, "bearer"):
		return rest
	case strings.EqualFold(scheme, "basic"):
		user, password, ok := basic(rest)
		if !ok {
			return ""
		}
		if password == "" {
			return user
		}
		return password
	default:
		return value
	}
}

func basic(encoded string) (user, password string, ok bool) {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		raw, err = base64.RawStdEncoding.DecodeString(encoded)
	}
	if err != nil {
		return "", "", false
	}
	user, password, _ = strings.Cut(string(raw), ":")
	return user, password, true
}

// in says whether text gives the secret away.
func (c *credential) in(text string) bool {
	if c.secret == "" {
		return false
	}
	if len(c.secret) < shortestScrubbed {
		return text == c.secret
	}
	return strings.Contains(text, c.secret)
}

// scrub is what may leave of a caller's header: its value, without cookies that hold the key, or
// nothing if it holds the key or another one of this gateway. It applies whatever the endpoint
// forwards.
func (c *credential) scrub(name, value, keyHeader string, isOurs func(secret string) bool) (string, bool) {
	if name == "cookie" {
		return c.scrubCookies(value)
	}
	if c.in(value) {
		return "", false
	}
	secret := secretIn(value)
	if c.in(secret) {
		return "", false
	}
	if scheme, rest, ok := strings.Cut(strings.TrimSpace(value), " "); ok && strings.EqualFold(scheme, "basic") {
		// The key may stand in the half of Basic credentials that was not read.
		if user, password, ok := basic(strings.TrimSpace(rest)); ok && (c.in(user) || c.in(password)) {
			return "", false
		}
	}
	if (isCredentialHeader[name] || strings.EqualFold(name, keyHeader)) && secret != "" && isOurs(secret) {
		return "", false
	}
	return value, true
}

func (c *credential) scrubCookies(value string) (string, bool) {
	if !c.inDecoded(value) {
		return value, true
	}
	var kept []string
	for cookie := range strings.SplitSeq(value, ";") {
		if !c.inDecoded(strings.TrimSpace(cookie)) {
			kept = append(kept, strings.TrimSpace(cookie))
		}
	}
	// The secret may hold a semicolon and so reach over two pieces.
	out := strings.Join(kept, "; ")
	if len(kept) == 0 || c.inDecoded(out) {
		return "", false
	}
	return out, true
}

// inDecoded is in for text that may be percent-encoded, or be a name=value of which only the value
// is the secret.
func (c *credential) inDecoded(text string) bool {
	for {
		if c.in(text) {
			return true
		}
		if _, value, ok := strings.Cut(text, "="); ok && c.in(strings.Trim(value, `"`)) {
			return true
		}
		if spaced := strings.ReplaceAll(text, "+", " "); spaced != text && c.in(unescape(spaced)) {
			return true
		}
		plain := unescape(text)
		if plain == text {
			return false
		}
		text = plain
	}
}

// unescape undoes percent-encoding where there is any and leaves the rest, as lenient servers do.
func unescape(s string) string {
	i := strings.IndexByte(s, '%')
	if i < 0 {
		return s
	}
	out := append(make([]byte, 0, len(s)), s[:i]...)
	for ; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if b, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				out = append(out, b[0])
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

// scrubQuery removes the parameters that hold the key, and ?key= with another key of this gateway.
// All other bytes stay as they are.
func (c *credential) scrubQuery(query string, isOurs func(secret string) bool) string {
	if query == "" {
		return ""
	}
	drop := func(piece string) bool {
		if c.inDecoded(piece) {
			return true
		}
		name, value, _ := strings.Cut(piece, "=")
		if name != "key" || value == "" {
			return false
		}
		plain, err := url.QueryUnescape(value)
		return err == nil && isOurs(plain)
	}
	var kept []string
	dropped := false
	for piece := range strings.SplitSeq(query, "&") {
		if drop(piece) {
			dropped = true
			continue
		}
		kept = append(kept, piece)
	}
	out := query
	if dropped {
		out = strings.Join(kept, "&")
	}
	if c.inDecoded(out) { // the secret holds an ampersand and reaches over two pieces
		return ""
	}
	return out
}
