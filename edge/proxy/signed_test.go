package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"

	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/testenv/sigv4"
)

const (
	awsID = "AKIAVENDOR"
	// awsSigned is what a library of AWS sends in which somebody has put the key of this gateway.
	awsSigned = "Authorization: AWS4-HMAC-SHA256 Credential=" + testKey + "/20261122/us-east-1/bedrock/aws4_request, " +
		"SignedHeaders=host;x-amz-date, Signature=0123456789abcdef\r\nX-Amz-Date: 20200101T000000Z\r\n" +
		"X-Amz-Security-Token: theirs\r\nX-Amz-Content-Sha256: theirs\r\namz-sdk-invocation-id: 1\r\nAmz-Sdk-Request: attempt=1; max=3\r\n"
)

// signs makes the first endpoint sign, and changes how.
func signs(change ...func(*eventv1.RouteEndpoint)) func(*options) {
	return func(o *options) {
		x := o.endpoints[0]
		x.Headers = nil
		x.AwsSigning = &controlv1.AwsSigning{
			Service: "bedrock", Region: "us-east-1", AccessKeyId: awsID, SecretAccessKey: "${env:VENDOR}",
		}
		for _, f := range change {
			f(x)
		}
	}
}

// verified checks the signature of what a target has got.
func verified(t *testing.T, m message) sigv4.Signed {
	t.Helper()
	says, err := sigv4.Verify(asReceived(t, m), "from-env")
	if err != nil {
		t.Errorf("%s: %v", m.first, err)
	}
	return says
}

func asReceived(t *testing.T, m message) sigv4.Received {
	t.Helper()
	line := strings.Fields(m.first)
	if len(line) != 3 {
		t.Fatalf("request line %q", m.first)
	}
	r := sigv4.Received{Method: line[0], URI: line[1], Body: []byte(m.body)}
	for _, h := range m.headers {
		name, value, _ := strings.Cut(h, ":")
		r.Headers = append(r.Headers, [2]string{name, strings.TrimSpace(value)})
	}
	return r
}

// Guarantee: what an AWS library sends with a key of this gateway arrives signed with the endpoint's own
// credentials, whatever way its body came, and nothing of the caller's signature goes on.
func TestSignedForTarget(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789abcdef", 10_000)
	for name, tc := range map[string]struct{ request, body string }{
		"length":    {"POST /x/model/a.b-v1%3A0/converse HTTP/1.1\r\nHost: gw\r\n" + awsSigned + "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", "{}"},
		"chunked":   {"POST /x/m?b=1&a=%20 HTTP/1.1\r\nHost: gw\r\n" + awsSigned + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde"},
		"large":     {fmt.Sprintf("PUT /x/m HTTP/1.1\r\nHost: gw\r\n%sContent-Length: %d\r\n\r\n%s", awsSigned, len(large), large), large},
		"no body":   {"DELETE /x/m HTTP/1.1\r\nHost: gw\r\n" + awsSigned + "\r\n", ""},
		"length 0":  {"POST /x/m HTTP/1.1\r\nHost: gw\r\n" + awsSigned + "Content-Length: 0\r\n\r\n", ""},
		"no chunks": {"POST /x/m HTTP/1.1\r\nHost: gw\r\n" + awsSigned + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""},
		"bearer":    {"POST /x/m HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer " + testKey + "\r\nContent-Length: 1\r\n\r\n1", "1"},
		"trailers":  {"POST /x/m HTTP/1.1\r\nHost: gw\r\n" + awsSigned + "Trailer: X-End\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-End: 1\r\n\r\n", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, signs())
			got := b.vendor.answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			c := b.dial()
			c.send("%s", tc.request)
			if a := c.answer("POST"); a.status() != 200 || a.body != "ok" {
				t.Fatalf("%s %q", a.first, a.body)
			}
			m := receive(t, got, "request")
			if says := verified(t, m); says.KeyID != awsID || says.Token != "" {
				t.Errorf("%+v", says)
			}
			if m.body != tc.body || m.chunked {
				t.Errorf("%d bytes, chunked %v", len(m.body), m.chunked)
			}
			if text := strings.Join(m.headers, "\n"); strings.Contains(text, "theirs") || strings.Contains(text, testKey) || strings.Contains(strings.ToLower(text), "amz-sdk") || strings.Contains(text, "X-End") {
				t.Errorf("it goes on: %s", text)
			}
			b.wantSettled(200, eventv1.SpendOutcome_SPEND_OUTCOME_OK, price)
		})
	}
}

// Guarantee: each attempt is signed for the target that it goes to.
func TestEachAttemptIsSigned(t *testing.T) {
	t.Parallel()
	b := newBench(t, signs(func(e *eventv1.RouteEndpoint) {
		e.Retry = &eventv1.RetryPolicy{Attempts: 2, BudgetPercent: 100, Statuses: []uint32{503}, AnyMethod: true, MaxBodyBytes: 10, BackoffMs: 1}
		e.HostPolicy, e.HostText = eventv1.HostPolicy_HOST_POLICY_TEXT, "bedrock.example"
	}))
	got := b.vendor.answer("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
	c := b.dial()
	c.send("POST /x/m HTTP/1.1\r\nHost: gw\r\n%sContent-Length: 20\r\n\r\n01234567890123456789", awsSigned)
	if a := c.answer("POST"); a.status() != 503 {
		t.Fatalf("%s", a.first)
	}
	for range 3 {
		m := receive(t, got, "attempt")
		verified(t, m)
		if all(m.headers, "Host")[0] != "bedrock.example" || len(m.body) != 20 {
			t.Errorf("%q, %d bytes", m.headers, len(m.body))
		}
	}
}

// Guarantee: what cannot be signed anew is refused with the reason, before anything leaves.
func TestSignedRefusals(t *testing.T) {
	t.Parallel()
	b := newBench(t, signs(), func(o *options) {
		long := o.endpoints[1]
		long.AwsSigning = o.endpoints[0].GetAwsSigning()
		o.endpoints[2].AwsSigning = &controlv1.AwsSigning{Service: "bedrock", Region: "us-east-1", AccessKeyId: awsID, SecretAccessKey: "${env:NOT_SET}"}
	})
	foreign := strings.ReplaceAll(awsSigned, testKey, "AKIASTRANGER")
	asymmetric := strings.ReplaceAll(awsSigned, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")
	for name, tc := range map[string]struct {
		request string
		status  int
		code    string
	}{
		"another's id":  {"POST /x/m HTTP/1.1\r\nHost: gw\r\n" + foreign + "Content-Length: 1\r\n\r\n1", 401, "key_unknown"},
		"asymmetric":    {"POST /x/m HTTP/1.1\r\nHost: gw\r\n" + asymmetric + "Content-Length: 1\r\n\r\n1", 400, "signature_unsupported"},
		"no scope":      {"GET /x/m HTTP/1.1\r\nHost: gw\r\nAuthorization: AWS4-HMAC-SHA256 Credential=" + testKey + "\r\n\r\n", 400, "signature_unsupported"},
		"presigned":     {"GET /x/m?X-Amz-Signature=1 HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer " + testKey + "\r\n\r\n", 400, "signature_unsupported"},
		"in pieces":     {"PUT /x/m HTTP/1.1\r\nHost: gw\r\n" + strings.Replace(awsSigned, "Sha256: theirs", "Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER", 1) + "Content-Length: 1\r\n\r\n1", 400, "signature_unsupported"},
		"not signing":   {"POST /safe/m HTTP/1.1\r\nHost: gw\r\n" + awsSigned + "Content-Length: 1\r\n\r\n1", 400, "signature_unsupported"},
		"too long":      {fmt.Sprintf("POST /x/m HTTP/1.1\r\nHost: gw\r\nExpect: 100-continue\r\n%sContent-Length: %d\r\n\r\n", awsSigned, mostSigned+1), 413, "body_too_large"},
		"no credential": {"POST /query/m HTTP/1.1\r\nHost: gw\r\n" + awsSigned + "Content-Length: 1\r\n\r\n1", 502, "secret_unresolved"},
	} {
		c := b.dial()
		c.send("%s", tc.request)
		a := c.answer("POST")
		if a.status() != tc.status && tc.code != "secret_unresolved" || !strings.Contains(a.body, tc.code) || strings.Contains(a.body, testKey) {
			t.Errorf("%s: %s %s", name, a.first, a.body)
		}
	}
	if len(b.spool.intents) != 0 {
		t.Errorf("%d intents", len(b.spool.intents))
	}
}

// Guarantee: a body without end is not kept without end.
func TestSignedBodyWithoutEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t, signs())
	c := b.dial()
	c.send("POST /x/m HTTP/1.1\r\nHost: gw\r\n%sTransfer-Encoding: chunked\r\n\r\n", awsSigned)
	piece := fmt.Sprintf("%x\r\n%s\r\n", 1<<20, strings.Repeat("a", 1<<20))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range mostSigned>>20 + 1 {
			c.send("%s", piece)
		}
	}()
	if a := c.answer("POST"); a.status() != 413 || !strings.Contains(a.body, "signed for AWS") {
		t.Errorf("%s %s", a.first, a.body)
	}
	c.Close()
	receive(t, done, "end of the body")
	if used := b.gateway.room.used.Load(); len(b.spool.intents) != 0 || used != 0 {
		t.Errorf("%d intents, %d bytes are kept", len(b.spool.intents), used)
	}
}

// Guarantee: a role is asked for where the endpoint says, with its credentials, and what it gives signs; a
// refusal is the caller's answer, with the cause, and costs nothing.
func TestRoleIsAssumed(t *testing.T) {
	t.Parallel()
	sts := newRawVendor(t)
	b := newBench(t)
	b.serve(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{roleEndpoint(b, sts)}})
	asked := sts.answer("HTTP/1.1 403 Forbidden\r\nContent-Length: 77\r\n\r\n<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>      ")
	call := func() message {
		c := b.dial()
		c.send("POST /x/m HTTP/1.1\r\nHost: gw\r\n%sContent-Length: 1\r\n\r\n1", awsSigned)
		return c.answer("POST")
	}
	if a := call(); a.status() != 502 || !strings.Contains(a.body, "role/models be assumed: AccessDenied") || len(b.spool.intents) != 0 {
		t.Errorf("%s %s", a.first, a.body)
	}
	m := receive(t, asked, "question for the role")
	if says := verified(t, m); says.Service != "sts" || says.KeyID != awsID || !strings.HasPrefix(m.first, "POST /sts/ ") || !strings.Contains(m.body, "Action=AssumeRole") {
		t.Errorf("%+v %q %q", says, m.first, m.body)
	}
	text := `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>from-env</SecretAccessKey><SessionToken>token</SessionToken><Expiration>` +
		time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`
	again := newRawVendor(t)
	again.answer(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text))
	b.serve(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{roleEndpoint(b, again)}})
	got := b.vendor.answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	for range 2 {
		if a := call(); a.status() != 200 {
			t.Fatalf("%s %s", a.first, a.body)
		}
		if says := verified(t, receive(t, got, "request")); says.KeyID != "ASIA1" || says.Token != "token" {
			t.Errorf("%+v", says)
		}
	}
	if again.conns != 1 {
		t.Errorf("%d connections for the role", again.conns)
	}
}

func roleEndpoint(b *bench, sts *rawVendor) *eventv1.RouteEndpoint {
	e := b.endpoints()[0]
	e.Headers = nil
	e.AwsSigning = &controlv1.AwsSigning{
		Service: "bedrock", Region: "us-east-1", AccessKeyId: awsID, SecretAccessKey: "${env:VENDOR}",
		RoleArn: "arn:aws:iam::123456789012:role/models", StsUrl: "http://" + sts.addr + "/sts",
	}
	return e
}

// Guarantee: it can be told that a request would be signed, and as whom; no secret and no signature is shown.
func TestExplainSigned(t *testing.T) {
	t.Parallel()
	b := newBench(t, signs(func(e *eventv1.RouteEndpoint) {
		e.AwsSigning.AccessKeyId, e.AwsSigning.SessionToken = "${env:VENDOR}", "${env:VENDOR}"
	}))
	hash := contract.KeyHash([]byte(testKey))
	got := b.gateway.Explain(t.Context(), &eventv1.ExplainCall{
		Method: "POST", Path: "/x/m", KeySha256: hash[:], BodyBytes: 3,
		Headers: []*controlv1.ExplainHeader{{Name: "Amz-Sdk-Request", Value: "1"}, {Name: "X-Amz-Date", Value: "theirs"}},
	})
	text := prototext.Format(got)
	if !got.GetAdmitted() || strings.Contains(text, "from-env") || strings.Contains(text, "theirs") {
		t.Errorf("%s", text)
	}
	for name, part := range map[string]string{"Authorization": "Credential=${env:VENDOR}/(date)/us-east-1/bedrock/", "X-Amz-Security-Token": "", "X-Amz-Date": "", "X-Amz-Content-Sha256": ""} {
		if h := explained(got.GetHeaders(), name); h == nil || h.GetOrigin() != "gateway" || !strings.Contains(h.GetValue(), part) || h.GetValue() == "" {
			t.Errorf("%s: %v", name, h)
		}
	}
	if h := explained(got.GetHeaders(), "Amz-Sdk-Request"); h.GetRemoved() == "" {
		t.Errorf("%v", h)
	}
}

// Guarantee: the id in a signature is found however a library writes it down, and nothing else is taken for it.
func TestAWSKey(t *testing.T) {
	t.Parallel()
	for parameters, want := range map[string]string{
		"Credential=k/20260101/r/s/aws4_request, SignedHeaders=a, Signature=b": "k",
		"SignedHeaders=a,Credential=k/20260101/r/s/aws4_request,Signature=b":   "k",
		"credential=k/with/slash/20260101/r/s/aws4_request":                    "k/with/slash",
		"Credential=/20260101/r/s/aws4_request":                                "",
		"Credential=k/20260101/r/s":                                            "",
		"Signature=k/20260101/r/s/aws4_request":                                "",
		"":                                                                     "",
	} {
		if got, ok := awsKey(parameters); got != want || ok != (want != "") {
			t.Errorf("%q: %q %v, want %q", parameters, got, ok, want)
		}
	}
}
