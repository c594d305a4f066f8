// Package sigv4 checks AWS signatures of requests as they were received, the way AWS documents it. It shares
// nothing with what makes signatures, so that the two cannot be wrong in the same way.
//
// It is for tests that play a service of AWS. It knows signatures in headers, not in queries.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Received is a request as it came.
type Received struct {
	Method, URI string      // as they stood in the request line
	Headers     [][2]string // names and values in their order, with Host
	Body        []byte
}

// Signed is what a signature says.
type Signed struct {
	KeyID, Day, Region, Service string
	Headers                     []string // that were signed, in lower case
	Signature                   string
	Token                       string // of temporary credentials
}

const algorithm = "AWS4-HMAC-SHA256"

// Read takes the credentials of a signature apart.
func Read(r Received) (Signed, error) {
	all := r.values("authorization")
	if len(all) != 1 {
		return Signed{}, fmt.Errorf("%d Authorization headers", len(all))
	}
	rest, ok := strings.CutPrefix(all[0], algorithm+" ")
	if !ok {
		return Signed{}, fmt.Errorf("the credentials are %q", all[0])
	}
	var s Signed
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			scope := strings.Split(value, "/")
			if len(scope) != 5 || scope[4] != "aws4_request" {
				return Signed{}, fmt.Errorf("the scope is %q", value)
			}
			s.KeyID, s.Day, s.Region, s.Service = scope[0], scope[1], scope[2], scope[3]
		case "SignedHeaders":
			s.Headers = strings.Split(value, ";")
		case "Signature":
			s.Signature = value
		default:
			return Signed{}, fmt.Errorf("what is %q?", part)
		}
	}
	s.Token = strings.Join(r.values("x-amz-security-token"), ",")
	return s, nil
}

// Verify checks the signature of a request, which was to be made with a secret access key.
func Verify(r Received, secret string) (Signed, error) {
	s, err := Read(r)
	if err != nil {
		return s, err
	}
	for _, h := range r.Headers {
		name := strings.ToLower(h[0])
		if (name == "host" || name == "content-type" || strings.HasPrefix(name, "x-amz-")) && !slices.Contains(s.Headers, name) {
			return s, fmt.Errorf("header %s is not signed", name)
		}
	}
	if !slices.IsSorted(s.Headers) || !slices.Contains(s.Headers, "host") {
		return s, fmt.Errorf("signed headers %q", s.Headers)
	}
	hash := digest(r.Body)
	if told := r.values("x-amz-content-sha256"); len(told) > 0 && told[0] != hash {
		return s, errors.New("the body is not the one that was signed")
	}
	date := strings.Join(r.values("x-amz-date"), ",")
	if !strings.HasPrefix(date, s.Day+"T") {
		return s, fmt.Errorf("date %q, scope of %s", date, s.Day)
	}
	scope := strings.Join([]string{s.Day, s.Region, s.Service, "aws4_request"}, "/")
	text := strings.Join([]string{algorithm, date, scope, digest([]byte(r.canonical(s, hash)))}, "\n")
	key := []byte("AWS4" + secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	if want := hex.EncodeToString(mac(key, text)); want != s.Signature {
		return s, fmt.Errorf("signature %s, want %s for\n%s", s.Signature, want, r.canonical(s, hash))
	}
	return s, nil
}

func (r Received) values(name string) (out []string) {
	for _, h := range r.Headers {
		if strings.EqualFold(h[0], name) {
			out = append(out, strings.Join(strings.Fields(h[1]), " "))
		}
	}
	return out
}

// canonical is the request in the form that is signed.
func (r Received) canonical(s Signed, hash string) string {
	path, query, _ := strings.Cut(r.URI, "?")
	var headers strings.Builder
	for _, name := range s.Headers {
		headers.WriteString(name + ":" + strings.Join(r.values(name), ",") + "\n")
	}
	return strings.Join([]string{
		r.Method, canonicalPath(path, s.Service), canonicalQuery(query), headers.String(), strings.Join(s.Headers, ";"), hash,
	}, "\n")
}

// canonicalPath encodes what came once more, without segments that lead nowhere; for S3 it stays.
func canonicalPath(path, service string) string {
	if service == "s3" {
		return path
	}
	var kept []string
	segments := strings.Split(path, "/")[1:]
	for i, segment := range segments {
		last := i == len(segments)-1
		switch {
		case segment == "..":
			kept = kept[:max(0, len(kept)-1)]
		case segment != "" && segment != ".":
			kept = append(kept, encode(segment))
			continue
		}
		if last && len(kept) > 0 {
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}

// canonicalQuery sorts parameters by their encoded form.
func canonicalQuery(query string) string {
	var pairs [][2]string
	for piece := range strings.SplitSeq(query, "&") {
		if piece == "" {
			continue
		}
		name, value, _ := strings.Cut(piece, "=")
		pairs = append(pairs, [2]string{encode(decode(name)), encode(decode(value))})
	}
	slices.SortFunc(pairs, func(a, b [2]string) int {
		if a[0] != b[0] {
			return strings.Compare(a[0], b[0])
		}
		return strings.Compare(a[1], b[1])
	})
	out := make([]string, len(pairs))
	for i, p := range pairs {
		out[i] = p[0] + "=" + p[1]
	}
	return strings.Join(out, "&")
}

func decode(s string) string {
	plain, err := url.QueryUnescape(s)
	if err != nil {
		return s
	}
	return plain
}

// encode leaves letters, digits and - . _ ~ as they are.
func encode(s string) string {
	var out strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return out.String()
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
