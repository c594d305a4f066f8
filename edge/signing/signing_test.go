package signing

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/edge/routing"
	"tollgate/internal/testenv/sigv4"
)

var instant = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// received is a request as it arrives with its signature.
func received(r *Request, s Signature) sigv4.Received {
	out := sigv4.Received{Method: r.Method, URI: r.URI, Headers: [][2]string{{"Host", s.Host}}, Body: r.Body}
	for _, h := range slices.Concat(r.Headers, s.Headers) {
		out.Headers = append(out.Headers, [2]string{h.Name, h.Value})
	}
	return out
}

func fixed(with routing.Signing) (*Signers, *routing.Signing) {
	s := New(nil)
	s.now = func() time.Time { return instant }
	with.AccessKeyID, with.SecretAccessKey = "AKIDEXAMPLE", "secret/1"
	with.Service, with.Region = orBedrock(with.Service), "eu-west-1"
	return s, &with
}

func orBedrock(service string) string {
	if service == "" {
		return "bedrock"
	}
	return service
}

// Guarantee: the signature holds for what leaves, byte for byte, in all ways to write a path and a query.
func TestSignatureHolds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ service, uri, host, signedHost string }{
		"model":           {"", "/model/anthropic.claude-v1%3A0/converse", "", ""},
		"plain colon":     {"", "/model/anthropic.claude-v1:0/converse", "", ""},
		"arn":             {"", "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ap%2Fx/invoke", "", ""},
		"query":           {"", "/a?b=2&a=1&a=%20x&c&d=%C3%A9&e=a+b", "", ""},
		"semicolon":       {"", "/a?b=2;c=3&d", "", ""},
		"bad escape":      {"", "/a?b=%zz&c=100%", "", ""},
		"slashes":         {"", "//a//b/", "", ""},
		"dots":            {"", "/a/./b/../c/.", "", ""},
		"root":            {"", "/", "", ""},
		"bare":            {"", "/a?", "", ""},
		"odd signs":       {"", "/a!b$c&d'(e)*f,g;h=i@j~k", "", ""},
		"port":            {"", "/", "h.example:8443", "h.example:8443"},
		"default port":    {"", "/", "h.example:443", "h.example"},
		"objects":         {"s3", "/bucket//a%20b/../c", "", ""},
		"empty parameter": {"", "/?x=&=y&&z", "", ""},
	} {
		s, with := fixed(routing.Signing{Service: tc.service})
		r := &Request{
			Method: "POST", Scheme: "https", Host: tc.host, URI: tc.uri, Body: []byte(`{"a":1}`),
			Headers: []Header{
				{"Content-Type", "application/json"}, {"X-Amzn-Bedrock-Trace", "ENABLED"}, {"x-amz-meta-a", " b   c "}, {"x-amz-meta-a", "d"},
			},
		}
		if r.Host == "" {
			r.Host, tc.signedHost = "bedrock-runtime.eu-west-1.amazonaws.com", "bedrock-runtime.eu-west-1.amazonaws.com"
		}
		got, err := s.Sign(t.Context(), with, r)
		if err != nil {
			t.Fatal(err)
		}
		says, err := sigv4.Verify(received(r, got), with.SecretAccessKey)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if says.KeyID != with.AccessKeyID || says.Region != with.Region || says.Service != with.Service || says.Day != "20261122" {
			t.Errorf("%s: %+v", name, says)
		}
		if got.Host != tc.signedHost || !slices.Contains(says.Headers, "x-amzn-bedrock-trace") || !slices.Contains(says.Headers, "x-amz-content-sha256") {
			t.Errorf("%s: host %q, signed %q", name, got.Host, says.Headers)
		}
	}
}

// Guarantee: whatever stands in a path and a query, the signature holds.
func TestAnyRequestCanBeSigned(t *testing.T) {
	t.Parallel()
	s, with := fixed(routing.Signing{})
	rapid.Check(t, func(t *rapid.T) {
		r := &Request{
			Method: rapid.SampledFrom([]string{"GET", "POST", "PUT"}).Draw(t, "method"), Scheme: "https", Host: "h.example",
			URI:  rapid.StringMatching(`(/[A-Za-z0-9._~:@!$&'()*+,=-]{0,4}(%[0-9A-F]{2})?){1,4}(\?([a-z]{0,2}(=[A-Za-z0-9%+/;]{0,4})?&){0,3})?`).Draw(t, "uri"),
			Body: rapid.SliceOf(rapid.Byte()).Draw(t, "body"),
		}
		if strings.Contains(r.URI, "?") && strings.Contains(r.URI[strings.Index(r.URI, "?"):], "%") {
			r.URI = r.URI[:strings.Index(r.URI, "?")] // what a bad escape stands for is a case of its own
		}
		got, err := s.Sign(context.Background(), with, r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sigv4.Verify(received(r, got), with.SecretAccessKey); err != nil {
			t.Fatal(err)
		}
	})
}

// Guarantee: a token of temporary credentials is sent and signed; what a caller has signed is neither.
func TestTemporaryCredentials(t *testing.T) {
	t.Parallel()
	s, with := fixed(routing.Signing{SessionToken: "token=="})
	r := &Request{Method: "GET", Scheme: "https", Host: "h.example", URI: "/", Headers: []Header{{"X-Amz-Security-Token", "theirs"}, {"X-Amz-Date", "theirs"}}}
	got, err := s.Sign(t.Context(), with, r)
	if err != nil {
		t.Fatal(err)
	}
	r.Headers = nil
	if says, err := sigv4.Verify(received(r, got), with.SecretAccessKey); err != nil || says.Token != "token==" {
		t.Errorf("%+v, %v", says, err)
	}
}

// Guarantee: a secret that is corrected under the same id counts at once.
func TestCorrectedSecret(t *testing.T) {
	t.Parallel()
	s, with := fixed(routing.Signing{Key: "1"})
	r := &Request{Method: "GET", Scheme: "https", Host: "h.example", URI: "/"}
	if _, err := s.Sign(t.Context(), with, r); err != nil {
		t.Fatal(err)
	}
	corrected := *with
	corrected.SecretAccessKey, corrected.Key = "secret/2", "2"
	got, err := s.Sign(t.Context(), &corrected, r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sigv4.Verify(received(r, got), "secret/2"); err != nil {
		t.Error(err)
	}
	if s.Keep([]*routing.Endpoint{{}, {Signing: &corrected}}); len(s.by) != 1 || s.by["2"] == nil {
		t.Errorf("%d are kept", len(s.by))
	}
}

// Guarantee: a signature leaves no place for what a caller has signed, and covers nothing that others add.
func TestNames(t *testing.T) {
	t.Parallel()
	for _, name := range append(Names(true), "amz-sdk-invocation-id", "amz-sdk-request") {
		if name = strings.ToLower(name); !Replaces(name) {
			t.Errorf("%s of a caller would go on", name)
		}
	}
	for name, want := range map[string]bool{"content-type": true, "x-amz-target": true, "x-amzn-bedrock-trace": true, "x-amzn-trace-id": false, "user-agent": false, "accept": false} {
		if Covers(name) != want || Replaces(name) {
			t.Errorf("%s: covered %v", name, Covers(name))
		}
	}
}

// Guarantee: no part of any query is left out of what is signed.
func FuzzEncoded(f *testing.F) {
	for _, seed := range []string{"", "a=1&b=2", "a;b", "a=%zz&&=%", "a+b=c%2Bd"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		read, err := url.ParseQuery(encoded(query))
		if err != nil {
			t.Fatalf("%q: %v", query, err)
		}
		got, want := 0, 0
		for _, values := range read {
			got += len(values)
		}
		for piece := range strings.SplitSeq(query, "&") {
			if piece != "" {
				want++
			}
		}
		if got != want {
			t.Errorf("%q has %d parameters, %d are signed", query, want, got)
		}
	})
}
