package sigv4_test

import (
	"testing"

	"tollgate/internal/testenv/sigv4"
)

// published is the example that AWS works through in its documentation of Signature Version 4.
func published() sigv4.Received {
	return sigv4.Received{
		Method: "GET", URI: "/?Action=ListUsers&Version=2010-05-08",
		Headers: [][2]string{
			{"Host", "iam.amazonaws.com"},
			{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"},
			{"X-Amz-Date", "20150830T123600Z"},
			{"Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, " +
				"SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"},
		},
	}
}

const publishedSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

// Guarantee: the signature of AWS's published example holds, and no part of what it covers can be changed.
func TestVerify(t *testing.T) {
	t.Parallel()
	got, err := sigv4.Verify(published(), publishedSecret)
	if err != nil || got.KeyID != "AKIDEXAMPLE" || got.Region != "us-east-1" || got.Service != "iam" {
		t.Errorf("%+v, %v", got, err)
	}
	for name, change := range map[string]func(*sigv4.Received){
		"method":  func(r *sigv4.Received) { r.Method = "HEAD" },
		"path":    func(r *sigv4.Received) { r.URI = "/x?Action=ListUsers&Version=2010-05-08" },
		"query":   func(r *sigv4.Received) { r.URI += "&a=1" },
		"host":    func(r *sigv4.Received) { r.Headers[0][1] = "iam.example" },
		"header":  func(r *sigv4.Received) { r.Headers[1][1] = "text/plain" },
		"date":    func(r *sigv4.Received) { r.Headers[2][1] = "20150830T123601Z" },
		"body":    func(r *sigv4.Received) { r.Body = []byte("x") },
		"another": func(r *sigv4.Received) { r.Headers = append(r.Headers, [2]string{"X-Amz-Target", "x"}) },
		"none":    func(r *sigv4.Received) { r.Headers = r.Headers[:3] },
	} {
		r := published()
		change(&r)
		if _, err := sigv4.Verify(r, publishedSecret); err == nil {
			t.Errorf("%s was changed, and the signature holds", name)
		}
	}
	if _, err := sigv4.Verify(published(), "another secret"); err == nil {
		t.Error("the signature holds with another secret")
	}
}
