// Package signing signs requests to targets with AWS Signature Version 4. It promises that what is signed is
// the request as it leaves, byte for byte, that credentials of assumed roles are renewed before they end,
// and that no secret shows in what it says.
//
// It makes no connection of its own: whoever uses it says how the service that gives roles is asked, so that
// the same addresses are kept out as for targets. It has no goroutines. It does not look at signatures that
// callers have made.
package signing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"tollgate/edge/routing"
	"tollgate/internal/fault"
)

// Header is a header of a request.
type Header struct{ Name, Value string }

// Request is a request as it leaves.
type Request struct {
	Method, Scheme string
	Host           string   // that the request is for, with a port if one was given
	URI            string   // what stands in the request line
	Headers        []Header // of which those are signed that Covers names
	Body           []byte
}

// Signature is what a request is sent with besides.
type Signature struct {
	Headers []Header
	Host    string // in place of the request's
}

// Post sends a form to a service and returns its answer. The error is about how far it came, for people.
type Post func(ctx context.Context, target *routing.Target, uri string, headers []Header, body []byte) (status int, answer []byte, err error)

// Signers sign, each with its own credentials. It is safe for concurrent use.
type Signers struct {
	post Post
	now  func() time.Time

	mu sync.Mutex
	by map[string]*signer // by the key of the configuration
}

// signer signs with one configuration.
type signer struct {
	with   *routing.Signing
	v4     *v4.Signer // its own: the library keeps what it derives of a secret by the id alone
	static aws.Credentials
	role   *role // nil for none
}

// New makes signers that have asked for no role yet.
func New(post Post) *Signers {
	return &Signers{post: post, now: time.Now, by: map[string]*signer{}}
}

// Keep forgets the credentials of configurations that no endpoint has any more.
func (s *Signers) Keep(endpoints []*routing.Endpoint) {
	wanted := map[string]bool{}
	for _, e := range endpoints {
		if e.Signing != nil {
			wanted[e.Signing.Key] = true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.by {
		if !wanted[key] {
			delete(s.by, key)
		}
	}
}

func (s *Signers) signer(with *routing.Signing) *signer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.by[with.Key]; have != nil {
		return have
	}
	made := &signer{
		with: with, v4: newV4(with.Service),
		static: aws.Credentials{
			AccessKeyID: with.AccessKeyID, SecretAccessKey: with.SecretAccessKey, SessionToken: with.SessionToken,
		},
	}
	if with.RoleARN != "" {
		made.role = newRole(s.now, func(ctx context.Context) (aws.Credentials, error) { return s.assume(ctx, made) })
	}
	s.by[with.Key] = made
	return made
}

func newV4(service string) *v4.Signer {
	return v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = plainPath(service) })
}

// plainPath says whether a service signs paths as they are. All others encode them once more.
func plainPath(service string) bool { return service == "s3" || strings.HasPrefix(service, "s3-") }

// Sign signs a request. The error is a fault, or that of ctx.
func (s *Signers) Sign(ctx context.Context, with *routing.Signing, r *Request) (Signature, error) {
	by := s.signer(with)
	credentials := by.static
	if by.role != nil {
		var err error
		if credentials, err = by.role.credentials(ctx); err != nil {
			return Signature{}, err
		}
	}
	return by.sign(ctx, credentials, with.Service, with.Region, r, s.now())
}

// What a signature consists of, beside the header Authorization.
const (
	headerAuthorization = "Authorization"
	headerDate          = "X-Amz-Date"
	headerHash          = "X-Amz-Content-Sha256"
	headerToken         = "X-Amz-Security-Token"
)

// Names are the headers that a signature adds. The token is there for temporary credentials only.
func Names(temporary bool) []string {
	list := []string{headerAuthorization, headerDate, headerHash}
	if temporary {
		list = append(list, headerToken)
	}
	return list
}

// Replaces says whether a signature leaves no place for a header: it is a part of it, or of one that the
// caller has made, or says how often the caller has tried. The name is in lower case.
func Replaces(name string) bool {
	switch name {
	case "authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token":
		return true
	default:
		return strings.HasPrefix(name, "amz-sdk-")
	}
}

// Covers says whether a header is signed. What AWS requires is, and what services of AWS act on. Others may
// be added on the way. The name is in lower case.
func Covers(name string) bool {
	switch {
	case name == "x-amzn-trace-id":
		return false
	case name == "content-type":
		return true
	default:
		return strings.HasPrefix(name, "x-amz-") || strings.HasPrefix(name, "x-amzn-")
	}
}

func (s *signer) sign(ctx context.Context, credentials aws.Credentials, service, region string, r *Request, now time.Time) (Signature, error) {
	hash := sha256.Sum256(r.Body)
	payload := hex.EncodeToString(hash[:])
	h := http.Header{headerHash: {payload}}
	for _, covered := range r.Headers {
		if name := strings.ToLower(covered.Name); Covers(name) && !Replaces(name) {
			h.Add(covered.Name, covered.Value)
		}
	}
	in := &http.Request{Method: r.Method, URL: signedURL(service, r), Host: r.Host, Header: h}
	if err := s.v4.SignHTTP(ctx, credentials, in, payload, service, region, now); err != nil {
		return Signature{}, fault.New(fault.InternalError, "The request could not be signed for AWS.").WithCause(err)
	}
	out := Signature{Host: in.Host}
	for _, name := range Names(credentials.SessionToken != "") {
		out.Headers = append(out.Headers, Header{name, h.Get(name)})
	}
	return out, nil
}

// signedURL is the URL as the library must see it to sign what stands in the request line. It would read
// parts of a path and of a query in ways of its own.
func signedURL(service string, r *Request) *url.URL {
	path, query, _ := strings.Cut(r.URI, "?")
	if !plainPath(service) {
		path = normal(path)
	}
	return &url.URL{Scheme: r.Scheme, Host: r.Host, Opaque: "//" + r.Host + path, RawQuery: encoded(query)}
}

// normal is a path without empty and dotted segments, which AWS takes out before it checks a signature.
func normal(path string) string {
	if !strings.Contains(path, "//") && !strings.Contains(path, "/.") {
		return path
	}
	var kept []string
	segments := strings.Split(path, "/")
	for _, s := range segments {
		switch s {
		case "", ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, s)
		}
	}
	out := "/" + strings.Join(kept, "/")
	if last := segments[len(segments)-1]; len(kept) > 0 && (last == "" || last == "." || last == "..") {
		out += "/"
	}
	return out
}

// encoded is a query of which net/url reads all, as a lenient server does: it would leave out what has a
// semicolon or a bad escape in it, and so not sign what is sent.
func encoded(query string) string {
	if !strings.ContainsAny(query, ";%") {
		return query
	}
	var out strings.Builder
	for piece := range strings.SplitSeq(query, "&") {
		if out.Len() > 0 {
			out.WriteByte('&')
		}
		name, value, _ := strings.Cut(piece, "=")
		out.WriteString(encodedPart(name))
		if piece != "" {
			out.WriteByte('=')
		}
		out.WriteString(encodedPart(value))
	}
	return out.String()
}

func encodedPart(s string) string {
	return url.QueryEscape(routing.Unescape(strings.ReplaceAll(s, "+", " ")))
}
