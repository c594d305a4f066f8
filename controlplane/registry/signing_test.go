package registry_test

import (
	"slices"
	"strings"
	"testing"

	"tollgate/controlplane/registry"
)

func signing() *registry.AWSSigning {
	return &registry.AWSSigning{
		Service: "bedrock", Region: "us-east-1", AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "${secret:bria}", SessionToken: "${env:TOKEN}",
		RoleARN: "arn:aws:iam::123456789012:role/path/NAME", ExternalID: "a-${secret:bria}", STSURL: "https://sts.example.com",
	}
}

// Guarantee: each rule of signing for AWS finds what it is for, under the right field, and nothing else is found.
// What is secret is a reference, and is shown nowhere if it is not.
func TestSigningRules(t *testing.T) {
	t.Parallel()
	const written = "wJalrXUtnFEMI/K7MDENG"
	withHeader := func(name string, mode registry.Mode) func(*registry.Endpoint) {
		return func(e *registry.Endpoint) {
			e.Headers = append(e.Headers, registry.Header{Name: name, Value: "x", Mode: mode})
			if mode == registry.ModeRemove {
				e.Headers[1].Value = ""
			}
		}
	}
	signed := func(edit func(*registry.AWSSigning)) func(*registry.Endpoint) {
		return func(e *registry.Endpoint) { edit(e.AWS) }
	}
	cases := []struct {
		name string
		edit func(*registry.Endpoint)
		want []string
	}{
		{"good", func(*registry.Endpoint) {}, nil},
		{"long-lived", signed(func(s *registry.AWSSigning) { s.SessionToken, s.RoleARN, s.ExternalID, s.STSURL = "", "", "", "" }), nil},
		{"of a partition", signed(func(s *registry.AWSSigning) { s.RoleARN = "arn:aws-us-gov:iam::123456789012:role/NAME" }), nil},
		{"key id by reference", signed(func(s *registry.AWSSigning) { s.AccessKeyID = "os.environ/AWS_ACCESS_KEY_ID" }), nil},
		{"service in one's own network", signed(func(s *registry.AWSSigning) { s.STSURL = "http://127.0.0.1:9000" }), nil},
		{"service by a name of one's own", signed(func(s *registry.AWSSigning) { s.STSURL = "http://sts:9000" }), nil},
		{"no service", signed(func(s *registry.AWSSigning) { s.Service, s.Region = "", "US East" }), []string{"aws_signing.service:invalid", "aws_signing.region:invalid"}},
		{"no key id", signed(func(s *registry.AWSSigning) { s.AccessKeyID = "" }), []string{"aws_signing.access_key_id:required"}},
		{"key id with a line end", signed(func(s *registry.AWSSigning) { s.AccessKeyID = "a\nb" }), []string{"aws_signing.access_key_id:header_value_nl"}},
		{"secret written out", signed(func(s *registry.AWSSigning) { s.SecretAccessKey = written }), []string{"aws_signing.secret_access_key:forbidden"}},
		{"no secret", signed(func(s *registry.AWSSigning) { s.SecretAccessKey = "" }), []string{"aws_signing.secret_access_key:required"}},
		{"secret in two parts", signed(func(s *registry.AWSSigning) { s.SecretAccessKey = "${env:A}${env:B}" }), []string{"aws_signing.secret_access_key:forbidden"}},
		{"secret that does not exist", signed(func(s *registry.AWSSigning) { s.SecretAccessKey = "${secret:other}" }), []string{"aws_signing.secret_access_key:secret_missing"}},
		{"token written out", signed(func(s *registry.AWSSigning) { s.SessionToken = written }), []string{"aws_signing.session_token:forbidden"}},
		{"no role", signed(func(s *registry.AWSSigning) { s.RoleARN = "arn:aws:iam::1:user/NAME" }), []string{"aws_signing.role_arn:invalid"}},
		{"without a role", signed(func(s *registry.AWSSigning) { s.RoleARN = "" }), []string{"aws_signing.external_id:forbidden", "aws_signing.sts_url:forbidden"}},
		{"external id", signed(func(s *registry.AWSSigning) { s.ExternalID = "${secret:other}" }), []string{"aws_signing.external_id:secret_missing"}},
		{"service in the clear", signed(func(s *registry.AWSSigning) { s.STSURL = "http://sts.example.com" }), []string{"aws_signing.sts_url:forbidden"}},
		{"service of metadata", signed(func(s *registry.AWSSigning) { s.STSURL = "http://169.254.169.254" }), []string{"aws_signing.sts_url:target_metadata"}},
		{"no URL", signed(func(s *registry.AWSSigning) { s.STSURL = "sts" }), []string{"aws_signing.sts_url:target_scheme"}},
		{"URL with a query", signed(func(s *registry.AWSSigning) { s.STSURL += "?a=b" }), []string{"aws_signing.sts_url:invalid"}},
		{"header of a signature", withHeader("authorization", registry.ModeSet), []string{"headers[1].name:forbidden"}},
		{"default header of a signature", withHeader("X-AMZ-DATE", registry.ModeDefault), []string{"headers[1].name:forbidden"}},
		{"removed header of a signature", withHeader("authorization", registry.ModeRemove), nil},
		{"credential of another kind", func(e *registry.Endpoint) {
			e.Credentials = []registry.Credential{{Name: "a", Headers: []registry.Header{{Name: "Authorization", Value: "x"}}}}
		}, []string{"credentials[0].headers[0].name:forbidden"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := good()
			e.AWS = signing()
			c.edit(&e)
			_, got := violations(t, e, known)
			want := make([]string, len(c.want))
			for i := range c.want {
				want[i] = "endpoint." + c.want[i]
			}
			if !slices.Equal(got, want) {
				t.Errorf("found %q, want %q", got, want)
			}
			e.Normalize()
			p := registry.NewProblems("")
			if e.Check(p, known); p.Err("it") != nil && strings.Contains(p.Err("it").Error(), written) {
				t.Error("a secret is shown")
			}
		})
	}
}

// Guarantee: the secrets that sign are secrets of the endpoint, so that edges get them and they cannot be deleted;
// what is given to Normalize stays as it is.
func TestSigningRefersToSecrets(t *testing.T) {
	t.Parallel()
	e := good()
	e.Headers = nil
	given := signing()
	given.AccessKeyID, given.ExternalID = "${secret:id}", "os.environ/EXTERNAL"
	e.AWS = given
	e.Normalize()
	if got := e.SecretRefs(); !slices.Equal(got, []string{"bria", "id"}) {
		t.Errorf("secrets %q", got)
	}
	if e.AWS.ExternalID != "${env:EXTERNAL}" || given.ExternalID != "os.environ/EXTERNAL" {
		t.Errorf("rewritten to %q, from %q", e.AWS.ExternalID, given.ExternalID)
	}
	e.Targets = []registry.Target{{URL: "http://x.example.com"}}
	if w := e.Warnings(); len(w) != 1 || w[0].Code != registry.WarnPlain {
		t.Errorf("warned of %+v", w)
	}
}
