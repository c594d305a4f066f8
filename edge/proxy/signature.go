package proxy

import (
	"net/url"
	"strings"

	"tollgate/internal/fault"
)

// checkSignature refuses requests that are signed for AWS, in whatever way. A signature covers the host and
// the path, which are others at the target: it would refuse the request, and say that the key is wrong. It
// comes before the key, because the signature stands where a key would.
func (c *call) checkSignature() error {
	for i := range c.x.Headers {
		h := &c.x.Headers[i]
		if strings.EqualFold(h.Name, "authorization") && isAWSAlgorithm(strings.Trim(h.Value, " \t")) {
			return c.signed()
		}
	}
	if !mayBeSigned(c.query) {
		return nil
	}
	for piece := range strings.SplitSeq(c.query, "&") {
		name, _, _ := strings.Cut(piece, "=")
		if plain, err := url.QueryUnescape(name); err == nil && (strings.EqualFold(plain, "x-amz-signature") || strings.EqualFold(plain, "x-amz-algorithm")) {
			return c.signed()
		}
	}
	return nil
}

// isAWSAlgorithm says whether credentials begin as those of a signature do, of the symmetric kind or of the
// asymmetric one.
func isAWSAlgorithm(credentials string) bool {
	const prefix = "AWS4-"
	return len(credentials) >= len(prefix) && strings.EqualFold(credentials[:len(prefix)], prefix)
}

// mayBeSigned is a quick look: nearly no query has an encoded name, or this word.
func mayBeSigned(query string) bool {
	return strings.Contains(query, "%") || strings.Contains(query, "mz-") || strings.Contains(query, "MZ-")
}

func (c *call) signed() error {
	return fault.New(fault.SignatureUnsupported, "The request is signed for AWS, and the signature can't hold: endpoint %s sends it to another host and path.", c.endpoint.Name)
}
