package proxy

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"tollgate/edge/routing"
	"tollgate/internal/contract"
)

// keyPrefix begins every key that Tollgate makes.
const keyPrefix = "tgk_"

// shortestScrubbed is the length from which a secret is looked for inside other values. A shorter
// one, which only an imported key can be, would be found in values that have nothing to do with it;
// it is removed where it is the whole value.
const shortestScrubbed = 6

// credentialHeaders may carry a key, in the order in which they are looked at. They are where vendors and
// their libraries put theirs.
var credentialHeaders = []string{
	"authorization", "x-api-key", "api-key", "x-goog-api-key", "x-litellm-api-key",
	"xi-api-key", "ocp-apim-subscription-key", "api_token", "litellm_user_api_key",
}

// isCredentialHeader has their names dashed.
var isCredentialHeader = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range credentialHeaders {
		m[dashed(name)] = true
	}
	return m
}()

// protocolPrefix begins the subprotocol in which OpenAI's libraries send the key of a WebSocket.
const protocolPrefix = "openai-insecure-api-key."

// credential is the key that a caller presented. The zero value is none. Several goroutines may search
// for it.
type credential struct {
	secret    string
	spellings atomic.Pointer[spellings] // the secret in base64, made when it is needed
	room      *spellings                // of an earlier exchange, for whoever makes them first
	taken     atomic.Bool               // that room
}

// findCredential looks for keys in the headers and in ?key=, and where the exchange is to become a
// WebSocket in its subprotocols. A caller may send several credentials, of which only one is a key of this
// gateway: the first that known knows is taken, else the first that looks like one, and the first of all
// if none does, so that the refusal is about the one that the caller most likely means.
func findCredential(x *Exchange, query, keyHeader string, known func(hash [32]byte) bool) (secret string, ok bool) {
	return credentialIn(x, nil, query, keyHeader, known)
}

// credentialIn is findCredential where the kinds of the headers are known.
func credentialIn(x *Exchange, kinds []kind, query, keyHeader string, known func(hash [32]byte) bool) (secret string, ok bool) {
	var few [4]string
	all := few[:0]
	rest := len(x.Headers) // that may still be one of them
	if kinds != nil {
		rest = 0
		for _, k := range kinds {
			if k&keyed != 0 {
				rest++
			}
		}
	}
	if rest == 1 && kinds != nil && keyHeader == "" && query == "" && x.Upgrade == "" {
		h := &x.Headers[slices.IndexFunc(kinds, func(k kind) bool { return k&keyed != 0 })]
		if bearer, ok := strings.CutPrefix(h.Value, "Bearer "); ok && bearer != "" && bearer == trimmed(bearer) && strings.EqualFold(h.Name, "authorization") {
			return bearer, true // as nearly always
		}
	}
	add := func(header string) {
		for i := range x.Headers {
			h := &x.Headers[i]
			if len(h.Name) != len(header) || !strings.EqualFold(h.Name, header) {
				continue
			}
			if kinds == nil || kinds[i]&keyed != 0 {
				rest--
			}
			secret, user := secretsIn(h.Value)
			if secret != "" {
				all = append(all, secret)
			}
			if user != "" { // it counts only if it is ours: beside a password it is seldom the secret
				if strings.HasPrefix(user, keyPrefix) || known(secretHash(user)) {
					all = append(all, user)
				}
			}
		}
	}
	if keyHeader != "" {
		add(keyHeader)
	}
	for _, name := range credentialHeaders {
		if rest == 0 {
			break
		}
		if !strings.EqualFold(name, keyHeader) {
			add(name)
		}
	}
	if query != "" {
		for piece := range strings.SplitSeq(query, "&") {
			if name, value, _ := strings.Cut(piece, "="); name == "key" && value != "" {
				if s, err := url.QueryUnescape(value); err == nil {
					all = append(all, s)
				}
			}
		}
	}
	if x.Upgrade != "" {
		all = append(all, protocolSecrets(x.Headers)...)
	}
	if len(all) == 0 {
		return "", false
	}
	if len(all) == 1 {
		return all[0], true
	}
	likely := all[0]
	for _, s := range all {
		if known(secretHash(s)) {
			return s, true
		}
		if strings.HasPrefix(s, keyPrefix) && !strings.HasPrefix(likely, keyPrefix) {
			likely = s
		}
	}
	return likely, true
}

// protocolSecrets are the secrets among the subprotocols of a WebSocket.
func protocolSecrets(headers []Header) (out []string) {
	for _, h := range headers {
		if !strings.EqualFold(h.Name, subprotocol) {
			continue
		}
		for token := range strings.SplitSeq(h.Value, ",") {
			if s, ok := strings.CutPrefix(strings.Trim(token, " \t"), protocolPrefix); ok && s != "" {
				out = append(out, s)
			}
		}
	}
	return out
}

// strayKey is a known key of this gateway that stands where none is looked for. Where no key is asked for it
// is not used, and must still not go on.
func strayKey(x *Exchange, known func(hash [32]byte) bool) string {
	if s := keyIn(x.Target, known); s != "" {
		return s
	}
	for _, h := range x.Headers {
		if s := keyIn(h.Value, known); s != "" {
			return s
		}
	}
	return ""
}

// keyIn is the first known key among what looks like one in a text, which may be percent-encoded.
func keyIn(text string, known func(hash [32]byte) bool) string {
	for text = routing.Unescape(text); ; text = text[len(keyPrefix):] {
		i := strings.Index(text, keyPrefix)
		if i < 0 {
			return ""
		}
		text = text[i:]
		end := strings.IndexFunc(text, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
		})
		if end < 0 {
			end = len(text)
		}
		if s := text[:end]; known(contract.KeyHash([]byte(s))) {
			return s
		}
	}
}

// secretsIn are the secret in the value of a credential header and, for Basic with a password, the user
// name, which some take for the secret.
func secretsIn(value string) (secret, user string) {
	secret = secretIn(value)
	if user, _ = halves(value); user == secret {
		user = ""
	}
	return secret, user
}

// secretIn is the secret in the value of a credential header: behind Bearer, the password of Basic
// or its user name where there is no password, the id of a key that AWS's libraries sign with, or the
// value itself.
func secretIn(value string) string {
	value = trimmed(value)
	scheme, rest := cutScheme(value)
	switch {
	case !mayBeScheme(scheme):
		return value
	case strings.EqualFold(scheme, awsAlgorithm):
		if key, ok := awsKey(rest); ok {
			return key
		}
		return value
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

// mayBeScheme is a quick look whether a text may be the name of one of the schemes below.
func mayBeScheme(text string) bool {
	switch len(text) {
	case len("basic"), len("bearer"), len(awsAlgorithm):
		return true
	default:
		return false
	}
}

// mayHaveScheme is a quick look whether one of them may be the first word of a text.
func mayHaveScheme(text string) bool {
	for _, n := range [...]int{len("basic"), len("bearer"), len(awsAlgorithm)} {
		if len(text) == n || len(text) > n && (text[n] == ' ' || text[n] == '\t') {
			return true
		}
	}
	return false
}

// cutScheme takes credentials apart where the first white space is.
func cutScheme(value string) (scheme, rest string) {
	for i := range len(value) {
		if value[i] == ' ' || value[i] == '\t' {
			return value[:i], trimmed(value[i:])
		}
	}
	return value, ""
}

// trimmed is a text without white space around it.
func trimmed(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
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
