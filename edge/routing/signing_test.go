package routing_test

import (
	"strings"
	"testing"

	"tollgate/edge/routing"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

// signed is an endpoint that signs for AWS.
func signed(change func(*controlv1.AwsSigning)) *eventv1.RouteEndpoint {
	e := ep("/aws")
	e.AwsSigning = &controlv1.AwsSigning{Service: "bedrock", Region: "us-east-1", AccessKeyId: "${secret:id}", SecretAccessKey: "${secret:key}"}
	change(e.GetAwsSigning())
	return e
}

func compileSigned(e *eventv1.RouteEndpoint) (*routing.Table, error) {
	values := map[string]string{"id": "AKIA1", "key": "secret\n", "token": "token", "empty": "", "odd": "a\x00b"}
	return routing.Compile(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{e}}, contract.Version{Epoch: 1, Revision: 1}, routing.Lookups{
		Secret: func(name string) (string, error) {
			if value, ok := values[name]; ok {
				return value, nil
			}
			return "", fault.New(fault.ObjectNotFound, "No secret %s.", name)
		},
	})
}

// Guarantee: the credentials that sign are resolved as headers are, roles are asked for in their region, and what
// is shown holds none of it.
func TestSigning(t *testing.T) {
	t.Parallel()
	keys := map[string]bool{}
	for name, tc := range map[string]struct {
		change func(*controlv1.AwsSigning)
		want   routing.Signing
		sts    string
	}{
		"static":    {func(*controlv1.AwsSigning) {}, routing.Signing{}, ""},
		"temporary": {func(a *controlv1.AwsSigning) { a.SessionToken = "${secret:token}" }, routing.Signing{SessionToken: "token"}, ""},
		"role":      {func(a *controlv1.AwsSigning) { a.RoleArn, a.ExternalId = "arn:x", "ext" }, routing.Signing{RoleARN: "arn:x", ExternalID: "ext"}, "https://sts.us-east-1.amazonaws.com"},
		"china":     {func(a *controlv1.AwsSigning) { a.RoleArn, a.Region = "arn:x", "cn-north-1" }, routing.Signing{RoleARN: "arn:x", Region: "cn-north-1"}, "https://sts.cn-north-1.amazonaws.com.cn"},
		"own":       {func(a *controlv1.AwsSigning) { a.RoleArn, a.StsUrl = "arn:x", "https://sts.example/a/" }, routing.Signing{RoleARN: "arn:x"}, "https://sts.example/a"},
	} {
		table, err := compileSigned(signed(tc.change))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		e := table.Endpoints()[0]
		if e.Err != nil {
			t.Fatalf("%s: %v", name, e.Err)
		}
		got, want := *e.Signing, tc.want
		want.Service, want.AccessKeyID, want.SecretAccessKey, want.Source = "bedrock", "AKIA1", "secret", "${secret:id}"
		if want.Region == "" {
			want.Region = "us-east-1"
		}
		if (got.STS == nil) != (tc.sts == "") || got.STS != nil && got.STS.Name != tc.sts {
			t.Errorf("%s: roles are asked for at %+v", name, got.STS)
		}
		if keys[got.Key] || strings.Contains(got.Key, "secret") {
			t.Errorf("%s: key %q is another's, or shows something", name, got.Key)
		}
		keys[got.Key] = true
		got.STS, got.Key = nil, ""
		if got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
		if m := e.Masked().Signing; m.AccessKeyID != "${secret:id}" || m.SecretAccessKey != "" || m.SessionToken == "token" || m.ExternalID != "" || m.Temporary() != e.Signing.Temporary() {
			t.Errorf("%s: %+v is shown", name, m)
		}
	}
	if _, err := compileSigned(ep("/plain")); err != nil {
		t.Error(err)
	}
}

// Guarantee: an endpoint whose credentials cannot be had takes no requests, which would go unsigned; what makes
// no sense at all is refused.
func TestSigningCannotBe(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*controlv1.AwsSigning){
		"no such secret": func(a *controlv1.AwsSigning) { a.SecretAccessKey = "${secret:other}" },
		"not set":        func(a *controlv1.AwsSigning) { a.AccessKeyId = "${env:OTHER}" },
		"empty":          func(a *controlv1.AwsSigning) { a.SecretAccessKey = "${secret:empty}" },
		"odd":            func(a *controlv1.AwsSigning) { a.SessionToken = "${secret:odd}" },
		"no role's":      func(a *controlv1.AwsSigning) { a.RoleArn, a.ExternalId = "arn:x", "${secret:other}" },
	} {
		table, err := compileSigned(signed(change))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := table.Endpoints()[0].Err; err == nil || fault.From(err).Code != fault.SecretUnresolved {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*controlv1.AwsSigning){
		"no service": func(a *controlv1.AwsSigning) { a.Service = "" },
		"no region":  func(a *controlv1.AwsSigning) { a.Region = "" },
		"reference":  func(a *controlv1.AwsSigning) { a.AccessKeyId = "${secret:" },
		"roles":      func(a *controlv1.AwsSigning) { a.RoleArn, a.StsUrl = "arn:x", "ftp://sts.example" },
	} {
		if _, err := compileSigned(signed(change)); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
}
