package signing

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"tollgate/internal/fault"
)

// sessionName is what AWS shows in its logs in place of who uses a role.
const sessionName = "tollgate"

const formType = "application/x-www-form-urlencoded; charset=utf-8"

// assume asks for credentials of a role, with those that are configured.
func (s *Signers) assume(ctx context.Context, by *signer) (aws.Credentials, error) {
	form := url.Values{
		"Action": {"AssumeRole"}, "Version": {"2011-06-15"},
		"RoleArn": {by.with.RoleARN}, "RoleSessionName": {sessionName},
	}
	if by.with.ExternalID != "" {
		form.Set("ExternalId", by.with.ExternalID)
	}
	target, body := by.with.STS, []byte(form.Encode())
	r := &Request{
		Method: http.MethodPost, Scheme: target.Scheme, Host: target.Host, URI: target.BasePath + "/",
		Headers: []Header{{"Content-Type", formType}}, Body: body,
	}
	// The service is another one, so that what is derived of the secret for it is not kept with the rest.
	once := &signer{v4: newV4("sts")}
	signature, err := once.sign(ctx, by.static, "sts", by.with.Region, r, s.now())
	if err != nil {
		return aws.Credentials{}, err
	}
	status, answer, err := s.post(ctx, target, r.URI, append(r.Headers, signature.Headers...), body)
	if err != nil {
		return aws.Credentials{}, failed("The role "+by.with.RoleARN+" could not be assumed: "+err.Error(), err)
	}
	if status != http.StatusOK {
		return aws.Credentials{}, failed("AWS refused to let the role "+by.with.RoleARN+" be assumed: "+refusal(status, answer), nil)
	}
	got, err := granted(answer)
	if err == nil && !got.Expires.After(s.now().Add(lastUse)) {
		err = errors.New("the credentials have ended already, by the clock of this edge")
	}
	if err != nil {
		return aws.Credentials{}, failed("AWS gave no usable credentials for the role "+by.with.RoleARN+": "+err.Error(), err)
	}
	return got, nil
}

func failed(message string, cause error) error {
	return fault.New(fault.UpstreamUnreachable, "%s.", strings.TrimRight(message, ".")).
		WithHint("Nothing was charged. Ask your gateway admin to check the role, its trust policy and the endpoint's credentials for AWS.").
		WithCause(cause)
}

// granted are the credentials in an answer.
func granted(answer []byte) (aws.Credentials, error) {
	var in struct {
		XMLName     xml.Name `xml:"AssumeRoleResponse"`
		Credentials struct {
			AccessKeyID     string `xml:"AccessKeyId"`
			SecretAccessKey string `xml:"SecretAccessKey"`
			SessionToken    string `xml:"SessionToken"`
			Expiration      string `xml:"Expiration"`
		} `xml:"AssumeRoleResult>Credentials"`
	}
	if err := xml.Unmarshal(answer, &in); err != nil {
		return aws.Credentials{}, errors.New("the answer is not what AssumeRole answers") // the text may hold a secret
	}
	c := in.Credentials
	for _, part := range []string{c.AccessKeyID, c.SecretAccessKey, c.SessionToken} {
		if part == "" || strings.ContainsFunc(part, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			return aws.Credentials{}, errors.New("the answer has no whole credentials in it")
		}
	}
	expires, err := time.Parse(time.RFC3339, c.Expiration)
	if err != nil {
		return aws.Credentials{}, errors.New("the answer does not say when the credentials end")
	}
	return aws.Credentials{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken,
		CanExpire: true, Expires: expires,
	}, nil
}

// refusal is AWS's word for why. Its longer text names accounts and users, which are not for callers.
func refusal(status int, answer []byte) string {
	var in struct {
		XMLName xml.Name `xml:"ErrorResponse"`
		Code    string   `xml:"Error>Code"`
	}
	if err := xml.Unmarshal(answer, &in); err == nil && isWord(in.Code) {
		return in.Code
	}
	return "status " + strconv.Itoa(status)
}

// isWord says whether a text is a code, which can be shown.
func isWord(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.')
	})
}
