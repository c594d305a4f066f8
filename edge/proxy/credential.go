package proxy

import (
	"encoding/base64"
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

// credential is the key that a caller presented. What the caller sent is searched for it by one
// goroutine.
type credential struct {
	secret string
	spread [][]string // the secret in base64, made when it is needed
}

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
				return credential{secret: s}, true
			}
		}
	}
	return credential{secret: all[0]}, true
}

// secretIn is the secret in the value of a credential header: behind Bearer, the password of Basic
// or its user name where there is no password, or the value itself.
func secretIn(value string) string {
	value = strings.Trim(value, " \t")
	scheme, rest := cutScheme(value)
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
