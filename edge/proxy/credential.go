package proxy

import (
	"encoding/base64"
	"net/url"
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
	secret string
	spread atomic.Pointer[[][]string] // the secret in base64, made when it is needed
}

// findCredential looks for keys in the headers and in ?key=, and where the exchange is to become a
// WebSocket in its subprotocols. A caller may send several credentials, of which only one is a key of this
// gateway: the first that known knows is taken, else the first that looks like one, and the first of all
// if none does, so that the refusal is about the one that the caller most likely means.
func findCredential(x *Exchange, query, keyHeader string, known func(hash [32]byte) bool) (secret string, ok bool) {
	var all []string
	add := func(header string) {
		for _, h := range x.Headers {
			if !strings.EqualFold(h.Name, header) {
				continue
			}
			secret, user := secretsIn(h.Value)
			if secret != "" {
				all = append(all, secret)
			}
			if user != "" { // it counts only if it is ours: beside a password it is seldom the secret
				if strings.HasPrefix(user, keyPrefix) || known(contract.KeyHash([]byte(user))) {
					all = append(all, user)
				}
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
		if known(contract.KeyHash([]byte(s))) {
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
	value = strings.Trim(value, " \t")
	scheme, rest := cutScheme(value)
	switch {
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

// cutScheme takes credentials apart where the first white space is.
func cutScheme(value string) (scheme, rest string) {
	i := strings.IndexAny(value, " \t")
	if i < 0 {
		return value, ""
	}
	return value[:i], strings.Trim(value[i:], " \t")
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
