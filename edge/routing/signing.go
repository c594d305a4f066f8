package routing

import (
	"errors"
	"fmt"
	"strings"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
	"tollgate/internal/headervalue"
)

// Signing is how requests are signed for AWS, resolved.
type Signing struct {
	Service, Region string
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string // empty for long-lived credentials
	RoleARN         string // assumed with these credentials; empty for none
	ExternalID      string
	STS             *Target // who is asked for the role; nil without one
	Source          string  // of the access key id, as configured
	// Key tells credentials apart: endpoints with the same one share what is held for them.
	Key string
}

// Temporary says whether the credentials come with a token.
func (s *Signing) Temporary() bool { return s.SessionToken != "" || s.RoleARN != "" }

// signing reads how requests are signed. What cannot be resolved takes the endpoint out: unsigned, all of its
// requests would be refused.
func (c *compiler) signing(e *Endpoint, from *eventv1.RouteEndpoint) error {
	in := from.GetAwsSigning()
	if in == nil {
		return nil
	}
	s := &Signing{Service: in.GetService(), Region: in.GetRegion(), RoleARN: in.GetRoleArn(), Source: in.GetAccessKeyId()}
	if s.Service == "" || s.Region == "" {
		return errors.New("AWS signing: it does not say for which service and region")
	}
	for _, part := range []struct {
		to          *string
		value, what string
		needed      bool
	}{
		{&s.AccessKeyID, in.GetAccessKeyId(), "The AWS access key id", true},
		{&s.SecretAccessKey, in.GetSecretAccessKey(), "The AWS secret access key", true},
		{&s.SessionToken, in.GetSessionToken(), "The AWS session token", false},
		{&s.ExternalID, in.GetExternalId(), "The external id of the AWS role", false},
	} {
		text, why, err := c.text(part.value, part.what, e, headervalue.Value.Text)
		if err != nil {
			return fmt.Errorf("AWS signing: %w", err)
		}
		text = strings.Trim(text, " \t\r\n") // what is kept in files often ends in a line feed
		if why == nil && (text == "" && part.needed || !validHeaderValue(text)) {
			why = fault.New(fault.SecretUnresolved, "%s of endpoint %s is empty or has a control character in it.", part.what, e.Name)
		}
		*part.to = text
		e.fail(why)
	}
	if s.RoleARN != "" {
		var err error
		if s.STS, err = newTarget(stsURL(in.GetStsUrl(), s.Region)); err != nil {
			return fmt.Errorf("AWS signing: the service that gives roles: %w", err)
		}
	}
	s.Key = digest(s.Service, s.Region, s.AccessKeyID, s.SecretAccessKey, s.SessionToken, s.RoleARN, s.ExternalID, in.GetStsUrl())
	e.Signing = s
	return nil
}

// stsURL is where roles are asked for.
func stsURL(configured, region string) string {
	switch {
	case configured != "":
		return configured
	case strings.HasPrefix(region, "cn-"):
		return "https://sts." + region + ".amazonaws.com.cn"
	default:
		return "https://sts." + region + ".amazonaws.com"
	}
}

// masked is a copy without secrets.
func (s *Signing) masked() *Signing {
	if s == nil {
		return nil
	}
	out := *s
	out.AccessKeyID, out.SecretAccessKey, out.ExternalID = s.Source, "", ""
	if out.SessionToken != "" {
		out.SessionToken = "(hidden)"
	}
	return &out
}
