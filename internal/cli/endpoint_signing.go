package cli

import (
	"strings"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// signingFlag says how requests are signed for AWS.
type signingFlag struct{ text string }

func (f *signingFlag) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.text, "aws-signing", "", "'service=NAME region=NAME key=ID secret=REFERENCE [token=REFERENCE] [role=ARN] [external-id=TEXT] [sts=URL]', with which requests are signed for AWS; or off")
}

func (f *signingFlag) change(cmd *cobra.Command, e *controlv1.Endpoint) error {
	if !cmd.Flags().Changed("aws-signing") {
		return nil
	}
	if f.text == off {
		e.AwsSigning = nil
		return nil
	}
	w := readWords(cmd, "aws-signing", f.text, false, "service=", "region=", "key=", "secret=", "token=", "role=", "external-id=", "sts=")
	for _, name := range []string{"service", "region", "key", "secret"} {
		if !w.has(name) {
			w.fail("has no %s=", name)
		}
	}
	e.AwsSigning = &controlv1.AwsSigning{
		Service: w.given["service"], Region: w.given["region"],
		AccessKeyId: w.given["key"], SecretAccessKey: w.given["secret"], SessionToken: w.given["token"],
		RoleArn: w.given["role"], ExternalId: w.given["external-id"], StsUrl: w.given["sts"],
	}
	return w.err
}

// describeSigning shows how requests are signed, but not all of a key's id that is written out.
func describeSigning(t *table, s *controlv1.AwsSigning) {
	if s == nil {
		return
	}
	const shown = 4 // "AKIA" says that it is long-lived
	id := s.GetAccessKeyId()
	if !strings.Contains(id, "${") && len(id) > shown {
		id = id[:shown] + "…"
	}
	t.add("signs", "for AWS "+s.GetService()+" in "+s.GetRegion()+" with "+id)
	if s.GetRoleArn() != "" {
		t.add("as role", s.GetRoleArn())
	}
}
