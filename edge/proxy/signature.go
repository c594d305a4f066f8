package proxy

import (
	"net/url"
	"strings"

	"tollgate/internal/fault"
)

// checkSignature refuses requests that are signed for AWS. A signature covers the host and the path, which are
// others at the target: it would refuse the request, and say that the key is wrong. It comes before the
// key, because the signature stands where a key would. Where the endpoint signs anew, the id in a signature
// in the headers is the key, and what else the caller has signed is of no account.
func (c *call) checkSignature() error {
	anew, kinds := c.endpoint.Signing != nil, c.classify()
	for i := range c.x.Headers {
		if !anew && kinds[i]&keyed == 0 {
			continue
		}
		switch h := &c.x.Headers[i]; {
		case len(h.Name) == len("authorization") && strings.EqualFold(h.Name, "authorization"):
			scheme, parameters := cutScheme(strings.Trim(h.Value, " \t"))
			if !isAWSAlgorithm(scheme) {
				continue
			}
			if _, ok := awsKey(parameters); !anew || !ok || !strings.EqualFold(scheme, awsAlgorithm) {
				return c.signed()
			}
		case anew && strings.EqualFold(h.Name, "x-amz-content-sha256"):
			if strings.HasPrefix(strings.ToUpper(strings.Trim(h.Value, " \t")), "STREAMING-") {
				return fault.New(fault.SignatureUnsupported, "The body is signed piece by piece, and endpoint %s can't sign the pieces anew.", c.endpoint.Name).
					WithHint("Have the library send the body in one piece: with a signature of all of it, and without checksums behind it.")
			}
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

// awsAlgorithm is how the credentials of a signature begin that the libraries of AWS make.
const awsAlgorithm = "AWS4-HMAC-SHA256"

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
