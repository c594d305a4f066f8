package registry

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// AWSSigning signs requests to targets with AWS Signature Version 4.
type AWSSigning struct {
	Service         string `json:"service"`
	Region          string `json:"region"`
	AccessKeyID     string `json:"access_key_id"`           // may be a reference
	SecretAccessKey string `json:"secret_access_key"`       // always one reference
	SessionToken    string `json:"session_token,omitempty"` // one reference, if there is one
	RoleARN         string `json:"role_arn,omitempty"`      // empty: the credentials themselves sign
	ExternalID      string `json:"external_id,omitempty"`   // may be a reference
	STSURL          string `json:"sts_url,omitempty"`       // empty: the region's own
}

var (
	awsName = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
	roleARN = regexp.MustCompile(`^arn:aws[a-z-]{0,20}:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}$`)
)

// signatureHeaders are made by whoever signs; others of their names would break the signature or be one.
var signatureHeaders = []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256"}

// rewritten is a copy in our form.
func (s *AWSSigning) rewritten() *AWSSigning {
	if s == nil {
		return nil
	}
	out := *s
	for _, text := range []*string{&out.AccessKeyID, &out.SecretAccessKey, &out.SessionToken, &out.ExternalID} {
		*text = fromEnviron(*text)
	}
	return &out
}

// check adds what is wrong with the signing. What is secret is a reference, so that it is neither stored with
// the endpoint nor shown with it.
func (s *AWSSigning) check(p *Problems, known secretsKnown) {
	const field = "aws_signing."
	for _, part := range []struct{ name, text string }{{"service", s.Service}, {"region", s.Region}} {
		if !awsName.MatchString(part.text) {
			p.Add(field+part.name, Malformed, "%q is no %s of AWS: use 1 to 64 lower-case letters, digits and hyphens.", clip(part.text), part.name)
		}
	}
	if s.AccessKeyID == "" {
		p.Add(field+"access_key_id", Required, "The id of the access key is missing.")
	} else {
		known.checkValue(p, field+"access_key_id", "The id of the access key", s.AccessKeyID, true)
	}
	known.checkReference(p, field+"secret_access_key", "The secret access key", s.SecretAccessKey)
	if s.SessionToken != "" {
		known.checkReference(p, field+"session_token", "The session token", s.SessionToken)
	}
	if s.RoleARN != "" {
		s.checkRole(p, known)
		return
	}
	for _, part := range []struct{ name, text string }{{"external_id", s.ExternalID}, {"sts_url", s.STSURL}} {
		if part.text != "" {
			p.Add(field+part.name, Forbidden, "Without a role none is asked for: leave %s out, or set role_arn.", part.name)
		}
	}
}

func (s *AWSSigning) checkRole(p *Problems, known secretsKnown) {
	const field = "aws_signing."
	if !roleARN.MatchString(s.RoleARN) {
		p.Add(field+"role_arn", Malformed, "%q is no role: write it like arn:aws:iam::123456789012:role/NAME.", clip(s.RoleARN))
	}
	known.checkValue(p, field+"external_id", "The external id", s.ExternalID, false)
	if s.STSURL == "" {
		return
	}
	if code, reason := targetProblem(s.STSURL); code != "" {
		p.Add(field+"sts_url", code, "%s", strings.Replace(reason, "The target", "The service's URL", 1))
		return
	}
	u, err := url.Parse(s.STSURL)
	switch {
	case err != nil || u.RawQuery != "":
		p.Add(field+"sts_url", Malformed, "The service's URL has a query: leave it out.")
	case u.Scheme != "https" && !insideAddress(u.Hostname()) && !insideName(u.Hostname()):
		p.Add(field+"sts_url", Forbidden, "The service's answer is a credential, and its URL is not encrypted: use https.")
	}
}

// checkSignature finds headers that are the signature's.
func checkSignature(p *Problems, field string, headers []Header) {
	for i, h := range headers {
		if h.Mode != ModeRemove && is(h.Name, signatureHeaders) {
			p.Add(fmt.Sprintf("%s[%d].name", field, i), Forbidden, "The header %s is made by the signing for AWS: leave it out.", clip(h.Name))
		}
	}
}

// checkSigning: what signs has the headers of a signature for itself.
func (e *Endpoint) checkSigning(p *Problems, known secretsKnown) {
	if e.AWS == nil {
		return
	}
	e.AWS.check(p, known)
	checkSignature(p, "headers", e.Headers)
	for i, c := range e.Credentials {
		checkSignature(p, fmt.Sprintf("credentials[%d].headers", i), c.Headers)
	}
}
